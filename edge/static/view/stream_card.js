// @ts-check
/** One stream in the list. */

import { formatAgo, formatCount, formatMoment, formatOffset } from "../model/time.js";
import { element } from "./element.js";

/** @typedef {import("../client/index.js").Stream} Stream */

/**
 * @param {Stream} stream
 * @param {number} now ms since the Unix epoch
 * @returns {HTMLLIElement}
 */
export function streamCard(stream, now) {
  const id = encodeURIComponent(stream.stream_id);
  const live = stream.state === "live";
  const watch = `/watch/${id}`;
  const replay = `/replay/${id}`;
  const title = element("a", { class: "stream-title", text: stream.title, with: { href: live ? watch : replay } });
  const state = element("span", { class: "pill", text: live ? "Live" : "Ended", with: live ? { "data-state": "live" } : {} });
  const links = [element("a", { text: "Replay", with: { href: replay, "aria-label": `Replay ${stream.title}` } })];
  if (live) links.unshift(element("a", { text: "Watch", with: { href: watch, "aria-label": `Watch ${stream.title}` } }));
  return element(
    "li",
    { class: "stream card" },
    element("div", { class: "stream-head" }, element("h3", {}, title), state),
    facts(stream, now),
    element("div", { class: "stream-links" }, ...links),
  );
}

/**
 * @param {Stream} stream
 * @param {number} now
 */
function facts(stream, now) {
  const when = element("time", {
    text: formatAgo(stream.started_at, now),
    with: { datetime: stream.started_at, title: formatMoment(stream.started_at) },
  });
  const made = element("p", { class: "stream-facts" });
  made.append(`by ${stream.host_id} · started `, when);
  if (stream.ended_at) made.append(` · ${formatOffset(Date.parse(stream.ended_at) - Date.parse(stream.started_at))} long`);
  else if (stream.viewers) made.append(` · ${formatCount(stream.viewers)} watching`);
  if (stream.visibility === "private") made.append(" · private");
  return made;
}
