// @ts-check
/** The scrolling list: draws items by key, follows the newest comment, or keeps the reader's place. */

import { Follow } from "../model/follow.js";
import { commentRow } from "./comment_row.js";

/** @typedef {import("../model/timeline.js").Item} Item */
/** @typedef {import("./comment_row.js").Look} Look */

const NEAR_TOP_PX = 200;

/** Fires "follow" when it starts or stops following, "top" when the reader has come near the oldest comment. */
export class CommentList extends EventTarget {
  /**
   * @param {HTMLElement} scroller the box that scrolls
   * @param {HTMLOListElement} list inside of it
   * @param {(item: Item) => Look} look
   */
  constructor(scroller, list, look) {
    super();
    this.#scroller = scroller;
    this.#list = list;
    this.#look = look;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#stick()).observe(scroller);
  }

  #scroller;
  #list;
  #look;
  #follow = new Follow();
  #wasFollowing = true;
  /** @type {Map<string, {item: Item, row: HTMLLIElement}>} */
  #drawn = new Map();

  get following() {
    return this.#follow.following;
  }

  get atEnd() {
    return this.#follow.atEnd;
  }

  /** Stands still while a comment is being used; call `resume` as often. */
  pause() {
    this.#follow.pause();
    this.#tell();
  }

  resume() {
    this.#follow.resume();
    this.#tell();
  }

  /** Goes down to the newest comment and stays there. */
  goToEnd() {
    this.#follow.movedToEnd(this.#scroller.scrollTop);
    this.#tell();
    this.#stick();
  }

  /**
   * Brings the screen to these items, in this order.
   *
   * @param {readonly Item[]} items
   */
  draw(items) {
    const anchor = this.following ? null : this.#anchor();
    const keys = new Set(items.map((item) => item.key));
    // Those that go first, so that the others stay where they are in the document.
    for (const [key, { row }] of this.#drawn) if (!keys.has(key)) row.remove();
    const drawn = new Map();
    /** @type {Element | null} */
    let next = this.#list.firstElementChild;
    for (const item of items) {
      const before = this.#drawn.get(item.key);
      const row = before?.item === item ? before.row : commentRow(item.comment, this.#look(item));
      if (before && before.row !== row) {
        before.row.replaceWith(row);
        if (before.row === next) next = row;
      }
      drawn.set(item.key, { item, row });
      if (row === next) next = row.nextElementSibling;
      else this.#list.insertBefore(row, next);
    }
    this.#drawn = drawn;
    if (anchor) this.#restore(anchor);
    this.#stick();
  }

  /** Draws every row anew: what they look like has changed. @param {readonly Item[]} items */
  redraw(items) {
    for (const { row } of this.#drawn.values()) row.remove();
    this.#drawn.clear();
    this.draw(items);
  }

  /** @param {Element} row */
  itemOf(row) {
    for (const drawn of this.#drawn.values()) if (drawn.row === row) return drawn.item;
    return undefined;
  }

  #stick() {
    if (!this.following) return;
    this.#scroller.scrollTop = this.#scroller.scrollHeight;
    this.#follow.movedToEnd(this.#scroller.scrollTop);
  }

  #scrolled() {
    const { scrollTop: top, scrollHeight: height, clientHeight: client } = this.#scroller;
    this.#follow.scrolled({ top, height, client });
    this.#tell();
    if (!this.following && top < NEAR_TOP_PX) this.dispatchEvent(new Event("top"));
  }

  #tell() {
    if (this.following === this.#wasFollowing) return;
    this.#wasFollowing = this.following;
    this.dispatchEvent(new Event("follow"));
  }

  /** The first row that is in sight: it stays where it is, whatever happens above. */
  #anchor() {
    const top = this.#scroller.getBoundingClientRect().top;
    for (const { item, row } of this.#drawn.values()) {
      const box = row.getBoundingClientRect();
      if (box.bottom > top) return { key: item.key, offset: box.top };
    }
    return null;
  }

  /** @param {{key: string, offset: number}} anchor */
  #restore({ key, offset }) {
    const row = this.#drawn.get(key)?.row;
    if (row) this.#scroller.scrollTop += row.getBoundingClientRect().top - offset;
  }
}
