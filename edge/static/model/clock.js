// @ts-check
/** The replay's clock: a place in the recording that moves on by itself. The client takes it for a player. */

export const SPEEDS = [0.5, 1, 1.25, 1.5, 2, 4, 8, 16];

/** Fires "seeked" after a jump, as a media element does. */
export class Clock extends EventTarget {
  /** @param {() => number} now ms, never falling */
  constructor(now) {
    super();
    this.#now = now;
    this.#since = now();
  }

  #now;
  #since;
  #base = 0;
  #speed = 1;
  #playing = false;
  #held = false;
  #durationMs = 0;

  /** Where we are, ms since the stream's start; never behind the end. */
  get positionMs() {
    const run = this.#playing && !this.#held ? (this.#now() - this.#since) * this.#speed : 0;
    return Math.min(this.#base + run, this.#durationMs);
  }

  /** The same in seconds, as a media element has it; so are the next two. */
  get currentTime() {
    return this.positionMs / 1000;
  }

  get paused() {
    return !this.#playing;
  }

  get playbackRate() {
    return this.#speed;
  }

  get durationMs() {
    return this.#durationMs;
  }

  /** Of a live stream, it grows. */
  set durationMs(ms) {
    this.#rebase();
    this.#durationMs = Math.max(0, ms);
  }

  get speed() {
    return this.#speed;
  }

  set speed(speed) {
    this.#rebase();
    this.#speed = speed;
  }

  get playing() {
    return this.#playing;
  }

  get atEnd() {
    return this.positionMs >= this.#durationMs;
  }

  play() {
    if (this.atEnd) this.seek(0);
    this.#rebase();
    this.#playing = true;
  }

  pause() {
    this.#rebase();
    this.#playing = false;
  }

  /** @param {number} ms brought into the recording when it lies outside */
  seek(ms) {
    this.#base = Math.min(Math.max(0, ms), this.#durationMs);
    this.#since = this.#now();
    this.dispatchEvent(new Event("seeked"));
  }

  /** Stands still while the comments of this place are being read, without being paused. @param {boolean} held */
  hold(held) {
    if (held === this.#held) return;
    this.#rebase();
    this.#held = held;
  }

  /** @param {1 | -1} direction */
  nextSpeed(direction) {
    const index = SPEEDS.indexOf(this.#speed) + direction;
    this.speed = SPEEDS[Math.min(Math.max(0, index), SPEEDS.length - 1)];
  }

  #rebase() {
    this.#base = this.positionMs;
    this.#since = this.#now();
  }
}
