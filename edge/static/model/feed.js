// @ts-check
/**
 * A stream's live events over SSE: one connection after the other, no event lost between them.
 *
 * EventSource reconnects by itself after a network error; it gives up for good on any status but 200 and doesn't say
 * which it was. Then we ask for the stream: it exists and may be watched, so we come back with our cursor; or we may
 * not, and say why.
 */

import { backoffMs, delay } from "./backoff.js";
import { Problem } from "./problem.js";

/** @typedef {"connecting" | "live" | "reconnecting" | "ended" | "refused"} FeedState */
/** @typedef {import("./api.js").Stream} Stream */

export const EVENTS = /** @type {const} */ ([
  "snapshot",
  "new_comment",
  "delete_comment",
  "pinned_comment",
  "unpinned_comment",
  "stream_updated",
  "stream_ending",
  "stream_ended",
  "viewers",
  "omitted",
  "degraded",
]);

/** EventSource.CLOSED. */
export const CLOSED = 2;

/** Statuses that no reconnect would change. */
const FINAL = [401, 403, 404];

/**
 * @typedef {object} Source what we use of EventSource
 * @property {number} readyState
 * @property {(name: string, listener: (event: any) => void) => void} addEventListener
 * @property {() => void} close
 */

export class Feed {
  /**
   * @param {object} given
   * @param {string} given.url of the subscription, without a query
   * @param {(url: string) => Source} given.open
   * @param {() => Promise<Stream>} given.probe asks for the stream; rejects with a Problem
   * @param {(name: string, data: any) => void} given.onEvent in the log's order
   * @param {(state: FeedState, problem?: Problem) => void} given.onState with the problem when refused
   * @param {(ms: number, signal: AbortSignal) => Promise<void>} [given.wait]
   */
  constructor({ url, open, probe, onEvent, onState, wait = delay }) {
    this.#url = url;
    this.#open = open;
    this.#probe = probe;
    this.#onEvent = onEvent;
    this.#onState = onState;
    this.#wait = wait;
  }

  #url;
  #open;
  #probe;
  #onEvent;
  #onState;
  #wait;
  /** @type {Source | null} */
  #source = null;
  #cursor = "";
  #attempt = 0;
  #wasLive = false;
  #stopping = new AbortController();
  /** @type {FeedState} */
  #state = "connecting";

  get state() {
    return this.#state;
  }

  /** Connects, from where it left off. A feed that runs or has ended is left as it is. */
  start() {
    if (this.#source || this.#state === "ended") return;
    this.#stopping.abort();
    this.#stopping = new AbortController();
    this.#enter(this.#wasLive ? "reconnecting" : "connecting");
    this.#connect();
  }

  /** Closes the connection; `start` comes back to the same place. */
  stop() {
    this.#stopping.abort();
    this.#close();
  }

  /** Gives up the connection for a new one, at once: for when the network came back. */
  restart() {
    this.stop();
    this.start();
  }

  #connect() {
    const query = this.#cursor ? `?last_event_id=${encodeURIComponent(this.#cursor)}` : "";
    const source = this.#open(this.#url + query);
    this.#source = source;
    for (const name of EVENTS) {
      source.addEventListener(name, (event) => {
        if (source === this.#source) this.#receive(name, event);
      });
    }
    source.addEventListener("error", () => {
      if (source === this.#source) this.#lost(source);
    });
  }

  /**
   * @param {string} name
   * @param {MessageEvent} event
   */
  #receive(name, event) {
    if (event.lastEventId) this.#cursor = event.lastEventId;
    const data = JSON.parse(event.data);
    // A 200 alone is no sign of life: an edge that is full answers with one and closes.
    if (name === "snapshot") {
      this.#attempt = 0;
      this.#wasLive = true;
      if (data.stream.state === "live") this.#enter("live");
    }
    this.#onEvent(name, data);
    if (name === "stream_ended") {
      this.#close();
      this.#enter("ended");
    }
  }

  /** @param {Source} source */
  #lost(source) {
    this.#enter(this.#wasLive ? "reconnecting" : "connecting");
    if (source.readyState !== CLOSED) return;
    this.#close();
    void this.#comeBack(this.#stopping.signal);
  }

  /** @param {AbortSignal} signal */
  async #comeBack(signal) {
    try {
      const stream = await this.#probe();
      // What came before the end may still be missing: it is asked for once more before we believe in the end.
      if (stream.state === "ended" && this.#attempt > 0) {
        if (signal.aborted) return;
        this.#onEvent("stream_ended", { ended_at: stream.ended_at });
        this.#enter("ended");
        return;
      }
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && FINAL.includes(error.status)) {
        this.#enter("refused", error);
        return;
      }
    }
    try {
      await this.#wait(backoffMs(this.#attempt), signal);
    } catch {
      return; // stopped meanwhile
    }
    if (signal.aborted) return;
    this.#attempt += 1;
    this.#connect();
  }

  #close() {
    this.#source?.close();
    this.#source = null;
  }

  /**
   * @param {FeedState} state
   * @param {Problem} [problem]
   */
  #enter(state, problem) {
    if (state === this.#state && !problem) return;
    this.#state = state;
    this.#onState(state, problem);
  }
}
