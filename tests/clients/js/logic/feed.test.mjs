import assert from "node:assert/strict";
import { test } from "node:test";

import { Feed } from "../../../../clients/js/src/feed.js";
import { Problem } from "../../../../clients/js/src/problem.js";
import { ALIVE, OVER, retry } from "../../../../clients/js/src/transports/arrivals.js";
import { settle } from "./fakes.mjs";

const LIVE = { stream_id: "s", state: "live" };
const ENDED = { stream_id: "s", state: "ended", ended_at: "2026-01-01T13:00:00.000Z" };
const AWAY = new Problem({ status: 0 });
const SILENT = new Problem({ status: 0, reason: "SILENT" });

/** A connection that brings what the test says, and ends when it says so. */
class FakeConnection {
  constructor(transport, cursor, signal) {
    Object.assign(this, { transport, cursor, signal, arrivals: [], end: null, isLeft: false, wake: () => {} });
    signal.addEventListener("abort", () => this.fail(signal.reason));
  }

  bring(name, data, cursor = "") {
    this.say({ name, data, cursor });
  }

  say(arrival) {
    this.arrivals.push(arrival);
    this.wake();
  }

  close() {
    this.end = { error: null };
    this.wake();
  }

  fail(error) {
    this.end ??= { error };
    this.wake();
  }

  async *read() {
    try {
      for (;;) {
        while (this.arrivals.length) yield this.arrivals.shift();
        if (this.end?.error) throw this.end.error;
        if (this.end) return;
        await new Promise((resolve) => (this.wake = resolve));
      }
    } finally {
      this.isLeft = true;
    }
  }
}

/** A feed on fake connections. `probes` are what asking for the stream gives, the last one again and again. */
function feed(probes = [LIVE], names = ["sse"]) {
  const connections = [];
  const states = [];
  const events = [];
  const waits = [];
  let release;
  let now = 0;
  const made = new Feed({
    transports: names.map((name) => ({
      name,
      open: (cursor, signal) => connections[connections.push(new FakeConnection(name, cursor, signal)) - 1].read(),
    })),
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
    now: () => now,
  });
  const goOn = async () => {
    await settle();
    release();
    await settle();
  };
  return { made, connections, states, events, waits, goOn, pass: (ms) => (now += ms), last: () => connections.at(-1) };
}

test("it is live with the first snapshot, not before", async () => {
  const { made, last, states, events } = feed();
  made.start();
  await settle();
  assert.equal(made.state, "connecting");
  last().say(retry(1_000));
  await settle();
  assert.equal(made.state, "connecting");
  last().bring("snapshot", { stream: LIVE }, "e-1");
  await settle();
  assert.deepEqual(states, ["live"]);
  assert.equal(events[0][0], "snapshot");
});

test("after a lost connection it comes back with its cursor, when the server said", async () => {
  const { made, connections, last, states, waits, goOn } = feed();
  made.start();
  assert.equal(last().cursor, "");
  last().say(retry(2_000));
  last().bring("snapshot", { stream: LIVE }, "e-1");
  last().bring("new_comment", [], "e-7");
  last().bring("viewers", { viewers: 2 });
  last().close();
  await goOn();
  assert.deepEqual(waits, [2_000]);
  assert.equal(connections[1].cursor, "e-7");
  connections[1].bring("snapshot", { stream: LIVE, recovered: true }, "e-7");
  await settle();
  assert.deepEqual(states, ["live", "reconnecting", "live"]);
});

test("it waits longer and longer, until it is live again", async () => {
  const { made, last, waits, goOn } = feed([AWAY]);
  made.start();
  for (let round = 0; round < 3; round += 1) {
    last().fail(AWAY);
    await goOn();
  }
  last().bring("snapshot", { stream: LIVE }, "e-1");
  last().close();
  await settle();
  const [first, second, third, again] = waits;
  assert.ok(first < 501 && second <= 1000 && third > 999 && again <= 500, String(waits));
});

test("it waits as long as an overloaded server asks, and asks for nothing else meanwhile", async () => {
  const { made, last, waits } = feed([new Error("must not be asked")]);
  made.start();
  last().fail(new Problem({ status: 503, reason: "OVERLOADED", retryAfterMs: 7_000 }));
  await settle();
  assert.deepEqual(waits, [7_000]);
});

for (const status of [401, 403, 404]) {
  test(`a ${status} is final, until it is started again`, async () => {
    const { made, connections, last, states } = feed();
    made.start();
    last().fail(new Problem({ status, reason: "FORBIDDEN" }));
    await settle();
    assert.deepEqual(states, [["refused", status]]);
    assert.equal(connections.length, 1);
    made.start();
    assert.equal(connections.length, 2);
    assert.equal(made.state, "connecting");
  });
}

test("a transport that tells nothing is asked about: the stream may not be watched", async () => {
  const { made, last, states } = feed([new Problem({ status: 403, reason: "FORBIDDEN" })], ["websocket"]);
  made.start();
  last().close();
  await settle();
  assert.deepEqual(states, [["refused", 403]]);
});

test("a cursor that the server can't read is dropped", async () => {
  const { made, connections, last, goOn } = feed();
  made.start();
  last().bring("snapshot", { stream: LIVE }, "odd");
  last().close();
  await goOn();
  last().fail(new Problem({ status: 400, reason: "BAD_CURSOR" }));
  await goOn();
  assert.deepEqual(connections.map(({ cursor }) => cursor), ["", "odd", ""]);
});

test("a connection that is held back gives way to the next transport at once", async () => {
  const { made, connections, last, waits } = feed([LIVE], ["sse", "websocket", "poll"]);
  made.start();
  last().fail(SILENT);
  await settle();
  last().close();
  await settle();
  assert.deepEqual(connections.map(({ transport }) => transport), ["sse", "websocket"]);
  assert.equal(waits.length, 1, "one failure without a reason may be chance");
});

test("of a transport that fails twice the next one takes the place, from the same cursor", async () => {
  const { made, connections, last, goOn, waits } = feed([LIVE], ["sse", "websocket", "poll"]);
  made.start();
  last().bring("snapshot", { stream: LIVE }, "e-3");
  last().fail(SILENT);
  await goOn();
  last().fail(SILENT);
  await settle();
  last().close();
  await goOn();
  last().close();
  await settle();
  assert.deepEqual(
    connections.map(({ transport, cursor }) => [transport, cursor]),
    [["sse", ""], ["sse", "e-3"], ["websocket", "e-3"], ["websocket", "e-3"], ["poll", "e-3"]],
  );
  assert.equal(made.transport, "poll");
  assert.equal(waits.length, 2);
});

test("a server that is away is no transport's fault", async () => {
  const { made, connections, last, goOn } = feed([AWAY], ["sse", "poll"]);
  made.start();
  for (let round = 0; round < 5; round += 1) {
    last().fail(AWAY);
    await goOn();
  }
  assert.deepEqual(new Set(connections.map(({ transport }) => transport)), new Set(["sse"]));
});

test("after a while the better transport is tried again", async () => {
  const { made, last, goOn, pass } = feed([LIVE], ["sse", "poll"]);
  made.start();
  last().fail(SILENT);
  await settle();
  last().bring("snapshot", { stream: LIVE }, "e-1");
  pass(1_000);
  last().close();
  await goOn();
  assert.equal(last().transport, "poll");
  last().say({ ...ALIVE, cursor: "e-2" });
  pass(700_000);
  last().close();
  await goOn();
  assert.deepEqual([last().transport, last().cursor], ["sse", "e-2"]);
});

test("the end closes the connection for good", async () => {
  const { made, connections, states } = feed([ENDED]);
  made.start();
  connections[0].bring("snapshot", { stream: LIVE }, "e-1");
  connections[0].bring("stream_ended", { ended_at: ENDED.ended_at }, "e-2");
  await settle();
  assert.deepEqual(states, ["live", "ended"]);
  assert.equal(connections[0].isLeft, true);
  made.restart();
  made.start();
  assert.equal(connections.length, 1);
});

test("a stream that is over was never live for who comes late", async () => {
  const { made, last, states, events } = feed();
  made.start();
  last().bring("snapshot", { stream: ENDED }, "e-1");
  last().say(ALIVE);
  last().bring("stream_ended", { ended_at: ENDED.ended_at }, "e-2");
  await settle();
  assert.deepEqual(states, ["ended"]);
  assert.deepEqual(events.map(([name]) => name), ["snapshot", "stream_ended"]);
});

test("who has seen all of a stream that has ended is told when that was", async () => {
  const { made, last, states, events } = feed([ENDED]);
  made.start();
  last().say(OVER);
  await settle();
  assert.deepEqual(events, [["stream_ended", { ended_at: ENDED.ended_at }]]);
  assert.deepEqual(states, ["ended"]);
});

test("a stopped feed hears nothing and stays away", async () => {
  const { made, connections, events } = feed();
  made.start();
  await settle();
  const stopped = made.stop();
  connections[0].bring("snapshot", { stream: LIVE }, "e-1");
  await stopped;
  assert.deepEqual(events, []);
  assert.equal(connections[0].isLeft, true);
  assert.equal(connections.length, 1);
});

test("a stop ends the wait, and a start goes on at the same place", async () => {
  const { made, connections, last } = feed();
  made.start();
  last().bring("snapshot", { stream: LIVE }, "e-4");
  last().close();
  await settle();
  await made.stop();
  made.start();
  assert.equal(connections.length, 2);
  assert.equal(last().cursor, "e-4");
});

test("a listener that throws is told of, and the feed goes on", async (t) => {
  const thrown = [];
  globalThis.reportError = (error) => thrown.push(error.message);
  t.after(() => delete globalThis.reportError);
  const { made, last, events } = feed();
  events.push = () => {
    throw new Error("a page's mistake");
  };
  made.start();
  last().bring("snapshot", { stream: LIVE }, "e-1");
  await settle();
  assert.equal(made.state, "live");
  assert.deepEqual(thrown, ["a page's mistake"]);
});

test("while it is not live it knows what went wrong", async () => {
  const { made, last, goOn } = feed([AWAY]);
  made.start();
  last().fail(AWAY);
  await goOn();
  assert.equal(made.problem, AWAY);
  last().bring("snapshot", { stream: LIVE }, "e-1");
  await settle();
  assert.equal(made.problem, null);
});
