// @ts-check
/** What every page has: the session, the header's buttons, short messages. */

import { Session } from "../model/session.js";
import { account, takeTokenFromAddress } from "./account.js";
import { byId } from "./element.js";
import { themeToggle } from "./theme_toggle.js";
import { toaster } from "./toast.js";

/**
 * @returns {{session: Session, toast: (words: string) => void, signIn: () => void}}
 */
export function openShell() {
  const session = new Session(storage());
  const toast = toaster();
  takeTokenFromAddress(session, toast);
  const { button, dialog, open } = account(session);
  byId("header-actions").append(themeToggle(), button);
  document.body.append(dialog);
  return { session, toast, signIn: open };
}

/** The stream's id in `/watch/{id}` and `/replay/{id}`. */
export function streamIdInAddress() {
  return decodeURIComponent(location.pathname.split("/")[2] ?? "");
}

/** localStorage, or the page's own memory where the browser forbids it. */
function storage() {
  try {
    localStorage.getItem("");
    return localStorage;
  } catch {
    const kept = new Map();
    return {
      getItem: (/** @type {string} */ key) => kept.get(key) ?? null,
      setItem: (/** @type {string} */ key, /** @type {string} */ value) => void kept.set(key, value),
      removeItem: (/** @type {string} */ key) => void kept.delete(key),
    };
  }
}
