// @ts-check
/**
 * A stream's live events: one connection after the other, by the first transport that works, and no event lost or
 * doubled between them.
 *
 * A connection that fails before it has brought anything says little: the server may be away, or something on the way
 * may not let this transport through. Then we ask for the stream. If that is answered, it is the transport, and the
 * next one is tried; if we may not watch it, we say why; else we wait and come back.
 */

import { backoffMs, delay } from "./backoff.js";
import { Problem } from "./problem.js";

/** @typedef {import("../types/index.js").FeedState} FeedState */
/** @typedef {import("./api.js").Stream} Stream */
/** @typedef {import("./transports/index.js").Transport} Transport */
/** @typedef {import("./transports/index.js").Arrival} Arrival */

/** So many failures of a transport, while the server can be reached otherwise, are its own. */
const FAULTS_MAX = 2;
/** What says at once that it is the transport's own. */
const BLOCKED = ["SILENT", "NOT_A_FEED"];
/** After so long the better transports are tried again. */
const FALLBACK_MS = 600_000;
const RETRY_MAX_MS = 300_000;

export class Feed {
  /**
   * @param {object} given
   * @param {Transport[]} given.transports at least one; the preferred one first
   * @param {(signal: AbortSignal) => Promise<Stream>} given.probe asks for the stream; rejects with a Problem
   * @param {(name: string, data: any) => void} given.onEvent in the log's order
   * @param {(state: FeedState, problem?: Problem) => void} given.onState with the problem when refused
   * @param {(ms: number, signal: AbortSignal) => Promise<void>} [given.wait]
   * @param {() => number} [given.now] ms
   */
  constructor({ transports, probe, onEvent, onState, wait = delay, now = Date.now }) {
    this.#transports = transports;
    this.#probe = probe;
    this.#onEvent = onEvent;
    this.#onState = onState;
    this.#wait = wait;
    this.#now = now;
  }

  #transports;
  #probe;
  #onEvent;
  #onState;
  #wait;
  #now;
  #cursor = "";
  #index = 0;
  #fellBackAt = 0;
  #faults = 0;
  #attempt = 0;
  /** When the server wants us back after this connection, ms. */
  #retryMs = 0;
  #wasLive = false;
  /** What is left to come is the end. */
  #isOver = false;
  /** @type {Problem | null} */
  #problem = null;
  #ran = Promise.resolve();
  /** @type {AbortController | null} */
  #running = null;
  /** @type {FeedState} */
  #state = "connecting";

  get state() {
    return this.#state;
  }

  /** The transport in use. */
  get transport() {
    return this.#transports[this.#index].name;
  }

  /** What went wrong last, while it is not live. */
  get problem() {
    return this.#problem;
  }

  /** Where it goes on; opaque. Empty before the first snapshot. */
  get cursor() {
    return this.#cursor;
  }

  /** Connects, from where it left off. A feed that runs or has ended is left as it is. */
  start() {
    if (this.#running || this.#state === "ended") return;
    const running = new AbortController();
    this.#running = running;
    this.#attempt = 0;
    this.#enter(this.#wasLive ? "reconnecting" : "connecting");
    this.#ran = this.#run(running.signal).finally(() => {
      if (this.#running === running) this.#running = null;
    });
  }

  /**
   * Closes the connection, at once; `start` comes back to the same place.
   *
   * @returns {Promise<void>} resolves when nothing of it is under way any more
   */
  stop() {
    this.#running?.abort();
    this.#running = null;
    return this.#ran;
  }

  /** Gives up the connection for a new one, at once: for when the network came back. */
  restart() {
    if (!this.#running) return;
    void this.stop();
    this.#index = 0;
    this.start();
  }

  /** @param {AbortSignal} signal */
  async #run(signal) {
    while (!signal.aborted) {
      const { heard, problem } = await this.#visit(signal);
      if (signal.aborted || this.#state === "ended") return;
      this.#problem = problem;
      this.#enter(this.#wasLive ? "reconnecting" : "connecting");
      const doubt = await this.#doubt(heard, problem, signal);
      if (signal.aborted) return;
      if (doubt instanceof Problem) {
        this.#problem = doubt;
        this.#enter("refused", doubt);
        return;
      }
      if (problem?.reason === "BAD_CURSOR") this.#cursor = "";
      if (!this.#fallsBack(heard, problem, doubt)) await this.#rest(problem, signal);
    }
  }

  /**
   * One connection, to its end.
   *
   * @param {AbortSignal} signal
   * @returns {Promise<{heard: boolean, problem: Problem | null}>} whether it brought anything, and what went wrong
   */
  async #visit(signal) {
    let heard = false;
    this.#retryMs = 0;
    try {
      for await (const arrival of this.#transports[this.#index].open(this.#cursor, signal)) {
        if (signal.aborted) break;
        if (arrival.name === "retry") {
          this.#retryMs = arrival.data;
          continue;
        }
        heard = true;
        this.#attempt = 0;
        this.#faults = 0;
        if (arrival.name === "over") await this.#believe(signal);
        else this.#receive(arrival);
        if (this.#state === "ended") break;
      }
      return { heard, problem: null };
    } catch (error) {
      return { heard, problem: Problem.of(error) };
    }
  }

  /** @param {Arrival} arrival */
  #receive({ name, data, cursor }) {
    if (cursor) this.#cursor = cursor;
    if (name === "snapshot") this.#isOver = data.stream.state !== "live";
    this.#wasLive = true;
    this.#problem = null;
    if (!this.#isOver && name !== "stream_ended") this.#enter("live");
    if (name !== "alive") this.#tell(name, data);
    if (name === "stream_ended") this.#enter("ended");
  }

  /** The stream has ended, and we have seen all of it: tells when it was. @param {AbortSignal} signal */
  async #believe(signal) {
    const { ended_at } = await this.#probe(signal);
    if (signal.aborted) return;
    this.#tell("stream_ended", { ended_at });
    this.#enter("ended");
  }

  /**
   * What asking for the stream brings, where a connection's end leaves it open whose fault it was.
   *
   * @param {boolean} heard
   * @param {Problem | null} problem
   * @param {AbortSignal} signal
   * @returns {Promise<"reachable" | "away" | Problem>} a Problem that is final
   */
  async #doubt(heard, problem, signal) {
    if (problem?.isFinal) return problem;
    if (heard || problem?.isServers || this.#retryMs) return "away";
    try {
      await this.#probe(signal);
      return "reachable";
    } catch (error) {
      const found = Problem.of(error);
      return found.isFinal ? found : "away";
    }
  }

  /**
   * Chooses the transport of the next connection.
   *
   * @param {boolean} heard
   * @param {Problem | null} problem
   * @param {"reachable" | "away"} doubt
   * @returns {boolean} true when it is another one that was not tried yet: then there is nothing to wait for
   */
  #fallsBack(heard, problem, doubt) {
    if (heard && this.#now() - this.#fellBackAt > FALLBACK_MS) this.#index = 0;
    if (doubt === "away") return false;
    this.#faults += BLOCKED.includes(problem?.reason ?? "") ? FAULTS_MAX : 1;
    if (this.#faults < FAULTS_MAX) return false;
    this.#faults = 0;
    this.#fellBackAt = this.#now();
    this.#index = (this.#index + 1) % this.#transports.length;
    return this.#index > 0;
  }

  /**
   * @param {Problem | null} problem
   * @param {AbortSignal} signal
   */
  async #rest(problem, signal) {
    const asked = Math.min(Math.max(problem?.retryAfterMs ?? 0, this.#retryMs), RETRY_MAX_MS);
    const ms = Math.max(asked, backoffMs(this.#attempt));
    this.#attempt += 1;
    await this.#wait(ms, signal).catch(() => undefined);
  }

  /**
   * @param {string} name
   * @param {any} data
   */
  #tell(name, data) {
    try {
      this.#onEvent(name, data);
    } catch (error) {
      // The listener's own affair: to take it for the connection's would repeat it for ever.
      if (typeof reportError === "function") reportError(error);
      else console.error(error);
    }
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
