// @ts-check
/** What who rules a stream may do with it as a whole: slow mode, the end. */

import { plural } from "../model/time.js";
import { byId, element } from "./element.js";
import { ask } from "./question.js";

/** @typedef {import("../client/index.js").Stream} Stream */

const SLOW_MODES_S = [0, 5, 10, 30, 60, 300];
const NOTICES_S = [0, 60, 300, 900];

export class HostTools {
  /**
   * @param {object} given
   * @param {(seconds: number) => Promise<void>} given.setSlowMode
   * @param {(noticeS: number) => Promise<void>} given.end
   */
  constructor({ setSlowMode, end }) {
    this.#slowMode.addEventListener("change", async () => {
      this.#slowMode.disabled = true;
      await setSlowMode(Number(this.#slowMode.value));
      this.#slowMode.disabled = false;
      this.#showSlowMode();
    });
    byId("end-stream").addEventListener("click", async () => {
      const noticeS = await askWhen();
      if (noticeS !== null) await end(noticeS);
    });
  }

  #box = byId("host-tools");
  #slowMode = byId("set-slow-mode");
  #seconds = -1;

  /** @param {Stream | null} stream null: not for this reader */
  show(stream) {
    this.#box.hidden = !stream;
    // One that is open now would close.
    if (!stream || stream.slow_mode_s === this.#seconds) return;
    this.#seconds = stream.slow_mode_s;
    this.#showSlowMode();
  }

  #showSlowMode() {
    // Another one may have been set through the interface.
    const choices = [...new Set([...SLOW_MODES_S, this.#seconds])].sort((a, b) => a - b);
    const options = choices.map((seconds) => element("option", { text: inWords(seconds, "Off"), with: { value: seconds } }));
    this.#slowMode.replaceChildren(...options);
    this.#slowMode.value = String(this.#seconds);
  }
}

/** @returns {Promise<number | null>} seconds from now; null: it goes on */
async function askWhen() {
  const choices = NOTICES_S.map((seconds) =>
    element("option", { text: seconds ? `In ${inWords(seconds, "")}` : "Now", with: { value: seconds } }),
  );
  const when = element("select", { class: "field", with: { id: "end-when" } }, ...choices);
  const isSure = await ask({
    title: "End this stream?",
    words: "Nobody can comment afterwards. The replay stays.",
    yes: "End stream",
    no: "Keep it live",
    more: [element("label", { class: "label", text: "When", with: { for: "end-when" } }), when],
  });
  return isSure ? Number(when.value) : null;
}

/** @param {number} seconds @param {string} none */
function inWords(seconds, none) {
  if (seconds === 0) return none;
  return seconds % 60 ? plural(seconds, "second") : plural(seconds / 60, "minute");
}
