// @ts-check
/** Short messages that go away by themselves. */

import { element } from "./element.js";

const SHOWN_MS = 6_000;

/** @returns {(words: string) => void} shows one, in place of the one before */
export function toaster() {
  const box = element("div", { class: "toast", with: { role: "status" } });
  document.body.append(box);
  let timer = 0;
  return (words) => {
    box.textContent = words;
    box.classList.add("shown");
    clearTimeout(timer);
    timer = setTimeout(() => {
      box.classList.remove("shown");
      box.textContent = "";
    }, SHOWN_MS);
  };
}
