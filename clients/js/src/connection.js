// @ts-check
/** A stream as a page has it: its events, its comments, and posts. */

import { Api } from "./api.js";
import { readClaims } from "./claims.js";
import { Emitter } from "./emitter.js";
import { Feed } from "./feed.js";
import { LAG_MAX_MS, lagOf } from "./lag.js";
import { OlderPages } from "./older.js";
import { OwnPosts } from "./own_posts.js";
import { Presence } from "./presence.js";
import { streamAfter } from "./stream_state.js";
import { Timeline } from "./timeline.js";
import { transportsOf } from "./transports/index.js";

/** @typedef {import("../types/index.js").Connection} Published */
/** @typedef {import("../types/index.js").ConnectOptions} ConnectOptions */
/** @typedef {import("../types/index.js").ConnectionState} ConnectionState */
/** @typedef {import("../types/index.js").PostOptions} PostOptions */
/** @typedef {import("./api.js").Stream} Stream */
/** @typedef {import("./api.js").Accepted} Accepted */
/** @typedef {import("./api.js").Draft} Draft */

const HIDDEN_MS = 60_000;
const OLDER_PAGE = 100;
/** What changes the comments. */
const OF_COMMENTS = ["snapshot", "new_comment", "delete_comment"];

/**
 * Opens a stream; it connects by itself, and comes back until it is closed, refused or over.
 *
 * @param {ConnectOptions} options
 * @returns {Connection}
 */
export function connect(options) {
  return new Connection(options);
}

/**
 * @extends {Emitter<import("../types/index.js").ConnectionEvents>}
 * @implements {Published}
 */
export class Connection extends Emitter {
  /** @param {ConnectOptions} options */
  constructor({ stream, transport, all, firstMs, silentMs, hiddenMs = HIDDEN_MS, keep, video, lag, signal, ...options }) {
    super();
    this.#streamId = stream;
    this.api = new Api(options);
    this.#timeline = new Timeline({ most: keep });
    this.#video = video;
    this.#lag = lag;
    this.#older = new OlderPages((cursor) => this.api.recentComments(stream, { cursor, limit: OLDER_PAGE }));
    this.#posts = new OwnPosts({
      timeline: this.#timeline,
      send: (draft, key, given) => this.api.postComment(stream, draft, key, { signal: given }),
      author: () => this.#author,
      onChange: () => this.#changed(),
      closing: this.#closing.signal,
    });
    this.#feed = new Feed({
      transports: transportsOf(this.api, stream, { transport, all, firstMs, silentMs, WebSocket: options.WebSocket }),
      probe: (given) => this.api.getStream(stream, { signal: given }),
      onEvent: (name, data) => this.#receive(name, data),
      onState: (state) => this.#enter(state),
    });
    this.#presence = new Presence({
      letGoMs: hiddenMs,
      onAway: () => this.pause(),
      onBack: () => this.resume(),
      onOnline: () => this.#feed.restart(),
    });
    this.#feed.start();
    if (signal?.aborted) void this.close();
    signal?.addEventListener("abort", () => void this.close(), { signal: this.#closing.signal });
  }

  #streamId;
  #timeline;
  #video;
  #lag;
  #older;
  #posts;
  #feed;
  #presence;
  #closing = new AbortController();
  /** @type {Stream | null} */
  #stream = null;
  /** @type {ConnectionState} */
  #state = "connecting";
  #isFirst = true;
  #willTell = false;

  get state() {
    return this.#state;
  }

  get problem() {
    return this.#feed.problem;
  }

  get transport() {
    return this.#feed.transport;
  }

  get cursor() {
    return this.#feed.cursor;
  }

  get stream() {
    return this.#stream;
  }

  get comments() {
    return this.#timeline.items;
  }

  get waiting() {
    return this.#timeline.waiting;
  }

  get isAtBeginning() {
    return this.#older.isExhausted(this.#timeline);
  }

  hold() {
    this.#timeline.follow(false);
    this.#changed();
  }

  follow() {
    this.#timeline.follow(true);
    this.#changed();
  }

  pause() {
    if (this.#state === "ended" || this.#state === "closed") return;
    void this.#feed.stop();
    this.#enter("paused");
  }

  resume() {
    if (this.#state !== "paused" && this.#state !== "refused") return;
    this.#feed.start();
    this.#enter(this.#feed.state);
  }

  /**
   * @param {string} text
   * @param {PostOptions} [options]
   * @returns {Promise<Accepted>}
   */
  post(text, { lagMs = this.#measuredLag(), meta, ...options } = {}) {
    /** @type {Draft} */
    const draft = { text };
    if (lagMs) draft.lag_ms = lagMs;
    if (meta) draft.meta = meta;
    return this.#posts.post(draft, options);
  }

  /**
   * @param {string} key
   * @param {{onRetry?: (waitMs: number) => void, signal?: AbortSignal}} [options]
   * @returns {Promise<Accepted>}
   */
  retry(key, options = {}) {
    return this.#posts.retry(key, options);
  }

  /** @param {string} key */
  discard(key) {
    this.#posts.discard(key);
  }

  /** @param {string} commentId */
  async deleteComment(commentId) {
    await this.api.deleteComment(this.#streamId, commentId);
    this.#apply("delete_comment", { comment_id: commentId });
  }

  /**
   * @param {{title?: string, slow_mode_s?: number}} changes
   * @returns {Promise<Stream>}
   */
  async updateStream(changes) {
    const stream = await this.api.updateStream(this.#streamId, changes);
    this.#apply("stream_updated", { stream });
    return stream;
  }

  /** @returns {Promise<number>} */
  async loadOlder() {
    const added = await this.#older.load(this.#timeline);
    this.#changed();
    return added;
  }

  /** @returns {Promise<void>} */
  async close() {
    this.#closing.abort(new DOMException("the connection was closed", "AbortError"));
    this.#presence.close();
    const stopped = this.#feed.stop();
    if (this.#state !== "closed") this.#enter("closed");
    await stopped;
  }

  /** Who writes, as the token says. */
  get #author() {
    const claims = readClaims(this.api.tokens.held ?? "");
    const id = String(claims?.sub ?? "");
    return { id, name: String(claims?.name || id) };
  }

  #measuredLag() {
    if (this.#lag) return Math.round(Math.min(Math.max(0, this.#lag() || 0), LAG_MAX_MS));
    return this.#video ? lagOf(this.#video, Date.now()) : 0;
  }

  /**
   * @param {string} name
   * @param {any} data
   */
  #receive(name, data) {
    if (name === "snapshot") {
      // What came between is not known: never a part of it, and never in silence.
      if (!data.recovered && !this.#isFirst) this.emit("gap", {});
      this.#isFirst = false;
    }
    this.#apply(name, data);
    this.emit(/** @type {any} */ (name), data);
  }

  /**
   * Brings the comments and the stream to what an event says.
   *
   * @param {string} name
   * @param {any} data
   */
  #apply(name, data) {
    const before = this.#stream;
    this.#stream = streamAfter(before, name, data);
    if (name === "snapshot" && !data.recovered) this.#timeline.reset(data.comments);
    if (name === "new_comment") this.#timeline.append(data);
    if (name === "delete_comment") this.#timeline.remove(data.comment_id);
    if (OF_COMMENTS.includes(name)) this.#changed();
    if (this.#stream && this.#stream !== before) this.emit("stream", { stream: this.#stream });
  }

  /** @param {ConnectionState} state */
  #enter(state) {
    if (state === this.#state || (this.#closing.signal.aborted && state !== "closed")) return;
    this.#state = state;
    this.emit("state", { state, problem: this.problem });
  }

  /** Tells once, however much changes in one go. */
  #changed() {
    if (this.#willTell) return;
    this.#willTell = true;
    queueMicrotask(() => {
      this.#willTell = false;
      this.emit("change", { comments: this.comments });
    });
  }
}
