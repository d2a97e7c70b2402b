// Watches a stream, posts a comment to it, and ends when it sees that comment.
import { randomUUID } from "node:crypto";
import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";
import { CommentService } from "./gen/livecomments/v1/comment_service_pb.js";
import { FeedService } from "./gen/livecomments/v1/feed_service_pb.js";

const [core, fanout, streamId, text] = process.argv.slice(2);

const authorized: Interceptor = (next) => (request) => {
  request.header.set("authorization", `Bearer ${process.env["LIVECOMMENTS_TOKEN"]}`);
  return next(request);
};

function transportTo(address: string | undefined) {
  return createGrpcTransport({ baseUrl: `http://${address}`, interceptors: [authorized] });
}

async function main(): Promise<void> {
  const comments = createClient(CommentService, transportTo(core));
  const feed = createClient(FeedService, transportTo(fanout));
  const deadline = AbortSignal.timeout(30_000);
  let posted: string | undefined;
  for await (const { message } of feed.watch({ streamId }, { signal: deadline })) {
    if (message.case === "snapshot") {
      console.log("watching", message.value.stream?.title);
      const answer = await comments.postComment({ streamId, text, requestId: randomUUID() }, { timeoutMs: 10_000 });
      posted = answer.comment?.commentId;
      console.log("posted", posted);
    } else if (message.case === "batch") {
      const events = message.value.messages.flatMap(({ events }) => events?.events ?? []);
      for (const { kind } of events) {
        if (kind.case === "posted" && posted !== undefined && kind.value.comment?.commentId === posted) {
          console.log("seen", kind.value.comment.text);
          return;
        }
      }
    }
  }
  throw new Error("the feed ended");
}

await main();
// Connections are kept for a while; nothing is under way on them.
process.exit(0);
