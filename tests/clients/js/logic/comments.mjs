/** Comments for tests. */

const START_MS = Date.parse("2026-01-01T12:00:00.000Z");

/**
 * The comment with this number: a second after the one before, its id rising with it.
 *
 * @param {number} number
 * @param {object} [given] fields that matter to the test
 */
export function comment(number, given = {}) {
  return {
    comment_id: `c${String(number).padStart(5, "0")}`,
    author_id: "ada",
    author_name: "Ada",
    text: `comment ${number}`,
    posted_at: new Date(START_MS + number * 1000).toISOString(),
    offset_ms: number * 1000,
    ...given,
  };
}

/** Those from `first` to `last`, both included. */
export function comments(first, last) {
  return Array.from({ length: last - first + 1 }, (_, index) => comment(first + index));
}
