import assert from "node:assert/strict";
import { test } from "node:test";

import { hueOf, initialOf } from "../../../edge/static/model/avatar.js";
import { summaryOf } from "../../../edge/static/model/summary.js";
import { lengthOf, measure, shown, tidy } from "../../../edge/static/model/text.js";
import { formatAgo, formatCount, formatOffset, plural, speakOffset } from "../../../edge/static/model/time.js";
import { comments } from "../../clients/js/logic/comments.mjs";

test("length is counted in code points, as the server counts", () => {
  assert.equal(lengthOf("héllo"), 5);
  assert.equal(lengthOf("🦊🦊"), 2);
  assert.equal(lengthOf("e\u0301"), 1);
});

test("the counter appears near the limit and says when it is passed", () => {
  assert.deepEqual(measure("x".repeat(399)), { left: 101, near: false, over: false, empty: false });
  assert.deepEqual(measure("x".repeat(400)), { left: 100, near: true, over: false, empty: false });
  assert.equal(measure("🦊".repeat(500)).over, false);
  assert.equal(measure("🦊".repeat(501)).over, true);
  assert.equal(measure(" \n ").empty, true);
});

test("white space around a text and Windows line ends are not sent", () => {
  assert.equal(tidy("  a\r\nb \n"), "a\nb");
});

test("line breaks can't push everyone else off the screen", () => {
  assert.equal(shown("a\nb"), "a\nb");
  assert.equal(shown("a\n\n\n\n\nb"), "a\n\nb");
  assert.ok(shown(Array(250).fill("a").join("\n")).split("\n").length <= 7);
});

test("offsets read like a player's", () => {
  assert.equal(formatOffset(0), "0:00");
  assert.equal(formatOffset(65_999), "1:05");
  assert.equal(formatOffset(3_723_000), "1:02:03");
  assert.equal(speakOffset(3_723_000), "1 hour 2 minutes 3 seconds");
  assert.equal(speakOffset(0), "0 seconds");
});

test("counts and times are short", () => {
  assert.equal(plural(1, "comment"), "1 comment");
  assert.equal(plural(1234, "comment"), "1,234 comments");
  assert.equal(formatCount(9_876), "9,876");
  assert.equal(formatCount(12_345), "12.3K");
  assert.equal(formatCount(10_000_000), "10M");
  const now = Date.parse("2026-01-02T12:00:00.000Z");
  assert.equal(formatAgo("2026-01-02T11:59:30.000Z", now), "just now");
  assert.equal(formatAgo("2026-01-02T11:55:00.000Z", now), "5 minutes ago");
  assert.equal(formatAgo("2026-01-01T12:00:00.000Z", now), "yesterday");
});

test("an author has one colour everywhere, and an initial as people see it", () => {
  assert.equal(hueOf("ada"), hueOf("ada"));
  const sectors = new Set(Array.from({ length: 24 }, (_, number) => Math.floor(hueOf(`user${number}`) / 30)));
  assert.ok(sectors.size >= 8, `24 neighbours have hues in ${sectors.size} of 12 sectors`);
  assert.equal(initialOf("ada"), "A");
  assert.equal(initialOf("a"), "A");
  assert.equal(initialOf("e\u0301mile"), "E\u0301");
  assert.equal(initialOf("éa"), "É");
  assert.equal(initialOf("👩‍🚀 Sally"), "👩‍🚀");
  assert.equal(initialOf(" "), "?");
});

test("a screen reader hears few comments, and a summary of many", () => {
  assert.equal(summaryOf([]), "");
  assert.equal(summaryOf(comments(1, 2)), "Ada: comment 1. Ada: comment 2");
  assert.equal(summaryOf(comments(1, 160)), "160 new comments, the latest from Ada");
});
