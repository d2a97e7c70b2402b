import assert from "node:assert/strict";
import { test } from "node:test";

import { backoffMs } from "../../../../clients/js/src/backoff.js";
import { Problem, retryAfterMs } from "../../../../clients/js/src/problem.js";

test("Retry-After is seconds or a date", () => {
  const now = Date.parse("2026-01-01T12:00:00Z");
  assert.equal(retryAfterMs(null, now), 0);
  assert.equal(retryAfterMs("7", now), 7_000);
  assert.equal(retryAfterMs("Thu, 01 Jan 2026 12:00:10 GMT", now), 10_000);
  assert.equal(retryAfterMs("soon", now), 0);
});

test("a problem's words are the server's, or our own", async () => {
  const body = { reason: "INVALID_FIELD", detail: "text: too long", errors: [{ pointer: "#/text", detail: "too long" }] };
  const problem = await Problem.from(new Response(JSON.stringify(body), { status: 400 }));
  assert.equal(problem.words, "text: too long");
  assert.equal(problem.field("text"), "too long");
  assert.equal(problem.field("meta"), undefined);
  assert.equal(problem.isTransient, false);
  const nameless = await Problem.from(new Response(JSON.stringify({ ...body, detail: undefined }), { status: 400 }));
  assert.equal(nameless.words, "text too long");
  const foreign = await Problem.from(new Response("<html>", { status: 502, headers: { "Retry-After": "2" } }));
  assert.equal(foreign.isTransient, true);
  assert.equal(foreign.retryAfterMs, 2_000);
  assert.match(foreign.words, /502/);
});

test("waits grow to a bound, and no two are alike", () => {
  assert.equal(backoffMs(0, () => 0), 250);
  assert.equal(backoffMs(0, () => 1), 500);
  assert.equal(backoffMs(3, () => 1), 4_000);
  assert.equal(backoffMs(50, () => 1), 15_000);
});
