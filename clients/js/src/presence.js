// @ts-check
/** When a page is looked at: a hidden tab lets go of its connection after a while, and comes back when it is shown. */

/** @typedef {Pick<Document, "hidden" | "addEventListener" | "removeEventListener">} Visible */
/** @typedef {Pick<EventTarget, "addEventListener" | "removeEventListener">} Page */

export class Presence {
  /**
   * Watches at once. Outside of a page there is nothing to see: then it calls nobody.
   *
   * @param {object} given
   * @param {number} given.letGoMs hidden for so long: `onAway`. Infinity: never
   * @param {() => void} given.onAway also when the page is put away for later
   * @param {() => void} given.onBack after `onAway`, when it is looked at again
   * @param {() => void} given.onOnline the network came back
   * @param {Visible} [given.document]
   * @param {Page} [given.page] the window
   */
  constructor({ letGoMs, onAway, onBack, onOnline, document = globalThis.document, page = globalThis.window }) {
    this.#letGoMs = letGoMs;
    this.#onAway = onAway;
    this.#onBack = onBack;
    this.#document = document;
    const { signal } = this.#closing;
    document?.addEventListener("visibilitychange", () => this.#look(), { signal });
    page?.addEventListener("pagehide", () => this.#leave(), { signal });
    page?.addEventListener("pageshow", () => this.#comeBack(), { signal });
    page?.addEventListener("online", onOnline, { signal });
    if (document) this.#look();
  }

  #letGoMs;
  #onAway;
  #onBack;
  #document;
  #closing = new AbortController();
  #isAway = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  close() {
    this.#closing.abort();
    clearTimeout(this.#timer);
  }

  #look() {
    clearTimeout(this.#timer);
    if (!this.#document?.hidden) this.#comeBack();
    else if (Number.isFinite(this.#letGoMs)) this.#timer = setTimeout(() => this.#leave(), this.#letGoMs);
  }

  #leave() {
    if (this.#isAway) return;
    this.#isAway = true;
    this.#onAway();
  }

  #comeBack() {
    if (!this.#isAway || this.#document?.hidden) return;
    this.#isAway = false;
    this.#onBack();
  }
}
