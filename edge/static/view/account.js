// @ts-check
/** Who one is, in the page's corner, and the dialog where one says it. */

import { tokenInFragment } from "../model/session.js";
import { formatMoment } from "../model/time.js";
import { avatar } from "./avatar.js";
import { element } from "./element.js";
import { icon } from "./icon.js";

/** @typedef {import("../model/session.js").Session} Session */

/**
 * Takes a token from the address (`#token=…`) into the session, and out of the address bar.
 *
 * @param {Session} session
 * @param {(words: string) => void} onProblem
 */
export function takeTokenFromAddress(session, onProblem) {
  const take = () => {
    const token = tokenInFragment(location.hash);
    if (token === null) return;
    history.replaceState(history.state, "", location.pathname + location.search);
    const problem = session.signIn(token);
    if (problem) onProblem(problem);
  };
  addEventListener("hashchange", take);
  addEventListener("storage", (event) => {
    if (session.concerns(event)) session.changed();
  });
  take();
}

/**
 * @param {Session} session
 * @returns {{button: HTMLButtonElement, dialog: HTMLDialogElement, open: () => void}}
 */
export function account(session) {
  const dialog = element("dialog", { class: "dialog", with: { "aria-labelledby": "account-title" } });
  const button = element("button", { class: "button quiet account", with: { type: "button", "aria-haspopup": "dialog" } });

  const open = () => {
    dialog.replaceChildren(content());
    dialog.showModal();
  };
  const close = () => dialog.close();
  const content = () => (session.who ? signedIn(session, close) : signedOut(session, close));
  const show = () => {
    const { who } = session;
    button.replaceChildren(
      who ? avatar(who.id, who.name) : icon("person"),
      element("span", { class: "visually-hidden", text: who ? "Signed in as " : "" }),
      element("span", { class: "account-name", text: who ? who.name : "Sign in" }),
    );
    button.classList.toggle("signed-in", Boolean(who));
  };

  button.addEventListener("click", open);
  // A click on the backdrop is one on the dialog itself: its content fills it.
  dialog.addEventListener("click", (/** @type {MouseEvent} */ event) => {
    if (event.target === dialog) close();
  });
  session.addEventListener("change", show);
  show();
  return { button, dialog, open };
}

/**
 * @param {Session} session
 * @param {() => void} close
 */
function signedOut(session, close) {
  const error = element("p", { class: "field-error", with: { id: "token-error", role: "alert" } });
  const field = element("textarea", {
    class: "field token-field",
    with: { id: "token", rows: 5, autocomplete: "off", spellcheck: "false", "aria-describedby": "token-hint token-error" },
  });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const problem = session.signIn(field.value);
    error.textContent = problem ?? "";
    field.setAttribute("aria-invalid", problem ? "true" : "false");
    if (problem) field.focus();
    else close();
  };
  field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && !event.shiftKey) submit(event);
  });
  return element(
    "form",
    { class: "dialog-content", on: { submit }, with: { novalidate: true } },
    element("h2", { text: "Sign in with a token", with: { id: "account-title" } }),
    element("p", { class: "muted", text: "A token says who you are when you comment. It stays in this browser.", with: { id: "token-hint" } }),
    element("label", { class: "label", text: "Token", with: { for: "token" } }),
    field,
    error,
    element(
      "p",
      { class: "hint" },
      document.createTextNode("On your own machine, make one with "),
      element("code", { text: "livecomments token --user ada" }),
    ),
    element(
      "div",
      { class: "dialog-actions" },
      element("button", { class: "button", text: "Cancel", with: { type: "button" }, on: { click: close } }),
      element("button", { class: "button primary", text: "Sign in", with: { type: "submit" } }),
    ),
  );
}

/**
 * @param {Session} session
 * @param {() => void} close
 */
function signedIn(session, close) {
  const who = /** @type {import("../model/session.js").Who} */ (session.who);
  const facts = [
    ["User id", who.id],
    ["Role", who.role],
    ["Valid until", formatMoment(new Date(who.expiresAt).toISOString())],
    ...(who.streams.length ? [["Streams", who.streams.join(", ")]] : []),
  ];
  const signOut = () => {
    session.signOut();
    close();
  };
  return element(
    "div",
    { class: "dialog-content" },
    element(
      "div",
      { class: "who" },
      avatar(who.id, who.name),
      element("h2", { text: who.name, with: { id: "account-title" } }),
    ),
    element(
      "dl",
      { class: "facts" },
      ...facts.flatMap(([name, value]) => [element("dt", { text: name }), element("dd", { text: value })]),
    ),
    element(
      "div",
      { class: "dialog-actions" },
      element("button", { class: "button", text: "Sign out", with: { type: "button" }, on: { click: signOut } }),
      element("button", { class: "button primary", text: "Close", with: { type: "button", autofocus: true }, on: { click: close } }),
    ),
  );
}
