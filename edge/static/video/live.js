// @ts-check
/** A video beside a live stream. */

import { lagOf } from "../client/index.js";

/**
 * Where a video of known length is to be, so that all who watch see the same: it began when the stream began, and goes
 * round.
 *
 * @param {number} elapsedMs since the stream's start
 * @param {number} durationS of the video
 * @returns {number} s
 */
export function placeInLoop(elapsedMs, durationS) {
  return (Math.max(0, elapsedMs) / 1000) % durationS;
}

/**
 * How far behind live a video is, because it was stopped or had to wait.
 *
 * @param {HTMLMediaElement} video
 * @param {string} startedAt of the stream, RFC 3339
 * @param {number} now ms since the Unix epoch
 * @returns {number} milliseconds
 */
export function behindLiveMs(video, startedAt, now) {
  const { duration, currentTime } = video;
  if (!Number.isFinite(duration)) return lagOf(video, now);
  const behindS = (placeInLoop(now - Date.parse(startedAt), duration) - currentTime + duration) % duration;
  // More than half a round behind is a little ahead.
  return behindS > duration / 2 ? 0 : behindS * 1000;
}
