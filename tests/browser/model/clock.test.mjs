import assert from "node:assert/strict";
import { test } from "node:test";

import { Clock } from "../../../edge/static/model/clock.js";

function clockOf(durationMs) {
  let now = 1_000;
  const clock = new Clock(() => now);
  clock.durationMs = durationMs;
  return { clock, pass: (ms) => (now += ms) };
}

test("it stands at the beginning until it is played", () => {
  const { clock, pass } = clockOf(60_000);
  pass(5_000);
  assert.equal(clock.positionMs, 0);
  clock.play();
  pass(5_000);
  assert.equal(clock.positionMs, 5_000);
  clock.pause();
  pass(5_000);
  assert.equal(clock.positionMs, 5_000);
});

test("a change of speed changes nothing of what was played", () => {
  const { clock, pass } = clockOf(600_000);
  clock.play();
  pass(10_000);
  clock.speed = 16;
  pass(1_000);
  clock.speed = 0.5;
  pass(2_000);
  assert.equal(clock.positionMs, 27_000);
});

test("seeking stays within the recording and goes on from there", () => {
  const { clock, pass } = clockOf(60_000);
  clock.play();
  clock.seek(30_000);
  pass(1_000);
  assert.equal(clock.positionMs, 31_000);
  clock.seek(-5);
  assert.equal(clock.positionMs, 0);
  clock.seek(99_000);
  assert.equal(clock.positionMs, 60_000);
});

test("while it is held it stands still, without being paused", () => {
  const { clock, pass } = clockOf(60_000);
  clock.play();
  pass(1_000);
  clock.hold(true);
  pass(10_000);
  assert.equal(clock.positionMs, 1_000);
  assert.equal(clock.playing, true);
  clock.hold(false);
  pass(1_000);
  assert.equal(clock.positionMs, 2_000);
});

test("it stops at the end, and plays from the beginning after that", () => {
  const { clock, pass } = clockOf(3_000);
  clock.play();
  pass(10_000);
  assert.equal(clock.positionMs, 3_000);
  assert.equal(clock.atEnd, true);
  clock.pause();
  clock.play();
  pass(500);
  assert.equal(clock.positionMs, 500);
});

test("at the edge of a live stream it goes on from there as the stream grows, and does not jump", () => {
  const { clock, pass } = clockOf(1_000);
  clock.play();
  pass(60_000);
  assert.equal(clock.positionMs, 1_000);
  clock.durationMs = 2_000;
  assert.equal(clock.positionMs, 1_000);
  pass(500);
  assert.equal(clock.positionMs, 1_500);
});

test("speeds go up and down by steps, within their bounds", () => {
  const { clock } = clockOf(1_000);
  clock.nextSpeed(1);
  assert.equal(clock.speed, 1.25);
  for (let step = 0; step < 20; step += 1) clock.nextSpeed(1);
  assert.equal(clock.speed, 16);
  for (let step = 0; step < 20; step += 1) clock.nextSpeed(-1);
  assert.equal(clock.speed, 0.5);
});

test("the client can take it for a player that tells of its jumps", () => {
  const { clock, pass } = clockOf(60_000);
  let jumps = 0;
  clock.addEventListener("seeked", () => (jumps += 1));
  clock.speed = 2;
  clock.play();
  pass(5_000);
  assert.deepEqual([clock.currentTime, clock.paused, clock.playbackRate, jumps], [10, false, 2, 0]);
  clock.seek(59_000);
  pass(5_000);
  clock.pause();
  clock.play();
  assert.deepEqual([clock.currentTime, clock.paused, jumps], [0, false, 2], "also to the beginning, from the end");
});
