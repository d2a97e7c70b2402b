/** Live comments in a page: types of what `../src/index.js` exports. */

export interface Comment {
  comment_id: string;
  author_id: string;
  author_name: string;
  text: string;
  /** RFC 3339, UTC, milliseconds. */
  posted_at: string;
  /** Milliseconds since the stream's start. */
  offset_ms: number;
  /** How far behind live its author's player was, ms. */
  lag_ms?: number;
  meta?: Record<string, unknown>;
}

export interface Stream {
  stream_id: string;
  title: string;
  state: "live" | "ended";
  visibility: "public" | "private";
  host_id: string;
  started_at: string;
  ended_at?: string;
  /** The end is announced for then. */
  ends_at?: string;
  slow_mode_s: number;
  pinned?: Comment;
  viewers: number;
}

/** A comment that is durable. */
export interface Accepted {
  comment_id: string;
  posted_at: string;
  offset_ms: number;
  cursor: string;
}

/** What is posted. */
export interface Draft {
  text: string;
  lag_ms?: number;
  meta?: Record<string, unknown>;
}

/** One comment on the screen. A changed item is a new object, under the same key. */
export interface Item {
  /** Never changes; not always the comment's id. */
  key: string;
  /** Its `comment_id` is empty until it is posted. */
  comment: Comment;
  /** failed: refused, or nobody knows what became of it. */
  state: "posted" | "sending" | "failed";
  /** Why it failed. */
  problem?: Problem;
}

/** Why something failed: an RFC 9457 problem of the server, or that no answer came. */
export class Problem extends Error {
  constructor(what: {
    status: number;
    reason?: string;
    detail?: string;
    errors?: FieldError[];
    retryAfterMs?: number;
    cause?: unknown;
  });
  /** HTTP status; 0 when no answer came. */
  status: number;
  /** A stable word: one of the server's error table, or UNREACHABLE, SILENT, UNKNOWN, NOT_A_FEED, TOO_MANY_WAITING. */
  reason: string;
  /** For people; not stable. */
  detail: string;
  /** Fields that are not as they must be. */
  errors: FieldError[];
  /** When to try again; 0 when the server didn't say. */
  retryAfterMs: number;
  /** Nothing is wrong with the request itself: the same one may go through later. */
  get isTransient(): boolean;
  /** The server refuses it for good. */
  get isFinal(): boolean;
  /** It comes from our server, and not from the way there. */
  get isServers(): boolean;
  /** What to tell the user. */
  get words(): string;
  /** The detail of one bad field; undefined when that field is fine. */
  field(name: string): string | undefined;
  /** Any error as a Problem. */
  static of(error: unknown): Problem;
  /** Of an answer whose status is not 2xx. */
  static from(response: Response): Promise<Problem>;
}

export interface FieldError {
  /** As in "#/text". */
  pointer: string;
  detail: string;
}

/** What a JWT says of its bearer, unchecked: to be shown, never trusted. Null for what is no JWT. */
export function readClaims(token: string): Record<string, any> | null;

export interface TokenOptions {
  /** The user's JWT, or what gives it at the moment of a request; null for nobody. */
  token?: string | null | (() => string | null);
  /**
   * Brings another token, for one that ends within half a minute or was refused with 401; null where there was none.
   * Its token is used until `token` is another one.
   */
  renewToken?: (old: string | null) => Promise<string>;
}

export interface ApiOptions extends TokenOptions {
  /** The server's address; without one, the page's own. */
  url?: string;
  fetch?: typeof fetch;
}

/** The HTTP interface, as functions; each rejects with a Problem, or with its signal's reason. */
export class Api {
  constructor(options?: ApiOptions);
  /**
   * The server's time as it has told it, to the second and never ahead of it; this machine's where it has not, as to
   * pages of another origin. Ms since the Unix epoch.
   */
  now(): number;
  listStreams(options?: {
    state?: "live" | "ended";
    limit?: number;
    token?: string;
    signal?: AbortSignal;
  }): Promise<{ streams: Stream[]; next_pagination_token?: string }>;
  createStream(stream: {
    stream_id?: string;
    title: string;
    slow_mode_s?: number;
    visibility?: string;
  }): Promise<Stream>;
  getStream(streamId: string, options?: { signal?: AbortSignal }): Promise<Stream>;
  updateStream(streamId: string, changes: { title?: string; slow_mode_s?: number }): Promise<Stream>;
  endStream(streamId: string, noticeS?: number): Promise<Stream>;
  banUser(streamId: string, userId: string): Promise<void>;
  /** One attempt; the key is the same for every attempt at the same comment. */
  postComment(streamId: string, draft: Draft, key: string, options?: { signal?: AbortSignal }): Promise<Accepted>;
  deleteComment(streamId: string, commentId: string): Promise<void>;
  pinComment(streamId: string, commentId: string): Promise<void>;
  unpinComment(streamId: string): Promise<void>;
  /** The latest comments, or the page before `cursor`; oldest first within the page. */
  recentComments(
    streamId: string,
    options?: { cursor?: string; limit?: number },
  ): Promise<{ comments: Comment[]; oldest_cursor?: string; cursor: string }>;
  /** Comments of a window of the recording, in the log's order. */
  listComments(
    streamId: string,
    window: { startS: number; durationS: number; limit: number; token?: string; signal?: AbortSignal },
  ): Promise<{ comments: Comment[]; next_pagination_token?: string; complete: boolean }>;
}

/** What a feed is doing; refused: see the problem. */
export type FeedState = "connecting" | "live" | "reconnecting" | "ended" | "refused";

/** paused: by `pause()`, or as the page has been hidden for a while. */
export type ConnectionState = FeedState | "paused" | "closed";

export interface ConnectOptions extends ApiOptions {
  /** The stream's id. */
  stream: string;
  /**
   * auto (the default): server-sent events, where these don't come through a WebSocket, where that doesn't either
   * long-poll. Else this one alone.
   */
  transport?: "auto" | "sse" | "websocket" | "poll";
  /** Of a feed that is too fast to read everything; for the stream's host and moderators. */
  all?: boolean;
  /** A page that is hidden for so long lets go of its connection until it is shown, ms; 60,000. Infinity: never. */
  hiddenMs?: number;
  /** Comments that are kept; 500. */
  keep?: number;
  /** The player of the live picture: `post()` measures with it how far behind its user is. */
  video?: LivePlayer;
  /** The same where the player doesn't tell: milliseconds. */
  lag?: () => number;
  /** A connection is taken for held back when it brings nothing for so long at its beginning, ms; 8,000. */
  firstMs?: number;
  /** And for dead when it is silent for so long later, ms; 40,000. The server shows life each 15 s. */
  silentMs?: number;
  /** Closes the connection. */
  signal?: AbortSignal;
  WebSocket?: typeof WebSocket;
}

export interface ListenOptions {
  signal?: AbortSignal;
  once?: boolean;
}

export interface Snapshot {
  stream: Stream;
  comments: Comment[];
  /** It continues what came before; then it has no comments. */
  recovered: boolean;
  viewers: number;
  degraded: boolean;
}

/** What each event tells. Those named as the server's come in the log's order, each once. */
export interface ConnectionEvents {
  /** `comments`, `waiting` or `isAtBeginning` is another one. Once, however much changes in one go. */
  change: { comments: readonly Item[] };
  /** `stream` is another one. */
  stream: { stream: Stream };
  /** `problem` as the connection has it then. */
  state: { state: ConnectionState; problem: Problem | null };
  /** Events between two connections could not be had: the snapshot that follows replaces what was shown. */
  gap: Record<string, never>;
  snapshot: Snapshot;
  /** Those of a tenth of a second, in order. */
  new_comment: Comment[];
  delete_comment: { comment_id: string };
  pinned_comment: { comment: Comment };
  unpinned_comment: Record<string, never>;
  stream_updated: { stream: Stream };
  stream_ending: { ends_at: string };
  stream_ended: { ended_at: string };
  viewers: { viewers: number };
  /** So many comments were left out: nobody could have read them all. */
  omitted: { count: number };
  /** The server itself hears of comments late, for now. */
  degraded: { degraded: boolean };
}

export interface PostOptions {
  /** In place of what is measured. */
  lagMs?: number;
  meta?: Record<string, unknown>;
  /** Before each wait for another attempt. */
  onRetry?: (waitMs: number) => void;
  /** Gives up; the comment may have been taken all the same. */
  signal?: AbortSignal;
}

export interface Connection {
  readonly api: Api;
  readonly state: ConnectionState;
  /** What went wrong last, while it is not live; of one that is refused: why. */
  readonly problem: Problem | null;
  /** The one in use. */
  readonly transport: "sse" | "websocket" | "poll";
  /** Where it goes on; opaque. */
  readonly cursor: string;
  /** As the last events have made it; null before the first. */
  readonly stream: Stream | null;
  /** What to show, oldest first; one's own comments among them from the moment of `post()`. */
  readonly comments: readonly Item[];
  /** How many comments have come since `hold()`, and wait. */
  readonly waiting: number;
  /** The stream's first comment is known to be among `comments`. */
  readonly isAtBeginning: boolean;
  /** Returns what stops listening. */
  on<Name extends keyof ConnectionEvents>(
    name: Name,
    listener: (data: ConnectionEvents[Name]) => void,
    options?: ListenOptions,
  ): () => void;
  /**
   * Posts a comment, and repeats it under one key for a minute while nobody can say whether it was taken. Rejects with
   * the Problem; the comment stays among `comments` as failed then, until it is sent by `retry` or taken by `discard`.
   */
  post(text: string, options?: PostOptions): Promise<Accepted>;
  /** Sends a failed comment again: it won't appear twice. */
  retry(key: string, options?: Pick<PostOptions, "onRetry" | "signal">): Promise<Accepted>;
  /** Takes a failed comment away. */
  discard(key: string): void;
  /**
   * For who reads further up: nothing is added below or taken away above. What comes waits, as many as are kept (the
   * latest); one's own comments appear all the same.
   */
  hold(): void;
  /** Goes on after `hold()`: what has waited is there, and the oldest go again when there are too many. */
  follow(): void;
  /** Deletes a comment for everyone: one's own, or any as the stream's host or moderator. It is gone from here at once. */
  deleteComment(commentId: string): Promise<void>;
  /** As the stream's host or moderator; `stream` is what it is then, without waiting for the feed. */
  updateStream(changes: { title?: string; slow_mode_s?: number }): Promise<Stream>;
  /** Puts older comments on top; resolves with how many, 0 at the stream's beginning. */
  loadOlder(): Promise<number>;
  /** Lets go of the connection until `resume()`, which misses nothing. */
  pause(): void;
  /** Also after a refusal: with another token, say. */
  resume(): void;
  /** Resolves when nothing is under way any more. Posts that wait are given up. */
  close(): Promise<void>;
}

export function connect(options: ConnectOptions): Connection;

/** What is used of a media element; some players know the wall clock of their media's beginning. */
export type LivePlayer = Pick<HTMLMediaElement, "currentTime" | "seekable"> & { getStartDate?: () => Date };

/** How far behind live a player is, ms; at most a minute, 0 when nothing is known. */
export function lagOf(player: LivePlayer, now: number): number;

/** When a comment is shown, ms since the stream's start: at the moment that it was about. */
export function shownAtMs(comment: Comment): number;

/** loading: what was said here is not known yet. */
export type ReplayState = "loading" | "playing" | "paused" | "refused" | "closed";

/**
 * What is used of a media element. Whatever keeps time can be one: it says where it is, and tells of jumps by `seeked`;
 * the other events of a media element only make it quicker.
 */
export type Player = Pick<
  HTMLMediaElement,
  "currentTime" | "paused" | "playbackRate" | "addEventListener" | "removeEventListener"
>;

export interface ReplayOptions extends ApiOptions {
  stream: string;
  video: Player;
  /** Where in the stream the video begins, ms; 0. */
  offsetMs?: number;
  /** The latest comments that are shown; 300. */
  keep?: number;
  signal?: AbortSignal;
}

export interface ReplayEvents {
  /** These are due now; oldest first. */
  show: { comments: Comment[] };
  /** The player jumped: nothing is shown; what belongs to the new place follows. */
  clear: Record<string, never>;
  /** `comments` are other ones. */
  change: { comments: readonly Comment[] };
  state: { state: ReplayState; problem: Problem | null };
  stream: { stream: Stream };
  /** A read failed; it is repeated. */
  trouble: { problem: Problem };
}

export class Replay {
  constructor(options: ReplayOptions);
  readonly api: Api;
  readonly state: ReplayState;
  readonly problem: Problem | null;
  readonly stream: Stream | null;
  /** What is shown at the player's place, oldest first. */
  readonly comments: readonly Comment[];
  /** Where the player is in the stream, ms since its start. */
  readonly positionMs: number;
  on<Name extends keyof ReplayEvents>(
    name: Name,
    listener: (data: ReplayEvents[Name]) => void,
    options?: ListenOptions,
  ): () => void;
  /** How long the stream is, ms; of a live one, so far. 0 before it is known. */
  readonly durationMs: number;
  /** Asks again after a refusal: with another token, say. */
  resume(): void;
  /** Leaves the player alone from now on. */
  close(): Promise<void>;
}
