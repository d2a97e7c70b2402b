import assert from "node:assert/strict";
import { test } from "node:test";

import { Presence } from "../../../../clients/js/src/presence.js";

class FakeDocument extends EventTarget {
  hidden = false;

  show(shown) {
    this.hidden = !shown;
    this.dispatchEvent(new Event("visibilitychange"));
  }
}

/** A page, and what was called. */
function page(t, given = {}) {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const document = new FakeDocument();
  const window = new EventTarget();
  const calls = [];
  const presence = new Presence({
    letGoMs: 60_000,
    onAway: () => calls.push("away"),
    onBack: () => calls.push("back"),
    onOnline: () => calls.push("online"),
    document,
    page: window,
    ...given,
  });
  return { presence, document, window, calls, pass: (ms) => t.mock.timers.tick(ms) };
}

test("a tab that is hidden for a while lets go, and comes back when it is shown", (t) => {
  const { document, calls, pass } = page(t);
  document.show(false);
  pass(59_999);
  assert.deepEqual(calls, []);
  pass(1);
  assert.deepEqual(calls, ["away"]);
  document.show(true);
  assert.deepEqual(calls, ["away", "back"]);
});

test("a short look elsewhere changes nothing", (t) => {
  const { document, calls, pass } = page(t);
  document.show(false);
  pass(59_000);
  document.show(true);
  pass(120_000);
  assert.deepEqual(calls, []);
});

test("it may be told never to let go", (t) => {
  const { document, calls, pass } = page(t, { letGoMs: Infinity });
  document.show(false);
  pass(10_000_000);
  assert.deepEqual(calls, []);
});

test("a page that is put away for later lets go at once", (t) => {
  const { window, calls } = page(t);
  window.dispatchEvent(new Event("pagehide"));
  window.dispatchEvent(new Event("pagehide"));
  window.dispatchEvent(new Event("pageshow"));
  window.dispatchEvent(new Event("pageshow"));
  window.dispatchEvent(new Event("online"));
  assert.deepEqual(calls, ["away", "back", "online"]);
});

test("after its end it calls nobody", (t) => {
  const { presence, document, window, calls, pass } = page(t);
  document.show(false);
  presence.close();
  pass(60_000);
  document.show(true);
  window.dispatchEvent(new Event("online"));
  assert.deepEqual(calls, []);
});

test("outside of a page there is nothing to see", (t) => {
  const { calls, pass } = page(t, { document: undefined, page: undefined });
  pass(100_000);
  assert.deepEqual(calls, []);
});
