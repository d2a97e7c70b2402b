// @ts-check
/** A recording's comments at the moments that they were about. */

/** @typedef {import("./api.js").Comment} Comment */

/**
 * When a comment is shown, ms since the stream's start: its author saw the stream `lag_ms` behind live.
 *
 * @param {Comment} comment
 */
export function shownAtMs(comment) {
  return Math.max(0, comment.offset_ms - (comment.lag_ms || 0));
}

export class Moments {
  /** By the moment shown; the log's order where that is the same. @type {Comment[]} */
  #comments = [];
  /** @type {Set<string>} */
  #ids = new Set();

  get size() {
    return this.#comments.length;
  }

  /** How many are shown later than here. @param {number} positionMs */
  ahead(positionMs) {
    return this.#comments.length - this.#countUpTo(positionMs);
  }

  /** @param {Comment[]} comments any that are known already are left out */
  add(comments) {
    const fresh = comments.filter(({ comment_id: id }) => !this.#ids.has(id));
    if (!fresh.length) return;
    for (const { comment_id: id } of fresh) this.#ids.add(id);
    this.#comments.push(...fresh);
    this.#comments.sort((a, b) => shownAtMs(a) - shownAtMs(b) || a.offset_ms - b.offset_ms);
  }

  clear() {
    this.#comments = [];
    this.#ids.clear();
  }

  /**
   * What has been shown by now.
   *
   * @param {number} positionMs
   * @param {number} most
   * @returns {Comment[]} the latest `most`, oldest first
   */
  upTo(positionMs, most) {
    const end = this.#countUpTo(positionMs);
    return this.#comments.slice(Math.max(0, end - most), end);
  }

  /**
   * Forgets what lies far behind.
   *
   * @param {number} positionMs
   * @param {number} keep comments before the position that stay
   * @returns {number | null} what is shown from here on (ms) is all still known; null when nothing was forgotten
   */
  forget(positionMs, keep) {
    const count = this.#countUpTo(positionMs) - keep;
    if (count <= 0) return null;
    for (const { comment_id: id } of this.#comments.splice(0, count)) this.#ids.delete(id);
    // Of several at the same moment, some may be gone.
    return this.#comments.length ? shownAtMs(this.#comments[0]) + 1 : positionMs;
  }

  /** @param {number} positionMs */
  #countUpTo(positionMs) {
    let low = 0;
    let high = this.#comments.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (shownAtMs(this.#comments[middle]) <= positionMs) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
