// @ts-check
/** One comment on the screen. */

import { shown } from "../model/text.js";
import { formatClock, formatMoment } from "../model/time.js";
import { avatar, tint } from "./avatar.js";
import { element } from "./element.js";
import { icon } from "./icon.js";

/** @typedef {import("../model/api.js").Comment} Comment */

/**
 * @typedef {object} Look
 * @property {string} [hostId]
 * @property {string} [myId]
 * @property {boolean} [sending]
 * @property {boolean} [actions] with a button for the menu
 * @property {(comment: Comment) => string} [when] what stands as its time; else the wall clock
 */

/**
 * @param {Comment} comment
 * @param {Look} look
 * @returns {HTMLLIElement}
 */
export function commentRow(comment, look) {
  const { author_id: authorId, author_name: name } = comment;
  const row = element("li", { class: "comment", with: { "data-comment-id": comment.comment_id } });
  tint(row, authorId);
  row.classList.toggle("mine", authorId === look.myId);
  row.classList.toggle("sending", Boolean(look.sending));
  row.append(avatar(authorId, name), body(comment, look));
  if (look.actions) {
    row.append(
      element(
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
      ),
    );
  }
  return row;
}

/**
 * @param {Comment} comment
 * @param {Look} look
 */
function body(comment, look) {
  const { author_id: authorId, author_name: name, text } = comment;
  // The text alone decides the direction: dir=auto passes over what is in a bdi, and takes the first that is left.
  const made = element("p", { class: "comment-body", with: { dir: "auto" } });
  const head = element("span", { class: "comment-head" }, element("bdi", { class: "comment-author", text: name }));
  if (authorId === look.hostId) head.append(" ", element("bdi", { class: "badge", text: "Host" }));
  made.append(head, " ", element("span", { class: "comment-text", text: shown(text) }), "  ", time(comment, look));
  return made;
}

/**
 * @param {Comment} comment
 * @param {Look} look
 */
function time(comment, look) {
  if (look.sending) return element("span", { class: "comment-time", text: "Sending…" });
  return element("time", {
    class: "comment-time",
    text: look.when ? look.when(comment) : formatClock(comment.posted_at),
    with: { datetime: comment.posted_at, title: formatMoment(comment.posted_at) },
  });
}
