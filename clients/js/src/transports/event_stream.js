// @ts-check
/** A feed as server-sent events, read by fetch: that can send a token, and sees a refusal's status. */

import { following, within } from "../abort.js";
import { streamPath } from "../api.js";
import { EventStreamParser } from "../event_stream.js";
import { Problem } from "../problem.js";
import { OVER, retry } from "./arrivals.js";

const TYPE = "text/event-stream";
/** With this header as a native EventSource has it, an overloaded edge would answer 200: see design.md. */
const ACCEPT = `${TYPE}, application/problem+json`;
const FIRST_MS = 8_000;
const SILENT_MS = 40_000;

/** @typedef {import("./index.js").Transport} Transport */

/** @implements {Transport} */
export class EventStream {
  /**
   * @param {import("../api.js").Api} api
   * @param {string} streamId
   * @param {import("./index.js").TransportOptions} options
   */
  constructor(api, streamId, { all = false, firstMs = FIRST_MS, silentMs = SILENT_MS }) {
    this.#api = api;
    this.#path = streamPath(streamId, "/comments/subscribe");
    this.#all = all ? 1 : undefined;
    this.#firstMs = firstMs;
    this.#silentMs = silentMs;
  }

  name = /** @type {const} */ ("sse");
  #api;
  #path;
  #all;
  #firstMs;
  #silentMs;

  /**
   * @param {string} cursor
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<import("./index.js").Arrival>}
   */
  async *open(cursor, signal) {
    const { controller, unlink } = following(signal);
    try {
      const query = { last_event_id: cursor || undefined, all: this.#all };
      const options = { query, headers: { Accept: ACCEPT }, signal: controller.signal };
      const response = await within(this.#firstMs, this.#api.open("GET", this.#path, options));
      if (response.status === 204) {
        yield OVER;
        return;
      }
      yield* this.#read(response, controller.signal);
    } finally {
      controller.abort();
      unlink();
    }
  }

  /**
   * @param {Response} response
   * @param {AbortSignal} signal
   */
  async *#read(response, signal) {
    if (!response.body || !response.headers.get("content-type")?.startsWith(TYPE)) {
      throw new Problem({ status: response.status, reason: "NOT_A_FEED" });
    }
    /** @type {import("./index.js").Arrival[]} */
    const arrived = [];
    let cursor = "";
    const parser = new EventStreamParser(
      ({ type, data, lastEventId }) => {
        arrived.push({ name: type, data: JSON.parse(data), cursor: lastEventId === cursor ? "" : lastEventId });
        cursor = lastEventId;
      },
      (ms) => arrived.push(retry(ms)),
    );
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    signal.addEventListener("abort", () => void reader.cancel().catch(() => undefined), { once: true });
    for (let patienceMs = this.#firstMs; ; ) {
      const { done, value } = await within(patienceMs, reader.read());
      if (done) return;
      parser.feed(value);
      if (arrived.some(({ name }) => name !== "retry")) patienceMs = this.#silentMs;
      yield* arrived.splice(0);
    }
  }
}
