import assert from "node:assert/strict";
import { test } from "node:test";

import { readToken, rules, Session, tokenInFragment } from "../../../edge/static/model/session.js";

const NOW = 1_000_000;
const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
const tokenOf = (claims) => `${encode({ alg: "HS256" })}.${encode(claims)}.signature`;
const ADA = { sub: "ada", name: "Åda 🦊", role: "host", exp: NOW / 1000 + 60 };

function storage() {
  const kept = new Map();
  return {
    getItem: (key) => kept.get(key) ?? null,
    setItem: (key, value) => void kept.set(key, value),
    removeItem: (key) => void kept.delete(key),
  };
}

test("a token says who its bearer is", () => {
  assert.deepEqual(readToken(tokenOf(ADA)), {
    id: "ada",
    name: "Åda 🦊",
    role: "host",
    streams: [],
    expiresAt: NOW + 60_000,
  });
});

test("what is no token says nothing", () => {
  for (const text of ["", "a.b", "a.b.c", `x.${encode([])}.y`, `x.${encode({ sub: "ada" })}.y`]) {
    assert.equal(readToken(text), null, text);
  }
});

test("a token in the address is found", () => {
  assert.equal(tokenInFragment("#token=a.b.c"), "a.b.c");
  assert.equal(tokenInFragment("#else"), null);
  assert.equal(tokenInFragment(""), null);
});

test("one signs in, is told to everyone, and signs out", () => {
  const session = new Session(storage(), () => NOW);
  let changes = 0;
  session.addEventListener("change", () => (changes += 1));
  assert.equal(session.who, null);
  assert.equal(session.signIn(`  Bearer ${tokenOf(ADA)}\n`), null);
  assert.equal(session.who.name, "Åda 🦊");
  assert.equal(session.token, tokenOf(ADA));
  session.signOut();
  assert.equal(session.token, null);
  assert.equal(changes, 2);
});

test("what can't be used is refused with words, and the old token stays", () => {
  const session = new Session(storage(), () => NOW);
  session.signIn(tokenOf(ADA));
  assert.match(session.signIn(""), /first/);
  assert.match(session.signIn("hello"), /not a token/);
  assert.match(session.signIn(tokenOf({ ...ADA, exp: 1 })), /expired/);
  assert.equal(session.who.id, "ada");
});

test("an expired token is no token", () => {
  let now = NOW;
  const session = new Session(storage(), () => now);
  session.signIn(tokenOf(ADA));
  now += 60_000;
  assert.equal(session.who, null);
  assert.equal(session.token, null);
});

test("a host rules its own streams, a moderator those that the token names", () => {
  const stream = { stream_id: "s", host_id: "ada" };
  const who = (claims) => readToken(tokenOf({ ...ADA, ...claims }));
  assert.equal(rules(null, stream), false);
  assert.equal(rules(who({}), stream), true);
  assert.equal(rules(who({ sub: "eve" }), stream), false);
  assert.equal(rules(who({ role: "viewer" }), stream), false);
  assert.equal(rules(who({ role: "moderator" }), stream), false);
  assert.equal(rules(who({ role: "moderator", streams: ["s"] }), stream), true);
});
