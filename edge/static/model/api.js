// @ts-check
/** The HTTP interface, as functions. Every failure is a Problem; an aborted call rejects with its signal's reason. */

import { Problem } from "./problem.js";

const DEADLINE_MS = 10_000;

/**
 * @typedef {object} Comment
 * @property {string} comment_id
 * @property {string} author_id
 * @property {string} author_name
 * @property {string} text
 * @property {string} posted_at RFC 3339, UTC, milliseconds
 * @property {number} offset_ms since the stream's start
 * @property {number} [lag_ms] how far behind live its author was
 *
 * @typedef {object} Stream
 * @property {string} stream_id
 * @property {string} title
 * @property {"live" | "ended"} state
 * @property {"public" | "private"} visibility
 * @property {string} host_id
 * @property {string} started_at
 * @property {string} [ended_at]
 * @property {string} [ends_at]
 * @property {number} slow_mode_s
 * @property {Comment} [pinned]
 * @property {number} viewers
 *
 * @typedef {object} Accepted
 * @property {string} comment_id
 * @property {string} posted_at
 * @property {number} offset_ms
 * @property {string} cursor
 */

/**
 * @param {string} streamId
 * @param {string} [rest] what follows the stream, with its slash
 */
export function streamPath(streamId, rest = "") {
  return `/v1/streams/${encodeURIComponent(streamId)}${rest}`;
}

export class Api {
  /**
   * @param {object} given
   * @param {() => string | null} given.token the caller's JWT at the moment of the call
   * @param {typeof fetch} [given.fetch]
   */
  constructor({ token, fetch = globalThis.fetch.bind(globalThis) }) {
    this.#token = token;
    this.#fetch = fetch;
  }

  #token;
  #fetch;

  /**
   * @param {string} method
   * @param {string} path
   * @param {object} [options]
   * @param {Record<string, string | number | undefined>} [options.query] undefined ones are left out
   * @param {unknown} [options.body] sent as JSON
   * @param {Record<string, string>} [options.headers]
   * @param {AbortSignal} [options.signal]
   * @returns {Promise<any>} the answer's JSON; undefined when it has none
   */
  async request(method, path, { query = {}, body, headers = {}, signal } = {}) {
    const token = this.#token();
    const controller = new AbortController();
    const abort = () => controller.abort(signal?.reason);
    signal?.throwIfAborted();
    signal?.addEventListener("abort", abort, { once: true });
    const timer = setTimeout(() => controller.abort(new Error("no answer in time")), DEADLINE_MS);
    try {
      const response = await this.#fetch(path + queryString(query), {
        method,
        signal: controller.signal,
        headers: {
          ...(token ? { Authorization: `Bearer ${token}` } : {}),
          ...(body === undefined ? {} : { "Content-Type": "application/json" }),
          ...headers,
        },
        body: body === undefined ? undefined : JSON.stringify(body),
      });
      if (!response.ok) throw await Problem.from(response);
      const text = await response.text();
      return text ? JSON.parse(text) : undefined;
    } catch (error) {
      if (error instanceof Problem) throw error;
      signal?.throwIfAborted();
      throw new Problem({ status: 0 });
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    }
  }

  /**
   * Newest first.
   *
   * @param {{state?: "live" | "ended", limit?: number, token?: string, signal?: AbortSignal}} options
   * @returns {Promise<{streams: Stream[], next_pagination_token?: string}>}
   */
  listStreams({ state, limit, token, signal } = {}) {
    return this.request("GET", "/v1/streams", { query: { state, limit, pagination_token: token }, signal });
  }

  /**
   * @param {{stream_id?: string, title: string, slow_mode_s?: number, visibility?: string}} stream
   * @returns {Promise<Stream>}
   */
  createStream(stream) {
    return this.request("POST", "/v1/streams", { body: stream });
  }

  /**
   * @param {string} streamId
   * @returns {Promise<Stream>}
   */
  getStream(streamId) {
    return this.request("GET", streamPath(streamId));
  }

  /**
   * @param {string} streamId
   * @param {number} noticeS seconds of notice to the viewers
   * @returns {Promise<Stream>}
   */
  endStream(streamId, noticeS = 0) {
    return this.request("POST", streamPath(streamId, "/end"), { body: { notice_s: noticeS } });
  }

  /**
   * @param {string} streamId
   * @param {string} text
   * @param {string} key the same for every attempt at the same comment
   * @returns {Promise<Accepted>}
   */
  postComment(streamId, text, key) {
    return this.request("POST", streamPath(streamId, "/comments"), {
      body: { text, client_ts: Date.now() },
      headers: { "Idempotency-Key": key },
    });
  }

  /**
   * @param {string} streamId
   * @param {string} commentId
   */
  deleteComment(streamId, commentId) {
    return this.request("DELETE", streamPath(streamId, `/comments/${encodeURIComponent(commentId)}`));
  }

  /**
   * @param {string} streamId
   * @param {string} commentId
   */
  pinComment(streamId, commentId) {
    return this.request("PUT", streamPath(streamId, "/pinned"), { body: { comment_id: commentId } });
  }

  /** @param {string} streamId */
  unpinComment(streamId) {
    return this.request("DELETE", streamPath(streamId, "/pinned"));
  }

  /**
   * The latest comments, or the page before `cursor`; oldest first within the page.
   *
   * @param {string} streamId
   * @param {{cursor?: string, limit?: number}} options
   * @returns {Promise<{comments: Comment[], oldest_cursor?: string}>}
   */
  recentComments(streamId, { cursor, limit } = {}) {
    return this.request("GET", streamPath(streamId, "/comments/recent"), { query: { cursor, limit } });
  }

  /**
   * Comments of a window of the timeline, in the log's order.
   *
   * @param {string} streamId
   * @param {{startS: number, durationS: number, limit: number, token?: string, signal?: AbortSignal}} window
   * @returns {Promise<{comments: Comment[], next_pagination_token?: string, complete: boolean}>}
   */
  listComments(streamId, { startS, durationS, limit, token, signal }) {
    return this.request("GET", streamPath(streamId, "/comments"), {
      query: { start_time: startS, duration: durationS, limit, pagination_token: token },
      signal,
    });
  }
}

/** @param {Record<string, string | number | undefined>} query */
function queryString(query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}
