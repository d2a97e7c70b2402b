// @ts-check
/**
 * Which comments are on the screen, in the log's order.
 *
 * - `settled`: what the feed or the history brought, oldest first.
 * - `own`: what was written here and the feed has not brought yet; stands behind everything else.
 * - `held`: what came while the reader is further up; joins `settled` when they come back down.
 */

import { isSame, makeItem, olderThan } from "./items.js";

/** @typedef {import("./api.js").Comment} Comment */
/** @typedef {import("./api.js").Accepted} Accepted */
/** @typedef {import("./items.js").Item} Item */

/** Comments that are kept while the reader follows; and that are held for one who doesn't. */
export const MOST = 500;
const OWN_MOST = 100;
const DELETED_REMEMBERED = 1_000;

export class Timeline {
  /** @param {{most?: number}} [options] `most`: comments kept while the reader follows, and as many held */
  constructor({ most = MOST } = {}) {
    this.#most = most;
  }

  #most;
  /** @type {Item[]} */
  #settled = [];
  /** @type {Item[]} */
  #own = [];
  /** @type {Item[]} */
  #held = [];
  /** Of what is settled and held. @type {Set<string>} */
  #ids = new Set();
  /** What is on the screen; null: to be made anew. @type {readonly Item[] | null} */
  #items = [];
  /** What is held doesn't follow on what is settled: something between them was dropped. */
  #gap = false;
  #following = true;
  /** Ids that must not come back, in the order of their deletion. @type {Set<string>} */
  #deleted = new Set();

  /** Rises when the oldest comments were dropped: a page token that continues from them is of no use any more. */
  drops = 0;

  get following() {
    return this.#following;
  }

  /** Comments that wait for the reader to come back down. */
  get waiting() {
    return this.#held.filter((item) => !this.#isShown(item)).length;
  }

  /** @returns {readonly Item[]} what is on the screen, oldest first; the same array as long as that is the same */
  get items() {
    this.#items ??= [...this.#settled, ...this.#held.filter((item) => this.#isShown(item)), ...this.#own];
    return this.#items;
  }

  /**
   * The feed starts anew: these are the latest comments, whatever came before.
   *
   * @param {Comment[]} comments in the log's order
   */
  reset(comments) {
    this.#items = null;
    const known = [...this.#settled, ...this.#held];
    const items = new Map([...known, ...this.#own].map((item) => [item.comment.comment_id, item]));
    const latest = comments.map((comment) => items.get(comment.comment_id) ?? makeItem(comment));
    const ids = new Set(comments.map((comment) => comment.comment_id));
    // One of ours that should be among them and isn't was deleted while we were away.
    const last = comments.at(-1)?.posted_at ?? "";
    this.#own = this.#own.filter(
      ({ state, comment }) => state !== "posted" || (!ids.has(comment.comment_id) && comment.posted_at > last),
    );
    const overlap = known.findIndex((item) => ids.has(item.comment.comment_id));
    if (overlap < 0) {
      // What lies between is not known: the older ones can't stand in front of these.
      if (this.#following) this.#drop(this.#settled.length);
      this.#gap = !this.#following;
      (this.#following ? this.#settled : this.#held).splice(0, Infinity, ...latest);
    } else {
      if (overlap < this.#settled.length) this.#gap = false;
      const onScreen = new Set(this.#settled.map((item) => item.key));
      const all = [...known.slice(0, overlap), ...latest];
      const shown = this.#following ? all.length : all.findLastIndex((item) => onScreen.has(item.key)) + 1;
      this.#settled = all.slice(0, shown);
      this.#held = all.slice(shown);
    }
    this.#ids = new Set([...this.#settled, ...this.#held].map((item) => item.comment.comment_id));
    this.#trim();
  }

  /**
   * What the feed brought.
   *
   * @param {Comment[]} comments in the log's order
   */
  append(comments) {
    for (const comment of comments) {
      if (this.#ids.has(comment.comment_id) || this.#deleted.has(comment.comment_id)) continue;
      this.#take(comment);
    }
    this.#trim();
  }

  /**
   * A page of the history; what of it is older than everything on the screen is put on top. The history may be ahead
   * of the screen, too: what is newer comes by the feed.
   *
   * @param {Comment[]} comments in the log's order, without a hole
   * @returns {number} how many were put on top
   */
  prepend(comments) {
    const own = new Set(this.#own.map(({ comment }) => comment.comment_id));
    const fresh = olderThan(this.#settled[0]?.comment, comments).filter(
      ({ comment_id: id }) => !this.#ids.has(id) && !own.has(id) && !this.#deleted.has(id),
    );
    if (fresh.length) this.#items = null;
    this.#settled.unshift(...fresh.map(makeItem));
    for (const { comment_id: id } of fresh) this.#ids.add(id);
    return fresh.length;
  }

  /** @param {string} commentId */
  remove(commentId) {
    this.#deleted.add(commentId);
    if (this.#deleted.size > DELETED_REMEMBERED) {
      const [oldest] = this.#deleted;
      this.#deleted.delete(oldest);
    }
    this.#items = null;
    this.#ids.delete(commentId);
    const stays = (/** @type {Item} */ item) => item.comment.comment_id !== commentId;
    this.#settled = this.#settled.filter(stays);
    this.#held = this.#held.filter(stays);
    this.#own = this.#own.filter(stays);
  }

  /**
   * Shows a comment that is being sent, or sent again.
   *
   * @param {string} key
   * @param {Comment} comment its `comment_id` is not known yet
   */
  sending(key, comment) {
    this.#items = null;
    this.#own = this.#own.filter((item) => item.key !== key);
    this.#own.push({ key, comment, state: "sending" });
    const failed = this.#own.findIndex((item) => item.state === "failed");
    if (this.#own.length > OWN_MOST && failed >= 0) this.#own.splice(failed, 1);
  }

  /**
   * The server took it. The feed may have brought it already.
   *
   * @param {string} key
   * @param {Accepted} accepted
   */
  accepted(key, accepted) {
    const index = this.#own.findIndex((item) => item.key === key);
    if (index < 0) return;
    this.#items = null;
    const { comment_id, posted_at, offset_ms } = accepted;
    if (this.#ids.has(comment_id) || this.#deleted.has(comment_id)) {
      this.#own.splice(index, 1);
      return;
    }
    const comment = { ...this.#own[index].comment, comment_id, posted_at, offset_ms };
    this.#own[index] = { key, comment, state: "posted" };
  }

  /**
   * It was refused, or no answer came. It stays, unless the feed has brought it.
   *
   * @param {string} key
   * @param {import("./problem.js").Problem} problem
   */
  failed(key, problem) {
    this.#items = null;
    this.#own = this.#own.map((item) => (item.key === key ? { ...item, state: "failed", problem } : item));
  }

  /** Takes one that was not posted away. @param {string} key */
  discard(key) {
    this.#items = null;
    this.#own = this.#own.filter((item) => item.key !== key);
  }

  /**
   * The reader came down to the newest comments, or left them.
   *
   * @param {boolean} following
   */
  follow(following) {
    if (following === this.#following) return;
    this.#following = following;
    if (!following) return;
    this.#items = null;
    if (this.#gap) this.#drop(this.#settled.length);
    this.#settled.push(...this.#held);
    this.#held = [];
    this.#gap = false;
    this.#trim();
  }

  /** @param {Comment} comment */
  #take(comment) {
    this.#settleOwnBefore(comment.posted_at);
    const own = this.#own.findIndex((item) => isSame(item, comment));
    if (own < 0) {
      this.#place(makeItem(comment));
    } else {
      const [{ key }] = this.#own.splice(own, 1);
      this.#items = null;
      this.#place({ key, comment, state: "posted" });
    }
  }

  /**
   * The feed is past the place of one of ours: it won't come any more (a busy feed brings a sample only). Within a
   * stream `posted_at` never falls, so its place is here.
   *
   * @param {string} postedAt
   */
  #settleOwnBefore(postedAt) {
    const isPast = (/** @type {Item} */ item) => item.state === "posted" && item.comment.posted_at < postedAt;
    const past = this.#own.filter(isPast);
    if (!past.length) return;
    this.#items = null;
    for (const item of past) this.#place(item);
    this.#own = this.#own.filter((item) => !isPast(item));
  }

  /** @param {Item} item */
  #place(item) {
    this.#ids.add(item.comment.comment_id);
    if (this.#following) {
      this.#items = null;
      this.#settled.push(item);
    } else {
      if (this.#isShown(item)) this.#items = null;
      this.#held.push(item);
    }
  }

  /** Ours stay on the screen when the feed brings them, held or not. @param {Item} item */
  #isShown(item) {
    return !this.#gap && item.key !== item.comment.comment_id;
  }

  #trim() {
    if (this.#following) this.#drop(this.#settled.length - this.#most);
    if (this.#held.length > this.#most) {
      this.#items = null;
      this.#gap = true;
      this.#forget(this.#held.splice(0, this.#held.length - this.#most));
    }
  }

  /** @param {number} count of the oldest */
  #drop(count) {
    if (count <= 0) return;
    this.#items = null;
    this.#forget(this.#settled.splice(0, count));
    this.drops += 1;
  }

  /** @param {Item[]} items that are no longer kept */
  #forget(items) {
    for (const { comment } of items) this.#ids.delete(comment.comment_id);
  }
}
