import assert from "node:assert/strict";
import { test } from "node:test";

import { Api } from "../../../../clients/js/src/api.js";
import { Problem } from "../../../../clients/js/src/problem.js";
import { json as answerOf, refusal, server } from "./fakes.mjs";

/** An Api whose requests are kept and all get the same answer. */
function api(answer, token = "t.t.t") {
  const requests = [];
  const made = new Api({
    token: () => token,
    fetch: async (path, options) => {
      requests.push({ path, ...options });
      return answer();
    },
  });
  return { made, requests };
}

const json = (body, status = 200) => () => new Response(JSON.stringify(body), { status });

test("a post carries the token, the key and the text", async () => {
  const { made, requests } = api(json({ comment_id: "c" }, 202));
  assert.deepEqual(await made.postComment("a b", { text: "hello", lag_ms: 40 }, "key-1"), { comment_id: "c" });
  const [{ path, method, headers, body }] = requests;
  assert.equal(path, "/v1/streams/a%20b/comments");
  assert.equal(method, "POST");
  assert.equal(headers.Authorization, "Bearer t.t.t");
  assert.equal(headers["Idempotency-Key"], "key-1");
  assert.equal(JSON.parse(body).text, "hello");
  assert.equal(JSON.parse(body).lag_ms, 40);
});

test("without a token there is no header, and what isn't given is not asked for", async () => {
  const { made, requests } = api(json({ comments: [] }), null);
  await made.listComments("s", { startS: 1.5, durationS: 60, limit: 10 });
  assert.equal("Authorization" in requests[0].headers, false);
  assert.equal(requests[0].path, "/v1/streams/s/comments?start_time=1.5&duration=60&limit=10");
});

test("an empty answer is fine", async () => {
  const { made } = api(() => new Response(null, { status: 204 }));
  assert.equal(await made.unpinComment("s"), undefined);
});

test("a refusal is a Problem, and so is silence", async () => {
  const refused = api(json({ reason: "STREAM_NOT_FOUND", detail: "no such stream" }, 404)).made;
  await assert.rejects(refused.getStream("s"), (error) => error instanceof Problem && error.status === 404);
  const silent = api(() => {
    throw new TypeError("failed to fetch");
  }).made;
  await assert.rejects(silent.getStream("s"), (error) => error instanceof Problem && error.isTransient);
});

test("who aborts a call hears their own reason", async () => {
  const controller = new AbortController();
  const { made } = api(() => {
    controller.abort(new Error("seek"));
    throw new DOMException("aborted", "AbortError");
  });
  const call = made.listComments("s", { startS: 0, durationS: 1, limit: 1, signal: controller.signal });
  await assert.rejects(call, /seek/);
});

test("a refused token is renewed, once for all who need it, and the request repeated", async () => {
  const asked = [];
  const { fetch, requests } = server(({ headers }) =>
    headers.Authorization === "Bearer new" ? answerOf({ stream_id: "s" }) : refusal(401, "UNAUTHENTICATED"),
  );
  const made = new Api({
    fetch,
    token: "old",
    renewToken: async (old) => {
      asked.push(old);
      return "new";
    },
  });
  const streams = await Promise.all([made.getStream("s"), made.getStream("s")]);
  assert.deepEqual(streams, [{ stream_id: "s" }, { stream_id: "s" }]);
  assert.deepEqual(asked, ["old"]);
  await made.getStream("s");
  assert.equal(requests.at(-1).headers.Authorization, "Bearer new");
});

test("a renewed token that is refused, too, is the end of it", async () => {
  const { fetch, requests } = server(() => refusal(401, "UNAUTHENTICATED"));
  const made = new Api({ fetch, token: "old", renewToken: async () => "new" });
  await assert.rejects(made.getStream("s"), (error) => error.status === 401 && error.isFinal);
  assert.equal(requests.length, 2);
});

test("a bad token is no reason to see less of what is public, and none to write", async () => {
  const { fetch, requests } = server(({ headers }) =>
    headers.Authorization ? refusal(401, "UNAUTHENTICATED") : answerOf({ stream_id: "s" }),
  );
  const made = new Api({ fetch, token: "bad" });
  assert.deepEqual(await made.getStream("s"), { stream_id: "s" });
  await assert.rejects(made.postComment("s", { text: "hello" }, "k"), (error) => error.status === 401);
  assert.equal(requests.length, 3);
});

test("requests go to the server that is named", async () => {
  const { fetch, requests } = server(() => answerOf({}));
  await new Api({ url: "https://edge.test/under/", fetch }).getStream("s");
  assert.equal(requests[0].path, "/under/v1/streams/s");
});
