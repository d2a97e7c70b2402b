// @ts-check
/**
 * How new comments come onto the screen: a window's not all in one frame, but some in each of a few.
 *
 * Each is there within `FRAMES_MOST` frames, or in the next one when they are longer. It all comes at once where one by
 * one has no use: when the reader was elsewhere, when nothing of what was shown is left, and when so much comes that the
 * whole screen is another. One's own comments never wait.
 */

/** So long is a frame thought to be. */
export const FRAME_MS = 16;
/** A draw costs as much by itself as some rows do: fewer at a time would cost more than they spare. */
export const ROWS_A_FRAME = 4;
/** With the frame that it takes to be seen, no more than the time from one of the feed's windows to the next. */
export const FRAMES_MOST = 6;
/** More than these are another screen. */
export const ROWS_MOST = 60;

/**
 * @typedef {{key: string, comment: {comment_id: string}}} Row
 * @typedef {{count: number, sinceMs: number, dueMs: number}} Batch what came together and still waits, on the caller's clock
 */

export class Pace {
  /** The last one that is shown of what the feed brought. @type {Row | undefined} */
  #last;
  /** Oldest first. @type {Batch[]} */
  #batches = [];
  #wasFollowing = false;
  #tookMs = -Infinity;

  /** Some rows wait for the next frame. */
  get isBehind() {
    return this.#batches.length > 0;
  }

  /**
   * What to show in this frame.
   *
   * @template {Row} Item
   * @param {readonly Item[]} items all there are, oldest first
   * @param {{nowMs: number, following: boolean}} frame when it is, on a clock that doesn't go back; and whether the
   *   reader follows the newest
   * @returns {readonly Item[]} those that are due, in the same order; `items` itself when that's all of them
   */
  take(items, { nowMs, following }) {
    const fresh = following && this.#wasFollowing ? this.#freshIn(items) : 0;
    this.#wasFollowing = following;
    this.#count(fresh, nowMs);
    const waiting = fresh - this.#release(nowMs);
    const shown = waiting ? withoutLast(items, waiting) : items;
    this.#tookMs = nowMs;
    this.#last = shown.findLast((item) => !isOwn(item));
    return shown;
  }

  /** Rows of others behind the last one that is shown; none when all are to come at once. @param {readonly Row[]} items */
  #freshIn(items) {
    let count = 0;
    for (let index = items.length - 1; index >= 0 && count <= ROWS_MOST; index -= 1) {
      if (items[index].key === this.#last?.key) return count;
      if (!isOwn(items[index])) count += 1;
    }
    return 0;
  }

  /** Makes the batches hold as many as wait: some came, or some were deleted. @param {number} fresh @param {number} nowMs */
  #count(fresh, nowMs) {
    let more = fresh;
    for (const batch of this.#batches) {
      batch.count = Math.min(batch.count, more);
      more -= batch.count;
    }
    const sinceMs = nowMs - FRAME_MS;
    const frames = Math.min(FRAMES_MOST, Math.ceil(more / ROWS_A_FRAME));
    this.#batches.push({ count: more, sinceMs, dueMs: sinceMs + frames * FRAME_MS });
    this.#batches = this.#batches.filter(({ count }) => count > 0);
  }

  /** Lets go those that are due by now. @param {number} nowMs @returns {number} how many */
  #release(nowMs) {
    let through = 0;
    let due = 0;
    for (const { count, sinceMs, dueMs } of this.#batches) {
      // Behind all that came before it.
      through += count;
      const fromMs = Math.max(sinceMs, this.#tookMs);
      const share = dueMs > nowMs ? (nowMs - fromMs) / (dueMs - fromMs) : 1;
      due = Math.max(due, Math.ceil(through * share));
    }
    let left = due;
    for (const batch of this.#batches) {
      const gone = Math.min(batch.count, left);
      batch.count -= gone;
      left -= gone;
    }
    this.#batches = this.#batches.filter(({ count }) => count > 0);
    return due;
  }
}

/** Written here: it is there before the feed has brought it, and keeps its key. @param {Row} row */
function isOwn({ key, comment }) {
  return key !== comment.comment_id;
}

/**
 * @template {Row} Item
 * @param {readonly Item[]} items
 * @param {number} count of others' rows to leave out
 * @returns {readonly Item[]}
 */
function withoutLast(items, count) {
  const behind = [];
  let left = count;
  let end = items.length;
  for (; left > 0; end -= 1) {
    const item = items[end - 1];
    if (isOwn(item)) behind.push(item);
    else left -= 1;
  }
  return [...items.slice(0, end), ...behind.reverse()];
}
