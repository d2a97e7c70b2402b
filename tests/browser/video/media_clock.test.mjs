import assert from "node:assert/strict";
import { test } from "node:test";

import { MediaClock } from "../../../edge/static/video/media_clock.js";

/** As much of a video as the clock uses; it moves when the test says so. */
class Video extends EventTarget {
  HAVE_FUTURE_DATA = 3;
  readyState = 4;
  duration = 120;
  paused = true;
  ended = false;
  error = null;
  playbackRate = 1;
  #at = 0;

  get currentTime() {
    return this.#at;
  }

  set currentTime(s) {
    this.#at = s;
    this.ended = s >= this.duration;
    queueMicrotask(() => this.dispatchEvent(new Event("seeking")));
  }

  play() {
    this.paused = false;
    return Promise.resolve();
  }

  pause() {
    this.paused = true;
  }

  run(s) {
    if (this.paused) return;
    this.#at = Math.min(this.duration, this.#at + s * this.playbackRate);
    if (this.#at < this.duration) return;
    [this.ended, this.paused] = [true, true];
    this.dispatchEvent(new Event("ended"));
  }
}

function made(durationMs = 120_000) {
  const video = new Video();
  const time = { now: 0 };
  const clock = new MediaClock(video, () => time.now);
  clock.durationMs = durationMs;
  const run = (s) => {
    time.now += s * 1000;
    video.run(s);
  };
  return { video, clock, run };
}

test("where the video is, the recording is", () => {
  const { video, clock, run } = made();
  clock.play();
  run(7.5);
  assert.equal(clock.positionMs, 7_500);
  assert.equal(clock.playing, true);
  clock.pause();
  run(10);
  assert.equal(clock.positionMs, 7_500);
  assert.equal(video.paused, true);
});

test("a seek and a speed are the video's", () => {
  const { video, clock, run } = made();
  clock.seek(60_000);
  assert.equal(video.currentTime, 60);
  clock.speed = 2;
  clock.play();
  run(5);
  assert.equal(clock.positionMs, 70_000);
  clock.nextSpeed(-1);
  assert.equal(video.playbackRate, 1.5);
  clock.seek(-5);
  assert.equal(clock.positionMs, 0);
});

test("behind the video's end the recording goes on, and back from there the video does", () => {
  const { video, clock, run } = made(300_000);
  clock.seek(118_000);
  clock.play();
  run(3);
  assert.equal(clock.positionMs, 120_000);
  assert.equal(clock.playing, true);
  run(10);
  assert.equal(clock.positionMs, 130_000);
  clock.seek(250_000);
  run(1);
  assert.equal(clock.positionMs, 251_000);
  clock.seek(100_000);
  run(1);
  assert.equal(clock.positionMs, 101_000);
  assert.equal(video.paused, false);
});

test("a recording ends where both have ended, and begins anew when it is played from there", () => {
  const { clock, run } = made(110_000);
  assert.equal(clock.durationMs, 120_000, "the video goes on a little longer");
  clock.seek(119_000);
  clock.play();
  run(2);
  assert.equal(clock.atEnd, true);
  assert.equal(clock.playing, false);
  clock.play();
  assert.equal(clock.positionMs, 0);
  assert.equal(clock.playing, true);
});

test("without a video that could be played the recording goes by itself, from where it was", () => {
  const { video, clock, run } = made(300_000);
  clock.seek(50_000);
  clock.play();
  video.error = { code: 4 };
  video.dispatchEvent(new Event("error"));
  run(10);
  assert.equal(clock.positionMs, 60_000);
  clock.seek(5_000);
  run(1);
  assert.equal(clock.positionMs, 6_000);
});

test("it tells of each jump once, also when the video went elsewhere by other means", async () => {
  const { video, clock } = made(300_000);
  let said = 0;
  clock.addEventListener("seeked", () => (said += 1));
  clock.seek(60_000);
  assert.equal(said, 1);
  await Promise.resolve();
  assert.equal(said, 1, "not again when the video follows");
  video.currentTime = 30;
  await Promise.resolve();
  assert.equal(said, 2);
  assert.equal(clock.positionMs, 30_000);
  video.currentTime = 60;
  await Promise.resolve();
  assert.equal(said, 3, "also to where it was sent before");
  clock.seek(250_000);
  await Promise.resolve();
  assert.equal(said, 4, "also to where there is no video");
});

test("the client can take it for a player", () => {
  const { clock, run } = made(300_000);
  clock.speed = 2;
  clock.play();
  run(10);
  assert.deepEqual([clock.currentTime, clock.paused, clock.playbackRate], [20, false, 2]);
  clock.seek(250_000);
  clock.pause();
  assert.deepEqual([clock.currentTime, clock.paused, clock.playbackRate], [250, true, 2]);
});

test("it is stalled while the video waits for data", () => {
  const { video, clock } = made(300_000);
  assert.equal(clock.isStalled, false);
  video.readyState = 2;
  assert.equal(clock.isStalled, true);
  clock.seek(200_000);
  assert.equal(clock.isStalled, false, "there is nothing to wait for");
});
