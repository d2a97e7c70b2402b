// @ts-check
/** Reads `text/event-stream` (HTML Living Standard, 9.2.6), as far as our edge speaks it: line ends are LF. */

/** A resume brings 2 MiB at most, in many events. */
const EVENT_MAX = 8 * 1024 * 1024;

/** @typedef {{type: string, data: string, lastEventId: string}} ServerSentEvent `lastEventId` as EventSource has it */

export class EventStreamParser {
  /**
   * @param {(event: ServerSentEvent) => void} onEvent
   * @param {(ms: number) => void} [onRetry] the server says when to come back
   */
  constructor(onEvent, onRetry) {
    this.#onEvent = onEvent;
    this.#onRetry = onRetry;
  }

  #onEvent;
  #onRetry;
  #rest = "";
  #type = "";
  /** @type {string[]} */
  #data = [];
  #size = 0;
  #lastEventId = "";

  /**
   * @param {string} text the next piece, cut anywhere
   * @throws {RangeError} when an event has no end
   */
  feed(text) {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) this.#line(line);
    if (this.#rest.length + this.#size > EVENT_MAX) throw new RangeError("an event is too long");
  }

  /** @param {string} line */
  #line(line) {
    if (line === "") {
      const data = this.#data.join("\n");
      if (this.#data.length) this.#onEvent({ type: this.#type || "message", data, lastEventId: this.#lastEventId });
      this.#type = "";
      this.#data = [];
      this.#size = 0;
      return;
    }
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") {
      this.#type = value;
    } else if (name === "data") {
      this.#data.push(value);
      this.#size += value.length;
    } else if (name === "id") {
      this.#lastEventId = value;
    } else if (name === "retry" && /^\d+$/.test(value)) {
      this.#onRetry?.(Number(value));
    }
  }
}
