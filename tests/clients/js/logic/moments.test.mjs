import assert from "node:assert/strict";
import { test } from "node:test";

import { Moments, shownAtMs } from "../../../../clients/js/src/moments.js";
import { comment, comments } from "./comments.mjs";

const numbers = (list) => list.map((each) => each.offset_ms / 1000);

test("a comment is shown at the moment that it was about", () => {
  assert.equal(shownAtMs(comment(10)), 10_000);
  assert.equal(shownAtMs(comment(10, { lag_ms: 4_000 })), 6_000);
  assert.equal(shownAtMs(comment(10, { lag_ms: 60_000 })), 0);
});

test("those of a page that lag stand before those that don't", () => {
  const moments = new Moments();
  moments.add([comment(5), comment(8, { lag_ms: 6_000 }), comment(9)]);
  assert.deepEqual(numbers(moments.upTo(1_999, 10)), []);
  assert.deepEqual(numbers(moments.upTo(5_000, 10)), [8, 5]);
});

test("only the latest are given, and each comment once", () => {
  const moments = new Moments();
  moments.add(comments(1, 5));
  moments.add(comments(4, 8));
  assert.equal(moments.size, 8);
  assert.deepEqual(numbers(moments.upTo(7_000, 3)), [5, 6, 7]);
});

test("what lies far behind is forgotten, and it says from where on all is known", () => {
  const moments = new Moments();
  moments.add(comments(1, 10));
  assert.equal(moments.forget(8_000, 20), null);
  const fromMs = moments.forget(8_000, 3);
  assert.deepEqual(numbers(moments.upTo(10_000, 99)), [6, 7, 8, 9, 10]);
  assert.ok(fromMs > 5_000 && fromMs <= 6_001);
  moments.add(comments(1, 10));
  assert.equal(moments.size, 10);
});
