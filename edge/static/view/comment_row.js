// @ts-check
/** One comment on the screen. */

import { initialOf } from "../model/avatar.js";
import { shown } from "../model/text.js";
import { formatClock, formatMoment } from "../model/time.js";
import { tint } from "./avatar.js";
import { element } from "./element.js";
import { failedPart } from "./failed_post.js";
import { icon } from "./icon.js";

/** @typedef {import("../client/index.js").Comment} Comment */

/**
 * @typedef {object} Look
 * @property {string} [hostId]
 * @property {string} [myId]
 * @property {boolean} [sending]
 * @property {import("../model/failure.js").Failure} [failure] it was not posted
 * @property {boolean} [actions] with a button for the menu
 * @property {(comment: Comment) => string} [when] what stands as its time; else the wall clock
 */

/** Copied for each row: to make one out of its elements costs more than to fill it. */
const EMPTY = element(
  "li",
  { class: "comment" },
  element("span", { class: "avatar", with: { "aria-hidden": "true" } }),
  // The text alone decides the direction: dir=auto passes over what is in a bdi, and takes the first that is left.
  element(
    "p",
    { class: "comment-body", with: { dir: "auto" } },
    element("span", { class: "comment-head" }, element("bdi", { class: "comment-author" })),
    " ",
    element("span", { class: "comment-text" }),
    "  ",
  ),
);

/**
 * @param {Comment} comment
 * @param {Look} look
 * @returns {HTMLLIElement}
 */
export function commentRow(comment, look) {
  const { author_id: authorId, author_name: name } = comment;
  const row = EMPTY.cloneNode(true);
  const [face, body] = row.children;
  const [head, text] = body.children;
  row.dataset.commentId = comment.comment_id;
  tint(row, authorId);
  if (authorId === look.myId) row.classList.add("mine");
  if (look.sending) row.classList.add("sending");
  face.textContent = initialOf(name);
  head.firstElementChild.textContent = name;
  if (authorId === look.hostId) head.append(" ", element("bdi", { class: "badge", text: "Host" }));
  text.textContent = shown(comment.text);
  body.append(time(comment, look));
  if (look.failure) {
    row.classList.add("failed");
    row.append(failedPart(look.failure));
  }
  if (look.actions) row.append(actionsButton(name));
  return row;
}

/** @param {string} name the author's */
function actionsButton(name) {
  return element(
    "button",
    {
      class: "comment-actions button quiet square",
      with: {
        type: "button",
        tabindex: -1,
        "aria-haspopup": "menu",
        "aria-label": `Actions for the comment by ${name}`,
      },
    },
    icon("more"),
  );
}

/**
 * @param {Comment} comment
 * @param {Look} look
 */
function time(comment, look) {
  if (look.sending) return element("span", { class: "comment-time", text: "Sending…" });
  if (look.failure) return element("span", { class: "comment-time", text: look.failure.title });
  return element("time", {
    class: "comment-time",
    text: look.when ? look.when(comment) : formatClock(comment.posted_at),
    with: { datetime: comment.posted_at, title: formatMoment(comment.posted_at) },
  });
}
