import assert from "node:assert/strict";
import { test } from "node:test";

import { Heights } from "../../../edge/static/list/heights.js";

const row = (number) => ({ key: `k${number}` });
const rows = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => row(first + index));

function made(first, last, heights = []) {
  const all = new Heights();
  all.rows = rows(first, last);
  all.measured(0, heights);
  return all;
}

test("an empty list has no height, and its only place is the first", () => {
  const heights = new Heights();
  heights.rows = [];
  assert.equal(heights.total, 0);
  assert.equal(heights.indexAt(500), 0);
  assert.equal(heights.measured(0, []), false);
});

test("a row begins where those before it end", () => {
  const heights = made(1, 3, [20, 30.5, 40]);
  assert.deepEqual([0, 1, 2, 3].map((index) => heights.offsetOf(index)), [0, 20, 50.5, 90.5]);
  assert.equal(heights.total, 90.5);
});

test("a place belongs to the row that covers it; outside, to the nearest", () => {
  const heights = made(1, 3, [20, 30, 40]);
  assert.deepEqual([-5, 0, 19.9, 20, 49, 50, 89, 90, 1e6].map((place) => heights.indexAt(place)), [0, 0, 0, 1, 1, 2, 2, 2, 2]);
});

test("what was not measured is thought to be as high as the first ones that were", () => {
  const heights = made(1, 100, [20, 40]);
  assert.equal(heights.offsetOf(2), 60);
  assert.equal(heights.total, 60 + 98 * 30);
  heights.measured(2, [1_000]);
  assert.equal(heights.total, 1_060 + 97 * 30, "later ones don't move the others");
});

test("it says whether anything was not as it had been thought", () => {
  const heights = made(1, 3, [20, 30, 40]);
  assert.equal(heights.measured(1, [30, 40]), false);
  assert.equal(heights.measured(1, [30, 41]), true);
  assert.equal(heights.total, 91);
});

test("measured heights go with their rows when others come and go", () => {
  const heights = made(1, 3, [20, 30, 40]);
  heights.rows = [0, 2, 3, 4].map(row);
  assert.deepEqual([1, 2, 3].map((index) => heights.offsetOf(index)), [30, 60, 100]);
  assert.equal(heights.indexOf("k3"), 2);
  assert.equal(heights.indexOf("k1"), undefined);
  assert.equal(heights.keyAt(3), "k4");
});

test("rows that are long gone are forgotten", () => {
  const heights = made(1, 3, [20, 30, 40]);
  for (let first = 4; first < 400; first += 3) {
    heights.rows = rows(first, first + 2);
    heights.measured(0, [50, 50, 50]);
  }
  heights.rows = rows(1, 3);
  assert.equal(heights.total, 90, "the estimate");
});

test("whatever rows come and go, each begins where those before it end", () => {
  const heights = made(1, 40, Array.from({ length: 40 }, (_, index) => 20 + index));
  const lists = [rows(11, 50), rows(11, 50), rows(31, 45), rows(1, 60), rows(2, 60).filter((_, index) => index % 3), [], rows(5, 9)];
  for (const list of lists) {
    heights.rows = list;
    const ends = list.map(({ key }) => (Number(key.slice(1)) <= 40 ? 19 + Number(key.slice(1)) : 39.5));
    const expected = ends.reduce((offsets, height) => [...offsets, offsets.at(-1) + height], [0]);
    assert.deepEqual(expected.map((_, index) => heights.offsetOf(index)), expected);
  }
});
