// @ts-check
/** The page's picture: there when the page's address names a video. */

import { placeInLoop } from "../video/live.js";
import { videoAddress, withVideo } from "../video/address.js";
import { byId } from "./element.js";

/**
 * Shows the video that the page's address names, beside the comments.
 *
 * @param {(words: string) => void} onProblem
 * @returns {HTMLVideoElement | null} null when there is none
 */
export function showVideo(onProblem) {
  const address = videoAddress(location.href);
  const isNamed = new URLSearchParams(location.search).has("video");
  if (!address && isNamed) onProblem("A video’s address begins with https:// or http://");
  if (!address) return null;
  const video = byId("video");
  video.addEventListener("error", () => {
    byId("video-problem").hidden = false;
  });
  video.src = address;
  byId("screen").hidden = false;
  document.body.classList.add("with-video");
  return video;
}

/**
 * Has a video of known length begin when the stream began; one that is live itself is where it is.
 *
 * @param {HTMLVideoElement} video
 * @param {string} startedAt RFC 3339
 */
export function playFromStart(video, startedAt) {
  const begin = () => {
    if (Number.isFinite(video.duration)) {
      video.loop = true;
      video.currentTime = placeInLoop(Date.now() - Date.parse(startedAt), video.duration);
    }
    // Without a sound it may; where it may not even so, its own button starts it.
    video.muted = true;
    video.play().catch(() => undefined);
  };
  if (video.readyState >= video.HAVE_METADATA) begin();
  else video.addEventListener("loadedmetadata", begin, { once: true });
}

/**
 * Gives links to another page of this stream the video that this page has.
 *
 * @param {string} selector of the links
 * @param {string} path
 */
export function leadTo(selector, path) {
  for (const link of document.querySelectorAll(selector)) {
    /** @type {HTMLAnchorElement} */ (link).href = withVideo(path, location.href);
  }
}
