import assert from "node:assert/strict";
import { test } from "node:test";

import { Replay } from "../../../../clients/js/src/index.js";
import { lagOf } from "../../../../clients/js/src/lag.js";
import { comment, comments } from "./comments.mjs";
import { FakePlayer, json, refusal, server, settle } from "./fakes.mjs";

const STARTED = "2026-01-01T12:00:00.000Z";
const HOUR = { stream_id: "s", state: "ended", started_at: STARTED, ended_at: "2026-01-01T13:00:00.000Z" };

/** A replay of a recording with these comments; its pages hold 50. */
async function replay(t, { all = comments(0, 3_600), stream = () => json(HOUR), startS = 0, ...options } = {}) {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval", "Date"], now: Date.parse("2026-01-01T14:00:00.000Z") });
  const { fetch, requests } = server(({ path, query }) => {
    if (!path.endsWith("/comments")) return stream();
    const fromMs = Number(query.get("start_time")) * 1000;
    const toMs = fromMs + Number(query.get("duration")) * 1000;
    const within = all.filter(({ offset_ms: at }) => at >= fromMs && at < toMs);
    const first = Number(query.get("pagination_token") ?? 0);
    const next = first + 50 < within.length ? String(first + 50) : undefined;
    return json({ comments: within.slice(first, first + 50), next_pagination_token: next, complete: true });
  });
  const player = new FakePlayer();
  player.currentTime = startS;
  const made = new Replay({ stream: "s", video: player, url: "http://edge.test", fetch, ...options });
  t.after(() => made.close());
  const shown = [];
  made.on("show", ({ comments: joined }) => shown.push(...joined.map(({ offset_ms: at }) => at / 1000)));
  made.on("clear", () => shown.splice(0));
  const tick = async (ms = 100) => {
    t.mock.timers.tick(ms);
    await settle();
  };
  for (let turn = 0; turn < 5; turn += 1) await tick();
  const windows = () => requests.filter(({ path }) => path.endsWith("/comments")).map(({ query }) => Number(query.get("start_time")));
  return { made, player, shown, tick, windows, requests };
}

const range = (first, last) => Array.from({ length: last - first + 1 }, (_, index) => first + index);

test("each comment is shown once, at its moment less its author's lag", async (t) => {
  const all = [comment(1), comment(3), comment(7, { lag_ms: 5_500 }), comment(8)];
  const { player, shown, made } = await replay(t, { all });
  assert.deepEqual(shown, []);
  player.play();
  for (const [second, expected] of [[0.9, []], [1, [1]], [1.4, [1]], [1.5, [1, 7]], [2.9, [1, 7]], [8, [1, 7, 3, 8]]]) {
    player.moveTo(second);
    assert.deepEqual(shown, expected, `at ${second} s`);
  }
  assert.deepEqual(made.comments.map(({ offset_ms: at }) => at / 1000), [1, 7, 3, 8]);
});

test("a minute is read ahead, and no window twice", async (t) => {
  const { player, tick, windows, shown } = await replay(t);
  assert.deepEqual(windows().filter((start, index, list) => list.indexOf(start) === index), [0, 60]);
  player.play();
  for (let second = 0; second <= 200; second += 1) {
    player.moveTo(second);
    await tick();
  }
  assert.deepEqual(shown, range(0, 200));
  assert.deepEqual([...new Set(windows())], [0, 60, 120, 180, 240]);
  assert.equal(windows().length, 10, "two pages each");
});

test("faster means further ahead", async (t) => {
  const { player, tick, windows } = await replay(t);
  player.playbackRate = 8;
  player.dispatchEvent(new Event("ratechange"));
  for (let turn = 0; turn < 10; turn += 1) await tick();
  assert.ok(Math.max(...windows()) >= 240, String(windows()));
});

test("paused, nothing new is shown and nothing more is read", async (t) => {
  const { made, player, shown, tick, windows } = await replay(t);
  player.play();
  player.moveTo(10);
  player.pause();
  const before = windows().length;
  for (let turn = 0; turn < 10; turn += 1) await tick();
  assert.deepEqual(shown, range(0, 10));
  assert.equal(windows().length, before);
  assert.equal(made.state, "paused");
});

test("a seek clears, and shows that place: what came a little before it, then what comes", async (t) => {
  const { player, shown, tick, made } = await replay(t);
  const states = [];
  made.on("state", ({ state }) => states.push(state));
  player.play();
  player.moveTo(5);
  player.seek(1_800);
  assert.deepEqual(shown, []);
  for (let turn = 0; turn < 5; turn += 1) await tick();
  player.moveTo(1_801);
  assert.deepEqual(shown, range(1_740, 1_801));
  assert.deepEqual(states, ["playing", "loading", "playing"]);
});

test("a seek to what is known reads nothing anew", async (t) => {
  const { player, shown, tick, windows } = await replay(t);
  player.moveTo(50);
  await tick();
  const before = windows().length;
  player.seek(20);
  await tick();
  assert.deepEqual(shown, range(0, 20));
  assert.equal(windows().length, before);
});

test("a player that stands far inside at the beginning is begun with there", async (t) => {
  const { windows, shown } = await replay(t, { startS: 1_800 });
  assert.equal(windows()[0], 1_740);
  assert.deepEqual(shown, range(1_740, 1_800));
});

test("a video that begins within the stream is set off by that", async (t) => {
  const { player, shown } = await replay(t, { offsetMs: 10_000 });
  player.moveTo(2);
  assert.deepEqual(shown, range(0, 12));
});

test("a failed read is told and repeated; a refused stream is told, and that is all", async (t) => {
  const refused = await replay(t, { stream: () => refusal(404, "STREAM_NOT_FOUND") });
  assert.equal(refused.made.state, "refused");
  assert.equal(refused.made.problem.reason, "STREAM_NOT_FOUND");
  assert.equal(refused.requests.length, 1);
});

test("a live stream is asked for again until it has ended", async (t) => {
  const answers = [{ ...HOUR, state: "live", ended_at: undefined }, HOUR];
  const { made, tick } = await replay(t, { stream: () => json(answers.shift() ?? HOUR) });
  assert.equal(made.stream.state, "live");
  await tick(10_000);
  await tick();
  assert.equal(made.stream.state, "ended");
});

test("where a live recording ends now is told by the server's clock, not by a machine's that is ahead", async (t) => {
  const live = { ...HOUR, state: "live", ended_at: undefined };
  const headers = { Date: "Thu, 01 Jan 2026 12:00:50 GMT", "Cache-Control": "no-store" };
  const { player, tick, requests } = await replay(t, { stream: () => json(live, 200, headers) });
  player.seek(45);
  for (let turn = 0; turn < 20; turn += 1) await tick();
  const ends = requests.filter(({ path }) => path.endsWith("/comments")).map(({ query }) => Number(query.get("start_time")) + Number(query.get("duration")));
  assert.ok(Math.max(...ends) <= 51, String(ends));
});

test("closed, it listens to the player no more", async (t) => {
  const { made, player, shown, tick, requests } = await replay(t);
  await made.close();
  const before = requests.length;
  player.play();
  player.seek(1_000);
  await tick();
  assert.deepEqual(shown, [0]);
  assert.equal(requests.length, before);
  assert.equal(made.state, "closed");
});

test("a player's lag is told by its own clock, else by what it could play", () => {
  const seekable = { length: 1, end: () => 100 };
  assert.equal(lagOf({ currentTime: 92.25, seekable }, 0), 7_750);
  assert.equal(lagOf({ currentTime: 10, seekable, getStartDate: () => new Date(1_000) }, 15_000), 4_000);
  assert.equal(lagOf({ currentTime: 0, seekable }, 0), 60_000, "at most a minute");
  assert.equal(lagOf({ currentTime: 101, seekable }, 0), 0);
  assert.equal(lagOf({ currentTime: 0, seekable: { length: 0 }, getStartDate: () => new Date(NaN) }, 0), 0);
});

test("where nothing was said yet, a jump leaves an empty list, and says so", async (t) => {
  const { player, made, tick } = await replay(t, { all: [comment(5), comment(6)] });
  const changes = [];
  made.on("change", ({ comments: now }) => changes.push(now.length));
  player.seek(6);
  await tick();
  player.seek(1);
  await tick();
  assert.deepEqual(changes, [2, 0]);
});

test("a comment is due at its very millisecond, whatever seconds make of it", async (t) => {
  const { player, shown } = await replay(t, { all: [comment(0, { offset_ms: 1_001 })] });
  assert.ok(1.001 * 1000 < 1_001, "what a float does");
  player.seek(1.001);
  assert.deepEqual(shown, [1.001]);
});

test("it says how long the recording is", async (t) => {
  const { made } = await replay(t);
  assert.equal(made.durationMs, 3_600_000);
});

test("of a live stream it says how long it has been so far", async (t) => {
  const { made, tick } = await replay(t, { stream: () => json({ ...HOUR, state: "live", ended_at: undefined }) });
  const before = made.durationMs;
  await tick(1_000);
  assert.ok(before >= 7_200_000);
  assert.equal(made.durationMs - before, 1_000);
});

test("after a refusal it asks again when it is told to", async (t) => {
  let allowed = false;
  const { made, tick, player, shown } = await replay(t, {
    all: [comment(0)],
    stream: () => (allowed ? json(HOUR) : refusal(401, "UNAUTHENTICATED")),
  });
  assert.deepEqual([made.state, made.problem.reason, made.durationMs], ["refused", "UNAUTHENTICATED", 0]);
  allowed = true;
  made.resume();
  await tick();
  player.moveTo(1);
  await tick();
  assert.deepEqual([made.state, made.problem], ["paused", null]);
  assert.deepEqual(shown, [0]);
});
