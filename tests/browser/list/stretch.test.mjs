import assert from "node:assert/strict";
import { test } from "node:test";

import { Stretch } from "../../../edge/static/list/stretch.js";

const SCREENFUL = 500;
const heightOf = (key) => 25 + ((Math.abs(Number(key.slice(1))) * 7919) % 13) * 10;
const keys = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => `k${first + index}`);

/** A reader before a list: draws what the stretch says, as a browser would. */
class Reader {
  stretch = new Stretch();
  keys = [];
  following = true;
  top = 0;
  drawn = [];
  most = 0;
  heightOf = heightOf;

  inSight() {
    return this.following ? [] : this.stretch.inSight(this.top, this.top + SCREENFUL);
  }

  replace(keys) {
    const seen = this.inSight();
    this.keys = keys;
    this.stretch.replace(keys.map((key) => ({ key })), seen);
    this.show(seen);
  }

  show(seen = this.inSight()) {
    const top = this.following ? null : this.top;
    this.top = this.stretch.show({ top, screenful: SCREENFUL, seen }, (first, end) => {
      this.drawn = this.keys.slice(first, end);
      return this.drawn.map((key) => this.heightOf(key));
    });
    this.most = Math.max(this.most, this.drawn.length);
  }

  scroll(by) {
    this.following = false;
    const lowest = this.stretch.height - SCREENFUL;
    this.top = Math.max(0, Math.min(lowest, this.top + by));
    if (!this.stretch.covers(this.top, SCREENFUL)) this.show();
  }

  rest() {
    this.top += this.stretch.settle();
  }

  /** What stands on the screen: key and px below its upper edge, as the document has it. */
  get screen() {
    const rows = [];
    let top = this.stretch.lead - this.top;
    for (const key of this.drawn) {
      const height = this.heightOf(key);
      if (top + height > 0 && top < SCREENFUL) rows.push([key, top]);
      top += height;
    }
    return rows;
  }

  get isFull() {
    const [first] = this.screen;
    const [last, top] = this.screen.at(-1);
    return first[1] <= 0 && top + this.heightOf(last) >= SCREENFUL;
  }
}

function reader(count) {
  const made = new Reader();
  made.replace(keys(1, count));
  return made;
}

function assertNear(actual, expected, message) {
  assert.ok(Math.abs(actual - expected) < 1e-6, `${message}: ${actual}, not ${expected}`);
}

test("it shows the end, with some screenfuls of rows drawn, however many there are", () => {
  const made = reader(10_000);
  const [last, top] = made.screen.at(-1);
  assert.equal(last, "k10000");
  assertNear(top + heightOf(last), SCREENFUL, "the last row ends where the screen does");
  assert.ok(made.isFull);
  assert.ok(made.drawn.length < 60, `${made.drawn.length} rows are drawn`);
  assert.equal(made.stretch.trail, 0);
});

test("few rows are all drawn, from the top", () => {
  const made = reader(3);
  assert.deepEqual(made.drawn, keys(1, 3));
  assert.equal(made.stretch.lead, 0);
  assert.equal(made.top, 0);
});

test("an empty list draws nothing", () => {
  const made = reader(0);
  assert.deepEqual(made.drawn, []);
  assert.equal(made.stretch.height, 0);
});

test("scrolling up, no row jumps, the screen is always full, and each row is met", () => {
  const made = reader(2_000);
  const met = new Set(made.screen.map(([key]) => key));
  while (made.top > 0) {
    const before = new Map(made.screen);
    const from = made.top;
    made.scroll(-120);
    // Where it settled, the scroller went along: on the screen it is the same.
    const both = made.screen.filter(([key]) => before.has(key));
    assert.ok(both.length > 0);
    const [[one, top]] = both;
    const moved = top - before.get(one);
    assert.ok(moved <= 120 + 1e-6 && moved > 0, `${one} moved by ${moved} px`);
    if (from > 120 && made.stretch.lead > 0) assertNear(moved, 120, one);
    assert.ok(made.isFull);
    for (const [key] of made.screen) met.add(key);
    if (met.size % 7 === 0) made.rest();
  }
  assert.equal(met.size, 2_000);
  assert.ok(made.most < 80);
  assert.equal(made.screen[0][0], "k1");
  assertNear(made.screen[0][1], 0, "the first row begins where the screen does");
});

test("who scrolls gets a few new rows at a time", () => {
  const made = new Reader();
  made.heightOf = () => 25;
  made.replace(keys(1, 2_000));
  let most = 0;
  while (made.top > 1_000) {
    const before = new Set(made.drawn);
    made.scroll(-20);
    most = Math.max(most, made.drawn.filter((key) => !before.has(key)).length);
  }
  assert.ok(most > 0 && most <= 5, `${most} at once`);
});

test("a leap to any place shows it", () => {
  const made = reader(10_000);
  for (const share of [0.5, 0.1, 0.9, 0, 0.99, 0.3]) {
    made.scroll(share * made.stretch.height - made.top);
    assert.ok(made.isFull, `at ${share}`);
    made.rest();
    assert.ok(made.isFull, `at ${share}, settled`);
  }
});

test("to settle moves nothing on the screen", () => {
  const made = reader(500);
  made.scroll(-3_000);
  made.scroll(-3_000);
  const before = made.screen;
  made.rest();
  assert.deepEqual(made.screen.map(([key]) => key), before.map(([key]) => key));
  assertNear(made.screen[0][1], before[0][1], "the first row in sight");
  assert.equal(made.stretch.settle(), 0);
});

for (const [what, others] of [
  ["come above", () => keys(-99, 500)],
  ["come below", () => keys(1, 600)],
  ["go above", () => keys(200, 500)],
  ["go above and come below", () => keys(200, 900)],
]) {
  test(`a reader further up keeps their place when rows ${what}`, () => {
    const made = reader(500);
    made.scroll(-4_000);
    const before = made.screen;
    made.replace(others());
    assert.deepEqual(made.screen.map(([key]) => key), before.map(([key]) => key));
    assertNear(made.screen[0][1], before[0][1], "the first row in sight");
  });
}

test("older rows that come while one looks at the first ones push nothing away", () => {
  const made = reader(100);
  made.scroll(-1e6);
  const before = made.screen;
  assert.equal(made.top, 0);
  made.replace(keys(-99, 100));
  assert.deepEqual(made.screen, before);
  assert.ok(made.top > 1_000, "there is something to scroll up to");
});

test("when the first row in sight is deleted the next one stays", () => {
  const made = reader(500);
  made.scroll(-4_000);
  const [[gone], [stays, top]] = made.screen;
  made.replace(made.keys.filter((key) => key !== gone));
  assertNear(new Map(made.screen).get(stays), top, stays);
});

test("when rows take another height, as in another width, the first one in sight stays", () => {
  const made = reader(500);
  made.scroll(-4_000);
  const [first] = made.screen;
  made.heightOf = (key) => heightOf(key) * 2;
  made.show();
  assert.equal(made.screen[0][0], first[0]);
  assertNear(made.screen[0][1], first[1], first[0]);
  assert.ok(made.isFull);
});

test("who follows sees the newest at every moment", () => {
  const made = reader(10_000);
  for (let last = 10_010; last <= 10_500; last += 10) {
    made.replace(keys(last - 9_999, last));
    const [key, top] = made.screen.at(-1);
    assert.equal(key, `k${last}`);
    assertNear(top + heightOf(key), SCREENFUL, key);
  }
});
