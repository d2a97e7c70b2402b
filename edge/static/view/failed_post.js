// @ts-check
/** A comment of one's own that was not posted: it stays in the list with the reason, and can be sent again or taken away. */

import { element } from "./element.js";

/** @typedef {import("../client/index.js").Item} Item */
/** @typedef {import("../model/failure.js").Failure} Failure */

const BUTTON = "button[data-failed]";

/**
 * What stands below its text.
 *
 * @param {Failure} failure
 * @returns {HTMLElement}
 */
export function failedPart({ words, isRepeatable }) {
  return element(
    "div",
    { class: "comment-failed" },
    element("p", { class: "comment-problem", text: words }),
    isRepeatable ? button("Try again", "retry") : button("Edit", "edit"),
    button("Remove", "remove"),
  );
}

/**
 * Lets the buttons do what they say. The row is another one afterwards: who listens gives the focus a new place.
 *
 * @param {object} given
 * @param {HTMLOListElement} given.list
 * @param {import("./comment_list.js").CommentList} given.view
 * @param {(item: Item) => void} given.retry
 * @param {(item: Item) => void} given.edit
 * @param {(item: Item) => void} given.remove
 */
export function attachFailedPosts({ list, view, retry, edit, remove }) {
  /** @type {Record<string, (item: Item) => void>} */
  const doing = { retry, edit, remove };
  list.addEventListener("click", (event) => {
    const pressed = /** @type {HTMLElement} */ (event.target).closest(BUTTON);
    const row = pressed?.closest("li");
    const item = row && view.itemOf(row);
    if (item) doing[/** @type {HTMLElement} */ (pressed).dataset.failed ?? ""](item);
  });
}

/**
 * @param {string} text
 * @param {string} action
 */
function button(text, action) {
  return element("button", { class: "button small", text, with: { type: "button", "data-failed": action } });
}
