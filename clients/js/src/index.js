// @ts-check
/** Live comments in a page: what is public. */

/** @typedef {import("../types/index.js").Comment} Comment */
/** @typedef {import("../types/index.js").ConnectionState} ConnectionState */
/** @typedef {import("../types/index.js").Item} Item */
/** @typedef {import("../types/index.js").Stream} Stream */

export { Api } from "./api.js";
export { readClaims } from "./claims.js";
export { connect, Connection } from "./connection.js";
export { lagOf } from "./lag.js";
export { shownAtMs } from "./moments.js";
export { Problem } from "./problem.js";
export { Replay } from "./replay.js";
