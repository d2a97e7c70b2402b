// @ts-check
/**
 * EventSource with an Authorization header, which the native one can't send: for private streams. It never reconnects
 * by itself: Feed does.
 */

import { CLOSED } from "./feed.js";

const OPEN = 1;

/**
 * Reads `text/event-stream` (HTML Living Standard, 9.2.6), as far as our edge speaks it: line ends are LF.
 */
export class EventStreamParser {
  /** @param {(event: {type: string, data: string, lastEventId: string}) => void} onEvent */
  constructor(onEvent) {
    this.#onEvent = onEvent;
  }

  #onEvent;
  #rest = "";
  #type = "";
  /** @type {string[]} */
  #data = [];
  #lastEventId = "";

  /** @param {string} text the next piece, cut anywhere */
  feed(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
  }

  /** @param {string} line */
  #line(line) {
    if (line === "") {
      const data = this.#data.join("\n");
      if (this.#data.length) this.#onEvent({ type: this.#type || "message", data, lastEventId: this.#lastEventId });
      this.#type = "";
      this.#data = [];
      return;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.#type = value;
    else if (name === "data") this.#data.push(value);
    else if (name === "id") this.#lastEventId = value;
  }
}

/** @implements {import("./feed.js").Source} */
export class AuthorizedEventSource extends EventTarget {
  /**
   * @param {string} url
   * @param {string} token
   */
  constructor(url, token) {
    super();
    void this.#run(url, token);
  }

  readyState = 0;
  #closing = new AbortController();

  close() {
    this.readyState = CLOSED;
    this.#closing.abort();
  }

  /**
   * @param {string} url
   * @param {string} token
   */
  async #run(url, token) {
    try {
      const response = await fetch(url, {
        headers: { Accept: "text/event-stream", Authorization: `Bearer ${token}` },
        signal: this.#closing.signal,
      });
      if (response.status !== 200 || !response.body) throw new Error(`status ${response.status}`);
      this.readyState = OPEN;
      const parser = new EventStreamParser(({ type, data, lastEventId }) =>
        this.dispatchEvent(new MessageEvent(type, { data, lastEventId })),
      );
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let read = await reader.read(); !read.done; read = await reader.read()) parser.feed(read.value);
    } catch {
      // Whatever broke it, the answer is the same: Feed finds out and comes back.
    }
    if (this.#closing.signal.aborted) return;
    this.readyState = CLOSED;
    this.dispatchEvent(new Event("error"));
  }
}
