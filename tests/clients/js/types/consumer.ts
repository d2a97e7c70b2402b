/** A program as its users write it; it is compiled, and never run. */

import { Api, connect, Problem, readClaims, Replay, shownAtMs } from "@livecomments/client";
import type { Comment, Connection, ConnectionState, Item, Stream } from "@livecomments/client";

const closing = new AbortController();

export const live: Connection = connect({
  stream: "final",
  url: "https://comments.example",
  token: () => localStorage.getItem("token"),
  renewToken: async (old) => `${old ?? ""}-renewed`,
  transport: "auto",
  video: document.querySelector("video") ?? undefined,
  signal: closing.signal,
});

const off: () => void = live.on("change", ({ comments }) => {
  const items: readonly Item[] = comments;
  for (const { key, comment, state, problem } of items) {
    row(key, comment, state === "failed" ? (problem?.words ?? "") : "");
  }
});
live.on("new_comment", (comments) => comments.map(({ text }) => text.length), { once: true });
live.on("state", ({ state, problem }) => told(state, problem?.retryAfterMs));
live.on("omitted", ({ count }) => count.toFixed());
live.on("gap", () => off());
// @ts-expect-error there is no such event
live.on("comment", () => {});
// @ts-expect-error what an event tells has a type
live.on("viewers", ({ viewers }) => viewers.length);
// @ts-expect-error a stream is needed
connect({ url: "https://comments.example" });
// @ts-expect-error there is no such way
connect({ stream: "final", transport: "pigeon" });
// @ts-expect-error what is shown is not to be changed in place
live.comments.push();

export async function post(text: string): Promise<string> {
  try {
    const { comment_id } = await live.post(text, { meta: { mood: "glad" }, onRetry: (ms) => ms.toFixed() });
    return comment_id;
  } catch (error) {
    if (error instanceof Problem && error.reason === "SLOW_MODE") return error.field("text") ?? "";
    throw error;
  } finally {
    await live.close();
  }
}

live.on("stream", ({ stream }) => stream.title.length);
if (live.waiting > 0 && !live.isAtBeginning) live.follow();
else live.hold();
export const name: string = String(readClaims("a.b.c")?.name);

/** What keeps time and is no media element. */
class Clock extends EventTarget {
  currentTime = 0;
  paused = true;
  playbackRate = 1;
}
export const besideClock: number = new Replay({ stream: "final", video: new Clock() }).durationMs;

export function beside(video: HTMLVideoElement): Replay {
  const replay = new Replay({ stream: "final", video, offsetMs: 1_000 });
  replay.on("show", ({ comments }) => comments.map(shownAtMs));
  replay.on("clear", () => {});
  return replay;
}

export async function titles(): Promise<string[]> {
  const { streams }: { streams: Stream[] } = await new Api({ url: "https://comments.example" }).listStreams();
  return streams.map(({ title }) => title);
}

declare function row(key: string, comment: Comment, words: string): void;
declare function told(state: ConnectionState, retryAfterMs: number | undefined): void;
