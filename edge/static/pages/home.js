// @ts-check
/** The first page: which streams there are. */

import { Api, Problem } from "../client/index.js";
import { StreamList } from "../model/stream_lists.js";
import { attachCreateForm } from "../view/create_stream.js";
import { byId } from "../view/element.js";
import { openShell } from "../view/shell.js";
import { streamCard } from "../view/stream_card.js";

const PAGE = 24;
const REFRESH_MS = 15_000;

const { session } = openShell();
const api = new Api({ token: () => session.token });
const live = new StreamList((token) => api.listStreams({ state: "live", limit: PAGE, token }));
const ended = new StreamList((token) => api.listStreams({ state: "ended", limit: PAGE, token }));
/** Someone has asked for more than the first pages: reading them anew would take that away. */
let extended = false;

/**
 * @param {StreamList} list
 * @param {string} name of its section
 */
function draw(list, name) {
  const now = Date.now();
  byId(`${name}-list`).replaceChildren(...list.streams.map((stream) => streamCard(stream, now)));
  byId(`${name}-more`).hidden = !list.hasMore;
}

function drawAll() {
  draw(live, "live");
  draw(ended, "ended");
  byId("live-empty").hidden = live.streams.length > 0;
  byId("ended").hidden = ended.streams.length === 0;
  byId("streams").removeAttribute("aria-busy");
}

/** @param {() => Promise<unknown>} read */
async function attempt(read) {
  try {
    await read();
    byId("problem").hidden = true;
    drawAll();
  } catch (problem) {
    if (!(problem instanceof Problem)) throw problem;
    byId("problem").hidden = false;
    byId("problem-words").textContent = problem.words;
  }
}

function refresh() {
  if (document.hidden || extended) return;
  void attempt(() => Promise.all([live.refresh(), ended.refresh()]));
}

/** @param {StreamList} list */
function more(list) {
  extended = true;
  void attempt(() => list.more());
}

function showRights() {
  byId("new-stream").hidden = session.who?.role !== "host";
}

byId("live-more").addEventListener("click", () => more(live));
byId("ended-more").addEventListener("click", () => more(ended));
byId("retry").addEventListener("click", refresh);
attachCreateForm(
  (stream) => api.createStream(stream),
  (stream) => location.assign(`/watch/${encodeURIComponent(stream.stream_id)}`),
);
session.addEventListener("change", () => {
  showRights();
  refresh();
});
document.addEventListener("visibilitychange", refresh);
setInterval(refresh, REFRESH_MS);
showRights();
refresh();
