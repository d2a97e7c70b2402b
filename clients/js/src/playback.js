// @ts-check
/** A recording's comments as a clock goes through it: what is shown by now, and what has joined it since. */

import { Moments } from "./moments.js";
import { WindowReader } from "./windows.js";

/** @typedef {import("./api.js").Comment} Comment */
/** @typedef {{positionMs: number, speed: number, durationMs: number, live: boolean}} Place `live`: it still grows */

const KEPT_BEHIND = 1_000;
/** At 10,000 comments/s these are five seconds; of most streams it is all that is ahead. */
const AHEAD_MOST = 50_000;

export class Playback {
  /**
   * @param {object} given
   * @param {number} given.keep the latest comments that are shown
   * @param {ConstructorParameters<typeof WindowReader>[0]["read"]} given.read
   * @param {(error: unknown) => void} given.onTrouble a read failed and will be repeated
   * @param {ConstructorParameters<typeof WindowReader>[0]["wait"]} [given.wait]
   */
  constructor({ keep, read, onTrouble, wait }) {
    this.#keep = keep;
    this.#reader = new WindowReader({
      read,
      onTrouble,
      wait,
      onComments: (comments) => this.#take(comments),
      hasRoom: () => this.#moments.ahead(this.#positionMs) < AHEAD_MOST,
    });
  }

  #keep;
  #reader;
  #moments = new Moments();
  #positionMs = 0;
  /** @type {readonly Comment[]} */
  #shown = [];

  /** What is shown by now, oldest first; another array when it is other comments. */
  get shown() {
    return this.#shown;
  }

  /**
   * The clock is here now; reads on when there is need.
   *
   * @param {Place} place
   * @returns {{joined: Comment[], isStarved: boolean}} comments that are shown since the last call, and whether it is
   *   not known yet what was said here
   */
  moveTo(place) {
    this.#positionMs = place.positionMs;
    this.#reader.need(place);
    const before = this.#shown;
    const now = this.#moments.upTo(place.positionMs, this.#keep);
    const known = new Set(before);
    const joined = now.filter((comment) => !known.has(comment));
    if (joined.length || now.length !== before.length) this.#shown = now;
    return { joined, isStarved: this.#reader.isStarved(place) };
  }

  /** The clock jumped: nothing is shown until it moves on from there. @param {number} positionMs */
  seek(positionMs) {
    this.#positionMs = positionMs;
    if (this.#reader.seek(positionMs)) this.#moments.clear();
    this.#shown = [];
  }

  stop() {
    this.#reader.stop();
  }

  /** @param {Comment[]} comments */
  #take(comments) {
    this.#moments.add(comments);
    const fromMs = this.#moments.forget(this.#positionMs, Math.max(KEPT_BEHIND, this.#keep));
    if (fromMs !== null) this.#reader.forgotten(fromMs);
  }
}
