// @ts-check
/** The HTTP interface, as functions. Every failure is a Problem; an aborted call rejects with its signal's reason. */

import { following } from "./abort.js";
import { Problem } from "./problem.js";
import { Tokens } from "./tokens.js";

const DEADLINE_MS = 10_000;

/**
 * @typedef {import("../types/index.js").Comment} Comment
 * @typedef {import("../types/index.js").Stream} Stream
 * @typedef {import("../types/index.js").Accepted} Accepted
 * @typedef {import("../types/index.js").Api} Published
 * @typedef {import("../types/index.js").ApiOptions} ApiOptions
 * @typedef {import("../types/index.js").Draft} Draft
 *
 * @typedef {object} RequestOptions
 * @property {Record<string, string | number | undefined>} [query] undefined ones are left out
 * @property {unknown} [body] sent as JSON
 * @property {Record<string, string>} [headers]
 * @property {AbortSignal} [signal]
 * @property {number} [deadlineMs]
 */

/**
 * @param {string} streamId
 * @param {string} [rest] what follows the stream, with its slash
 */
export function streamPath(streamId, rest = "") {
  return `/v1/streams/${encodeURIComponent(streamId)}${rest}`;
}

/** @implements {Published} */
export class Api {
  /** @param {ApiOptions} [options] */
  constructor({ url = "", fetch = globalThis.fetch.bind(globalThis), ...tokens } = {}) {
    this.url = url.replace(/\/+$/, "");
    this.#fetch = fetch;
    this.tokens = new Tokens(tokens);
  }

  #fetch;
  #skewMs = 0;

  /**
   * The server's time as it has told it, to the second and never ahead of it; this machine's where it has not, as to
   * pages of another origin. Ms since the Unix epoch.
   */
  now() {
    return Date.now() + this.#skewMs;
  }

  /**
   * One request, and another one with a new token when that one is refused; where there is none, a read goes on as
   * nobody.
   *
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<any>} the answer's JSON; undefined when it has none
   */
  async request(method, path, { deadlineMs = DEADLINE_MS, signal, ...options } = {}) {
    const { controller, unlink } = following(signal);
    const timer = setTimeout(() => controller.abort(), deadlineMs);
    try {
      const response = await this.open(method, path, { ...options, signal: controller.signal });
      const text = await response.text();
      return text ? JSON.parse(text) : undefined;
    } catch (error) {
      signal?.throwIfAborted();
      throw Problem.of(error);
    } finally {
      clearTimeout(timer);
      unlink();
    }
  }

  /**
   * The same without a deadline, for an answer that goes on; its status is 2xx.
   *
   * @param {string} method
   * @param {string} path
   * @param {RequestOptions} [options]
   * @returns {Promise<Response>}
   */
  async open(method, path, options = {}) {
    const token = await this.tokens.current();
    try {
      return await this.#send(method, path, token, options);
    } catch (error) {
      if (!(error instanceof Problem) || error.status !== 401) throw error;
      const renewed = await this.tokens.after(token);
      // What is public is so for everyone: a bad token is no reason to see less than without one.
      if (!renewed && (!token || method !== "GET")) throw error;
      return this.#send(method, path, renewed, options);
    }
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {string | null} token
   * @param {RequestOptions} options
   */
  async #send(method, path, token, { query = {}, body, headers = {}, signal }) {
    const response = await this.#fetch(this.url + path + queryString(query), {
      method,
      signal,
      headers: {
        ...(token ? { Authorization: `Bearer ${token}` } : {}),
        ...(body === undefined ? {} : { "Content-Type": "application/json" }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    this.#hearTime(response.headers);
    if (!response.ok) throw await Problem.from(response);
    return response;
  }

  /** @param {Headers} headers */
  #hearTime(headers) {
    const told = Date.parse(headers.get("date") ?? "");
    // What was kept on the way says when it was made.
    const isFresh = headers.get("cache-control")?.includes("no-store");
    if (isFresh && Number.isFinite(told)) this.#skewMs = told - Date.now();
  }

  /**
   * Newest first.
   *
   * @param {{state?: "live" | "ended", limit?: number, token?: string, signal?: AbortSignal}} [options]
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
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Stream>}
   */
  getStream(streamId, { signal } = {}) {
    return this.request("GET", streamPath(streamId), { signal });
  }

  /**
   * @param {string} streamId
   * @param {{title?: string, slow_mode_s?: number}} changes
   * @returns {Promise<Stream>}
   */
  updateStream(streamId, changes) {
    return this.request("PATCH", streamPath(streamId), { body: changes });
  }

  /**
   * @param {string} streamId
   * @param {string} userId may comment no more
   */
  banUser(streamId, userId) {
    return this.request("PUT", streamPath(streamId, `/bans/${encodeURIComponent(userId)}`));
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
   * @param {Draft} draft
   * @param {string} key the same for every attempt at the same comment
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<Accepted>}
   */
  postComment(streamId, draft, key, { signal } = {}) {
    return this.request("POST", streamPath(streamId, "/comments"), {
      body: { ...draft, client_ts: Date.now() },
      headers: { "Idempotency-Key": key },
      signal,
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
   * @param {{cursor?: string, limit?: number}} [options]
   * @returns {Promise<{comments: Comment[], oldest_cursor?: string, cursor: string}>}
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

  /**
   * A ticket that stands for the token in the address of one WebSocket.
   *
   * @param {string} streamId
   * @param {{signal?: AbortSignal}} [options]
   * @returns {Promise<string>}
   */
  async ticket(streamId, { signal } = {}) {
    const { ticket } = await this.request("POST", "/v1/tickets", { body: { stream_id: streamId }, signal });
    return ticket;
  }
}

/** @param {Record<string, string | number | undefined>} query */
function queryString(query) {
  const given = Object.entries(query).filter(([, value]) => value !== undefined);
  return given.length ? `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}` : "";
}
