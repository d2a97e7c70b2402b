// @ts-check
/** What stands around the comments: title, state of the stream and of the connection, viewers, pinned comment. */

import { formatCount, formatOffset, formatMoment, plural } from "../model/time.js";
import { commentRow } from "./comment_row.js";
import { byId } from "./element.js";

/** @typedef {import("../client/index.js").Comment} Comment */
/** @typedef {import("../client/index.js").ConnectionState} ConnectionState */
/** @typedef {import("../client/index.js").Stream} Stream */

/** So long after the last comment that was left out, the notice goes. */
const SAMPLED_MS = 10_000;
const OFFLINE = "You are offline. When you are back, so are the comments that you missed.";

/** @type {Record<ConnectionState | "offline", string>} */
const CONNECTION = {
  connecting: "Connecting…",
  live: "Live",
  reconnecting: "Reconnecting…",
  paused: "Paused",
  offline: "Offline",
  ended: "Ended",
  refused: "Not available",
  closed: "Closed",
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
  #pinnedAs = "";
  /** @type {ConnectionState} */
  #state = "connecting";
  #offline = false;

  /** @param {ConnectionState} state */
  connection(state) {
    this.#state = state;
    this.#tick();
  }

  /** The browser has no network at all. @param {boolean} offline */
  offline(offline) {
    this.#offline = offline;
    this.#tick();
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
    // By all edges; they may not have counted us yet.
    const count = Math.max(1, stream.viewers);
    this.#viewers.textContent = `${formatCount(count)} ${count === 1 ? "viewer" : "viewers"}`;
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
    const as = JSON.stringify([comment, look]);
    if (as === this.#pinnedAs) return;
    this.#pinnedAs = as;
    this.#pinned.hidden = !comment;
    byId("pinned-comment").replaceChildren(...(comment ? [commentRow(comment, look)] : []));
  }

  #tick() {
    const now = Date.now();
    const isAway = this.#offline && this.#state !== "ended" && this.#state !== "refused";
    const state = isAway ? "offline" : this.#state;
    // Only what changed: a screen reader says it anew.
    if (this.#connection.dataset.state !== state) this.#connection.textContent = CONNECTION[state];
    this.#connection.dataset.state = state;
    const notice = isAway ? OFFLINE : this.#noticeAt(now);
    this.#notice.textContent = notice;
    this.#notice.hidden = notice === "";
    const stream = this.#stream;
    if (!stream) return;
    this.#viewers.hidden = stream.state === "ended";
    const until = stream.ended_at ? Date.parse(stream.ended_at) : now;
    this.#elapsed.textContent = formatOffset(until - Date.parse(stream.started_at));
  }

  /** @param {number} now */
  #noticeAt(now) {
    if (this.#stream?.state === "ended") return "";
    if (this.#endsAt) return `This stream ends in ${formatOffset(this.#endsAt - now)}`;
    if (this.#degraded) return "Comments may arrive late at the moment.";
    return now < this.#sampledUntil ? "So many comments that you see a sample. The replay has them all." : "";
  }
}
