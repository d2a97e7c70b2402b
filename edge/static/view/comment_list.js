// @ts-check
/**
 * The scrolling list: draws what is in sight of it, follows the newest comment, or keeps the reader's place.
 *
 * However many comments there are, the document holds some screenfuls of them.
 */

import { Stretch } from "../list/stretch.js";
import { Follow } from "../model/follow.js";
import { commentRow } from "./comment_row.js";

/** @typedef {import("../client/index.js").Item} Item */
/** @typedef {import("./comment_row.js").Look} Look */

const NEAR_TOP_PX = 200;
/** So long after the last scroll event, nobody is scrolling any more. */
const AT_REST_MS = 150;
const ATTEMPTS = 5;

/** Fires "follow" when it starts or stops following, or to be at its end, "top" when the reader has come near the oldest comment. */
export class CommentList extends EventTarget {
  /**
   * @param {HTMLElement} scroller the box that scrolls; takes the focus when a row in use leaves the screen
   * @param {HTMLOListElement} list inside of it
   * @param {(item: Item) => Look} look
   */
  constructor(scroller, list, look) {
    super();
    this.#scroller = scroller;
    this.#list = list;
    this.#look = look;
    scroller.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    new ResizeObserver(() => this.#show()).observe(scroller);
  }

  #scroller;
  #list;
  #look;
  #follow = new Follow();
  #wasFollowing = true;
  #wasAtEnd = true;
  #stretch = new Stretch();
  /** @type {readonly Item[]} */
  #items = [];
  /** Where the list begins in the scroller, px. */
  #listTop = 0;
  /** What of the list is in sight begins so far below that, px. */
  #top = 0;
  #screenful = 0;
  #padding = "";
  #resting = 0;
  /** Those in the document, by key. @type {Map<string, {item: Item, row: HTMLLIElement}>} */
  #drawn = new Map();
  /** @type {WeakMap<Element, Item>} */
  #itemsByRow = new WeakMap();

  get following() {
    return this.#follow.following;
  }

  get atEnd() {
    return this.#follow.atEnd;
  }

  /** @returns {readonly Item[]} all of them, drawn or not, oldest first */
  get items() {
    return this.#items;
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
    this.#show();
  }

  /**
   * Brings the screen to these items, in this order.
   *
   * @param {readonly Item[]} items
   */
  draw(items) {
    this.#locate();
    // What stands above the list may be another all the same.
    if (items === this.#items && this.#stretch.covers(this.#top, this.#scroller.clientHeight)) this.#move();
    else this.#bring(items);
  }

  /** @param {readonly Item[]} items */
  #bring(items) {
    const seen = this.#inSight();
    this.#items = items;
    this.#stretch.replace(items, seen);
    this.#show(seen);
  }

  /** Draws every row anew: what they look like has changed. */
  redraw() {
    this.#locate();
    for (const { row } of this.#drawn.values()) row.remove();
    this.#drawn.clear();
    this.#bring(this.#items);
  }

  /** @param {Element} row */
  itemOf(row) {
    return this.#itemsByRow.get(row);
  }

  /**
   * Scrolls as far as it takes to have this comment in sight.
   *
   * @param {string} key
   * @returns {HTMLLIElement | undefined} its row
   */
  reveal(key) {
    // Rows on the way may be higher than was thought, and push it out of sight.
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      const index = this.#stretch.indexOf(key);
      if (index === undefined) return undefined;
      this.#locate();
      const most = this.#stretch.topOf(index);
      const least = this.#stretch.topOf(index + 1) - this.#scroller.clientHeight;
      const top = Math.min(Math.max(this.#top, least), most);
      if (Math.abs(top - this.#top) < 1) break;
      this.#scroller.scrollTop = top + this.#listTop;
      this.#scrolled();
    }
    return this.#drawn.get(key)?.row;
  }

  /** Finds out where the reader has gone: the event comes later, and what is drawn before it would take them back. */
  #locate() {
    const { scrollTop: top, scrollHeight: height, clientHeight: client } = this.#scroller;
    this.#follow.scrolled({ top, height, client });
    this.#top = top - this.#listTop;
  }

  /** What stays where it is, whatever comes or goes above: nothing, while it follows. */
  #inSight() {
    return this.following ? [] : this.#stretch.inSight(this.#top, this.#top + this.#screenful);
  }

  /** @param {import("../list/stretch.js").Sight} seen */
  #show(seen = this.#inSight()) {
    const top = this.following ? null : this.#top;
    this.#screenful = this.#scroller.clientHeight;
    this.#top = this.#stretch.show({ top, screenful: this.#screenful, seen }, (first, end) => this.#render(first, end));
    this.#move();
  }

  /** Brings the document to what the stretch says. */
  #move() {
    this.#pad();
    this.#listTop = this.#list.offsetTop;
    const top = this.following ? this.#scroller.scrollHeight : this.#top + this.#listTop;
    // To say where it is already would end the browser's own scrolling.
    if (Math.abs(this.#scroller.scrollTop - top) >= 1) this.#scroller.scrollTop = top;
    this.#follow.moved(this.#scroller.scrollTop);
  }

  /** Leaves space for the rows that are not in the document. */
  #pad() {
    const padding = `${this.#stretch.lead}px ${this.#stretch.trail}px`;
    if (padding !== this.#padding) this.#list.style.paddingBlock = padding;
    this.#padding = padding;
  }

  #scrolled() {
    this.#locate();
    this.#tell();
    if (!this.#stretch.covers(this.#top, this.#scroller.clientHeight)) this.#show();
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => this.#rest(), AT_REST_MS);
    if (!this.following && this.#scroller.scrollTop < NEAR_TOP_PX) this.dispatchEvent(new Event("top"));
  }

  #rest() {
    this.#locate();
    this.#top += this.#stretch.settle();
    this.#move();
  }

  #tell() {
    if (this.following === this.#wasFollowing && this.atEnd === this.#wasAtEnd) return;
    this.#wasFollowing = this.following;
    this.#wasAtEnd = this.atEnd;
    this.dispatchEvent(new Event("follow"));
  }

  /**
   * @param {number} first
   * @param {number} end
   * @returns {number[]} the rows' heights, px
   */
  #render(first, end) {
    const items = this.#items.slice(first, end);
    const keys = new Set(items.map(({ key }) => key));
    // Those that go first, so that the others stay where they are in the document.
    for (const [key, { row }] of this.#drawn) if (!keys.has(key)) this.#remove(key, row);
    let next = this.#list.firstElementChild;
    for (const [at, item] of items.entries()) {
      const row = this.#rowOf(item);
      // Drawn anew, in its place.
      if (next?.parentNode === null) next = row;
      row.setAttribute("aria-posinset", String(first + at + 1));
      row.setAttribute("aria-setsize", String(this.#items.length));
      if (row === next) next = row.nextElementSibling;
      else this.#list.insertBefore(row, next);
    }
    // Before it is measured: most often it is right already, and the browser has to lay out but once.
    this.#pad();
    return Array.from(this.#list.children, (row) => row.getBoundingClientRect().height);
  }

  /** Its row in the document, or a new one, in the place of the one that it had. @param {Item} item */
  #rowOf(item) {
    const drawn = this.#drawn.get(item.key);
    if (drawn?.item === item) return drawn.row;
    const row = commentRow(item.comment, this.#look(item));
    drawn?.row.replaceWith(row);
    this.#drawn.set(item.key, { item, row });
    this.#itemsByRow.set(row, item);
    return row;
  }

  /** @param {string} key @param {HTMLLIElement} row */
  #remove(key, row) {
    // Scrolled away, not deleted: the keyboard stays with the comments.
    const isLeft = row.contains(document.activeElement) && this.#stretch.indexOf(key) !== undefined;
    if (isLeft) this.#scroller.focus({ preventScroll: true });
    row.remove();
    this.#drawn.delete(key);
  }
}
