// @ts-check
/** Which video belongs to a stream: the page's own address says so, `?video=…`. */

const SCHEMES = ["http:", "https:"];

/**
 * The video's address. Whoever makes the link to the page chooses it, so that only what a browser fetches as a file is
 * taken; nothing in it is ever run.
 *
 * @param {string} page the page's address
 * @returns {string | null} null when the page names none, or not one over HTTP
 */
export function videoAddress(page) {
  const given = new URL(page).searchParams.get("video");
  if (!given) return null;
  try {
    const address = new URL(given, page);
    return SCHEMES.includes(address.protocol) ? address.href : null;
  } catch {
    return null;
  }
}

/**
 * A path of ours, to a page with the same video.
 *
 * @param {string} path without a query
 * @param {string} page the address of the page that leads there
 */
export function withVideo(path, page) {
  const given = new URL(page).searchParams.get("video");
  return given ? `${path}?${new URLSearchParams({ video: given })}` : path;
}
