// @ts-check
/** Who one is: a token kept in this browser. What it says is shown, never trusted: the server checks it. */

import { readClaims } from "../client/index.js";

const KEY = "livecomments.token";

/**
 * @typedef {object} Who
 * @property {string} id
 * @property {string} name
 * @property {"viewer" | "moderator" | "host"} role
 * @property {string[]} streams those that the token names
 * @property {number} expiresAt ms since the Unix epoch
 */

/**
 * What a JWT says about its bearer; null when it is none that we could use.
 *
 * @param {string} token
 * @returns {Who | null}
 */
export function readToken(token) {
  const claims = readClaims(token);
  if (typeof claims?.sub !== "string" || typeof claims.exp !== "number") return null;
  return {
    id: claims.sub,
    name: typeof claims.name === "string" && claims.name ? claims.name : claims.sub,
    role: ["moderator", "host"].includes(claims.role) ? claims.role : "viewer",
    streams: Array.isArray(claims.streams) ? claims.streams : [],
    expiresAt: claims.exp * 1000,
  };
}

/**
 * The token in a URL's fragment (`#token=…`), or null.
 *
 * @param {string} hash as in location.hash
 */
export function tokenInFragment(hash) {
  return new URLSearchParams(hash.replace(/^#/, "")).get("token");
}

/**
 * May end a stream, pin and delete in it: its host, or a moderator whose token names it.
 *
 * @param {Who | null} who
 * @param {{stream_id: string, host_id: string}} stream
 */
export function rules(who, stream) {
  if (!who) return false;
  if (who.role === "host") return who.id === stream.host_id;
  return who.role === "moderator" && who.streams.includes(stream.stream_id);
}

/** Fires "change" when someone signs in or out, here or in another tab. */
export class Session extends EventTarget {
  /**
   * @param {Pick<Storage, "getItem" | "setItem" | "removeItem">} storage
   * @param {() => number} now ms since the Unix epoch
   */
  constructor(storage, now = Date.now) {
    super();
    this.#storage = storage;
    this.#now = now;
  }

  #storage;
  #now;

  /** The token to send; null when there is none or it has expired. @returns {string | null} */
  get token() {
    return this.who ? this.#storage.getItem(KEY) : null;
  }

  /** @returns {Who | null} */
  get who() {
    const token = this.#storage.getItem(KEY);
    const who = token && readToken(token);
    return who && who.expiresAt > this.#now() ? who : null;
  }

  /**
   * Keeps the token.
   *
   * @param {string} token
   * @returns {string | null} what is wrong with it, in words; null when it was taken
   */
  signIn(token) {
    const trimmed = token.trim().replace(/^Bearer\s+/i, "");
    const who = readToken(trimmed);
    if (!trimmed) return "Paste a token first.";
    if (!who) return "This is not a token: three parts with dots between them are expected.";
    if (who.expiresAt <= this.#now()) return "This token has expired.";
    this.#storage.setItem(KEY, trimmed);
    this.changed();
    return null;
  }

  signOut() {
    this.#storage.removeItem(KEY);
    this.changed();
  }

  /** Says that the stored token is another one now. */
  changed() {
    this.dispatchEvent(new Event("change"));
  }

  /**
   * Whether a `storage` event is about our token.
   *
   * @param {{key: string | null}} event
   */
  concerns(event) {
    return event.key === KEY || event.key === null;
  }
}
