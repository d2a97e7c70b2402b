// @ts-check
/** Why a request failed: an RFC 9457 problem, or that no answer came. */

/** Reasons that are not in the server's error table. */
const UNREACHABLE = "UNREACHABLE";
const SILENT = "SILENT";
const UNKNOWN = "UNKNOWN";
const NOT_A_FEED = "NOT_A_FEED";
const TOO_MANY_WAITING = "TOO_MANY_WAITING";
const OURS = [UNREACHABLE, SILENT, UNKNOWN, NOT_A_FEED];

/** @typedef {{pointer: string, detail: string}} FieldError */

export class Problem extends Error {
  /**
   * @param {object} what
   * @param {number} what.status HTTP status; 0 when no answer came
   * @param {string} [what.reason] stable word of the server's error table; or UNREACHABLE: no answer came; SILENT: none
   *   in time; UNKNOWN: an answer, but not from our server; NOT_A_FEED: something else than the feed;
   *   TOO_MANY_WAITING: too many posts of this client wait for their answers
   * @param {string} [what.detail] for people
   * @param {FieldError[]} [what.errors] bad fields, `pointer` as in "#/text"
   * @param {number} [what.retryAfterMs] when to try again; 0 when the server didn't say
   * @param {unknown} [what.cause]
   */
  constructor({ status, reason = UNREACHABLE, detail = "", errors = [], retryAfterMs = 0, cause }) {
    super(detail || reason, { cause });
    this.name = "Problem";
    this.status = status;
    this.reason = reason;
    this.detail = detail;
    this.errors = errors;
    this.retryAfterMs = retryAfterMs;
  }

  /** Nothing is wrong with the request itself: the same one may go through later. */
  get isTransient() {
    return this.status === 0 || this.status === 500 || (this.status >= 502 && this.status <= 504);
  }

  /** No repeat of a feed's request, with the same token and cursor, would change it: the server itself says so. */
  get isFinal() {
    const isRefusal = this.status >= 400 && this.status < 500 && this.status !== 408 && this.status !== 429;
    return isRefusal && this.isServers && this.reason !== "BAD_CURSOR";
  }

  /** It comes from our server, and not from the way there. */
  get isServers() {
    return !OURS.includes(this.reason);
  }

  /**
   * What to tell the user.
   *
   * @returns {string}
   */
  get words() {
    const fields = this.errors.map(({ pointer, detail }) => `${pointer.replace("#/", "")} ${detail}`).join("; ");
    return this.detail || fields || WORDS[this.reason] || `The server answered with ${this.status}.`;
  }

  /**
   * The detail of one bad field; undefined when that field is fine.
   *
   * @param {string} name
   */
  field(name) {
    return this.errors.find((error) => error.pointer === `#/${name}`)?.detail;
  }

  /**
   * Any error as a Problem.
   *
   * @param {unknown} error
   * @returns {Problem}
   */
  static of(error) {
    return error instanceof Problem ? error : new Problem({ status: 0, cause: error });
  }

  /**
   * @param {Response} response with a status that is not 2xx
   * @returns {Promise<Problem>}
   */
  static async from(response) {
    const body = await response.json().catch(() => ({}));
    return new Problem({
      status: response.status,
      reason: typeof body.reason === "string" ? body.reason : UNKNOWN,
      detail: typeof body.detail === "string" ? body.detail : "",
      errors: Array.isArray(body.errors) ? body.errors : [],
      retryAfterMs: retryAfterMs(response.headers.get("retry-after")),
    });
  }
}

/** @type {Record<string, string>} */
const WORDS = {
  [UNREACHABLE]: "The server can’t be reached.",
  [SILENT]: "The server doesn’t answer.",
  [TOO_MANY_WAITING]: "Too many comments are waiting to be sent.",
  UNAUTHENTICATED: "Your token is missing, not valid or has expired.",
  FORBIDDEN: "Your token doesn’t allow this.",
  STREAM_NOT_FOUND: "There is no such stream.",
  STREAM_ENDED: "This stream has ended.",
  OVERLOADED: "The server is busy.",
};

/**
 * Retry-After, in seconds or as a date (RFC 9110, section 10.2.3).
 *
 * @param {string | null} header
 * @param {number} now ms since the Unix epoch
 * @returns {number} milliseconds; 0 when there is none
 */
export function retryAfterMs(header, now = Date.now()) {
  if (!header) return 0;
  const seconds = Number(header);
  const ms = Number.isFinite(seconds) ? seconds * 1000 : Date.parse(header) - now;
  return ms > 0 ? ms : 0;
}
