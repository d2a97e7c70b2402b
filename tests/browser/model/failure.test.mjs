import assert from "node:assert/strict";
import { test } from "node:test";

import { Problem } from "../../../clients/js/src/index.js";
import { failureOf, waitAfter } from "../../../edge/static/model/failure.js";

test("what was refused is said in the server's words, and may be sent again as it is", () => {
  const problem = new Problem({ status: 429, reason: "SLOW_MODE", detail: "slow mode: one comment in 60 s" });
  const failure = { title: "Not posted", words: "Slow mode: one comment in 60 s.", isRepeatable: true };
  assert.deepEqual(failureOf(problem), failure);
});

test("a text that can't be posted has to be another one", () => {
  const errors = [{ pointer: "#/text", detail: "must not hold control characters" }];
  const { words, isRepeatable } = failureOf(new Problem({ status: 400, reason: "INVALID_FIELD", detail: "x", errors }));
  assert.deepEqual([words, isRepeatable], ["Text must not hold control characters.", false]);
});

test("without an answer nobody knows what became of it", () => {
  for (const problem of [new Problem({ status: 0 }), new Problem({ status: 503, reason: "OVERLOADED", detail: "busy" })]) {
    const { title, words, isRepeatable } = failureOf(problem);
    assert.deepEqual([title, isRepeatable], ["Not confirmed", true]);
    assert.match(words, /isn’t certain/);
  }
});

test("what was never sent is certain", () => {
  assert.equal(failureOf(new Problem({ status: 0, reason: "TOO_MANY_WAITING" })).title, "Not posted");
});

test("after a limit the next one waits as long as the server says, at least a second; after anything else not at all", () => {
  assert.equal(waitAfter(new Problem({ status: 429, reason: "SLOW_MODE", retryAfterMs: 5_000 })), 5_000);
  assert.equal(waitAfter(new Problem({ status: 429, reason: "USER_RATE" })), 1_000);
  assert.equal(waitAfter(new Problem({ status: 403, reason: "BANNED", retryAfterMs: 5_000 })), 0);
});
