import assert from "node:assert/strict";
import { test } from "node:test";

import { EventStreamParser } from "../../../../clients/js/src/event_stream.js";

const TEXT =
  'retry: 1000\n\nevent: snapshot\nid: e-1\ndata: {"a":1}\n\n:\n\nevent: viewers\ndata: {"viewers":3}\n\n' +
  "event: note\nid: e-2\ndata: two\ndata: lines\n\n";
const EVENTS = [
  { type: "snapshot", data: '{"a":1}', lastEventId: "e-1" },
  { type: "viewers", data: '{"viewers":3}', lastEventId: "e-1" },
  { type: "note", data: "two\nlines", lastEventId: "e-2" },
];

test("events come out the same, wherever the text is cut", () => {
  for (let cut = 0; cut <= TEXT.length; cut += 1) {
    const events = [];
    const parser = new EventStreamParser((event) => events.push(event));
    parser.feed(TEXT.slice(0, cut));
    parser.feed(TEXT.slice(cut));
    assert.deepEqual(events, EVENTS, `cut at ${cut}`);
  }
});

test("an event that was cut off is not told", () => {
  const events = [];
  const parser = new EventStreamParser((event) => events.push(event));
  parser.feed("event: new_comment\ndata: []\n");
  assert.deepEqual(events, []);
});

test("an event without an end is refused before it fills the memory", () => {
  const parser = new EventStreamParser(() => {});
  const line = `data: ${"x".repeat(1_000_000)}\n`;
  assert.throws(() => {
    for (let count = 0; count < 20; count += 1) parser.feed(line);
  }, RangeError);
});
