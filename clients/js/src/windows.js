// @ts-check
/**
 * Reads a recording's comments in windows of its timeline, ahead of need.
 *
 * A comment is shown up to a minute before the place in the log where it stands (`lag_ms`), so what is shown now is
 * known only once the next minute has been read.
 */

import { backoffMs, delay } from "./backoff.js";
import { LAG_MAX_MS } from "./lag.js";

/** @typedef {import("./api.js").Comment} Comment */
/** @typedef {{comments: Comment[], next_pagination_token?: string, complete: boolean}} Page */

const WINDOW_MS = 60_000;
/** Read further ahead of the clock by so much of the viewer's own time. */
const AHEAD_MS = 30_000;
/** Comments from before the place that one jumps to, so that the list isn't empty there. */
const BEHIND_MS = 60_000;
/** What was said on a live stream is in the history after so long. */
const SETTLED_MS = 2_000;
const SHORTEST_MS = 1_000;
const NO_ROOM_MS = 250;

/**
 * The next window to read.
 *
 * @param {object} at
 * @param {number} at.readUntilMs
 * @param {number} at.positionMs
 * @param {number} at.speed
 * @param {number} at.durationMs
 * @param {boolean} at.live the stream goes on
 * @returns {{startMs: number, endMs: number} | null} null when enough has been read for now
 */
export function nextWindow({ readUntilMs, positionMs, speed, durationMs, live }) {
  // A window's end is not part of it; the last comment may stand exactly at the end.
  const lastMs = live ? durationMs - SETTLED_MS : durationMs + 1;
  const wanted = Math.min(positionMs + LAG_MAX_MS + AHEAD_MS * Math.max(1, speed), lastMs);
  if (readUntilMs >= wanted) return null;
  const endMs = Math.min(readUntilMs + WINDOW_MS, lastMs);
  return live && endMs - readUntilMs < SHORTEST_MS ? null : { startMs: readUntilMs, endMs };
}

export class WindowReader {
  /**
   * @param {object} given
   * @param {(window: {startMs: number, endMs: number, token?: string, signal: AbortSignal}) => Promise<Page>} given.read
   * @param {(comments: Comment[]) => void} given.onComments
   * @param {(error: unknown) => void} given.onTrouble a read failed and will be repeated
   * @param {() => boolean} [given.hasRoom] false while no more comments are to be read for now
   * @param {(ms: number, signal: AbortSignal) => Promise<void>} [given.wait]
   */
  constructor({ read, onComments, onTrouble, hasRoom = () => true, wait = delay }) {
    this.#read = read;
    this.#onComments = onComments;
    this.#onTrouble = onTrouble;
    this.#hasRoom = hasRoom;
    this.#wait = wait;
  }

  #read;
  #onComments;
  #onTrouble;
  #hasRoom;
  #wait;
  /** Of the read under way. @type {AbortController | null} */
  #reading = null;
  /** The timeline is known from here… */
  #readFromMs = 0;
  /** …to here. */
  #readUntilMs = 0;

  get readUntilMs() {
    return this.#readUntilMs;
  }

  /**
   * Nothing is known of this place yet: the clock has to wait.
   *
   * @param {{positionMs: number, durationMs: number, live: boolean}} at
   */
  isStarved({ positionMs, durationMs, live }) {
    // At the edge of a live stream there is always a little that isn't read yet.
    const lastMs = live ? durationMs - SETTLED_MS - 2 * SHORTEST_MS : durationMs;
    return lastMs >= 0 && this.#readUntilMs <= Math.min(positionMs, lastMs);
  }

  /**
   * The clock jumped.
   *
   * @param {number} positionMs
   * @returns {boolean} true when what was read is of no use there: it is read anew, and what is known must be cleared
   */
  seek(positionMs) {
    if (positionMs >= this.#readFromMs && positionMs <= this.#readUntilMs) return false;
    this.stop();
    // Whole seconds: the interface speaks in seconds, and equal requests can be answered once for many.
    this.#readFromMs = Math.max(0, Math.floor((positionMs - BEHIND_MS) / 1000) * 1000);
    this.#readUntilMs = this.#readFromMs;
    return true;
  }

  /** What lies before is no longer known. @param {number} ms */
  forgotten(ms) {
    this.#readFromMs = Math.max(this.#readFromMs, Math.min(ms, this.#readUntilMs));
  }

  /**
   * Reads on when there is need; call it again and again as the clock goes on.
   *
   * @param {{positionMs: number, speed: number, durationMs: number, live: boolean}} at
   */
  need(at) {
    if (this.#reading) return;
    const window = nextWindow({ readUntilMs: this.#readUntilMs, ...at });
    if (!window) return;
    const reading = new AbortController();
    this.#reading = reading;
    void this.#run(window, at.live, reading.signal).finally(() => {
      if (this.#reading === reading) this.#reading = null;
    });
  }

  stop() {
    this.#reading?.abort();
    this.#reading = null;
  }

  /**
   * Reads all pages of a window; a page that fails is read again. Ends early, without an error, when aborted.
   *
   * A stream that has just ended may not be stored to its end yet: then the window is read again from its start, and
   * is known up to its last comment only. (Comments are stored in order.)
   *
   * @param {{startMs: number, endMs: number}} window
   * @param {boolean} live
   * @param {AbortSignal} signal
   */
  async #run(window, live, signal) {
    /** @type {string | undefined} */
    let token;
    let attempt = 0;
    while (!signal.aborted) {
      if (!this.#hasRoom()) {
        await this.#wait(NO_ROOM_MS, signal).catch(() => undefined);
        continue;
      }
      try {
        const page = await this.#read({ ...window, token, signal });
        if (signal.aborted) return;
        this.#onComments(page.comments);
        token = page.next_pagination_token;
        if (!token && (live || page.complete)) {
          this.#readUntilMs = window.endMs;
          return;
        }
        this.#readUntilMs = Math.max(this.#readUntilMs, page.comments.at(-1)?.offset_ms ?? 0);
        if (token) {
          attempt = 0;
          continue;
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#onTrouble(error);
      }
      await this.#wait(backoffMs(attempt), signal).catch(() => undefined);
      attempt += 1;
    }
  }
}
