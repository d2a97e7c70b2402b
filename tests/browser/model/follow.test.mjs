import assert from "node:assert/strict";
import { test } from "node:test";

import { Follow } from "../../../edge/static/model/follow.js";

const box = (top, height = 2000, client = 500) => ({ top, height, client });

test("it follows until one scrolls up, however little", () => {
  const follow = new Follow();
  follow.movedToEnd(1500);
  assert.equal(follow.following, true);
  follow.scrolled(box(1496));
  assert.equal(follow.following, false);
});

test("content that grows is no move of the reader", () => {
  const follow = new Follow();
  follow.movedToEnd(1500);
  follow.scrolled(box(1500, 2600));
  assert.equal(follow.following, true);
});

test("coming down near the end is enough", () => {
  const follow = new Follow();
  follow.movedToEnd(1500);
  follow.scrolled(box(1000));
  follow.scrolled(box(1300));
  assert.equal(follow.following, false);
  follow.scrolled(box(1470));
  assert.equal(follow.following, true);
});

test("a list that became shorter is still followed", () => {
  const follow = new Follow();
  follow.movedToEnd(1500);
  follow.scrolled(box(1400, 1900));
  assert.equal(follow.following, true);
});

test("it stands still while something is in use, and goes on after the last of several", () => {
  const follow = new Follow();
  follow.movedToEnd(1500);
  follow.pause();
  follow.pause();
  follow.resume();
  assert.equal(follow.following, false);
  follow.resume();
  assert.equal(follow.following, true);
});
