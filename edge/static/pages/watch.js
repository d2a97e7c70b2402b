// @ts-check
/** The watch page: a live stream's comments. */

import { streamPath } from "../model/api.js";
import { AuthorizedEventSource } from "../model/event_stream.js";
import { Feed } from "../model/feed.js";
import { OlderPages } from "../model/older.js";
import { Poster } from "../model/post.js";
import { Problem } from "../model/problem.js";
import { rules } from "../model/session.js";
import { Timeline } from "../model/timeline.js";
import { formatCount } from "../model/time.js";
import { Announcer } from "../view/announcer.js";
import { CommentList } from "../view/comment_list.js";
import { attachCommentMenu } from "../view/comment_menu.js";
import { Composer } from "../view/composer.js";
import { byId, oncePerFrame } from "../view/element.js";
import { endStreamDialog } from "../view/end_stream.js";
import { openShell, streamIdInAddress } from "../view/shell.js";
import { StreamInfo } from "../view/stream_info.js";

/** @typedef {import("../model/api.js").Comment} Comment */
/** @typedef {import("../model/api.js").Stream} Stream */

const OLDER_PAGE = 100;

const streamId = streamIdInAddress();
const { session, api, toast, signIn } = openShell();

/** @type {Stream | null} */
let stream = null;
/** @type {Problem | null} */
let refusal = null;

const timeline = new Timeline();
const older = new OlderPages((cursor) => api.recentComments(streamId, { cursor, limit: OLDER_PAGE }));
const info = new StreamInfo();
const announcer = new Announcer();
const view = new CommentList(byId("scroller"), byId("comments"), (item) => look(item.comment, item.state));
const menu = attachCommentMenu({ list: byId("comments"), view, actionsOf });
const poster = new Poster({ send: (text, key) => api.postComment(streamId, text, key) });
const composer = new Composer({ post, signIn, onRefused });
const askToEnd = endStreamDialog(() => attempt(() => api.endStream(streamId)));

// -- what is shown --

const draw = oncePerFrame(() => {
  view.draw(timeline.items);
  menu.refresh();
  byId("empty").hidden = timeline.items.length > 0 || !stream;
  byId("beginning").hidden = !older.isExhausted(timeline) || timeline.items.length === 0;
  const { waiting } = timeline;
  byId("to-newest").hidden = view.atEnd && waiting === 0;
  byId("to-newest-label").textContent =
    waiting === 0 ? "Back to newest" : `${formatCount(waiting)} new comment${waiting === 1 ? "" : "s"}`;
});

/**
 * @param {Comment} comment
 * @param {"posted" | "sending"} state
 */
function look(comment, state) {
  const actions = state === "posted" && actionsOf(comment).length > 0;
  return { hostId: stream?.host_id, myId: session.who?.id, sending: state === "sending", actions };
}

/** Rights, or the stream itself, have changed: everything that depends on them. */
function refresh() {
  const who = session.who;
  const ended = stream?.state === "ended";
  composer.mode = ended || refusal ? "closed" : who ? "writing" : "signed-out";
  byId("composer-closed").hidden = !ended;
  byId("host-tools").hidden = ended || !stream || !rules(who, stream);
  byId("refused").hidden = !refusal;
  byId("refused-words").textContent = refusal?.words ?? "";
  byId("refused-sign-in").hidden = refusal?.status !== 401 && refusal?.status !== 403;
  if (stream) info.pinned(stream.pinned, { hostId: stream.host_id, myId: who?.id });
  byId("unpin").hidden = byId("host-tools").hidden;
  view.redraw(timeline.items);
  draw();
}

// -- the feed --

const feed = new Feed({
  url: streamPath(streamId, "/comments/subscribe"),
  open: (url) => {
    const token = session.token;
    return token && stream?.visibility === "private" ? new AuthorizedEventSource(url, token) : new EventSource(url);
  },
  probe: async () => (stream = await api.getStream(streamId)),
  onEvent: (name, data) => {
    handlers[name]?.(data);
    draw();
  },
  onState: (state, problem) => {
    info.connection(state);
    refusal = problem ?? null;
    refresh();
  },
});

/** @type {Record<string, (data: any) => void>} */
const handlers = {
  snapshot({ stream: found, comments, recovered, viewers, degraded }) {
    showStream(found);
    info.viewers(viewers);
    info.degraded(degraded);
    if (!recovered) timeline.reset(comments);
  },
  new_comment(comments) {
    timeline.append(comments);
    announcer.add(comments.filter((/** @type {Comment} */ comment) => comment.author_id !== session.who?.id));
  },
  delete_comment({ comment_id: id }) {
    timeline.remove(id);
    if (stream?.pinned?.comment_id === id) showStream({ ...stream, pinned: undefined });
  },
  pinned_comment({ comment }) {
    if (stream) showStream({ ...stream, pinned: comment });
  },
  unpinned_comment() {
    if (stream) showStream({ ...stream, pinned: undefined });
  },
  stream_updated({ stream: updated }) {
    showStream({ ...updated, pinned: stream?.pinned });
  },
  stream_ending({ ends_at: endsAt }) {
    info.ending(endsAt);
  },
  stream_ended({ ended_at: endedAt }) {
    if (stream) showStream({ ...stream, state: "ended", ended_at: endedAt });
  },
  viewers({ viewers }) {
    info.viewers(viewers);
  },
  omitted() {
    info.sampled();
  },
  degraded({ degraded }) {
    info.degraded(degraded);
  },
};

/** @param {Stream} found */
function showStream(found) {
  stream = found;
  info.show(found);
  refresh();
}

// -- what one does --

/**
 * @param {string} text
 * @param {(waitMs: number) => void} onRetry
 */
async function post(text, onRetry) {
  const who = session.who;
  if (!who) throw new Problem({ status: 401, reason: "UNAUTHENTICATED" });
  const key = crypto.randomUUID();
  timeline.sending(key, {
    comment_id: "",
    author_id: who.id,
    author_name: who.name,
    text,
    posted_at: new Date().toISOString(),
    offset_ms: 0,
  });
  view.goToEnd();
  draw();
  try {
    timeline.accepted(key, await poster.post(text, onRetry));
  } catch (problem) {
    timeline.refused(key);
    throw problem;
  } finally {
    draw();
  }
  return stream && !rules(who, stream) ? stream.slow_mode_s * 1000 : 0;
}

/** @param {Problem} problem */
function onRefused(problem) {
  if (problem.status === 401) signIn();
}

/** @param {Comment} comment */
function actionsOf(comment) {
  const who = session.who;
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
    actions.push(
      action("Delete", "trash", async () => {
        await api.deleteComment(streamId, comment.comment_id);
        handlers.delete_comment(comment);
      }),
    );
  }
  return actions;
}

/**
 * @param {string} name
 * @param {"pin" | "trash"} icon
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
  draw();
}

async function loadOlder() {
  if (older.isExhausted(timeline)) return;
  byId("loading-older").hidden = false;
  try {
    await older.load(timeline);
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    toast(`Older comments could not be loaded. ${problem.words}`);
  } finally {
    byId("loading-older").hidden = true;
    draw();
  }
}

view.addEventListener("follow", () => {
  timeline.follow(view.following);
  draw();
});
view.addEventListener("top", () => void loadOlder());
session.addEventListener("change", () => {
  if (feed.state === "refused") feed.start();
  refresh();
});
byId("to-newest").addEventListener("click", () => {
  view.goToEnd();
  // The button goes away: the keyboard stays with the comments.
  byId("scroller").focus();
});
byId("unpin").addEventListener("click", () => void attempt(() => api.unpinComment(streamId)));
byId("end-stream").addEventListener("click", askToEnd);
byId("refused-sign-in").addEventListener("click", signIn);
for (const link of document.querySelectorAll("a[data-replay]")) {
  /** @type {HTMLAnchorElement} */ (link).href = `/replay/${encodeURIComponent(streamId)}`;
}
addEventListener("online", () => feed.restart());
addEventListener("pagehide", () => feed.stop());
addEventListener("pageshow", (event) => {
  if (event.persisted) feed.start();
});

refresh();
feed.start();
