// @ts-check
/** The form where one writes: counter, errors beside the field, the wait after a limit. */

import { Problem } from "../model/problem.js";
import { measure, tidy } from "../model/text.js";
import { plural } from "../model/time.js";
import { byId } from "./element.js";

/** @typedef {import("../model/api.js").Accepted} Accepted */

const RATES = ["USER_RATE", "ADDRESS_RATE", "SLOW_MODE"];
const NOT_CONFIRMED =
  "No answer came, so it isn’t certain whether this was posted. Send it again: it won’t appear twice.";

export class Composer {
  /**
   * @param {object} given
   * @param {(text: string, onRetry: (waitMs: number) => void) => Promise<number>} given.post resolves with how long
   *   the next comment has to wait, ms; rejects with a Problem
   * @param {() => void} given.signIn
   * @param {(problem: Problem) => void} given.onRefused
   */
  constructor({ post, signIn, onRefused }) {
    this.#post = post;
    this.#onRefused = onRefused;
    this.#field.addEventListener("input", () => this.#edited());
    this.#field.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      // While an input method composes, Enter chooses a candidate.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      void this.#submit();
    });
    this.#form.addEventListener("submit", (/** @type {Event} */ event) => {
      event.preventDefault();
      void this.#submit();
    });
    byId("composer-sign-in").addEventListener("click", signIn);
    this.#edited();
  }

  #post;
  #onRefused;
  #form = byId("composer");
  #growing = byId("composer-growing");
  #field = byId("composer-text");
  #send = byId("composer-send");
  #counter = byId("composer-counter");
  #error = byId("composer-error");
  #note = byId("composer-note");
  #sending = false;
  #waitUntil = 0;
  #ticking = 0;

  /**
   * @param {"writing" | "signed-out" | "closed"} mode closed: the stream takes no comments
   */
  set mode(mode) {
    this.#form.hidden = mode !== "writing";
    byId("composer-signed-out").hidden = mode !== "signed-out";
    byId("composer-closed").hidden = mode !== "closed";
  }

  async #submit() {
    const text = tidy(this.#field.value);
    const { empty, over } = measure(text);
    if (empty || over || this.#sending || this.#waitMs() > 0) {
      this.#field.focus();
      return;
    }
    this.#sending = true;
    this.#field.value = "";
    this.#complain("");
    this.#edited();
    try {
      const waitMs = await this.#post(text, (retryMs) => this.#retrying(retryMs));
      this.#waitFor(waitMs);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      this.#refused(problem, text);
    } finally {
      this.#sending = false;
      this.#edited();
    }
  }

  /**
   * @param {Problem} problem
   * @param {string} text
   */
  #refused(problem, text) {
    // Nothing that was written is lost, neither the refused text nor what was typed since.
    const since = this.#field.value;
    this.#field.value = since.trim() ? `${text}\n${since}` : text;
    if (RATES.includes(problem.reason)) this.#waitFor(Math.max(problem.retryAfterMs, 1_000));
    else if (problem.isTransient) this.#complain(NOT_CONFIRMED);
    else this.#complain(problem.field("text") ? `Text ${problem.field("text")}` : problem.words);
    this.#onRefused(problem);
  }

  /** @param {number} retryMs */
  #retrying(retryMs) {
    this.#note.textContent = `The server is busy. Trying again in ${plural(Math.ceil(retryMs / 1000), "second")}…`;
  }

  #edited() {
    const { left, near, over, empty } = measure(this.#field.value);
    this.#counter.hidden = !near;
    this.#counter.textContent = over ? `${-left} too many` : `${left} left`;
    this.#counter.classList.toggle("over", over);
    this.#field.setAttribute("aria-invalid", String(over || this.#error.textContent !== ""));
    this.#send.disabled = empty || over || this.#sending || this.#waitMs() > 0;
    if (!this.#sending && this.#waitMs() <= 0) this.#note.textContent = "";
    this.#growing.dataset.text = this.#field.value;
  }

  /** @param {string} words */
  #complain(words) {
    this.#error.textContent = words;
    this.#error.hidden = words === "";
  }

  #waitMs() {
    return this.#waitUntil - Date.now();
  }

  /** @param {number} ms */
  #waitFor(ms) {
    if (ms <= 0) return;
    this.#waitUntil = Date.now() + ms;
    clearInterval(this.#ticking);
    const tick = () => {
      const seconds = Math.ceil(this.#waitMs() / 1000);
      if (seconds > 0) {
        this.#note.textContent = `You can comment again in ${plural(seconds, "second")}.`;
      } else {
        clearInterval(this.#ticking);
      }
      this.#edited();
    };
    this.#ticking = setInterval(tick, 250);
    tick();
  }
}
