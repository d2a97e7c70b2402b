import assert from "node:assert/strict";
import { test } from "node:test";

import { CLOSED, Feed } from "../../../edge/static/model/feed.js";
import { Problem } from "../../../edge/static/model/problem.js";

const CONNECTING = 0;
const LIVE = { stream_id: "s", state: "live" };
const ENDED = { stream_id: "s", state: "ended", ended_at: "2026-01-01T13:00:00.000Z" };

class FakeSource {
  constructor(url) {
    this.url = url;
    this.readyState = CONNECTING;
    this.listeners = {};
  }

  addEventListener(name, listener) {
    this.listeners[name] = listener;
  }

  close() {
    this.readyState = CLOSED;
  }

  bring(name, data, lastEventId = "") {
    this.listeners[name]({ data: JSON.stringify(data), lastEventId });
  }

  fail(readyState) {
    this.readyState = readyState;
    this.listeners.error({});
  }
}

/** A feed on fake connections. `probes` are what asking for the stream gives, the last one again and again. */
function feed(...probes) {
  const sources = [];
  const states = [];
  const events = [];
  const waits = [];
  let release;
  const made = new Feed({
    url: "/feed",
    open: (url) => sources[sources.push(new FakeSource(url)) - 1],
    probe: async () => {
      const answer = probes.length > 1 ? probes.shift() : probes[0];
      if (answer instanceof Error) throw answer;
      return answer;
    },
    onEvent: (name, data) => events.push([name, data]),
    onState: (state, problem) => states.push(problem ? [state, problem.status] : state),
    wait: (ms, signal) => {
      waits.push(ms);
      return new Promise((resolve, reject) => {
        release = resolve;
        signal.addEventListener("abort", () => reject(signal.reason));
      });
    },
  });
  return { made, sources, states, events, waits, goOn: () => release() };
}

/** Lets everything that can run now run. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

test("it is live with the first snapshot, not before", () => {
  const { made, sources, states, events } = feed(LIVE);
  made.start();
  assert.equal(made.state, "connecting");
  sources[0].bring("snapshot", { stream: LIVE }, "e-1");
  assert.deepEqual(states, ["live"]);
  assert.equal(events[0][0], "snapshot");
});

test("a lost connection that the browser repeats is told, and nothing else is done", async () => {
  const { made, sources, states } = feed(LIVE);
  made.start();
  sources[0].bring("snapshot", { stream: LIVE }, "e-1");
  sources[0].fail(CONNECTING);
  await settle();
  assert.deepEqual(states, ["live", "reconnecting"]);
  assert.equal(sources.length, 1);
  sources[0].bring("snapshot", { stream: LIVE, recovered: true }, "e-1");
  assert.deepEqual(states, ["live", "reconnecting", "live"]);
});

test("after the browser gave up it comes back with its cursor", async () => {
  const { made, sources, goOn } = feed(LIVE);
  made.start();
  assert.equal(sources[0].url, "/feed");
  sources[0].bring("snapshot", { stream: LIVE }, "e-1");
  sources[0].bring("new_comment", [], "e-7");
  sources[0].bring("viewers", { viewers: 2 });
  sources[0].fail(CLOSED);
  await settle();
  goOn();
  await settle();
  assert.equal(sources[1].url, "/feed?last_event_id=e-7");
});

test("it waits longer and longer, until it is live again", async () => {
  const { made, sources, waits, goOn } = feed(new Problem({ status: 0 }));
  made.start();
  for (let round = 0; round < 3; round += 1) {
    sources.at(-1).fail(CLOSED);
    await settle();
    goOn();
    await settle();
  }
  sources.at(-1).bring("snapshot", { stream: LIVE }, "e-1");
  sources.at(-1).fail(CLOSED);
  await settle();
  const [first, second, third, again] = waits;
  assert.ok(first < 501 && second <= 1000 && third > 999 && again <= 500, String(waits));
});

for (const status of [401, 403, 404]) {
  test(`a ${status} is final, until it is started again`, async () => {
    const { made, sources, states } = feed(new Problem({ status }));
    made.start();
    sources[0].fail(CLOSED);
    await settle();
    assert.deepEqual(states, [["refused", status]]);
    assert.equal(sources.length, 1);
    made.start();
    assert.equal(sources.length, 2);
    assert.equal(made.state, "connecting");
  });
}

test("the end closes the connection for good", () => {
  const { made, sources, states } = feed(ENDED);
  made.start();
  sources[0].bring("snapshot", { stream: LIVE }, "e-1");
  sources[0].bring("stream_ended", { ended_at: ENDED.ended_at }, "e-2");
  assert.deepEqual(states, ["live", "ended"]);
  assert.equal(sources[0].readyState, CLOSED);
  made.restart();
  assert.equal(sources.length, 1);
});

test("a stream that ended while we were away is asked once more for what we missed", async () => {
  const { made, sources, states, events, goOn } = feed(ENDED);
  made.start();
  sources[0].bring("snapshot", { stream: LIVE }, "e-1");
  sources[0].fail(CLOSED);
  await settle();
  goOn();
  await settle();
  assert.equal(sources.length, 2);
  // 204: nothing more to tell.
  sources[1].fail(CLOSED);
  await settle();
  assert.deepEqual(events.at(-1), ["stream_ended", { ended_at: ENDED.ended_at }]);
  assert.equal(states.at(-1), "ended");
});

test("a stopped feed hears nothing and stays away", async () => {
  const { made, sources, events } = feed(LIVE);
  made.start();
  made.stop();
  sources[0].bring("snapshot", { stream: LIVE }, "e-1");
  sources[0].fail(CLOSED);
  await settle();
  assert.deepEqual(events, []);
  assert.equal(sources.length, 1);
});
