// @ts-check
/** How far behind live a player is. */

/** The server takes no more, and a replay reads no further ahead. */
export const LAG_MAX_MS = 60_000;

/**
 * What is used of a media element; some players know the wall clock of their media's beginning.
 *
 * @typedef {Pick<HTMLMediaElement, "currentTime" | "seekable"> & {getStartDate?: () => Date}} LivePlayer
 */

/**
 * From the programme's own clock where the player knows it (`getStartDate`), else from the end of what can be played.
 *
 * @param {LivePlayer} player
 * @param {number} now ms since the Unix epoch
 * @returns {number} whole milliseconds, from 0 to a minute; 0 when nothing is known
 */
export function lagOf(player, now) {
  const startMs = player.getStartDate?.().getTime() ?? NaN;
  const { seekable, currentTime } = player;
  const endS = seekable.length ? seekable.end(seekable.length - 1) : NaN;
  const lagMs = Number.isFinite(startMs) ? now - startMs - currentTime * 1000 : (endS - currentTime) * 1000;
  return Number.isFinite(lagMs) ? Math.round(Math.min(Math.max(0, lagMs), LAG_MAX_MS)) : 0;
}
