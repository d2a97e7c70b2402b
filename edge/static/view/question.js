// @ts-check
/** Asks before something is done that can't be undone. */

import { element } from "./element.js";

let asked = 0;

/**
 * @param {object} given
 * @param {string} given.title
 * @param {string} given.words what it means
 * @param {string} given.yes what is done
 * @param {string} given.no what is left as it is
 * @param {Node[]} [given.more] further fields
 * @returns {Promise<boolean>} whether it is to be done; the dialog is gone then
 */
export function ask({ title, words, yes, no, more = [] }) {
  const id = `question-${(asked += 1)}`;
  const form = element(
    "form",
    { class: "dialog-content", with: { method: "dialog" } },
    element("h2", { text: title, with: { id } }),
    element("p", { class: "muted", text: words }),
    ...more,
    element(
      "div",
      { class: "dialog-actions" },
      element("button", { class: "button", text: no, with: { value: "no", autofocus: true } }),
      element("button", { class: "button danger", text: yes, with: { value: "yes" } }),
    ),
  );
  const dialog = element("dialog", { class: "dialog", with: { "aria-labelledby": id } }, form);
  document.body.append(dialog);
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => {
      resolve(dialog.returnValue === "yes");
      dialog.remove();
    });
  });
}
