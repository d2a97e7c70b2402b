// @ts-check
/** A recording's comments beside its player: each at the moment that it was about. */

import { Api } from "./api.js";
import { backoffMs, delay } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { Playback } from "./playback.js";
import { Problem } from "./problem.js";

/** @typedef {import("../types/index.js").Replay} Published */
/** @typedef {import("../types/index.js").ReplayOptions} ReplayOptions */
/** @typedef {import("../types/index.js").ReplayState} ReplayState */
/** @typedef {import("./api.js").Comment} Comment */
/** @typedef {import("./api.js").Stream} Stream */

/** At twice the speed a comment is still no more than 100 ms of the recording late. */
const TICK_MS = 50;
const PAGE = 500;
const KEEP = 300;
/** A live stream may end. */
const LOOK_AGAIN_MS = 10_000;
const JUMPS = ["seeking", "seeked"];
const MOVES = ["play", "playing", "pause", "ratechange", "timeupdate"];

/**
 * @extends {Emitter<import("../types/index.js").ReplayEvents>}
 * @implements {Published}
 */
export class Replay extends Emitter {
  /** @param {ReplayOptions} options */
  constructor({ stream, video, offsetMs = 0, keep = KEEP, signal, ...options }) {
    super();
    this.#streamId = stream;
    this.#video = video;
    this.#offsetMs = offsetMs;
    this.api = new Api(options);
    this.#playback = new Playback({
      keep,
      read: ({ startMs, endMs, token, signal: reading }) => {
        const window = { startS: startMs / 1000, durationS: (endMs - startMs) / 1000, limit: PAGE, token };
        return this.api.listComments(stream, { ...window, signal: reading });
      },
      onTrouble: (error) => this.emit("trouble", { problem: Problem.of(error) }),
    });
    for (const name of JUMPS) video.addEventListener(name, this.#jump);
    for (const name of MOVES) video.addEventListener(name, this.#tick);
    this.#timer = setInterval(this.#tick, TICK_MS);
    this.#ran = this.#follow(this.#closing.signal);
    if (signal?.aborted) void this.close();
    signal?.addEventListener("abort", () => void this.close(), { signal: this.#closing.signal });
  }

  #streamId;
  #video;
  #offsetMs;
  #playback;
  #timer;
  #ran;
  #closing = new AbortController();
  /** @type {Stream | null} */
  #stream = null;
  /** @type {ReplayState} */
  #state = "loading";
  /** @type {Problem | null} */
  #problem = null;

  get state() {
    return this.#state;
  }

  get problem() {
    return this.#problem;
  }

  get stream() {
    return this.#stream;
  }

  get comments() {
    return this.#playback.shown;
  }

  /** Where the player is in the stream, ms since its start. */
  get positionMs() {
    // Whole microseconds, as players count: 1.001 s are no less than 1,001 ms.
    return Math.max(0, Math.round(this.#video.currentTime * 1e6) / 1e3 + this.#offsetMs);
  }

  get durationMs() {
    const stream = this.#stream;
    if (!stream) return 0;
    return (stream.ended_at ? Date.parse(stream.ended_at) : this.api.now()) - Date.parse(stream.started_at);
  }

  resume() {
    if (this.#state !== "refused") return;
    this.#enter("loading");
    this.#ran = this.#follow(this.#closing.signal);
  }

  /** @returns {Promise<void>} */
  async close() {
    this.#closing.abort(new DOMException("the replay was closed", "AbortError"));
    clearInterval(this.#timer);
    for (const name of JUMPS) this.#video.removeEventListener(name, this.#jump);
    for (const name of MOVES) this.#video.removeEventListener(name, this.#tick);
    this.#playback.stop();
    this.#enter("closed");
    await this.#ran;
  }

  #jump = () => {
    const before = this.comments;
    this.#playback.seek(this.positionMs);
    this.emit("clear", {});
    this.#move(before);
  };

  #tick = () => this.#move(this.comments);

  /** Shows what is due where the player is. @param {readonly Comment[]} before what listeners know */
  #move(before) {
    const stream = this.#stream;
    if (!stream || this.#state === "refused" || this.#state === "closed") return;
    const { positionMs, durationMs } = this;
    const place = { positionMs, speed: this.#video.playbackRate, durationMs, live: stream.state === "live" };
    const { joined, isStarved } = this.#playback.moveTo(place);
    this.#enter(isStarved ? "loading" : this.#video.paused ? "paused" : "playing");
    if (joined.length) this.emit("show", { comments: joined });
    const isSame = this.comments.length === before.length && this.comments.every((each, index) => each === before[index]);
    if (!isSame) this.emit("change", { comments: this.comments });
  }

  /** Asks for the stream until it has ended: then its length is known. @param {AbortSignal} signal */
  async #follow(signal) {
    for (let attempt = 0; !signal.aborted; ) {
      let waitMs = LOOK_AGAIN_MS;
      try {
        const found = await this.api.getStream(this.#streamId, { signal });
        // The player may stand anywhere by now.
        if (!this.#stream) this.#playback.seek(this.positionMs);
        this.#stream = found;
        attempt = 0;
        this.emit("stream", { stream: found });
        this.#tick();
        if (found.state === "ended") return;
      } catch (error) {
        if (signal.aborted) return;
        const problem = Problem.of(error);
        if (problem.isFinal) {
          this.#enter("refused", problem);
          return;
        }
        waitMs = Math.max(problem.retryAfterMs, backoffMs(attempt));
        attempt += 1;
      }
      await delay(waitMs, signal).catch(() => undefined);
    }
  }

  /**
   * @param {ReplayState} state
   * @param {Problem} [problem]
   */
  #enter(state, problem) {
    if (state === this.#state) return;
    this.#state = state;
    this.#problem = problem ?? null;
    this.emit("state", { state, problem: this.#problem });
  }
}
