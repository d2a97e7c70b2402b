import assert from "node:assert/strict";
import { test } from "node:test";

import { connect } from "../../../../clients/js/src/index.js";
import { comment, comments } from "./comments.mjs";
import { eventStream, json, refusal, server, settle, token } from "./fakes.mjs";

const STREAM = { stream_id: "s", state: "live", viewers: 1 };
const ACCEPTED = { comment_id: "c00009", posted_at: comment(9).posted_at, offset_ms: 9_000, cursor: "e-9" };
const ADA = token({ sub: "ada", name: "Ada" });

/** A connection to a server that streams what the test says. `post` answers posts, `more` everything else. */
async function connection(t, { post = () => json(ACCEPTED, 202), more = () => json(STREAM), ...options } = {}) {
  const streams = [];
  const { fetch, requests } = server((request) => {
    if (request.path.endsWith("/subscribe")) return streams[streams.push(eventStream()) - 1].response;
    return request.method === "POST" ? post(request) : more(request);
  });
  const live = connect({ stream: "s", url: "http://edge.test", token: ADA, fetch, ...options });
  t.after(() => live.close());
  const told = [];
  for (const name of ["state", "gap", "snapshot", "new_comment", "viewers", "stream_ended"]) {
    live.on(name, (data) => told.push([name, data]));
  }
  const bring = async (name, data, id = "") => {
    streams.at(-1).write(`event: ${name}\n${id && `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`);
    await settle();
  };
  await settle();
  return { live, requests, streams, told, bring };
}

const snapshot = (list, given = {}) => ({ stream: STREAM, comments: list, recovered: false, viewers: 1, ...given });
const ids = (live) => live.comments.map((item) => item.comment.comment_id);
const states = (told) => told.filter(([name]) => name === "state").map(([, { state }]) => state);

test("comments are what the feed has brought, and each change is told once", async (t) => {
  const { live, bring } = await connection(t);
  const changes = [];
  live.on("change", ({ comments: now }) => changes.push(now.length));
  await bring("snapshot", snapshot(comments(1, 3)), "e-3");
  await bring("new_comment", comments(3, 5), "e-5");
  await bring("delete_comment", { comment_id: comment(2).comment_id }, "e-6");
  assert.deepEqual(ids(live), [1, 3, 4, 5].map((number) => comment(number).comment_id));
  assert.deepEqual(changes, [3, 5, 4]);
  assert.equal(live.state, "live");
  assert.equal(live.cursor, "e-6");
});

test("what is said of the stream is kept up to date", async (t) => {
  const { live, bring } = await connection(t);
  await bring("snapshot", snapshot([]), "e-1");
  await bring("viewers", { viewers: 40 });
  await bring("pinned_comment", { comment: comment(1) }, "e-2");
  assert.equal(live.stream.viewers, 40);
  assert.equal(live.stream.pinned.text, "comment 1");
  await bring("stream_ended", { ended_at: "2026-01-01T13:00:00.000Z" }, "e-3");
  assert.equal(live.stream.state, "ended");
  assert.equal(live.state, "ended");
});

test("a hole is told before what comes after it", async (t) => {
  const { live, streams, told, bring } = await connection(t);
  await bring("snapshot", snapshot(comments(1, 2)), "e-2");
  live.pause();
  live.resume();
  await settle();
  assert.equal(streams.length, 2);
  await bring("snapshot", snapshot([], { recovered: true }), "e-2");
  assert.deepEqual(ids(live), ["c00001", "c00002"]);
  live.pause();
  live.resume();
  await settle();
  await bring("snapshot", snapshot(comments(50, 51)), "e-51");
  assert.deepEqual(ids(live), ["c00050", "c00051"]);
  assert.deepEqual(
    told.map(([name]) => name).filter((name) => name !== "state"),
    ["snapshot", "snapshot", "gap", "snapshot"],
  );
});

test("one's own comment is shown at once, then from the answer, and not twice", async (t) => {
  let answer;
  const { live, bring } = await connection(t, { post: () => new Promise((resolve) => (answer = resolve)) });
  await bring("snapshot", snapshot([]), "e-1");
  const posted = live.post("hello");
  await settle();
  const [item] = live.comments;
  assert.deepEqual([item.state, item.comment.author_name, item.comment.text], ["sending", "Ada", "hello"]);
  answer(json(ACCEPTED, 202));
  assert.deepEqual(await posted, ACCEPTED);
  assert.deepEqual(live.comments.map(({ key, state }) => [key, state]), [[item.key, "posted"]]);
  await bring("new_comment", [comment(9, { text: "hello" })], "e-9");
  assert.deepEqual(live.comments.map(({ key }) => key), [item.key]);
});

test("a refused comment stays as failed, can be sent again, and can be thrown away", async (t) => {
  const refusals = [refusal(429, "SLOW_MODE", { "Retry-After": "2" }), refusal(403, "BANNED")];
  const { live, requests } = await connection(t, { post: () => refusals.shift() ?? json(ACCEPTED, 202) });
  await assert.rejects(live.post("hello", { meta: { mood: "glad" } }), (error) => error.retryAfterMs === 2_000);
  const [{ key, state, problem }] = live.comments;
  assert.deepEqual([state, problem.reason], ["failed", "SLOW_MODE"]);
  await assert.rejects(live.retry(key), (error) => error.reason === "BANNED");
  assert.deepEqual((await live.retry(key)).comment_id, ACCEPTED.comment_id);
  assert.deepEqual(live.comments.map((item) => [item.key, item.state]), [[key, "posted"]]);
  assert.deepEqual(new Set(requests.filter(({ method }) => method === "POST").map(({ body }) => body.meta.mood)), new Set(["glad"]));
  await assert.rejects(live.retry(key), (error) => error.reason === "COMMENT_NOT_FOUND");
  refusals.push(refusal(403, "BANNED"));
  await assert.rejects(live.post("again"));
  live.discard(live.comments[1].key);
  assert.equal(live.comments.length, 1);
});

test("a post says how far behind live its user is", async (t) => {
  const video = { currentTime: 90, seekable: { length: 1, end: () => 96.5 } };
  const { live, requests } = await connection(t, { video });
  await live.post("goal!");
  await live.post("late", { lagMs: 3 });
  const lags = requests.filter(({ method }) => method === "POST").map(({ body }) => body.lag_ms);
  assert.deepEqual(lags, [6_500, 3]);
});

test("refused, it says why, and comes back when it is asked to", async (t) => {
  let given = null;
  const { fetch } = server(() => (given ? eventStream().response : refusal(401, "UNAUTHENTICATED")));
  const { live, told } = await connection(t, { token: () => given, fetch });
  assert.equal(live.state, "refused");
  assert.equal(live.problem.reason, "UNAUTHENTICATED");
  given = ADA;
  live.resume();
  await settle();
  assert.deepEqual(states(told), ["refused", "connecting"]);
});

test("closing ends everything, and says so once", async (t) => {
  const { live, requests, told } = await connection(t, { post: () => new Promise(() => {}) });
  const posted = assert.rejects(live.post("never answered"), { name: "AbortError" });
  await settle();
  await live.close();
  await posted;
  assert.ok(requests.every(({ signal }) => signal.aborted));
  await live.close();
  live.resume();
  assert.deepEqual(states(told), ["closed"]);
  await assert.rejects(live.post("too late"), { name: "AbortError" });
});

test("it closes with its signal, and a listener goes with its own", async (t) => {
  const closing = new AbortController();
  const { live, bring } = await connection(t, { signal: closing.signal });
  const heard = [];
  const listening = new AbortController();
  live.on("viewers", ({ viewers }) => heard.push(viewers), { signal: listening.signal });
  const off = live.on("viewers", ({ viewers }) => heard.push(-viewers));
  await bring("snapshot", snapshot([]), "e-1");
  await bring("viewers", { viewers: 1 });
  listening.abort();
  await bring("viewers", { viewers: 2 });
  off();
  await bring("viewers", { viewers: 3 });
  assert.deepEqual(heard, [1, -1, -2]);
  closing.abort();
  assert.equal(live.state, "closed");
});

test("older comments are put on top, page by page", async (t) => {
  const pages = [
    { comments: comments(3, 4), oldest_cursor: "p" },
    { comments: comments(1, 2) },
  ];
  const { live, bring } = await connection(t, { more: () => json(pages.shift()) });
  await bring("snapshot", snapshot(comments(4, 5)), "e-5");
  assert.equal(await live.loadOlder(), 1);
  assert.equal(await live.loadOlder(), 2);
  assert.equal(await live.loadOlder(), 0);
  assert.deepEqual(ids(live), comments(1, 5).map((each) => each.comment_id));
});

test("held, the list stands still and what comes waits; then all of it is there", async (t) => {
  const { live, bring } = await connection(t, { keep: 3 });
  await bring("snapshot", snapshot(comments(1, 3)), "e-3");
  live.hold();
  await settle();
  const before = live.comments;
  let changes = 0;
  live.on("change", () => (changes += 1));
  await bring("new_comment", comments(4, 5), "e-5");
  assert.equal(live.comments, before, "the very same list");
  assert.deepEqual([live.waiting, changes], [2, 1]);
  await live.post("mine");
  assert.deepEqual(live.comments.map(({ comment: { text } }) => text).slice(-2), ["comment 3", "mine"]);
  live.follow();
  assert.equal(live.waiting, 0);
  assert.deepEqual(ids(live).slice(0, 3), comments(3, 5).map((each) => each.comment_id), "as many as are kept");
});

test("the stream's beginning is known when the history has brought it", async (t) => {
  const pages = [{ comments: comments(3, 4), oldest_cursor: "p" }, { comments: comments(1, 2) }];
  const { live, bring } = await connection(t, { more: () => json(pages.shift()) });
  await bring("snapshot", snapshot(comments(5, 5)), "e-5");
  await live.loadOlder();
  assert.equal(live.isAtBeginning, false);
  const told = [];
  live.on("change", () => told.push(live.isAtBeginning));
  await live.loadOlder();
  await settle();
  assert.deepEqual(told, [true]);
});

test("what one deletes is gone at once, pinned or not, and does not come back", async (t) => {
  const { live, bring, requests } = await connection(t, { more: () => new Response(null, { status: 204 }) });
  await bring("snapshot", snapshot(comments(1, 3)), "e-3");
  await bring("pinned_comment", { comment: comment(2) }, "e-4");
  await live.deleteComment("c00002");
  assert.deepEqual(ids(live), ["c00001", "c00003"]);
  assert.equal(live.stream.pinned, undefined);
  await bring("delete_comment", { comment_id: "c00002" }, "e-5");
  await bring("new_comment", comments(2, 4), "e-6");
  assert.deepEqual(ids(live), ["c00001", "c00003", "c00004"]);
  assert.deepEqual(requests.at(-1).path, "/v1/streams/s/comments/c00002");
});

test("what could not be deleted stays", async (t) => {
  const { live, bring } = await connection(t, { more: () => refusal(403, "FORBIDDEN") });
  await bring("snapshot", snapshot(comments(1, 2)), "e-2");
  await assert.rejects(live.deleteComment("c00001"), (error) => error.reason === "FORBIDDEN");
  assert.deepEqual(ids(live), ["c00001", "c00002"]);
});

test("each change of the stream is told, also one's own, and nothing else is", async (t) => {
  const { live, bring } = await connection(t, { more: () => json({ ...STREAM, viewers: 0, slow_mode_s: 30 }) });
  const told = [];
  live.on("stream", ({ stream }) => told.push([stream.viewers, stream.slow_mode_s, stream.pinned?.comment_id]));
  await bring("snapshot", snapshot([], { viewers: 7 }), "e-1");
  await bring("new_comment", comments(1, 2), "e-2");
  await bring("pinned_comment", { comment: comment(1) }, "e-3");
  await live.updateStream({ slow_mode_s: 30 });
  assert.deepEqual(told, [
    [7, undefined, undefined],
    [7, undefined, "c00001"],
    [7, 30, "c00001"],
  ]);
});
