// @ts-check
/** Sends a comment until it is known what became of it. */

import { backoffMs, delay } from "./backoff.js";
import { Problem } from "./problem.js";

/** @typedef {import("./api.js").Accepted} Accepted */
/** @typedef {import("./api.js").Draft} Draft */

const GIVE_UP_MS = 60_000;
/** The server remembers keys for two minutes; we stop using one a little earlier. */
const KEY_LIVES_MS = 110_000;
const WAITING_MAX = 16;
const DOUBTS_MAX = 32;

export class Poster {
  /**
   * @param {object} given
   * @param {(draft: Draft, key: string, signal?: AbortSignal) => Promise<Accepted>} given.send one attempt; rejects
   *   with a Problem, or as the signal says
   * @param {(ms: number, signal?: AbortSignal) => Promise<void>} [given.wait]
   * @param {() => number} [given.now] ms
   * @param {() => string} [given.makeKey]
   * @param {() => number} [given.random]
   */
  constructor({ send, wait = delay, now = Date.now, makeKey = newKey, random = Math.random }) {
    this.#send = send;
    this.#wait = wait;
    this.#now = now;
    this.#makeKey = makeKey;
    this.#random = random;
  }

  #send;
  #wait;
  #now;
  #makeKey;
  #random;
  #waiting = 0;
  /** Comments of which nobody knows what became of them, by their text, oldest first. @type {Map<string, Doubt>} */
  #doubts = new Map();

  /**
   * Posts a comment; repeats the attempt, with the same key, as long as nobody can say whether it was taken.
   *
   * Rejects with the Problem when it was refused, when no answer came for a minute, or when 16 wait already; with the
   * signal's reason when it is aborted: then the comment may have been taken all the same. The same text sent again
   * soon after has the same key: had the first one been taken after all, it isn't posted twice.
   *
   * @param {Draft} draft
   * @param {{onRetry?: (waitMs: number) => void, signal?: AbortSignal}} [options] `onRetry`: before each wait
   * @returns {Promise<Accepted>}
   */
  async post(draft, { onRetry, signal } = {}) {
    if (this.#waiting >= WAITING_MAX) throw new Problem({ status: 0, reason: "TOO_MANY_WAITING" });
    this.#waiting += 1;
    const since = this.#now();
    const doubt = this.#doubtOf(draft.text, since);
    try {
      const accepted = await this.#repeat(draft, doubt.key, since, onRetry, signal);
      this.#doubts.delete(draft.text);
      return accepted;
    } catch (error) {
      // Refused: no doubt is left.
      if (error instanceof Problem && !error.isTransient) this.#doubts.delete(draft.text);
      throw error;
    } finally {
      doubt.open = false;
      this.#waiting -= 1;
    }
  }

  /**
   * @param {Draft} draft
   * @param {string} key
   * @param {number} since
   * @param {((waitMs: number) => void) | undefined} onRetry
   * @param {AbortSignal | undefined} signal
   */
  async #repeat(draft, key, since, onRetry, signal) {
    for (let attempt = 0; ; attempt += 1) {
      try {
        return await this.#send(draft, key, signal);
      } catch (error) {
        if (!(error instanceof Problem) || !error.isTransient) throw error;
        const waitMs = Math.max(error.retryAfterMs, backoffMs(attempt, this.#random));
        if (this.#now() + waitMs - since > GIVE_UP_MS) throw error;
        onRetry?.(waitMs);
        await this.#wait(waitMs, signal);
      }
    }
  }

  /**
   * @param {string} text
   * @param {number} now
   * @returns {Doubt}
   */
  #doubtOf(text, now) {
    const known = this.#doubts.get(text);
    if (known && !known.open && now - known.since <= KEY_LIVES_MS) {
      known.open = true;
      return known;
    }
    const doubt = { key: this.#makeKey(), since: now, open: true };
    // The same text twice at once are two comments; the later one is remembered.
    this.#doubts.delete(text);
    this.#doubts.set(text, doubt);
    if (this.#doubts.size > DOUBTS_MAX) {
      const [oldest] = this.#doubts.keys();
      this.#doubts.delete(oldest);
    }
    return doubt;
  }
}

/** @typedef {{key: string, since: number, open: boolean}} Doubt `open`: it is being sent */

/** A random UUID, also where a page is not secure and `crypto.randomUUID` is missing. */
export function newKey() {
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
