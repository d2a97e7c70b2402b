// @ts-check
/** What events say of the stream itself. */

/** @typedef {import("./api.js").Stream} Stream */

/**
 * The stream after an event; the same object when that says nothing of it.
 *
 * @param {Stream | null} stream null before the first snapshot
 * @param {string} name
 * @param {any} data
 * @returns {Stream | null}
 */
export function streamAfter(stream, name, data) {
  if (name === "snapshot") return { ...data.stream, viewers: data.viewers };
  if (!stream) return null;
  switch (name) {
    case "delete_comment":
      return stream.pinned?.comment_id === data.comment_id ? { ...stream, pinned: undefined } : stream;
    case "pinned_comment":
      return { ...stream, pinned: data.comment };
    case "unpinned_comment":
      return { ...stream, pinned: undefined };
    case "stream_updated":
      return { ...data.stream, pinned: stream.pinned, viewers: stream.viewers };
    case "stream_ending":
      return { ...stream, ends_at: data.ends_at };
    case "stream_ended":
      return { ...stream, state: "ended", ended_at: data.ended_at };
    case "viewers":
      return { ...stream, viewers: data.viewers };
    default:
      return stream;
  }
}
