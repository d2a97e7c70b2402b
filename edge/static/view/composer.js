// @ts-check
/** The form where one writes: counter, what is wrong with the text beside the field, the wait after a limit. */

import { measure, tidy } from "../model/text.js";
import { plural } from "../model/time.js";
import { byId } from "./element.js";

export class Composer {
  /**
   * @param {object} given
   * @param {(text: string, onRetry: (waitMs: number) => void) => Promise<number>} given.post resolves, whatever became
   *   of it, with how long the next comment has to wait, ms
   * @param {() => void} given.signIn
   */
  constructor({ post, signIn }) {
    this.#post = post;
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

  focus() {
    this.#field.focus();
  }

  /**
   * Takes a text to be changed and sent once more. What was typed since stays, below it.
   *
   * @param {string} text
   * @param {string} words what is wrong with it
   */
  take(text, words) {
    const since = this.#field.value;
    this.#field.value = since.trim() ? `${text}\n${since}` : text;
    this.#complain(words);
    this.#edited();
    this.focus();
  }

  /** Takes no comment for so long. @param {number} ms */
  waitFor(ms) {
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
      this.waitFor(await this.#post(text, (retryMs) => this.#retrying(retryMs)));
    } finally {
      this.#sending = false;
      this.#edited();
    }
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
}
