// @ts-check
/** What a screen reader is told of a feed: a sentence now and then, not every comment. */

import { plural } from "./time.js";

/** @typedef {import("../client/index.js").Comment} Comment */

/**
 * @param {readonly Comment[]} comments that came since the last summary, oldest first
 * @returns {string} empty when there is nothing to say
 */
export function summaryOf(comments) {
  const last = comments.at(-1);
  if (!last) return "";
  if (comments.length <= 2) return comments.map(({ author_name: name, text }) => `${name}: ${text}`).join(". ");
  return `${plural(comments.length, "new comment")}, the latest from ${last.author_name}`;
}
