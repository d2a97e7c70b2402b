// @ts-check
/** Tells screen readers of new comments: a summary every few seconds, however many come. */

import { summaryOf } from "../model/summary.js";
import { byId } from "./element.js";

/** @typedef {import("../model/api.js").Comment} Comment */

const EVERY_MS = 8_000;
const MOST = 1_000;

export class Announcer {
  #region = byId("announcer");
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

  #speak() {
    const words = summaryOf(this.#comments);
    this.#comments = [];
    if (words) this.#region.textContent = words;
  }
}
