import assert from "node:assert/strict";
import { test } from "node:test";

import { Moments } from "../../../../clients/js/src/moments.js";
import { nextWindow, WindowReader } from "../../../../clients/js/src/windows.js";
import { comments } from "./comments.mjs";

const settle = () => new Promise((resolve) => setImmediate(resolve));
const HOUR_MS = 3_600_000;

/** A reader over a recording with a comment each second; pages hold `pageSize`. */
function recording({ durationMs = HOUR_MS, pageSize = 25, live = false, complete = () => true } = {}) {
  const all = comments(0, durationMs / 1000);
  const reads = [];
  const troubles = [];
  const knownAtWaits = [];
  const moments = new Moments();
  let gate = null;
  let failures = 0;
  const reader = new WindowReader({
    read: async ({ startMs, endMs, token, signal }) => {
      reads.push({ startMs, endMs, token, signal });
      if (gate) await gate;
      signal.throwIfAborted();
      if (failures-- > 0) throw new Error("away");
      const within = all.filter(({ offset_ms: at }) => at >= startMs && at < endMs);
      const from = Number(token ?? 0);
      const next = from + pageSize < within.length ? String(from + pageSize) : undefined;
      return { comments: within.slice(from, from + pageSize), next_pagination_token: next, complete: complete() };
    },
    onComments: (page) => moments.add(page),
    onTrouble: (error) => troubles.push(error.message),
    wait: async () => void knownAtWaits.push(reader.readUntilMs),
  });
  const at = (positionMs, speed = 1) => ({ positionMs, speed, durationMs, live });
  /** Reads until there is no more need. */
  const readAll = async (where) => {
    for (let before = -1; before !== reads.length; ) {
      before = reads.length;
      reader.need(where);
      for (let turn = 0; turn < 30; turn += 1) await settle();
    }
  };
  return {
    reader,
    reads,
    troubles,
    knownAtWaits,
    moments,
    at,
    readAll,
    fail: (times) => (failures = times),
    hold: (promise) => (gate = promise),
  };
}

const seconds = (moments) => moments.upTo(Infinity, Infinity).map(({ offset_ms: at }) => at / 1000);
const range = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

test("it reads at least a minute ahead of the clock, further at higher speed", async () => {
  const { reader, at, readAll } = recording();
  await readAll(at(0));
  assert.ok(reader.readUntilMs >= 90_000);
  assert.ok(reader.readUntilMs < 200_000);
  await readAll(at(0, 16));
  assert.ok(reader.readUntilMs >= 60_000 + 16 * 30_000);
});

test("every comment is read once, whatever the size of a page, to the very last", async () => {
  for (const pageSize of [1, 7, 60, 500]) {
    const { moments, reads, at, readAll } = recording({ durationMs: 130_000, pageSize });
    await readAll(at(130_000));
    assert.deepEqual(seconds(moments), range(0, 130), `pages of ${pageSize}`);
    const windows = new Set(reads.map(({ startMs, endMs }) => `${startMs}-${endMs}`));
    assert.deepEqual([...windows], ["0-60000", "60000-120000", "120000-130001"]);
  }
});

test("nothing is read twice while the clock goes on", async () => {
  const { reads, at, readAll } = recording({ pageSize: 500 });
  for (let positionMs = 0; positionMs <= 300_000; positionMs += 10_000) await readAll(at(positionMs));
  const starts = reads.map(({ startMs }) => startMs);
  assert.deepEqual(starts, [...new Set(starts)]);
});

test("the clock waits where nothing is known yet, and not at the end", async () => {
  const { reader, at, readAll } = recording({ durationMs: 30_000 });
  assert.equal(reader.isStarved(at(0)), true);
  await readAll(at(0));
  assert.equal(reader.isStarved(at(0)), false);
  assert.equal(reader.isStarved(at(30_000)), false);
});

test("a jump cancels the read under way and begins a little before the new place", async () => {
  const { reader, reads, at, hold, readAll } = recording();
  hold(new Promise(() => {}));
  reader.need(at(0));
  await settle();
  assert.equal(reader.seek(1_800_500), true);
  assert.equal(reads[0].signal.aborted, true);
  hold(null);
  await readAll(at(1_800_500));
  assert.equal(reads[1].startMs, 1_740_000);
  assert.equal(reader.isStarved(at(1_800_500)), false);
});

test("a jump within what is known reads nothing anew", async () => {
  const { reader, at, readAll } = recording();
  await readAll(at(0));
  assert.equal(reader.seek(80_000), false);
  assert.equal(reader.seek(5_000), false);
  reader.forgotten(20_000);
  assert.equal(reader.seek(19_999), true);
});

test("a page that fails is read again, and no comment is lost or doubled", async () => {
  const { moments, troubles, at, readAll, fail } = recording({ durationMs: 59_000, pageSize: 10 });
  fail(3);
  await readAll(at(0));
  assert.deepEqual(troubles, ["away", "away", "away"]);
  assert.deepEqual(seconds(moments), range(0, 59));
});

test("a recording that is not stored to its end yet is known up to its last comment only", async () => {
  let answers = 0;
  const { reader, moments, knownAtWaits, at, readAll } = recording({
    durationMs: 30_000,
    complete: () => (answers += 1) > 4,
  });
  await readAll(at(0));
  // Two pages each time, the second one the last.
  assert.deepEqual(knownAtWaits, [30_000, 30_000]);
  assert.equal(reader.readUntilMs, 30_001);
  assert.deepEqual(seconds(moments), range(0, 30));
});

test("of a live stream the last moments are left for later", () => {
  const at = { positionMs: 100_000, speed: 1, live: true };
  assert.deepEqual(nextWindow({ ...at, readUntilMs: 60_000, durationMs: 100_000 }), { startMs: 60_000, endMs: 98_000 });
  assert.equal(nextWindow({ ...at, readUntilMs: 97_500, durationMs: 100_000 }), null);
  assert.deepEqual(nextWindow({ ...at, readUntilMs: 98_000, durationMs: 101_000 }), { startMs: 98_000, endMs: 99_000 });
});
