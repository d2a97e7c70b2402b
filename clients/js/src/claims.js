// @ts-check
/** What a token says of its bearer. Shown, never trusted: the server checks it. */

/**
 * The claims of a JWT; null for what is none.
 *
 * @param {string} token
 * @returns {Record<string, any> | null}
 */
export function readClaims(token) {
  const parts = token.split(".");
  if (parts.length !== 3) return null;
  try {
    const bytes = Uint8Array.from(atob(parts[1].replace(/-/g, "+").replace(/_/g, "/")), (char) => char.charCodeAt(0));
    const claims = JSON.parse(new TextDecoder().decode(bytes));
    return typeof claims === "object" ? claims : null;
  } catch {
    return null;
  }
}

/**
 * When a token ends, ms since the Unix epoch; Infinity when it doesn't say.
 *
 * @param {string} token
 */
export function expiryOf(token) {
  const expiry = readClaims(token)?.exp;
  return typeof expiry === "number" ? expiry * 1000 : Infinity;
}
