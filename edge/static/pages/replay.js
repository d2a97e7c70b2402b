// @ts-check
/** The replay page: a recording's comments at their moments. */

import { Clock } from "../model/clock.js";
import { Moments, shownAtMs } from "../model/moments.js";
import { Problem } from "../model/problem.js";
import { formatMoment, formatOffset } from "../model/time.js";
import { WindowReader } from "../model/windows.js";
import { CommentList } from "../view/comment_list.js";
import { byId } from "../view/element.js";
import { Player } from "../view/player.js";
import { openShell, streamIdInAddress } from "../view/shell.js";

/** @typedef {import("../model/api.js").Comment} Comment */
/** @typedef {import("../model/api.js").Stream} Stream */
/** @typedef {import("../model/timeline.js").Item} Item */

const TICK_MS = 100;
const SHOWN_MOST = 300;
const KEPT_BEHIND = 1_000;
const PAGE = 500;
const LOOK_AGAIN_MS = 10_000;

const streamId = streamIdInAddress();
const { session, api, toast, signIn } = openShell();

/** @type {Stream | null} */
let stream = null;
const clock = new Clock(() => performance.now());
const moments = new Moments();
const view = new CommentList(byId("scroller"), byId("comments"), () => ({
  hostId: stream?.host_id,
  myId: session.who?.id,
  when: (comment) => formatOffset(shownAtMs(comment)),
}));
const player = new Player(clock, jump);
const reader = new WindowReader({
  read: ({ startMs, endMs, token, signal }) =>
    api.listComments(streamId, {
      startS: startMs / 1000,
      durationS: (endMs - startMs) / 1000,
      limit: PAGE,
      token,
      signal,
    }),
  onComments: (comments) => {
    moments.add(comments);
    const from = moments.forget(clock.positionMs, KEPT_BEHIND);
    if (from !== null) reader.forgotten(from);
    troubled = false;
  },
  onTrouble: (error) => {
    if (!troubled) toast(`Comments could not be loaded; trying again. ${error instanceof Problem ? error.words : ""}`);
    troubled = true;
  },
});
let troubled = false;

// -- what is shown --

/** Comments that have been drawn, so that each keeps its row. @type {WeakMap<Comment, Item>} */
const items = new WeakMap();
/** @type {Item[]} */
let drawn = [];

/** @param {Comment} comment */
function itemOf(comment) {
  const item = items.get(comment) ?? { key: comment.comment_id, comment, state: "posted" };
  items.set(comment, item);
  return item;
}

function draw() {
  const current = moments.upTo(clock.positionMs, SHOWN_MOST).map(itemOf);
  const isSame = current.length === drawn.length && current.every((item, index) => item === drawn[index]);
  const waiting = view.following ? 0 : current.length - 1 - current.indexOf(drawn.at(-1) ?? current[0]);
  byId("to-newest").hidden = view.following;
  byId("to-newest-label").textContent = waiting > 0 ? `${waiting} new` : "Back to newest";
  byId("empty").hidden = current.length > 0 || !stream;
  byId("empty-words").textContent = clock.positionMs === 0 && !clock.playing ? "Press play to begin." : "Nothing said yet.";
  // The reader is further up: the list stands still.
  if (isSame || !view.following) return;
  drawn = current;
  view.draw(current);
}

/** @param {number} positionMs */
function jump(positionMs) {
  if (reader.seek(positionMs)) moments.clear();
  drawn = [];
  view.draw([]);
  view.goToEnd();
  tick();
}

function tick() {
  if (!stream) return;
  const live = stream.state === "live";
  if (live) clock.durationMs = Date.now() - Date.parse(stream.started_at);
  const at = { positionMs: clock.positionMs, speed: clock.speed, durationMs: clock.durationMs, live };
  reader.need(at);
  const starved = reader.isStarved(at);
  clock.hold(starved);
  if (clock.playing && clock.atEnd && !live) clock.pause();
  showState(starved && clock.playing ? "loading" : clock.playing ? "playing" : "paused");
  player.show();
  draw();
}

/** @type {Record<string, string>} */
const WORDS = { loading: "Loading…", playing: "Playing", paused: "Paused" };

/** @param {string} state */
function showState(state) {
  const pill = byId("player-state");
  if (pill.dataset.player === state) return;
  pill.dataset.player = state;
  pill.textContent = WORDS[state];
}

// -- the stream --

async function look() {
  try {
    show(await api.getStream(streamId));
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.isTransient || stream) return;
    byId("refused").hidden = false;
    byId("refused-words").textContent = problem.words;
    byId("refused-sign-in").hidden = problem.status !== 401 && problem.status !== 403;
  }
}

/** @param {Stream} found */
function show(found) {
  stream = found;
  byId("refused").hidden = true;
  byId("stream-title").textContent = found.title;
  document.title = `Replay: ${found.title} · Live comments`;
  byId("host").textContent = found.host_id;
  byId("started").textContent = formatMoment(found.started_at);
  byId("ended-row").hidden = !found.ended_at;
  byId("ended").textContent = found.ended_at ? formatMoment(found.ended_at) : "";
  byId("still-live").hidden = found.state !== "live";
  byId("watch-link").hidden = found.state !== "live";
  byId("player").disabled = false;
  if (found.ended_at) clock.durationMs = Date.parse(found.ended_at) - Date.parse(found.started_at);
  tick();
}

/** A live stream may end, and one that could not be reached may come back. */
function lookAgain() {
  if (!stream || stream.state === "live") void look();
}

byId("to-newest").addEventListener("click", () => {
  view.goToEnd();
  byId("scroller").focus();
});
view.addEventListener("follow", draw);
session.addEventListener("change", () => void look());
byId("refused-sign-in").addEventListener("click", signIn);
for (const link of document.querySelectorAll("a[data-watch]")) {
  /** @type {HTMLAnchorElement} */ (link).href = `/watch/${encodeURIComponent(streamId)}`;
}
setInterval(tick, TICK_MS);
setInterval(lookAgain, LOOK_AGAIN_MS);
void look();
