import assert from "node:assert/strict";
import { test } from "node:test";

import { Tokens } from "../../../../clients/js/src/tokens.js";
import { token } from "./fakes.mjs";

const NOW_MS = Date.parse("2026-01-01T12:00:00.000Z");
const lasting = (seconds, sub = "ada") => token({ sub, exp: NOW_MS / 1000 + seconds });

/** Tokens on a clock of their own. */
function tokens(given) {
  let now = NOW_MS;
  return { made: new Tokens({ ...given, now: () => now }), pass: (seconds) => (now += seconds * 1000) };
}

test("a token is used until it ends; then there is none", async () => {
  const { made, pass } = tokens({ token: lasting(60) });
  assert.equal(await made.current(), lasting(60));
  pass(59);
  assert.equal(await made.current(), lasting(60));
  pass(1);
  assert.equal(await made.current(), null);
});

test("one that ends soon is renewed before it is refused", async () => {
  const asked = [];
  const { made, pass } = tokens({
    token: lasting(60),
    renewToken: async (old) => {
      asked.push(old);
      return lasting(600);
    },
  });
  assert.equal(await made.current(), lasting(60));
  pass(35);
  assert.equal(await made.current(), lasting(600));
  assert.equal(await made.current(), lasting(600));
  assert.deepEqual(asked, [lasting(60)]);
});

test("while it can't be renewed the old one is used, as long as it is good", async () => {
  const { made, pass } = tokens({ token: lasting(60), renewToken: () => Promise.reject(new Error("away")) });
  pass(50);
  assert.equal(await made.current(), lasting(60));
  pass(20);
  assert.equal(await made.current(), null);
  await assert.rejects(made.after(lasting(60)), (error) => error.reason === "UNAUTHENTICATED" && error.cause.message === "away");
});

test("without a token one is asked for", async () => {
  const { made } = tokens({ renewToken: async () => lasting(600) });
  assert.equal(await made.current(), lasting(600));
});

test("who signs in as another is another, whatever was renewed before", async () => {
  let given = lasting(10);
  const { made } = tokens({ token: () => given, renewToken: async () => lasting(600) });
  assert.equal(await made.current(), lasting(600));
  given = lasting(900, "bob");
  assert.equal(await made.current(), lasting(900, "bob"));
});

test("a token that is none of ours to read is used as it is", async () => {
  assert.equal(await tokens({ token: "opaque" }).made.current(), "opaque");
});
