// @ts-check
/** How long to wait before the next attempt. */

const FIRST_MS = 500;
const MOST_MS = 15_000;

/**
 * Exponential backoff with jitter: between half of the step and the whole of it, so that viewers who lost the same
 * edge don't come back at the same moment.
 *
 * @param {number} attempt 0 for the first wait
 * @param {() => number} random in [0, 1)
 * @returns {number} milliseconds
 */
export function backoffMs(attempt, random = Math.random) {
  const step = Math.min(FIRST_MS * 2 ** attempt, MOST_MS);
  return step / 2 + (random() * step) / 2;
}

/**
 * Resolves after `ms`; rejects at once with the signal's reason when it is aborted.
 *
 * @param {number} ms
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export function delay(ms, signal) {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(signal.reason);
      return;
    }
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, ms);
    signal?.addEventListener("abort", stop, { once: true });
  });
}
