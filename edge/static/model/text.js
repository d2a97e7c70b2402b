// @ts-check
/** What a comment's text may be, and how it is shown. */

/** The server's default limit (CORE_TEXT_MAX), in code points. */
export const TEXT_MAX = 500;
const NEAR = 100;
const LINE_BREAKS_SHOWN = 6;

/** Length as the server counts it: code points, after NFC. @param {string} text */
export function lengthOf(text) {
  let count = 0;
  for (const _ of text.normalize("NFC")) count += 1;
  return count;
}

/**
 * The text that is sent: no white space around it.
 *
 * @param {string} text
 */
export function tidy(text) {
  return text.normalize("NFC").replace(/\r\n?/g, "\n").trim();
}

/**
 * What the counter says.
 *
 * @param {string} text
 * @returns {{left: number, near: boolean, over: boolean, empty: boolean}}
 */
export function measure(text) {
  const length = lengthOf(tidy(text));
  const left = TEXT_MAX - length;
  return { left, near: left <= NEAR, over: left < 0, empty: length === 0 };
}

/**
 * The text as it is shown: no one can push everyone else off the screen with line breaks.
 *
 * @param {string} text
 */
export function shown(text) {
  const lines = text.replace(/\n{3,}/g, "\n\n").split("\n");
  if (lines.length <= LINE_BREAKS_SHOWN + 1) return lines.join("\n");
  return [...lines.slice(0, LINE_BREAKS_SHOWN), lines.slice(LINE_BREAKS_SHOWN).join(" ")].join("\n");
}
