import assert from "node:assert/strict";
import { test } from "node:test";

import { OlderPages } from "../../../../clients/js/src/older.js";
import { MOST, Timeline } from "../../../../clients/js/src/timeline.js";
import { comments } from "./comments.mjs";

/** A history of `count` comments, read backwards in pages; the cursor is the number of the oldest read. */
function history(count, pageSize = 10) {
  const reads = [];
  const read = async (cursor) => {
    reads.push(cursor);
    const last = cursor ? Number(cursor) - 1 : count;
    const first = Math.max(1, last - pageSize + 1);
    return { comments: comments(first, last), oldest_cursor: first > 1 ? String(first) : undefined };
  };
  return { read, reads };
}

const numbers = (timeline) => timeline.items.map((item) => Number(item.comment.comment_id.slice(1)));

test("pages lead back to the first comment, each one once", async () => {
  const timeline = new Timeline();
  timeline.reset(comments(21, 40));
  const older = new OlderPages(history(40).read);
  assert.equal(await older.load(timeline), 10);
  assert.equal(await older.load(timeline), 10);
  assert.equal(older.isExhausted(timeline), true);
  assert.deepEqual(numbers(timeline), Array.from({ length: 40 }, (_, index) => index + 1));
  assert.equal(await older.load(timeline), 0);
});

test("what is on the screen already is skipped in one go", async () => {
  const { read, reads } = history(40);
  const timeline = new Timeline();
  timeline.reset(comments(15, 40));
  assert.equal(await new OlderPages(read).load(timeline), 4);
  assert.deepEqual(reads, [undefined, "31", "21"]);
});

test("a cursor from before a drop is not used after it", async () => {
  const { read, reads } = history(MOST + 20);
  const timeline = new Timeline();
  timeline.reset(comments(MOST - 9, MOST + 10));
  const older = new OlderPages(read);
  timeline.follow(false);
  await older.load(timeline);
  timeline.follow(true);
  timeline.reset(comments(MOST + 12, MOST + 20));
  reads.length = 0;
  await older.load(timeline);
  assert.equal(reads[0], undefined);
  const shown = numbers(timeline);
  assert.deepEqual(shown, Array.from({ length: shown.length }, (_, index) => shown[0] + index), "no hole");
});

test("after a drop there is more to load again", async () => {
  const timeline = new Timeline();
  timeline.append(comments(1, 5));
  let { read } = history(5);
  const older = new OlderPages((cursor) => read(cursor));
  await older.load(timeline);
  assert.equal(older.isExhausted(timeline), true);
  timeline.append(comments(6, MOST + 20));
  assert.equal(older.isExhausted(timeline), false);
  ({ read } = history(MOST + 20, 100));
  assert.equal(await older.load(timeline), 20);
});

test("two loads at once are one", async () => {
  const { read, reads } = history(40);
  const timeline = new Timeline();
  timeline.reset(comments(31, 40));
  const older = new OlderPages(read);
  assert.deepEqual(await Promise.all([older.load(timeline), older.load(timeline)]), [10, 0]);
  assert.deepEqual(reads, [undefined, "31"]);
});

test("a load that fails changes nothing and can be repeated", async () => {
  const { read } = history(20);
  let fails = 1;
  const timeline = new Timeline();
  timeline.reset(comments(11, 20));
  const older = new OlderPages((cursor) => (fails-- > 0 ? Promise.reject(new Error("away")) : read(cursor)));
  await assert.rejects(older.load(timeline), /away/);
  assert.deepEqual(numbers(timeline).length, 10);
  assert.equal(await older.load(timeline), 10);
});
