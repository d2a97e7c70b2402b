// @ts-check
/** Whether the list stays at its newest comment. */

/** On the way down, so near to the end counts as the end. */
const SLACK_PX = 48;
/** Fractions of a pixel are no distance. */
const NOTHING_PX = 2;

export class Follow {
  #lastTop = 0;
  #atEnd = true;
  #pauses = 0;

  /** The newest comment is in sight, were nothing held back. @returns {boolean} */
  get atEnd() {
    return this.#atEnd;
  }

  /** @returns {boolean} */
  get following() {
    return this.#atEnd && this.#pauses === 0;
  }

  /**
   * The list was scrolled. Only a move upwards leaves the end: content that grows moves nothing.
   *
   * @param {{top: number, height: number, client: number}} box scrollTop, scrollHeight, clientHeight in px
   */
  scrolled({ top, height, client }) {
    const left = height - top - client;
    if (left <= NOTHING_PX || (top > this.#lastTop && left <= SLACK_PX)) this.#atEnd = true;
    else if (top < this.#lastTop) this.#atEnd = false;
    this.#lastTop = top;
  }

  /** We moved the list to its end ourselves. @param {number} top scrollTop afterwards, px */
  movedToEnd(top) {
    this.#atEnd = true;
    this.moved(top);
  }

  /** We moved the list ourselves, the reader's place in it stayed. @param {number} top scrollTop afterwards, px */
  moved(top) {
    this.#lastTop = top;
  }

  /** The list stands still while something in it is being used; each call needs its `resume`. */
  pause() {
    this.#pauses += 1;
  }

  resume() {
    this.#pauses = Math.max(0, this.#pauses - 1);
  }
}
