import assert from "node:assert/strict";
import { test } from "node:test";

import { MOST, Timeline } from "../../../../clients/js/src/timeline.js";
import { comment, comments } from "./comments.mjs";

const ids = (timeline) => timeline.items.map((item) => item.comment.comment_id);
const idsOf = (first, last) => comments(first, last).map((each) => each.comment_id);

function sending(timeline, key, text = "mine") {
  timeline.sending(key, comment(0, { comment_id: "", author_id: "me", text }));
}

function accepted(timeline, key, number) {
  const { comment_id, posted_at, offset_ms } = comment(number);
  timeline.accepted(key, { comment_id, posted_at, offset_ms, cursor: "e-1" });
}

test("comments stand in the order in which the feed brings them", () => {
  const timeline = new Timeline();
  timeline.reset(comments(1, 3));
  timeline.append(comments(4, 5));
  assert.deepEqual(ids(timeline), idsOf(1, 5));
});

test("a comment that comes twice is shown once", () => {
  const timeline = new Timeline();
  timeline.reset(comments(1, 3));
  timeline.append(comments(2, 4));
  assert.deepEqual(ids(timeline), idsOf(1, 4));
});

test("one's own comment is shown at once, and once when the feed brings it after the answer", () => {
  const timeline = new Timeline();
  sending(timeline, "k1");
  assert.deepEqual(timeline.items.map((item) => item.state), ["sending"]);
  accepted(timeline, "k1", 7);
  assert.deepEqual(timeline.items.map((item) => item.state), ["posted"]);
  timeline.append([comment(7, { author_id: "me", text: "mine" })]);
  assert.deepEqual(ids(timeline), idsOf(7, 7));
  assert.equal(timeline.items[0].key, "k1", "its row stays the same");
});

test("the feed may be faster than the answer to the post", () => {
  const timeline = new Timeline();
  sending(timeline, "k1");
  timeline.append([comment(7, { author_id: "me", text: "mine" })]);
  assert.deepEqual(ids(timeline), idsOf(7, 7));
  accepted(timeline, "k1", 7);
  assert.deepEqual(ids(timeline), idsOf(7, 7));
});

test("someone else's comment with the same text is not taken for one's own", () => {
  const timeline = new Timeline();
  sending(timeline, "k1", "hello");
  timeline.append([comment(3, { text: "hello" })]);
  accepted(timeline, "k1", 4);
  assert.deepEqual(ids(timeline), idsOf(3, 4));
});

test("one's own comment takes the log's place among those that arrive later", () => {
  const timeline = new Timeline();
  sending(timeline, "k1");
  accepted(timeline, "k1", 5);
  timeline.append([comment(4)]);
  assert.deepEqual(ids(timeline), idsOf(4, 5));
  timeline.append([comment(5, { author_id: "me", text: "mine" }), comment(6)]);
  assert.deepEqual(ids(timeline), idsOf(4, 6));
});

test("one's own comment that a sampled feed leaves out keeps its place", () => {
  const timeline = new Timeline();
  sending(timeline, "k1");
  accepted(timeline, "k1", 5);
  timeline.append([comment(4), comment(6)]);
  assert.deepEqual(ids(timeline), idsOf(4, 6));
});

test("a refused comment goes away", () => {
  const timeline = new Timeline();
  sending(timeline, "k1");
  timeline.discard("k1");
  assert.deepEqual(ids(timeline), []);
});

test("a deleted comment vanishes and does not come back with an older page", () => {
  const timeline = new Timeline();
  timeline.reset(comments(2, 4));
  timeline.remove("c00003");
  assert.deepEqual(ids(timeline), ["c00002", "c00004"]);
  timeline.remove("c00001");
  assert.equal(timeline.prepend(comments(0, 3)), 1);
  assert.deepEqual(ids(timeline), ["c00000", "c00002", "c00004"]);
});

test("a history that is ahead of the screen brings nothing to its top", () => {
  const timeline = new Timeline();
  timeline.reset(comments(10, 12));
  assert.equal(timeline.prepend(comments(13, 20)), 0);
  assert.equal(timeline.prepend(comments(8, 20)), 2);
  timeline.remove("c00008");
  assert.equal(timeline.prepend(comments(6, 7)), 2);
  assert.deepEqual(ids(timeline), ["c00006", "c00007", ...idsOf(9, 12)]);
});

test("who follows keeps the newest, and the drop is counted", () => {
  const timeline = new Timeline();
  timeline.append(comments(1, MOST));
  assert.equal(timeline.drops, 0);
  timeline.append(comments(MOST + 1, MOST + 10));
  assert.deepEqual(ids(timeline), idsOf(11, MOST + 10));
  assert.equal(timeline.drops, 1);
});

test("who reads further up sees nothing move; what came is there when they come back", () => {
  const timeline = new Timeline();
  timeline.reset(comments(1, 10));
  timeline.follow(false);
  timeline.append(comments(11, 13));
  assert.deepEqual(ids(timeline), idsOf(1, 10));
  assert.equal(timeline.waiting, 3);
  timeline.follow(true);
  assert.deepEqual(ids(timeline), idsOf(1, 13));
  assert.equal(timeline.waiting, 0);
});

test("a held comment that is deleted is never shown", () => {
  const timeline = new Timeline();
  timeline.reset(comments(1, 2));
  timeline.follow(false);
  timeline.append(comments(3, 4));
  timeline.remove("c00003");
  assert.equal(timeline.waiting, 1);
  timeline.follow(true);
  assert.deepEqual(ids(timeline), ["c00001", "c00002", "c00004"]);
});

test("what is held is bounded, and nothing is shown across the hole", () => {
  const timeline = new Timeline();
  timeline.reset(comments(1, 10));
  timeline.follow(false);
  timeline.append(comments(11, 10 + MOST + 5));
  assert.equal(timeline.waiting, MOST);
  timeline.follow(true);
  assert.deepEqual(ids(timeline), idsOf(16, 10 + MOST + 5));
});

test("one's own comment stays on the screen when the feed brings it while one reads further up", () => {
  const timeline = new Timeline();
  timeline.reset(comments(1, 2));
  sending(timeline, "k1");
  accepted(timeline, "k1", 4);
  timeline.follow(false);
  timeline.append([comment(3), comment(4, { author_id: "me", text: "mine" }), comment(5)]);
  assert.deepEqual(ids(timeline), ["c00001", "c00002", "c00004"]);
  assert.equal(timeline.waiting, 2);
  timeline.follow(true);
  assert.deepEqual(ids(timeline), idsOf(1, 5));
});

test("a new snapshot that touches what is there continues it and drops what was deleted meanwhile", () => {
  const timeline = new Timeline();
  timeline.reset(comments(1, 10));
  timeline.reset([...comments(8, 8), ...comments(10, 12)]);
  assert.deepEqual(ids(timeline), [...idsOf(1, 8), ...idsOf(10, 12)]);
  assert.equal(timeline.drops, 0);
});

test("a new snapshot that touches nothing replaces everything", () => {
  const timeline = new Timeline();
  timeline.reset(comments(1, 10));
  timeline.reset(comments(20, 22));
  assert.deepEqual(ids(timeline), idsOf(20, 22));
  assert.equal(timeline.drops, 1);
});

test("a new snapshot moves nothing for who reads further up", () => {
  const timeline = new Timeline();
  timeline.reset(comments(1, 10));
  timeline.follow(false);
  timeline.append(comments(11, 12));
  timeline.reset(comments(9, 15));
  assert.deepEqual(ids(timeline), idsOf(1, 10));
  assert.equal(timeline.waiting, 5);
  timeline.reset(comments(30, 31));
  assert.deepEqual(ids(timeline), idsOf(1, 10));
  timeline.follow(true);
  assert.deepEqual(ids(timeline), idsOf(30, 31));
});

test("a new snapshot takes over one's own comments, and drops those that are gone", () => {
  const timeline = new Timeline();
  timeline.reset(comments(1, 2));
  for (const [key, number] of [["k3", 3], ["k4", 4], ["k9", 9]]) {
    sending(timeline, key, key);
    accepted(timeline, key, number);
  }
  sending(timeline, "open", "open");
  timeline.reset([...comments(1, 3), comment(5)]);
  assert.deepEqual(ids(timeline), [...idsOf(1, 3), "c00005", "c00009", ""]);
});

test("an unchanged comment keeps its item, so that its row is not drawn again", () => {
  const timeline = new Timeline();
  timeline.reset(comments(1, 3));
  const before = timeline.items;
  timeline.reset(comments(1, 4));
  assert.ok(before.every((item, index) => item === timeline.items[index]));
});

test("a failed comment stays where it is, and is sent again under its key", () => {
  const timeline = new Timeline();
  timeline.append(comments(1, 2));
  sending(timeline, "k1");
  timeline.failed("k1", new Error("away"));
  assert.deepEqual(timeline.items.map(({ state }) => state), ["posted", "posted", "failed"]);
  assert.equal(timeline.items[2].problem.message, "away");
  sending(timeline, "k1");
  assert.deepEqual(timeline.items.map(({ state }) => state), ["posted", "posted", "sending"]);
});

test("a comment that was taken after all, though no answer came, is shown once", () => {
  const timeline = new Timeline();
  sending(timeline, "k1");
  timeline.failed("k1", new Error("away"));
  timeline.append([comment(7, { author_id: "me", text: "mine" })]);
  assert.deepEqual(ids(timeline), idsOf(7, 7));
  assert.equal(timeline.items[0].state, "posted");
});

test("as many are kept as one wants", () => {
  const timeline = new Timeline({ most: 10 });
  timeline.append(comments(1, 25));
  assert.deepEqual(ids(timeline), idsOf(16, 25));
});
