// @ts-check
/** A face for each author without a picture: a hue and an initial, the same on every screen. */

/**
 * @param {string} authorId
 * @returns {number} degrees, 0 to 359
 */
export function hueOf(authorId) {
  // FNV-1a, then MurmurHash3's finalizer: by FNV alone ids that differ in their last digit share two hues.
  let hash = 0x811c9dc5;
  for (const byte of encoder.encode(authorId)) hash = Math.imul(hash ^ byte, 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % 360;
}

/**
 * The first character as people see it (an emoji of several code points is one), in upper case.
 *
 * @param {string} name
 */
export function initialOf(name) {
  const trimmed = name.trim();
  if (!trimmed) return "?";
  if (PLAIN.test(trimmed)) return trimmed[0].toUpperCase();
  if (!segmenter) return [...trimmed][0].toUpperCase();
  const [first] = segmenter.segment(trimmed);
  return first.segment.toUpperCase();
}

/** Begins with a letter to which nothing is joined, as most names do: to ask a segmenter costs as much as half a row. */
const PLAIN = /^[!-~](?![^ -~])/;
// Made once: a segmenter costs more than a row of the list.
const encoder = new TextEncoder();
const segmenter =
  typeof Intl.Segmenter === "function" ? new Intl.Segmenter(undefined, { granularity: "grapheme" }) : null;
