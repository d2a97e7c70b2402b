import assert from "node:assert/strict";
import { test } from "node:test";

import { Api } from "../../../../clients/js/src/api.js";
import { EventStream } from "../../../../clients/js/src/transports/event_stream.js";
import { transportsOf } from "../../../../clients/js/src/transports/index.js";
import { LongPoll } from "../../../../clients/js/src/transports/long_poll.js";
import { Socket } from "../../../../clients/js/src/transports/socket.js";
import { eventStream, FakeSocket, json, refusal, server, settle, token } from "./fakes.mjs";

const SNAPSHOT = { stream: { state: "live" }, comments: [], recovered: false };
const URL_ = "https://edge.test/under";

/** What a connection brings, as it comes; `ended` once it has, with the error if there was one. */
function read(transport, cursor = "", controller = new AbortController()) {
  const got = { arrivals: [], ended: false, error: null, controller };
  (async () => {
    try {
      for await (const arrival of transport.open(cursor, controller.signal)) got.arrivals.push(arrival);
    } catch (error) {
      got.error = error;
    }
    got.ended = true;
  })();
  return got;
}

const names = (got) => got.arrivals.map(({ name }) => name);

test("in the usual order the first is server-sent events, and one alone can be asked for", () => {
  const api = new Api();
  assert.deepEqual(transportsOf(api, "s").map(({ name }) => name), ["sse", "websocket", "poll"]);
  assert.deepEqual(transportsOf(api, "s", { transport: "poll" }).map(({ name }) => name), ["poll"]);
});

// -- server-sent events --

function sse(answer, options = {}) {
  const { fetch, requests } = server(answer);
  return { transport: new EventStream(new Api({ url: URL_, token: "t", fetch }), "a b", options), requests };
}

test("events come with their cursors, those outside the log with none", async () => {
  const stream = eventStream();
  const { transport, requests } = sse(() => stream.response);
  const got = read(transport, "e-1");
  stream.write(`retry: 900\n\nevent: snapshot\nid: e-2\ndata: ${JSON.stringify(SNAPSHOT)}\n\n`);
  stream.write('event: viewers\ndata: {"viewers":3}\n\n:\n\nevent: new_comment\nid: e-3\ndata: []\n\n');
  stream.close();
  await settle();
  assert.deepEqual(got.arrivals, [
    { name: "retry", data: 900, cursor: "" },
    { name: "snapshot", data: SNAPSHOT, cursor: "e-2" },
    { name: "viewers", data: { viewers: 3 }, cursor: "" },
    { name: "new_comment", data: [], cursor: "e-3" },
  ]);
  assert.equal(got.ended, true);
  assert.equal(got.error, null);
  const [{ path, query, headers }] = requests;
  assert.equal(path, "/under/v1/streams/a%20b/comments/subscribe");
  assert.equal(query.get("last_event_id"), "e-1");
  assert.equal(headers.Authorization, "Bearer t");
  assert.notEqual(headers.Accept, "text/event-stream", "an overloaded edge takes that for a native EventSource");
});

test("a refusal is told with its reason and its time", async () => {
  const got = read(sse(() => refusal(503, "OVERLOADED", { "Retry-After": "3" })).transport);
  await settle();
  assert.equal(got.error.reason, "OVERLOADED");
  assert.equal(got.error.retryAfterMs, 3_000);
});

test("204 says that all has been told", async () => {
  const got = read(sse(() => new Response(null, { status: 204 })).transport, "e-9");
  await settle();
  assert.deepEqual(names(got), ["over"]);
});

test("what is no event stream is told apart", async () => {
  const got = read(sse(() => new Response("<html>", { headers: { "Content-Type": "text/html" } })).transport);
  await settle();
  assert.equal(got.error.reason, "NOT_A_FEED");
});

test("a connection that brings no event in time is held back: it is given up", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const stream = eventStream();
  const { transport, requests } = sse(() => stream.response, { firstMs: 8_000 });
  const got = read(transport);
  await settle();
  t.mock.timers.tick(8_001);
  await settle();
  assert.equal(got.error.reason, "SILENT");
  assert.equal(requests[0].signal.aborted, true);
});

test("later on any sign of life is enough, and long silence is not", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout"] });
  const stream = eventStream();
  const got = read(sse(() => stream.response, { firstMs: 1_000, silentMs: 40_000 }).transport);
  stream.write(`event: snapshot\nid: e-2\ndata: ${JSON.stringify(SNAPSHOT)}\n\n`);
  await settle();
  for (let beat = 0; beat < 4; beat += 1) {
    t.mock.timers.tick(15_000);
    stream.write(":\n\n");
    await settle();
  }
  assert.equal(got.ended, false);
  t.mock.timers.tick(40_001);
  await settle();
  assert.equal(got.error.reason, "SILENT");
});

test("who leaves closes the request", async () => {
  const stream = eventStream();
  const { transport, requests } = sse(() => stream.response);
  const got = read(transport);
  await settle();
  got.controller.abort();
  await settle();
  assert.equal(got.ended, true);
  assert.equal(requests[0].signal.aborted, true);
});

// -- long-poll --

test("each answer is followed by the next question, from its cursor; the first waits for nothing", async () => {
  const answers = [
    { events: [{ event: "snapshot", id: "e-1", data: SNAPSHOT }], cursor: "e-1", poll_after_ms: 120 },
    { events: [{ event: "new_comment", id: "e-4", data: [] }], cursor: "e-5", poll_after_ms: 80 },
  ];
  const { fetch, requests } = server(({ query }) => {
    const answer = answers.shift();
    return answer ? json(answer) : new Promise(() => query);
  });
  const waits = [];
  const transport = new LongPoll(new Api({ fetch }), "s", { wait: async (ms) => void waits.push(ms) });
  const got = read(transport);
  await settle();
  assert.deepEqual(names(got), ["snapshot", "alive", "new_comment", "alive"]);
  assert.equal(got.arrivals.at(-1).cursor, "e-5");
  assert.deepEqual(requests.map(({ query }) => [query.get("since"), query.get("wait")]), [["", "0"], ["e-1", "25"], ["e-5", "25"]]);
  assert.deepEqual(waits, [120, 80]);
  got.controller.abort();
  await settle();
  assert.equal(got.ended, true);
});

test("a poll that fails is told", async () => {
  const got = read(new LongPoll(new Api({ fetch: server(() => refusal(404, "STREAM_NOT_FOUND")).fetch }), "s", {}), "e-1");
  await settle();
  assert.equal(got.error.reason, "STREAM_NOT_FOUND");
});

// -- WebSocket --

async function socket(t, { cursor = "", given = null, answer = () => json({ ticket: "once" }, 201) } = {}) {
  const { fetch, requests } = server(answer);
  const api = new Api({ url: URL_, token: given, fetch });
  const got = read(new Socket(api, "a b", { WebSocket: FakeSocket }), cursor);
  t.after(() => got.controller.abort());
  await settle();
  return { got, requests, made: FakeSocket.made.at(-1) };
}

test("frames come with their cursors; the address holds the cursor", async (t) => {
  const { got, made, requests } = await socket(t, { cursor: "e-1" });
  assert.equal(made.url, "wss://edge.test/under/v1/streams/a%20b/feed?cursor=e-1");
  made.bring({ event: "snapshot", id: "e-2", data: SNAPSHOT });
  made.bring({ event: "viewers", data: { viewers: 1 } });
  await settle();
  assert.deepEqual(got.arrivals, [
    { name: "snapshot", data: SNAPSHOT, cursor: "e-2" },
    { name: "viewers", data: { viewers: 1 }, cursor: "" },
  ]);
  assert.equal(requests.length, 0, "nobody needs no ticket");
  got.controller.abort();
  await settle();
  assert.equal(made.isClosed, true);
});

test("a token is changed for a ticket, and never stands in an address", async (t) => {
  const { made, requests } = await socket(t, { given: token({ sub: "ada" }) });
  assert.equal(requests[0].path, "/under/v1/tickets");
  assert.equal(new URL(made.url).search, "?ticket=once");
});

test("a bad token is no reason to see less of what is public", async (t) => {
  const { made } = await socket(t, { given: token({ sub: "ada" }), answer: () => refusal(401, "UNAUTHENTICATED") });
  assert.equal(new URL(made.url).search, "");
});

test("how it is closed says what follows", async (t) => {
  for (const [code, reason, expected] of [
    [1000, "the stream has ended", ["over"]],
    [1001, "going away: come back in 1500 ms", ["retry"]],
    [1006, "", []],
  ]) {
    const { got, made } = await socket(t);
    made.end(code, reason);
    await settle();
    assert.deepEqual(names(got), expected);
    assert.equal(got.error, null);
  }
  const { got, made } = await socket(t);
  made.end(1008, "the token has expired");
  await settle();
  assert.match(got.error.detail, /expired/);
});

test("frames that nobody takes are bounded: the connection is given up, and what was there is whole", async (t) => {
  const { got, made } = await socket(t);
  for (let number = 0; number < 6_000; number += 1) made.bring({ event: "viewers", data: { viewers: number } });
  assert.equal(made.isClosed, true);
  await settle();
  assert.equal(got.ended, true);
  assert.deepEqual(got.arrivals.map(({ data }) => data.viewers), Array.from({ length: got.arrivals.length }, (_, i) => i));
});
