// @ts-check
/** Time limits and cancellation. */

import { Problem } from "./problem.js";

/**
 * A controller that is aborted when `signal` is, with its reason.
 *
 * @param {AbortSignal} [signal]
 * @returns {{controller: AbortController, unlink: () => void}} call `unlink` when its work is done
 */
export function following(signal) {
  const controller = new AbortController();
  const abort = () => controller.abort(signal?.reason);
  if (signal?.aborted) abort();
  signal?.addEventListener("abort", abort, { once: true });
  return { controller, unlink: () => signal?.removeEventListener("abort", abort) };
}

/**
 * What `promise` brings, if it does within `ms`; else rejects with a Problem of the reason SILENT. The work behind the
 * promise is not ended by that.
 *
 * @template T
 * @param {number} ms
 * @param {Promise<T>} promise
 * @returns {Promise<T>}
 */
export async function within(ms, promise) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Problem({ status: 0, reason: "SILENT" })), ms);
  });
  try {
    return await /** @type {Promise<T>} */ (Promise.race([promise, late]));
  } finally {
    clearTimeout(timer);
  }
}
