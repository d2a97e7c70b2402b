// @ts-check
/** The three ways in which a feed can come: one interface, one meaning of each event. */

import { EventStream } from "./event_stream.js";
import { LongPoll } from "./long_poll.js";
import { Socket } from "./socket.js";

/**
 * What a connection brings, in the log's order. Besides the server's events: ALIVE, RETRY, OVER.
 *
 * @typedef {object} Arrival
 * @property {string} name
 * @property {any} data
 * @property {string} cursor where to go on behind it; empty when that has not changed
 *
 * @typedef {object} Transport
 * @property {"sse" | "websocket" | "poll"} name
 * @property {(cursor: string, signal: AbortSignal) => AsyncIterable<Arrival>} open one connection, from an empty cursor
 *   or from where one was. Ends when the connection does; throws a Problem where there is more to say. When the signal
 *   is aborted it ends soon, in whatever way. Leaving it closes the connection.
 *
 * @typedef {object} TransportOptions
 * @property {boolean} [all] also what is left out of a feed that is too fast to read
 * @property {number} [firstMs] so long may a connection be silent at its beginning; a proxy may hold it back
 * @property {number} [silentMs] and later: the server shows life each 15 s
 * @property {typeof WebSocket} [WebSocket]
 */

/**
 * In the order in which they are tried.
 *
 * @param {import("../api.js").Api} api
 * @param {string} streamId
 * @param {TransportOptions & {transport?: "auto" | "sse" | "websocket" | "poll"}} [options]
 * @returns {Transport[]}
 */
export function transportsOf(api, streamId, { transport = "auto", ...options } = {}) {
  const all = [EventStream, Socket, LongPoll].map((Way) => new Way(api, streamId, options));
  return transport === "auto" ? all : all.filter((way) => way.name === transport);
}
