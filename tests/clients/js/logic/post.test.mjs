import assert from "node:assert/strict";
import { test } from "node:test";

import { Poster } from "../../../../clients/js/src/post.js";
import { Problem } from "../../../../clients/js/src/problem.js";

const ACCEPTED = { comment_id: "c1", posted_at: "2026-01-01T12:00:00.000Z", offset_ms: 1, cursor: "e-1" };
const BUSY = new Problem({ status: 503, reason: "OVERLOADED", retryAfterMs: 3_000 });

/** A poster on a clock of its own; `answers` are what the attempts get, the last one again and again. */
function poster(...answers) {
  const sent = [];
  const waits = [];
  let now = 0;
  let keys = 0;
  const made = new Poster({
    send: async ({ text }, key) => {
      sent.push({ text, key });
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer instanceof Error) throw answer;
      return answer;
    },
    wait: async (ms) => {
      waits.push(ms);
      now += ms;
    },
    now: () => now,
    makeKey: () => `key-${(keys += 1)}`,
    random: () => 0,
  });
  return { post: (text, options) => made.post({ text }, options), sent, waits, pass: (ms) => (now += ms), answers };
}

test("an accepted comment is sent once", async () => {
  const { post, sent } = poster(ACCEPTED);
  assert.equal(await post("hello"), ACCEPTED);
  assert.deepEqual(sent, [{ text: "hello", key: "key-1" }]);
});

test("every comment has a key of its own, also with the same text", async () => {
  const { post, sent } = poster(ACCEPTED);
  await post("hello");
  await post("hello");
  assert.deepEqual(sent.map(({ key }) => key), ["key-1", "key-2"]);
});

test("without an answer it is sent again under the same key, not before the server's time", async () => {
  const { post, sent, waits } = poster(BUSY, new Problem({ status: 0 }), ACCEPTED);
  assert.equal(await post("hello"), ACCEPTED);
  assert.deepEqual(sent.map(({ key }) => key), ["key-1", "key-1", "key-1"]);
  assert.deepEqual(waits, [3_000, 500]);
});

test("a refusal is told at once", async () => {
  const limited = new Problem({ status: 429, reason: "USER_RATE", retryAfterMs: 1_000 });
  const { post, sent, waits } = poster(limited);
  await assert.rejects(post("hello"), limited);
  assert.equal(sent.length, 1);
  assert.deepEqual(waits, []);
});

test("it gives up after a minute; the same text keeps its key, so that it can't appear twice", async () => {
  const { post, sent, answers } = poster(BUSY);
  await assert.rejects(post("hello"), BUSY);
  answers.splice(0, 1, ACCEPTED);
  await post("hello");
  assert.deepEqual(new Set(sent.map(({ key }) => key)), new Set(["key-1"]));
});

test("another text, or a key that the server has forgotten, gets a new one", async () => {
  const { post, sent, answers, pass } = poster(BUSY);
  await assert.rejects(post("hello"), BUSY);
  await assert.rejects(post("other"), BUSY);
  pass(120_000);
  answers.splice(0, 1, ACCEPTED);
  await post("other");
  assert.deepEqual([...new Set(sent.map(({ key }) => key))], ["key-1", "key-2", "key-3"]);
});

test("two comments with the same text at once are two", async () => {
  const { post, sent } = poster(ACCEPTED);
  await Promise.all([post("hello"), post("hello")]);
  assert.deepEqual(sent.map(({ key }) => key), ["key-1", "key-2"]);
});

test("a refused comment leaves no doubt: the same text is a new one", async () => {
  const limited = new Problem({ status: 429, reason: "SLOW_MODE", retryAfterMs: 1_000 });
  const { post, sent, answers } = poster(limited);
  await assert.rejects(post("hello"), limited);
  answers.splice(0, 1, ACCEPTED);
  await post("hello");
  assert.deepEqual(sent.map(({ key }) => key), ["key-1", "key-2"]);
});

test("not more than 16 wait for their answers", async () => {
  const made = new Poster({ send: () => new Promise(() => {}) });
  for (let number = 0; number < 16; number += 1) void made.post({ text: `comment ${number}` });
  await assert.rejects(made.post({ text: "one more" }), (error) => error.reason === "TOO_MANY_WAITING");
});

test("who gives up hears their own reason, and the same text keeps its key", async () => {
  const keys = [];
  const controller = new AbortController();
  const made = new Poster({
    send: async (_, key) => {
      keys.push(key);
      throw BUSY;
    },
  });
  const posted = made.post({ text: "hello" }, { signal: controller.signal, onRetry: () => controller.abort(new Error("enough")) });
  await assert.rejects(posted, /enough/);
  await assert.rejects(made.post({ text: "hello" }, { signal: AbortSignal.abort(new Error("again")) }), /again/);
  assert.equal(new Set(keys).size, 1);
});
