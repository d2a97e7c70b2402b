// @ts-check
/**
 * Which rows of a long list are drawn, and where they stand: those in sight, and some either way. All places are px below
 * the list's own top.
 *
 * The height of a row that was never drawn is an estimate. When it turns out to be another, the rows in sight stay where
 * they are, and the space above the drawn ones takes the difference, the drift. To move the scroller instead would end
 * the browser's own scrolling, which goes on for a while after a turn of the wheel or a flick. `settle` makes up for
 * the drift when nothing is under way; `show` does it by itself when no space is left.
 */

import { Heights } from "./heights.js";

/** Drawn above and below what is in sight, in screenfuls. */
const MARGIN = 1;
/** Less than this, and rows are drawn anew: not with every pixel, nor so many at once that a frame is late. */
const MARGIN_LEAST = 0.8;
/** Rows that are lower than was thought leave room for more, whose heights are not known either. */
const ATTEMPTS = 5;

/** @typedef {{key: string, top: number}[]} Sight rows, and where they stood */

export class Stretch {
  #heights = new Heights();
  #drift = 0;
  #first = 0;
  #end = 0;

  /** Space above the first row that is drawn. */
  get lead() {
    return this.topOf(this.#first);
  }

  /** Space below the last one. */
  get trail() {
    return this.#heights.total - this.#heights.offsetOf(this.#end);
  }

  /** Of the whole list. */
  get height() {
    return this.#heights.total + this.#drift;
  }

  /** @param {number} index up to the number of rows */
  topOf(index) {
    return this.#heights.offsetOf(index) + this.#drift;
  }

  /** @param {string} key */
  indexOf(key) {
    return this.#heights.indexOf(key);
  }

  /** The rows between two places. @param {number} top @param {number} bottom @returns {Sight} */
  inSight(top, bottom) {
    const seen = [];
    for (let at = this.#indexAt(top); at < this.#heights.count && this.topOf(at) < bottom; at += 1) {
      seen.push({ key: this.#heights.keyAt(at), top: this.topOf(at) });
    }
    return seen;
  }

  /**
   * Other rows: the first one of those seen that is still there stays where it was.
   *
   * @param {readonly import("./heights.js").Row[]} rows from the top
   * @param {Sight} seen none: all settles
   */
  replace(rows, seen) {
    this.#heights.rows = rows;
    this.#first = 0;
    this.#end = 0;
    this.#hold(seen);
  }

  /** What `show` would draw is drawn already. @param {number} top @param {number} screenful px */
  covers(top, screenful) {
    const least = MARGIN_LEAST * screenful;
    const isAbove = this.#first === 0 || this.lead <= top - least;
    const isBelow = this.#end === this.#heights.count || this.topOf(this.#end) >= top + screenful + least;
    return isAbove && isBelow && this.#end > this.#first;
  }

  /**
   * Draws what is to be seen.
   *
   * @param {object} view
   * @param {number | null} view.top where what is to be seen begins; null: as far down as can be
   * @param {number} view.screenful how much of it there is, px
   * @param {Sight} view.seen the first one of these that is there stays where it was
   * @param {(first: number, end: number) => number[]} render draws these rows and says how high they are, px
   * @returns {number} where what is to be seen begins now: elsewhere when it had to settle
   */
  show({ top, screenful, seen }, render) {
    const begin = () => top ?? Math.max(0, this.height - screenful);
    for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
      if (!this.covers(begin(), screenful)) this.#cover(begin(), screenful);
      else if (attempt > 0) break;
      if (!this.#heights.measured(this.#first, render(this.#first, this.#end))) break;
      this.#hold(seen);
    }
    const hasNoSpace = this.#first === 0 || this.lead < 0;
    return begin() + (top !== null && hasNoSpace ? this.settle() : 0);
  }

  /** Brings every row to its true place. @returns {number} how far down they went, px: the scroller has to follow */
  settle() {
    const moved = 0 - this.#drift;
    this.#drift = 0;
    return moved;
  }

  /** @param {number} top @param {number} screenful */
  #cover(top, screenful) {
    const { count } = this.#heights;
    this.#first = count && this.#indexAt(top - MARGIN * screenful);
    this.#end = count && this.#indexAt(top + (1 + MARGIN) * screenful) + 1;
  }

  /** @param {number} place */
  #indexAt(place) {
    return this.#heights.indexAt(place - this.#drift);
  }

  /** @param {Sight} seen */
  #hold(seen) {
    for (const { key, top } of seen) {
      const index = this.#heights.indexOf(key);
      if (index === undefined) continue;
      this.#drift = top - this.#heights.offsetOf(index);
      return;
    }
    this.#drift = 0;
  }
}
