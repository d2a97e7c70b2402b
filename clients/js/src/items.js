// @ts-check
/** Comments as they stand on the screen, and which of them are the same one. */

/** @typedef {import("./api.js").Comment} Comment */

/**
 * One comment on the screen. A changed item is a new object, under the same key.
 *
 * @typedef {object} Item
 * @property {string} key never changes; not always the comment's id
 * @property {Comment} comment
 * @property {"posted" | "sending" | "failed"} state failed: refused, or nobody knows what became of it
 * @property {import("./problem.js").Problem} [problem] why it failed
 */

/**
 * @param {Comment} comment
 * @returns {Item}
 */
export function makeItem(comment) {
  return { key: comment.comment_id, comment, state: "posted" };
}

/**
 * Those that stand before `first` in the log.
 *
 * @param {Comment | undefined} first
 * @param {Comment[]} comments
 */
export function olderThan(first, comments) {
  if (!first) return comments;
  const place = comments.findIndex((comment) => comment.comment_id === first.comment_id);
  if (place >= 0) return comments.slice(0, place);
  // Without it, a page lies on one side of it, unless it was deleted. Several may share a millisecond.
  const last = comments.at(-1)?.posted_at ?? "";
  return last <= first.posted_at ? comments : comments.filter((comment) => comment.posted_at < first.posted_at);
}

/**
 * Whether the feed's comment is this one of ours. The feed can be faster than the answer to the post, so one without
 * an id is known by its author and text.
 *
 * @param {Item} own
 * @param {Comment} comment
 */
export function isSame(own, comment) {
  if (own.state === "posted") return own.comment.comment_id === comment.comment_id;
  return own.comment.author_id === comment.author_id && own.comment.text === comment.text;
}
