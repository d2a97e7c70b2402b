// @ts-check
/** The watch page: a live stream's comments. */

import { connect, Problem } from "../client/index.js";
import { Pace } from "../list/pace.js";
import { failureOf, waitAfter } from "../model/failure.js";
import { rules } from "../model/session.js";
import { formatCount } from "../model/time.js";
import { behindLiveMs } from "../video/live.js";
import { Announcer } from "../view/announcer.js";
import { CommentList } from "../view/comment_list.js";
import { attachCommentMenu } from "../view/comment_menu.js";
import { Composer } from "../view/composer.js";
import { byId, oncePerFrame } from "../view/element.js";
import { attachFailedPosts } from "../view/failed_post.js";
import { HostTools } from "../view/host_tools.js";
import { ask } from "../view/question.js";
import { openShell, streamIdInAddress } from "../view/shell.js";
import { StreamInfo } from "../view/stream_info.js";
import { leadTo, playFromStart, showVideo } from "../view/video_screen.js";

/** @typedef {import("../client/index.js").Comment} Comment */
/** @typedef {import("../client/index.js").Item} Item */
/** @typedef {import("../client/index.js").Stream} Stream */

/** Comments in memory; few of them are drawn. */
const KEPT = 10_000;

const streamId = streamIdInAddress();
const { session, toast, signIn } = openShell();
const video = showVideo(toast);
const live = connect({ stream: streamId, token: () => session.token, keep: KEPT, lag: lagMs });
const { api } = live;

const info = new StreamInfo();
const announcer = new Announcer();
const view = new CommentList(byId("scroller"), byId("comments"), look);
const pace = new Pace();
const menu = attachCommentMenu({ list: byId("comments"), view, actionsOf });
const composer = new Composer({ post, signIn });
const tools = new HostTools({
  setSlowMode: (seconds) => attempt(() => live.updateStream({ slow_mode_s: seconds })),
  end: (noticeS) => attempt(() => api.endStream(streamId, noticeS)),
});

// -- what is shown --

const draw = oncePerFrame((nowMs) => {
  const { comments, waiting } = live;
  byId("empty").hidden = comments.length > 0 || !live.stream;
  byId("beginning").hidden = !live.isAtBeginning || comments.length === 0;
  view.draw(pace.take(comments, { nowMs, following: view.following }));
  menu.refresh();
  byId("to-newest").hidden = view.atEnd && waiting === 0;
  byId("to-newest-label").textContent =
    waiting === 0 ? "Back to newest" : `${formatCount(waiting)} new comment${waiting === 1 ? "" : "s"}`;
  if (pace.isBehind) draw();
});

/** @param {Item} item */
function look({ comment, state, problem }) {
  const actions = state === "posted" && actionsOf(comment).length > 0;
  const failure = problem && failureOf(problem);
  return { hostId: live.stream?.host_id, myId: session.who?.id, sending: state === "sending", failure, actions };
}

/** What rows and tools depend on, as it was when they were drawn. */
let drawnFor = "";

/** Who one is, the stream or the connection has changed: everything that depends on them. */
function refresh() {
  const { stream } = live;
  const { who } = session;
  const refusal = live.state === "refused" ? live.problem : null;
  const ended = stream?.state === "ended";
  const ruled = stream && !ended && rules(who, stream);
  composer.mode = ended || refusal ? "closed" : who ? "writing" : "signed-out";
  byId("composer-closed").hidden = !ended;
  tools.show(ruled ? stream : null);
  byId("refused").hidden = !refusal;
  byId("refused-words").textContent = refusal?.words ?? "";
  if (refusal) byId("stream-title").textContent = streamId;
  byId("refused-sign-in").hidden = refusal?.status !== 401 && refusal?.status !== 403;
  byId("unpin").hidden = !ruled;
  const now = [who?.id, stream?.host_id, stream?.state, Boolean(ruled)].join();
  if (now !== drawnFor) view.redraw();
  drawnFor = now;
  if (stream) info.pinned(stream.pinned, { hostId: stream.host_id, myId: who?.id });
  draw();
}

// -- what one is told --

live.on("change", draw);
live.on("state", ({ state }) => {
  info.connection(state);
  refresh();
});
live.on("stream", ({ stream }) => {
  info.show(stream);
  refresh();
});
if (video) live.on("stream", ({ stream }) => playFromStart(video, stream.started_at), { once: true });
live.on("snapshot", ({ degraded }) => info.degraded(degraded));
live.on("degraded", ({ degraded }) => info.degraded(degraded));
live.on("omitted", () => info.sampled());
live.on("new_comment", (comments) => {
  announcer.add(comments.filter((comment) => comment.author_id !== session.who?.id));
});

// -- what one does --

function lagMs() {
  return video && live.stream ? behindLiveMs(video, live.stream.started_at, Date.now()) : 0;
}

/**
 * @param {string} text
 * @param {(waitMs: number) => void} onRetry
 */
async function post(text, onRetry) {
  if (!session.who) {
    // The token has ended meanwhile.
    composer.take(text, "");
    refresh();
    signIn();
    return 0;
  }
  view.goToEnd();
  return outcome(live.post(text, { onRetry }));
}

/**
 * Says when a comment was not posted; the list shows it, and why.
 *
 * @param {Promise<unknown>} posting
 * @returns {Promise<number>} how long the next one has to wait, ms
 */
async function outcome(posting) {
  announcer.alert("");
  try {
    await posting;
    const { stream } = live;
    return stream && !rules(session.who, stream) ? stream.slow_mode_s * 1000 : 0;
  } catch (error) {
    const problem = Problem.of(error);
    announcer.alert(`Your comment was not posted. ${failureOf(problem).words}`);
    if (problem.status === 401) signIn();
    return waitAfter(problem);
  }
}

attachFailedPosts({
  list: byId("comments"),
  view,
  async retry({ key }) {
    composer.focus();
    composer.waitFor(await outcome(live.retry(key)));
  },
  edit({ key, comment, problem }) {
    live.discard(key);
    composer.take(comment.text, problem ? failureOf(problem).words : "");
  },
  remove({ key }) {
    live.discard(key);
    composer.focus();
  },
});

/** @param {Comment} comment */
function actionsOf(comment) {
  const { who } = session;
  const { stream } = live;
  if (!who || !stream) return [];
  const isRuled = rules(who, stream);
  const isLive = stream.state === "live";
  const isPinned = stream.pinned?.comment_id === comment.comment_id;
  const actions = [];
  if (isRuled && isLive && isPinned) actions.push(action("Unpin", "pin", () => api.unpinComment(streamId)));
  if (isRuled && isLive && !isPinned) {
    actions.push(action("Pin", "pin", () => api.pinComment(streamId, comment.comment_id)));
  }
  if (isRuled || who.id === comment.author_id) {
    actions.push(action("Delete", "trash", () => live.deleteComment(comment.comment_id)));
  }
  if (isRuled && isLive && ![who.id, stream.host_id].includes(comment.author_id)) {
    actions.push(action(`Ban ${comment.author_name}…`, "ban", () => ban(comment)));
  }
  return actions;
}

/** @param {Comment} comment whose author it is */
async function ban({ author_id: id, author_name: name }) {
  const isSure = await ask({
    title: `Ban ${name}?`,
    words: "They can’t comment in this stream any more. What they have said stays.",
    yes: "Ban",
    no: "Cancel",
  });
  if (!isSure) return;
  await api.banUser(streamId, id);
  toast(`${name} is banned from this stream.`);
}

/**
 * @param {string} name
 * @param {"pin" | "trash" | "ban"} icon
 * @param {() => Promise<unknown>} run
 */
function action(name, icon, run) {
  return { name, icon, run: () => void attempt(run) };
}

/** Does it, or says why not. @param {() => Promise<unknown>} run */
async function attempt(run) {
  try {
    await run();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    toast(problem.words);
  }
}

async function loadOlder() {
  if (live.isAtBeginning) return;
  byId("loading-older").hidden = false;
  try {
    await live.loadOlder();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    toast(`Older comments could not be loaded. ${problem.words}`);
  } finally {
    byId("loading-older").hidden = true;
  }
}

view.addEventListener("follow", () => {
  if (view.following) live.follow();
  else live.hold();
});
view.addEventListener("top", () => void loadOlder());
session.addEventListener("change", () => {
  if (live.state === "refused") live.resume();
  refresh();
});
byId("to-newest").addEventListener("click", () => {
  view.goToEnd();
  // The button goes away: the keyboard stays with the comments.
  byId("scroller").focus();
});
byId("unpin").addEventListener("click", () => void attempt(() => api.unpinComment(streamId)));
byId("refused-sign-in").addEventListener("click", signIn);
leadTo("a[data-replay]", `/replay/${encodeURIComponent(streamId)}`);
addEventListener("offline", () => info.offline(true));
addEventListener("online", () => info.offline(false));

info.offline(!navigator.onLine);
refresh();
