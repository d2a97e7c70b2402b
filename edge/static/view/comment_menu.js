// @ts-check
/**
 * What one may do with a comment: one menu for all of them, opened from a row's button.
 *
 * Only one of the buttons is a tab stop; the arrow keys go from comment to comment. The list stands still while the
 * focus is in it or the menu is open.
 */

import { element } from "./element.js";
import { icon } from "./icon.js";

/** @typedef {import("../client/index.js").Comment} Comment */
/** @typedef {{name: string, icon: "pin" | "trash" | "ban", run: () => void}} Action */

const BUTTON = ".comment-actions";
const GAP_PX = 4;

/**
 * @param {object} given
 * @param {HTMLOListElement} given.list
 * @param {import("./comment_list.js").CommentList} given.view
 * @param {(comment: Comment) => Action[]} given.actionsOf none: the comment has no button
 */
export function attachCommentMenu({ list, view, actionsOf }) {
  const menu = element("div", { class: "menu", with: { role: "menu", popover: "auto", "aria-label": "Comment" } });
  list.closest("section")?.append(menu);
  /** @type {HTMLElement | null} */
  let opener = null;
  let openerIndex = 0;

  const buttons = () => /** @type {HTMLElement[]} */ ([...list.querySelectorAll(BUTTON)]);
  const hasButton = (/** @type {import("../client/index.js").Item} */ { comment, state }) =>
    state === "posted" && actionsOf(comment).length > 0;
  const open = (/** @type {HTMLElement} */ button) => {
    const row = button.closest("li");
    const item = row && view.itemOf(row);
    if (!item) return;
    opener = button;
    openerIndex = buttons().indexOf(button);
    menu.replaceChildren(...actionsOf(item.comment).map((action) => entry(action, () => menu.hidePopover())));
    menu.showPopover();
    place(menu, button);
    menu.firstElementChild?.focus();
  };

  menu.addEventListener("toggle", (/** @type {ToggleEvent} */ event) => {
    if (event.newState === "open") {
      view.pause();
      return;
    }
    if (opener?.isConnected && menu.contains(document.activeElement)) opener.focus();
    view.resume();
  });
  menu.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    const entries = /** @type {HTMLElement[]} */ ([...menu.children]);
    const index = entries.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const target = neighbour(event.key, index, entries.length);
    if (event.key === "Tab") menu.hidePopover();
    if (target === null) return;
    event.preventDefault();
    entries[target].focus();
  });

  list.addEventListener("click", (event) => {
    const button = /** @type {HTMLElement} */ (event.target).closest(BUTTON);
    if (button) open(/** @type {HTMLElement} */ (button));
  });
  list.addEventListener("keydown", (event) => {
    const row = document.activeElement?.closest("li");
    const item = row && view.itemOf(row);
    const towards = item && step(event.key, view.items.indexOf(item), view.items.length);
    if (!towards) return;
    event.preventDefault();
    let { index } = towards;
    while (view.items[index] && !hasButton(view.items[index])) index += towards.by;
    const target = view.items[index] && view.reveal(view.items[index].key);
    /** @type {HTMLElement | null | undefined} */ (target?.querySelector(BUTTON))?.focus({ preventScroll: true });
  });
  // Only for the keyboard: after a click the focus stays on the button, and the list must go on.
  let inside = false;
  const enter = (/** @type {boolean} */ entered) => {
    if (entered === inside) return;
    inside = entered;
    if (entered) view.pause();
    else view.resume();
  };
  list.addEventListener("focusin", (event) => {
    const focused = /** @type {HTMLElement} */ (event.target);
    for (const button of buttons()) button.tabIndex = button === focused ? 0 : -1;
    enter(focused.matches(":focus-visible"));
  });
  list.addEventListener("focusout", (event) => {
    if (!list.contains(/** @type {Node | null} */ (event.relatedTarget))) enter(false);
  });

  return {
    /** After a draw: the newest comment's button is the tab stop, unless another has the focus. */
    refresh() {
      if (list.contains(document.activeElement)) return;
      const all = buttons();
      for (const button of all) button.tabIndex = -1;
      const last = all.at(-1);
      if (last) last.tabIndex = 0;
      // The row in use was deleted: on to its neighbour, else the keyboard's place in the page is lost.
      if (opener && !opener.isConnected && document.activeElement === document.body) {
        (all[openerIndex] ?? last)?.focus();
      }
      if (!opener?.isConnected) opener = null;
      enter(list.contains(document.activeElement) && inside);
    },
  };
}

/**
 * @param {Action} action
 * @param {() => void} close
 */
function entry(action, close) {
  return element(
    "button",
    {
      class: "menu-entry",
      with: { type: "button", role: "menuitem", tabindex: -1 },
      on: {
        click: () => {
          close();
          action.run();
        },
      },
    },
    icon(action.icon),
    element("span", { text: action.name }),
  );
}

/**
 * Where a key leads from the entry at `index`; null for keys that move nothing.
 *
 * @param {string} key
 * @param {number} index
 * @param {number} count
 */
function neighbour(key, index, count) {
  switch (key) {
    case "ArrowDown":
      return Math.min(index + 1, count - 1);
    case "ArrowUp":
      return Math.max(index - 1, 0);
    case "Home":
      return 0;
    case "End":
      return count - 1;
    default:
      return null;
  }
}

/**
 * Where a key leads from a comment, and which way it goes on from there when that one has no button.
 *
 * @param {string} key
 * @param {number} index
 * @param {number} count
 * @returns {{index: number, by: 1 | -1} | null} null for keys that move nothing
 */
function step(key, index, count) {
  switch (key) {
    case "ArrowDown":
      return { index: index + 1, by: 1 };
    case "ArrowUp":
      return { index: index - 1, by: -1 };
    case "Home":
      return { index: 0, by: 1 };
    case "End":
      return { index: count - 1, by: -1 };
    default:
      return null;
  }
}

/**
 * Under the button, its right edge with the button's; above it where there is no room.
 *
 * @param {HTMLElement} menu
 * @param {HTMLElement} button
 */
function place(menu, button) {
  const anchor = button.getBoundingClientRect();
  const { offsetWidth: width, offsetHeight: height } = menu;
  const under = anchor.bottom + GAP_PX + height <= innerHeight;
  menu.style.top = `${under ? anchor.bottom + GAP_PX : anchor.top - GAP_PX - height}px`;
  menu.style.left = `${Math.max(GAP_PX, anchor.right - width)}px`;
}
