// @ts-check
/** The replay page: a recording's comments at their moments. */

import { Replay, shownAtMs } from "../client/index.js";
import { Clock } from "../model/clock.js";
import { formatMoment, formatOffset } from "../model/time.js";
import { MediaClock } from "../video/media_clock.js";
import { CommentList } from "../view/comment_list.js";
import { byId } from "../view/element.js";
import { Player } from "../view/player.js";
import { openShell, streamIdInAddress } from "../view/shell.js";
import { leadTo, showVideo } from "../view/video_screen.js";

/** @typedef {import("../client/index.js").Comment} Comment */
/** @typedef {import("../client/index.js").Item} Item */
/** @typedef {import("../client/index.js").Problem} Problem */
/** @typedef {import("../client/index.js").Stream} Stream */

const TICK_MS = 50;
const SHOWN_MOST = 1_000;

const streamId = streamIdInAddress();
const { session, toast, signIn } = openShell();
const video = showVideo(toast);
const media = video && new MediaClock(video, () => performance.now());
const clock = media ?? new Clock(() => performance.now());
const replay = new Replay({ stream: streamId, video: clock, token: () => session.token, keep: SHOWN_MOST });

const view = new CommentList(byId("scroller"), byId("comments"), () => ({
  hostId: replay.stream?.host_id,
  myId: session.who?.id,
  when: (comment) => formatOffset(shownAtMs(comment)),
}));
const player = new Player(clock, video);

// -- the comments --

/** Comments that have been drawn, so that each keeps its row. @type {WeakMap<Comment, Item>} */
const items = new WeakMap();
/** What the list shows, oldest first. @type {readonly Item[]} */
let drawn = [];

/** @param {Comment} comment */
function itemOf(comment) {
  const item = items.get(comment) ?? { key: comment.comment_id, comment, state: "posted" };
  items.set(comment, item);
  return item;
}

function draw() {
  const current = replay.comments.map(itemOf);
  const waiting = view.following ? 0 : current.length - 1 - current.indexOf(drawn.at(-1) ?? current[0]);
  byId("to-newest").hidden = view.following;
  byId("to-newest-label").textContent = waiting > 0 ? `${waiting} new` : "Back to newest";
  // The reader is further up: the list stands still.
  if (!view.following) return;
  drawn = current;
  view.draw(current);
}

replay.on("change", draw);
replay.on("clear", () => {
  drawn = [];
  view.draw([]);
  view.goToEnd();
});
view.addEventListener("follow", draw);

/** Reads fail, and that was said. */
let isTroubled = false;
replay.on("trouble", ({ problem }) => {
  if (!isTroubled) toast(`Comments could not be loaded; trying again. ${problem.words}`);
  isTroubled = true;
});
replay.on("show", () => {
  isTroubled = false;
});

// -- the player --

function tick() {
  const { stream } = replay;
  if (!stream) return;
  clock.durationMs = replay.durationMs;
  // Where it isn't known yet what was said here it waits.
  clock.hold(replay.state === "loading");
  if (clock.playing && clock.atEnd && stream.state !== "live") clock.pause();
  const waits = replay.state === "loading" || media?.isStalled;
  showState(waits && clock.playing ? "loading" : clock.playing ? "playing" : "paused");
  byId("empty").hidden = replay.comments.length > 0;
  byId("press-play").hidden = clock.positionMs > 0 || clock.playing;
  byId("nothing-said").hidden = !byId("press-play").hidden;
  player.show();
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

replay.on("stream", ({ stream }) => {
  byId("refused").hidden = true;
  byId("stream-title").textContent = stream.title;
  document.title = `Replay: ${stream.title} · Live comments`;
  byId("host").textContent = stream.host_id;
  byId("started").textContent = formatMoment(stream.started_at);
  byId("ended-row").hidden = !stream.ended_at;
  byId("ended").textContent = stream.ended_at ? formatMoment(stream.ended_at) : "";
  byId("still-live").hidden = stream.state !== "live";
  byId("watch-link").hidden = stream.state !== "live";
  byId("player").disabled = false;
  tick();
});
replay.on("state", ({ problem }) => {
  if (problem) refuse(problem);
  tick();
});

/** @param {Problem} problem */
function refuse(problem) {
  byId("refused").hidden = false;
  byId("stream-title").textContent = replay.stream?.title ?? streamId;
  byId("refused-words").textContent = problem.words;
  byId("refused-sign-in").hidden = problem.status !== 401 && problem.status !== 403;
}

byId("to-newest").addEventListener("click", () => {
  view.goToEnd();
  byId("scroller").focus();
});
session.addEventListener("change", () => replay.resume());
byId("refused-sign-in").addEventListener("click", signIn);
leadTo("a[data-watch]", `/watch/${encodeURIComponent(streamId)}`);
setInterval(tick, TICK_MS);
