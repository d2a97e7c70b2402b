// @ts-check
/** One's own comments: on the screen from the moment that they are written, until it is known what became of them. */

import { newKey, Poster } from "./post.js";
import { Problem } from "./problem.js";

/** @typedef {import("./api.js").Accepted} Accepted */
/** @typedef {import("./api.js").Draft} Draft */
/** @typedef {{onRetry?: (waitMs: number) => void, signal?: AbortSignal}} Attempts */

export class OwnPosts {
  /**
   * @param {object} given
   * @param {import("./timeline.js").Timeline} given.timeline where they are shown
   * @param {(draft: Draft, key: string, signal?: AbortSignal) => Promise<Accepted>} given.send one attempt
   * @param {() => {id: string, name: string}} given.author who writes now
   * @param {() => void} given.onChange the timeline shows something else
   * @param {AbortSignal} given.closing gives up all that are under way
   */
  constructor({ timeline, send, author, onChange, closing }) {
    this.#timeline = timeline;
    this.#poster = new Poster({ send });
    this.#author = author;
    this.#onChange = onChange;
    this.#closing = closing;
  }

  #timeline;
  #poster;
  #author;
  #onChange;
  #closing;
  /** What failed, by the key that it is shown under. @type {Map<string, Draft>} */
  #failed = new Map();

  /**
   * Resolves and rejects as the Poster does; what is rejected stays on the screen as failed.
   *
   * @param {Draft} draft
   * @param {Attempts} options
   * @returns {Promise<Accepted>}
   */
  post(draft, options) {
    return this.#post(newKey(), draft, options);
  }

  /**
   * The same for one that failed, in its place.
   *
   * @param {string} key
   * @param {Attempts} options
   * @returns {Promise<Accepted>}
   */
  retry(key, options) {
    const draft = this.#failed.get(key);
    if (!draft) return Promise.reject(new Problem({ status: 0, reason: "COMMENT_NOT_FOUND" }));
    return this.#post(key, draft, options);
  }

  /** Takes one that failed off the screen. @param {string} key */
  discard(key) {
    this.#failed.delete(key);
    this.#timeline.discard(key);
    this.#onChange();
  }

  /**
   * @param {string} key
   * @param {Draft} draft
   * @param {Attempts} options
   */
  async #post(key, draft, { onRetry, signal }) {
    const stop = new AbortController();
    const abort = (/** @type {Event} */ event) => stop.abort(/** @type {AbortSignal} */ (event.target).reason);
    for (const each of [signal, this.#closing]) {
      each?.throwIfAborted();
      each?.addEventListener("abort", abort, { signal: stop.signal });
    }
    this.#failed.delete(key);
    this.#timeline.sending(key, this.#shown(draft));
    this.#onChange();
    try {
      const accepted = await this.#poster.post(draft, { onRetry, signal: stop.signal });
      this.#timeline.accepted(key, accepted);
      return accepted;
    } catch (error) {
      this.#fail(key, draft, error);
      throw error;
    } finally {
      stop.abort();
      this.#onChange();
    }
  }

  /**
   * @param {string} key
   * @param {Draft} draft
   * @param {unknown} error
   */
  #fail(key, draft, error) {
    this.#timeline.failed(key, Problem.of(error));
    this.#failed.set(key, draft);
    const shown = new Set(this.#timeline.items.map((item) => item.key));
    for (const known of this.#failed.keys()) if (!shown.has(known)) this.#failed.delete(known);
  }

  /** As it is shown before it has an id. @param {Draft} draft */
  #shown({ text, ...rest }) {
    const { id, name } = this.#author();
    const now = new Date().toISOString();
    return { comment_id: "", author_id: id, author_name: name, text, posted_at: now, offset_ms: 0, ...rest };
  }
}
