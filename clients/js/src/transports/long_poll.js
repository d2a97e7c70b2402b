// @ts-check
/** A feed by long-poll: each answer is whole, so it comes through proxies that hold back what has no end. */

import { delay } from "../backoff.js";
import { streamPath } from "../api.js";
import { ALIVE } from "./arrivals.js";

const WAIT_S = 25;
const LIMIT = 500;
const GRACE_MS = 10_000;

/** @typedef {import("./index.js").Transport} Transport */

/** @implements {Transport} */
export class LongPoll {
  /**
   * @param {import("../api.js").Api} api
   * @param {string} streamId
   * @param {import("./index.js").TransportOptions & {wait?: typeof delay}} options
   */
  constructor(api, streamId, { all = false, wait = delay }) {
    this.#api = api;
    this.#path = streamPath(streamId, "/comments");
    this.#all = all ? 1 : undefined;
    this.#wait = wait;
  }

  name = /** @type {const} */ ("poll");
  #api;
  #path;
  #all;
  #wait;

  /**
   * @param {string} cursor
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<import("./index.js").Arrival>}
   */
  async *open(cursor, signal) {
    let since = cursor;
    // The first one waits for nothing: it tells whether one gets through.
    for (let waitS = 0; ; waitS = WAIT_S) {
      const answer = await this.#api.request("GET", this.#path, {
        query: { since, wait: waitS, limit: LIMIT, all: this.#all },
        deadlineMs: waitS * 1000 + GRACE_MS,
        signal,
      });
      for (const { event: name, id = "", data } of answer.events) yield { name, data, cursor: id };
      since = answer.cursor;
      yield { ...ALIVE, cursor: since };
      await this.#wait(answer.poll_after_ms, signal);
    }
  }
}
