// @ts-check
/** The streams of one state, newest first, page after page. */

/** @typedef {import("../client/index.js").Stream} Stream */

export class StreamList {
  /**
   * @param {(token?: string) => Promise<{streams: Stream[], next_pagination_token?: string}>} read one page
   */
  constructor(read) {
    this.#read = read;
  }

  #read;
  /** @type {string | undefined} */
  #next;
  /** @type {Stream[]} */
  streams = [];

  get hasMore() {
    return this.#next !== undefined;
  }

  /** Reads the first page anew; what stands on later pages is left out again. Rejects as `read` does. */
  async refresh() {
    const page = await this.#read();
    this.streams = page.streams;
    this.#next = page.next_pagination_token;
  }

  /** Reads the next page. */
  async more() {
    if (!this.#next) return;
    const page = await this.#read(this.#next);
    const known = new Set(this.streams.map((stream) => stream.stream_id));
    this.streams = [...this.streams, ...page.streams.filter((stream) => !known.has(stream.stream_id))];
    this.#next = page.next_pagination_token;
  }
}
