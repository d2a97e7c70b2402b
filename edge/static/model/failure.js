// @ts-check
/** A comment that was not posted: what its author is told, and what can be done about it. */

/** @typedef {import("../client/index.js").Problem} Problem */

const RATES = ["USER_RATE", "ADDRESS_RATE", "SLOW_MODE"];
const NOT_SENT = "TOO_MANY_WAITING";
const NOT_CONFIRMED = "No answer came, so it isn’t certain whether this was posted. Try again: it won’t appear twice.";

/**
 * @typedef {object} Failure
 * @property {string} title
 * @property {string} words why, in a sentence
 * @property {boolean} isRepeatable the same text may pass later; else it has to be another one
 */

/**
 * @param {Problem} problem
 * @returns {Failure}
 */
export function failureOf(problem) {
  if (problem.isTransient && problem.reason !== NOT_SENT) {
    return { title: "Not confirmed", words: NOT_CONFIRMED, isRepeatable: true };
  }
  const ofText = problem.field("text");
  const words = sentence(ofText ? `text ${ofText}` : problem.words);
  return { title: "Not posted", words, isRepeatable: !ofText };
}

/**
 * How long the next comment has to wait after this, ms.
 *
 * @param {Problem} problem
 */
export function waitAfter(problem) {
  return RATES.includes(problem.reason) ? Math.max(problem.retryAfterMs, 1_000) : 0;
}

/** @param {string} words */
function sentence(words) {
  const first = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.!?]$/.test(first) ? first : `${first}.`;
}
