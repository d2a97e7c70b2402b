// @ts-check
/** Pages backwards through a stream's history, from the oldest comment on the screen. */

/** @typedef {import("./api.js").Comment} Comment */

/** The feed's first snapshot and what is kept on the screen lie within so many pages. */
const PAGES_AT_MOST = 60;

export class OlderPages {
  /** @param {(cursor?: string) => Promise<{comments: Comment[], oldest_cursor?: string}>} read one page */
  constructor(read) {
    this.#read = read;
  }

  #read;
  /** @type {string | undefined} */
  #cursor;
  #drops = 0;
  #reading = false;
  #exhausted = false;

  /**
   * The first comment of the stream is on the screen.
   *
   * @param {{drops: number}} timeline
   */
  isExhausted(timeline) {
    return this.#exhausted && timeline.drops === this.#drops;
  }

  /**
   * Puts the page before the oldest comment on top. What is on the screen already is skipped: a first page begins at
   * the newest. Rejects as `read` does, and changes nothing then.
   *
   * @param {{drops: number, prepend: (comments: Comment[]) => number}} timeline
   * @returns {Promise<number>} comments added; 0 when there are none, or a read is under way
   */
  async load(timeline) {
    if (timeline.drops !== this.#drops) {
      this.#drops = timeline.drops;
      this.#cursor = undefined;
      this.#exhausted = false;
    }
    if (this.#reading || this.#exhausted) return 0;
    this.#reading = true;
    try {
      for (let page = 0; page < PAGES_AT_MOST; page += 1) {
        const { comments, oldest_cursor: next } = await this.#read(this.#cursor);
        // Dropped meanwhile: this page no longer touches what is on the screen.
        if (timeline.drops !== this.#drops) return 0;
        this.#cursor = next;
        this.#exhausted = !next;
        const added = timeline.prepend(comments);
        if (added || this.#exhausted) return added;
      }
      return 0;
    } finally {
      this.#reading = false;
    }
  }
}
