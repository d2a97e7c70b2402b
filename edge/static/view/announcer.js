// @ts-check
/**
 * Tells screen readers of new comments, in a summary every few seconds, however many come; and at once of what went
 * wrong with their own.
 */

import { summaryOf } from "../model/summary.js";
import { byId } from "./element.js";

/** @typedef {import("../client/index.js").Comment} Comment */

const EVERY_MS = 8_000;
const MOST = 1_000;

export class Announcer {
  #region = byId("announcer");
  #alerts = byId("alerts");
  /** @type {Comment[]} */
  #comments = [];

  constructor() {
    setInterval(() => this.#speak(), EVERY_MS);
  }

  /** @param {Comment[]} comments */
  add(comments) {
    this.#comments.push(...comments);
    if (this.#comments.length > MOST) this.#comments.splice(0, this.#comments.length - MOST);
  }

  /** @param {string} words none: what was said before is over */
  alert(words) {
    this.#alerts.textContent = words;
  }

  #speak() {
    const words = summaryOf(this.#comments);
    this.#comments = [];
    if (words) this.#region.textContent = words;
  }
}
