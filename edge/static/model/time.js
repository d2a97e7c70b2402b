// @ts-check
/** Times and durations as people read them. */

/**
 * A place in a recording: 0:05, 12:34, 1:02:03.
 *
 * @param {number} ms
 */
export function formatOffset(ms) {
  const total = Math.max(0, Math.floor(ms / 1000));
  const hours = Math.floor(total / 3600);
  const minutes = Math.floor(total / 60) % 60;
  const seconds = String(total % 60).padStart(2, "0");
  return hours ? `${hours}:${String(minutes).padStart(2, "0")}:${seconds}` : `${minutes}:${seconds}`;
}

/**
 * The same in words, for screen readers: "1 hour 2 minutes 3 seconds".
 *
 * @param {number} ms
 */
export function speakOffset(ms) {
  const total = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    [Math.floor(total / 3600), "hour"],
    [Math.floor(total / 60) % 60, "minute"],
    [total % 60, "second"],
  ];
  const said = parts.filter(([count]) => count).map(([count, unit]) => plural(Number(count), String(unit)));
  return said.join(" ") || "0 seconds";
}

/**
 * Wall clock, hours and minutes, as the reader's locale writes it.
 *
 * @param {string} utc RFC 3339
 */
export function formatClock(utc) {
  return clockOf(utc);
}

/**
 * Date and time in full.
 *
 * @param {string} utc RFC 3339
 */
export function formatMoment(utc) {
  return momentOf(utc);
}

/**
 * How long ago, roughly: "just now", "5 minutes ago", "yesterday".
 *
 * @param {string} rfc3339
 * @param {number} now ms since the Unix epoch
 */
export function formatAgo(rfc3339, now) {
  const seconds = Math.round((now - Date.parse(rfc3339)) / 1000);
  if (seconds < 60) return "just now";
  if (seconds < 3600) return relative.format(-Math.floor(seconds / 60), "minute");
  if (seconds < 86_400) return relative.format(-Math.floor(seconds / 3600), "hour");
  return relative.format(-Math.floor(seconds / 86_400), "day");
}

/**
 * "1 comment", "1,234 comments".
 *
 * @param {number} count
 * @param {string} unit
 */
export function plural(count, unit) {
  return `${number.format(count)} ${unit}${count === 1 ? "" : "s"}`;
}

/**
 * A count in little space: 987, 1.2K, 10M.
 *
 * @param {number} count
 */
export function formatCount(count) {
  return count < 10_000 ? number.format(count) : compact.format(count);
}

const clockOf = toTheSecond(new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" }));
const momentOf = toTheSecond(new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" }));
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const number = new Intl.NumberFormat("en");
const compact = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/**
 * Formats each second once: comments come many at a time, and this is dear.
 *
 * @param {Intl.DateTimeFormat} format
 * @returns {(utc: string) => string}
 */
function toTheSecond(format) {
  let [second, words] = ["", ""];
  return (utc) => {
    const wanted = utc.slice(0, "2026-01-01T12:00:00".length);
    if (wanted !== second) [second, words] = [wanted, format.format(new Date(utc))];
    return words;
  };
}
