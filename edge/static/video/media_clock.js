// @ts-check
/**
 * A replay's clock that a video keeps: where it is, the recording is. Speaks as Clock does.
 *
 * Where the video is shorter than the recording, or can't be played, the recording goes on without it.
 */

import { Clock } from "../model/clock.js";

/** Fires "seeked" after a jump, also when the video went elsewhere by itself: by the keys of a keyboard, or a lock screen. */
export class MediaClock extends EventTarget {
  /**
   * @param {HTMLMediaElement} video
   * @param {() => number} now ms, never falling
   */
  constructor(video, now) {
    super();
    this.#video = video;
    this.#rest = new Clock(now);
    video.addEventListener("ended", () => {
      if (!this.atEnd) this.#leave(this.positionMs, true);
    });
    video.addEventListener("error", () => this.#leave(this.positionMs, this.playing));
    video.addEventListener("seeking", () => {
      if (video.currentTime * 1000 === this.#soughtMs) return;
      this.#soughtMs = NaN;
      this.dispatchEvent(new Event("seeked"));
    });
  }

  #video;
  /** Goes where the video doesn't. */
  #rest;
  #isResting = false;
  #soughtMs = NaN;
  #durationMs = 0;

  /** Where we are, ms since the stream's start; never behind the end. */
  get positionMs() {
    return this.#isResting ? this.#rest.positionMs : this.#video.currentTime * 1000;
  }

  /** The same in seconds, as a media element has it; so are the next two. */
  get currentTime() {
    return this.positionMs / 1000;
  }

  get paused() {
    return !this.playing;
  }

  get playbackRate() {
    return this.speed;
  }

  /** Of the recording, or of the video where that goes on. */
  get durationMs() {
    return Math.max(this.#durationMs, this.#videoMs || 0);
  }

  /** Of a live stream, it grows. */
  set durationMs(ms) {
    this.#durationMs = Math.max(0, ms);
    this.#rest.durationMs = this.durationMs;
  }

  get speed() {
    return this.#rest.speed;
  }

  set speed(speed) {
    this.#rest.speed = speed;
    this.#video.playbackRate = speed;
  }

  get playing() {
    return this.#isResting ? this.#rest.playing : !this.#video.paused;
  }

  get atEnd() {
    return this.positionMs >= this.durationMs || (this.#video.ended && this.#durationMs <= this.#videoMs);
  }

  /** The video has to wait for data. */
  get isStalled() {
    return !this.#isResting && this.#video.readyState < this.#video.HAVE_FUTURE_DATA && !this.#video.ended;
  }

  play() {
    if (this.atEnd) this.seek(0);
    if (this.#isResting) this.#rest.play();
    else this.#start();
  }

  pause() {
    this.#rest.pause();
    this.#video.pause();
  }

  /** @param {number} ms brought into the recording when it lies outside */
  seek(ms) {
    const to = Math.min(Math.max(0, ms), this.durationMs);
    if (this.#hasNothingAt(to)) this.#leave(to, this.playing);
    else this.#return(to, this.playing);
    this.dispatchEvent(new Event("seeked"));
  }

  /** A video waits for nobody: comments that are late come late. */
  hold() {}

  /** @param {1 | -1} direction */
  nextSpeed(direction) {
    this.#rest.nextSpeed(direction);
    this.speed = this.#rest.speed;
  }

  /** Not known at first. */
  get #videoMs() {
    return this.#video.duration * 1000;
  }

  /** @param {number} ms */
  #hasNothingAt(ms) {
    return this.#video.error !== null || ms > this.#videoMs || (ms === this.#videoMs && ms < this.#durationMs);
  }

  #start() {
    // Refused, or overtaken by a pause: `playing` says how it ended.
    this.#video.play()?.catch(() => undefined);
  }

  /**
   * On with the video.
   *
   * @param {number} ms
   * @param {boolean} playing
   */
  #return(ms, playing) {
    this.#isResting = false;
    this.#rest.pause();
    this.#video.currentTime = ms / 1000;
    this.#soughtMs = this.#video.currentTime * 1000;
    if (playing) this.#start();
  }

  /**
   * On without the video.
   *
   * @param {number} ms
   * @param {boolean} playing
   */
  #leave(ms, playing) {
    this.#isResting = true;
    this.#video.pause();
    this.#rest.durationMs = this.durationMs;
    this.#rest.seek(ms);
    if (playing) this.#rest.play();
  }
}
