import assert from "node:assert/strict";
import { test } from "node:test";

import { videoAddress, withVideo } from "../../../edge/static/video/address.js";
import { behindLiveMs, placeInLoop } from "../../../edge/static/video/live.js";

const PAGE = "https://comments.example/replay/final";
const named = (video) => videoAddress(`${PAGE}?${new URLSearchParams({ video })}`);

test("an address over HTTP is taken as it is, one without a host from the page's", () => {
  assert.equal(named("https://cdn.example/a.mp4?x=1&y=2"), "https://cdn.example/a.mp4?x=1&y=2");
  assert.equal(named("http://cdn.example/a.webm"), "http://cdn.example/a.webm");
  assert.equal(named("/static/clip/clock.webm"), "https://comments.example/static/clip/clock.webm");
  assert.equal(named("//cdn.example/a.mp4"), "https://cdn.example/a.mp4");
});

test("nothing else is", () => {
  for (const address of ["javascript:alert(1)", " JavaScript:alert(1)", "data:text/html,x", "blob:https://x/y", "file:///x", "https://"]) {
    assert.equal(named(address), null, address);
  }
  assert.equal(videoAddress(PAGE), null);
  assert.equal(videoAddress(`${PAGE}?video=`), null);
});

test("a link to another page takes the video along, and nothing more", () => {
  assert.equal(withVideo("/watch/final", `${PAGE}?video=/a.webm&x=1#token=t`), "/watch/final?video=%2Fa.webm");
  assert.equal(withVideo("/watch/final", PAGE), "/watch/final");
});

test("a video beside a live stream began with it, and goes round", () => {
  assert.equal(placeInLoop(5_500, 120), 5.5);
  assert.equal(placeInLoop(125_000, 120), 5);
  assert.equal(placeInLoop(-300, 120), 0);
});

test("a video that goes round is behind by what it was stopped for", () => {
  const started = "2026-01-01T12:00:00.000Z";
  const behind = (elapsedS, currentTime) =>
    behindLiveMs({ duration: 90, currentTime }, started, Date.parse(started) + elapsedS * 1000);
  assert.equal(behind(50, 49.5), 500);
  assert.equal(behind(95, 85), 10_000, "across the end");
  assert.equal(behind(50, 50.1), 0, "a little ahead");
  assert.equal(behindLiveMs({ duration: 200, currentTime: 10 }, started, Date.parse(started) + 80_000), 70_000);
});

test("one that is live itself knows where live is", () => {
  const seekable = { length: 1, end: () => 100 };
  assert.equal(behindLiveMs({ duration: Infinity, currentTime: 97, seekable }, "2026-01-01T12:00:00.000Z", 0), 3_000);
});
