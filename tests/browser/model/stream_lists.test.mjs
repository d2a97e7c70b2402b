import assert from "node:assert/strict";
import { test } from "node:test";

import { StreamList } from "../../../edge/static/model/stream_lists.js";

const stream = (id) => ({ stream_id: id });

test("pages are added one after the other, each stream once", async () => {
  const pages = {
    first: { streams: [stream("c"), stream("b")], next_pagination_token: "second" },
    // One was created meanwhile: the pages have moved by one.
    second: { streams: [stream("b"), stream("a")] },
  };
  const list = new StreamList(async (token) => pages[token ?? "first"]);
  await list.refresh();
  assert.equal(list.hasMore, true);
  await list.more();
  assert.deepEqual(list.streams.map(({ stream_id: id }) => id), ["c", "b", "a"]);
  assert.equal(list.hasMore, false);
});
