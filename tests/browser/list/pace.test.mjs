import assert from "node:assert/strict";
import { test } from "node:test";

import { FRAME_MS, FRAMES_MOST, Pace, ROWS_A_FRAME, ROWS_MOST } from "../../../edge/static/list/pace.js";

const rows = (first, last) =>
  Array.from({ length: last - first + 1 }, (_, at) => ({ key: `c${first + at}`, comment: { comment_id: `c${first + at}` } }));
const own = (name, id = "") => ({ key: name, comment: { comment_id: id } });
const keys = (items) => items.map(({ key }) => key);

/** A page that shows what it is given, frame by frame. */
class Screen {
  pace = new Pace();
  nowMs = 1000;
  items = [];
  shown = [];
  following = true;

  frame(items = this.items, ms = FRAME_MS) {
    this.nowMs += ms;
    this.items = items;
    const before = this.shown.length;
    this.shown = this.pace.take(items, this);
    return this.shown.length - before;
  }
}

/** One that shows these already. */
function screenOf(items) {
  const screen = new Screen();
  screen.frame(items);
  assert.equal(screen.shown, items);
  return screen;
}

test("what is there first comes at once, however much it is", () => {
  const screen = new Screen();
  screen.frame([]);
  assert.equal(screen.frame(rows(1, 40)), 40);
  assert.equal(screen.pace.isBehind, false);
});

test("a window's comments come in several frames, in order, and all of them before the next window's", () => {
  const screen = screenOf(rows(1, 100));
  const items = rows(1, 110);
  const drawn = [];
  for (let frame = 0; frame < 6; frame += 1) {
    drawn.push(screen.frame(items));
    assert.deepEqual(keys(screen.shown), keys(items.slice(0, screen.shown.length)));
  }
  assert.ok(Math.max(...drawn) <= ROWS_A_FRAME, `${drawn}`);
  assert.equal(screen.shown, items);
  assert.equal(screen.pace.isBehind, false);
});

test("a few comments are not worth a frame each", () => {
  const screen = screenOf(rows(1, 10));
  assert.equal(screen.frame(rows(1, 10 + ROWS_A_FRAME)), ROWS_A_FRAME);
});

test("each is shown within its time, at any rate, on any screen, however it comes", () => {
  for (const frameMs of [4, 8, 16.7, 33, 90]) {
    for (const rate of [1, 3, 10, 30, ROWS_MOST]) {
      for (const everyMs of [10, 100]) {
        const screen = screenOf(rows(1, 5));
        const sinceMs = new Map();
        let count = 5;
        let dueMs = screen.nowMs;
        while (screen.nowMs < 3000) {
          if (screen.nowMs >= dueMs) {
            dueMs += everyMs;
            for (const { key } of rows(count + 1, count + rate)) sinceMs.set(key, screen.nowMs + frameMs);
            count += rate;
          }
          screen.frame(rows(1, count), frameMs);
          const [waiting] = rows(1, count).slice(screen.shown.length);
          const waitedMs = waiting ? screen.nowMs - sinceMs.get(waiting.key) : 0;
          assert.ok(waitedMs < FRAMES_MOST * FRAME_MS, `${waiting?.key} waits ${waitedMs} ms at ${rate} each ${everyMs} ms`);
        }
      }
    }
  }
});

test("a burst is spread over as many frames as there may be", () => {
  const screen = screenOf(rows(1, 5));
  const drawn = [];
  do drawn.push(screen.frame(rows(1, 5 + ROWS_MOST)));
  while (screen.pace.isBehind);
  assert.ok(drawn.length <= FRAMES_MOST, `${drawn}`);
  assert.ok(Math.max(...drawn) <= Math.ceil(ROWS_MOST / FRAMES_MOST), `${drawn}`);
});

test("more than a screenful comes at once, and so does what comes upon it", () => {
  const screen = screenOf(rows(1, 5));
  assert.equal(screen.frame(rows(1, 6 + ROWS_MOST)), 1 + ROWS_MOST);
  screen.frame(rows(1, 26 + ROWS_MOST));
  assert.equal(screen.pace.isBehind, true);
  screen.frame(rows(1, 500));
  assert.equal(screen.shown.length, 500);
  assert.equal(screen.pace.isBehind, false);
});

test("after frames that did not come, as in a hidden tab, nothing is left waiting", () => {
  const screen = screenOf(rows(1, 5));
  screen.frame(rows(1, 25));
  assert.equal(screen.pace.isBehind, true);
  screen.frame(screen.items, 10_000);
  assert.equal(screen.shown.length, 25);
});

test("what waits is there at once for a reader who goes elsewhere, and what came meanwhile when they are back", () => {
  const screen = screenOf(rows(1, 5));
  screen.frame(rows(1, 25));
  screen.following = false;
  screen.frame();
  assert.equal(screen.shown.length, 25);
  screen.following = true;
  screen.frame(rows(1, 60));
  assert.equal(screen.shown.length, 60);
  screen.frame(rows(1, 80));
  assert.ok(screen.shown.length < 80);
});

test("one's own comment never waits, and is not taken away again when the feed brings it", () => {
  const screen = screenOf(rows(1, 5));
  screen.frame([...rows(1, 15), own("mine")]);
  assert.ok(screen.pace.isBehind);
  assert.equal(screen.shown.at(-1).key, "mine");
  const brought = [...rows(1, 15), own("mine", "c16"), ...rows(17, 30)];
  screen.frame(brought);
  assert.ok(screen.pace.isBehind);
  assert.ok(keys(screen.shown).includes("mine"));
  assert.deepEqual(screen.shown, brought.filter((row) => screen.shown.includes(row)), "in the order of all of them");
  while (screen.pace.isBehind) screen.frame();
  assert.equal(screen.shown, brought);
});

test("one that was not posted, and stays at the end, holds nobody up", () => {
  const screen = screenOf([...rows(1, 5), own("failed")]);
  screen.frame([...rows(1, 15), own("failed")]);
  assert.ok(screen.shown.length < 16);
  while (screen.pace.isBehind) screen.frame();
  assert.deepEqual(keys(screen.shown), [...keys(rows(1, 15)), "failed"]);
});

test("the oldest may be dropped, and older ones put on top, while some wait", () => {
  const screen = screenOf(rows(11, 100));
  screen.frame(rows(15, 110));
  assert.ok(screen.pace.isBehind);
  screen.frame(rows(1, 110));
  assert.equal(screen.shown[0].key, "c1");
  assert.ok(screen.pace.isBehind);
});

test("what is deleted is gone, whether it waited or was the last one shown", () => {
  const screen = screenOf(rows(1, 5));
  screen.frame(rows(1, 15));
  const last = screen.shown.at(-1);
  const waiting = rows(1, 15).filter(({ key }) => key !== "c14");
  screen.frame(waiting);
  assert.ok(screen.pace.isBehind);
  const left = waiting.filter(({ key }) => key !== last.key && key !== screen.shown.at(-1).key);
  screen.frame(left);
  assert.deepEqual(screen.shown, left, "nothing tells where one was: all of it, rather than too little");
  assert.equal(screen.pace.isBehind, false);
});

test("a feed that starts anew is shown at once", () => {
  const screen = screenOf(rows(1, 50));
  screen.frame(rows(1, 60));
  screen.frame(rows(900, 940));
  assert.deepEqual(screen.shown, screen.items);
  assert.equal(screen.pace.isBehind, false);
});
