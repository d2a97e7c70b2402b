// @ts-check
/** What a transport tells besides the server's events. */

/** The connection stands, and there is nothing to tell yet. @type {import("./index.js").Arrival} */
export const ALIVE = { name: "alive", data: null, cursor: "" };

/** The stream has ended, and all of it was told. @type {import("./index.js").Arrival} */
export const OVER = { name: "over", data: null, cursor: "" };

/**
 * When the server wants one to come back after this connection.
 *
 * @param {number} ms
 * @returns {import("./index.js").Arrival}
 */
export function retry(ms) {
  return { name: "retry", data: ms, cursor: "" };
}
