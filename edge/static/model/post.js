// @ts-check
/** Sends a comment until it is known what became of it. */

import { backoffMs, delay } from "./backoff.js";
import { Problem } from "./problem.js";

/** @typedef {import("./api.js").Accepted} Accepted */

const GIVE_UP_MS = 60_000;
/** The server remembers keys for two minutes; we stop using one a little earlier. */
const KEY_LIVES_MS = 110_000;

export class Poster {
  /**
   * @param {object} given
   * @param {(text: string, key: string) => Promise<Accepted>} given.send one attempt; rejects with a Problem
   * @param {(ms: number) => Promise<void>} [given.wait]
   * @param {() => number} [given.now] ms
   * @param {() => string} [given.makeKey]
   * @param {() => number} [given.random]
   */
  constructor({ send, wait = delay, now = Date.now, makeKey = () => crypto.randomUUID(), random = Math.random }) {
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
  /** The last comment whose fate is not known. @type {{key: string, text: string, since: number} | null} */
  #open = null;

  /**
   * Posts a comment; repeats the attempt, with the same key, as long as nobody can say whether it was taken.
   *
   * Rejects with the Problem when it was refused, or when no answer came for a minute. The same text sent again soon
   * after has the same key: had the first one been taken after all, it isn't posted twice.
   *
   * @param {string} text
   * @param {(waitMs: number) => void} onRetry before each wait
   * @returns {Promise<Accepted>}
   */
  async post(text, onRetry) {
    const started = this.#now();
    if (this.#open?.text !== text || started - this.#open.since > KEY_LIVES_MS) {
      this.#open = { key: this.#makeKey(), text, since: started };
    }
    const { key } = this.#open;
    for (let attempt = 0; ; attempt += 1) {
      try {
        const accepted = await this.#send(text, key);
        this.#open = null;
        return accepted;
      } catch (error) {
        if (!(error instanceof Problem) || !error.isTransient) throw error;
        const waitMs = Math.max(error.retryAfterMs, backoffMs(attempt, this.#random));
        if (this.#now() + waitMs - started > GIVE_UP_MS) throw error;
        onRetry(waitMs);
        await this.#wait(waitMs);
      }
    }
  }
}
