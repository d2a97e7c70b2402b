// @ts-check
/** What stands around the comments: title, state of the stream and of the connection, viewers, pinned comment. */

import { formatCount, formatOffset, formatMoment, plural } from "../model/time.js";
import { commentRow } from "./comment_row.js";
import { byId } from "./element.js";

/** @typedef {import("../model/api.js").Comment} Comment */
/** @typedef {import("../model/api.js").Stream} Stream */
/** @typedef {import("../model/feed.js").FeedState} FeedState */

/** So long after the last comment that was left out, the notice goes. */
const SAMPLED_MS = 10_000;

/** @type {Record<FeedState, string>} */
const CONNECTION = {
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Reconnecting…",
  ended: "Ended",
  refused: "Not available",
};

export class StreamInfo {
  constructor() {
    setInterval(() => this.#tick(), 1_000);
  }

  #connection = byId("connection");
  #title = byId("stream-title");
  #viewers = byId("viewers");
  #elapsed = byId("elapsed");
  #notice = byId("notice");
  #pinned = byId("pinned");
  /** @type {Stream | null} */
  #stream = null;
  #endsAt = 0;
  #sampledUntil = 0;
  #degraded = false;

  /** @param {FeedState} state */
  connection(state) {
    this.#connection.textContent = CONNECTION[state];
    this.#connection.dataset.state = state;
  }

  /** @param {Stream} stream */
  show(stream) {
    this.#stream = stream;
    this.#title.textContent = stream.title;
    document.title = `${stream.title} · Live comments`;
    this.#endsAt = stream.state === "live" && stream.ends_at ? Date.parse(stream.ends_at) : 0;
    byId("host").textContent = stream.host_id;
    byId("started").textContent = formatMoment(stream.started_at);
    byId("slow-mode-row").hidden = !stream.slow_mode_s;
    byId("slow-mode").textContent = `one comment every ${plural(stream.slow_mode_s, "second")}`;
    this.#tick();
  }

  /** @param {number} reported by all edges; they may not have counted us yet */
  viewers(reported) {
    const count = Math.max(1, reported);
    this.#viewers.textContent = `${formatCount(count)} ${count === 1 ? "viewer" : "viewers"}`;
    this.#tick();
  }

  /** The end is announced. @param {string} endsAt */
  ending(endsAt) {
    this.#endsAt = Date.parse(endsAt);
    this.#tick();
  }

  /** More is being said than anyone could read: the feed brings a sample. */
  sampled() {
    this.#sampledUntil = Date.now() + SAMPLED_MS;
    this.#tick();
  }

  /** The edge hears of new comments late, or not at all, for now. @param {boolean} degraded */
  degraded(degraded) {
    this.#degraded = degraded;
    this.#tick();
  }

  /**
   * @param {Comment | undefined} comment
   * @param {import("./comment_row.js").Look} look
   */
  pinned(comment, look) {
    this.#pinned.hidden = !comment;
    byId("pinned-comment").replaceChildren(...(comment ? [commentRow(comment, look)] : []));
  }

  #tick() {
    const stream = this.#stream;
    if (!stream) return;
    const now = Date.now();
    this.#viewers.hidden = stream.state === "ended";
    const until = stream.ended_at ? Date.parse(stream.ended_at) : now;
    this.#elapsed.textContent = formatOffset(until - Date.parse(stream.started_at));
    this.#notice.textContent = this.#noticeAt(now);
    this.#notice.hidden = this.#notice.textContent === "";
  }

  /** @param {number} now */
  #noticeAt(now) {
    if (this.#stream?.state === "ended") return "";
    if (this.#endsAt) return `This stream ends in ${formatOffset(this.#endsAt - now)}`;
    if (this.#degraded) return "Comments may arrive late at the moment.";
    return now < this.#sampledUntil ? "So many comments that you see a sample. The replay has them all." : "";
  }
}
