// @ts-check
/** The token that requests carry: given, renewed shortly before it ends, and when the server refuses it. */

import { expiryOf } from "./claims.js";
import { Problem } from "./problem.js";

/** @typedef {import("../types/index.js").TokenOptions} TokenOptions */

/** A token that ends so soon may have ended when the request arrives. */
const MARGIN_MS = 30_000;

export class Tokens {
  /** @param {TokenOptions & {now?: () => number}} given `now`: ms since the Unix epoch */
  constructor({ token = null, renewToken, now = Date.now }) {
    this.#given = token;
    this.#renewToken = renewToken;
    this.#now = now;
  }

  #given;
  #renewToken;
  #now;
  /** The token that came for a given one. @type {{base: string | null, token: string} | null} */
  #renewed = null;
  /** @type {Promise<string | null> | null} */
  #renewing = null;

  /** The one in use, without renewing it; null when there is none, or when it has ended. */
  get held() {
    const base = this.#base;
    const token = this.#renewed?.base === base ? this.#renewed.token : base;
    return token && expiryOf(token) > this.#now() ? token : null;
  }

  /**
   * The token for a request that is made now; null for none.
   *
   * Renews one that ends within half a minute. When that fails, the old one is used for as long as it is good.
   *
   * @returns {Promise<string | null>}
   */
  async current() {
    const { held } = this;
    if (!this.#renewToken || (held && expiryOf(held) - this.#now() > MARGIN_MS)) return held;
    return (await this.#renew(held).catch(() => null)) ?? this.held;
  }

  /**
   * Another token than the one that the server refused; null when there is none.
   *
   * @param {string | null} refused
   * @returns {Promise<string | null>} rejects with an UNAUTHENTICATED Problem when `renewToken` fails
   */
  async after(refused) {
    const { held } = this;
    // Another request has had it renewed meanwhile.
    if (held && held !== refused) return held;
    const renewed = this.#renewToken ? await this.#renew(refused) : null;
    return renewed === refused ? null : renewed;
  }

  get #base() {
    return (typeof this.#given === "function" ? this.#given() : this.#given) ?? null;
  }

  /** Requests that need a new one at the same time share it. @param {string | null} old */
  #renew(old) {
    this.#renewing ??= this.#ask(old).finally(() => {
      this.#renewing = null;
    });
    return this.#renewing;
  }

  /** @param {string | null} old */
  async #ask(old) {
    const base = this.#base;
    try {
      const token = (await this.#renewToken?.(old)) ?? null;
      this.#renewed = token ? { base, token } : null;
      return token;
    } catch (cause) {
      throw new Problem({ status: 401, reason: "UNAUTHENTICATED", detail: "the token could not be renewed", cause });
    }
  }
}
