// @ts-check
/** A feed over a WebSocket. A browser can't send a token with one: a ticket in the address stands for it. */

import { within } from "../abort.js";
import { streamPath } from "../api.js";
import { Problem } from "../problem.js";
import { OVER, retry } from "./arrivals.js";

const FIRST_MS = 8_000;
/** Messages that wait to be taken; over that the connection is given up, and the next one resumes. */
const WAITING_MAX = 5_000;
/** RFC 6455, section 7.4.1. */
const NORMAL = 1000;
const GOING_AWAY = 1001;
const POLICY = 1008;
const TOO_BIG = 1009;

/** @typedef {import("./index.js").Transport} Transport */

/** @implements {Transport} */
export class Socket {
  /**
   * @param {import("../api.js").Api} api
   * @param {string} streamId
   * @param {import("./index.js").TransportOptions} options
   */
  constructor(api, streamId, { all = false, firstMs = FIRST_MS, WebSocket = globalThis.WebSocket }) {
    this.#api = api;
    this.#streamId = streamId;
    this.#all = all;
    this.#firstMs = firstMs;
    this.#WebSocket = WebSocket;
  }

  name = /** @type {const} */ ("websocket");
  #api;
  #streamId;
  #all;
  #firstMs;
  #WebSocket;

  /**
   * @param {string} cursor
   * @param {AbortSignal} signal
   * @returns {AsyncGenerator<import("./index.js").Arrival>}
   */
  async *open(cursor, signal) {
    const address = await this.#address(cursor, signal);
    signal.throwIfAborted();
    const inbox = new Inbox(new this.#WebSocket(address), signal);
    try {
      for (let first = true; ; first = false) {
        // Later on silence says nothing: the server's pings are the browser's own business.
        const message = first ? await within(this.#firstMs, inbox.next()) : await inbox.next();
        if (message === null) break;
        const { event: name, id = "", data } = JSON.parse(message);
        yield { name, data, cursor: id };
      }
      yield* farewell(inbox.closed);
    } finally {
      inbox.close();
    }
  }

  /**
   * @param {string} cursor
   * @param {AbortSignal} signal
   */
  async #address(cursor, signal) {
    const query = new URLSearchParams(cursor ? { cursor } : {});
    if (this.#all) query.set("all", "1");
    const ticket = await this.#ticket(signal);
    if (ticket) query.set("ticket", ticket);
    const base = new URL(this.#api.url || "/", globalThis.location?.href);
    const path = streamPath(this.#streamId, "/feed");
    return `${base.origin.replace(/^http/, "ws")}${base.pathname.replace(/\/$/, "")}${path}?${query}`;
  }

  /**
   * Null for nobody. Who has a bad token is nobody, too, and sees what is public.
   *
   * @param {AbortSignal} signal
   */
  async #ticket(signal) {
    if (!(await this.#api.tokens.current())) return null;
    try {
      return await this.#api.ticket(this.#streamId, { signal });
    } catch (error) {
      if (error instanceof Problem && error.status === 401) return null;
      throw error;
    }
  }
}

/**
 * What the end of a connection means.
 *
 * @param {{code: number, reason: string}} closed
 */
function* farewell({ code, reason }) {
  if (code === NORMAL) yield OVER;
  if (code === GOING_AWAY) yield retry(Number(/(\d+) ms/.exec(reason)?.[1] ?? 0));
  // It says the reason in words or as in the error table; which status that has is found out by the next request.
  if (code === POLICY) throw new Problem({ status: 0, detail: reason });
}

/** A socket's messages, one after the other. */
class Inbox {
  /**
   * @param {WebSocket} socket
   * @param {AbortSignal} signal
   */
  constructor(socket, signal) {
    this.#socket = socket;
    this.#signal = signal;
    socket.addEventListener("message", ({ data }) => {
      if (this.#closed) return;
      if (this.#waiting.push(data) > WAITING_MAX) this.#end({ code: TOO_BIG, reason: "too slow" });
      this.#wake();
    });
    socket.addEventListener("close", (closed) => this.#end(closed));
    signal.addEventListener("abort", this.#abort);
  }

  #socket;
  #signal;
  /** @type {string[]} */
  #waiting = [];
  #wake = () => {};
  #abort = () => this.#end({ code: NORMAL, reason: "" });
  /** @type {{code: number, reason: string} | null} */
  #closed = null;

  /** How it ended; 1006 when it has not. */
  get closed() {
    return this.#closed ?? { code: 1006, reason: "" };
  }

  /** The next message, once there is one; null at the end. One call at a time. @returns {Promise<string | null>} */
  async next() {
    while (!this.#waiting.length && !this.#closed) await new Promise((wake) => (this.#wake = () => wake(null)));
    return this.#waiting.shift() ?? null;
  }

  close() {
    this.#signal.removeEventListener("abort", this.#abort);
    this.#end({ code: NORMAL, reason: "" });
  }

  /** @param {{code: number, reason: string}} closed */
  #end({ code, reason }) {
    this.#closed ??= { code, reason };
    this.#socket.close();
    this.#wake();
  }
}
