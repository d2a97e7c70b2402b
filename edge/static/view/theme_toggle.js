// @ts-check
/** The button that switches between light and dark; until it is used, the system decides. */

import { element } from "./element.js";
import { icon } from "./icon.js";

const KEY = "livecomments.theme";

/** @returns {HTMLButtonElement} */
export function themeToggle() {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const root = document.documentElement;
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : system.matches);
  const button = element("button", { class: "button quiet square", with: { type: "button" } });

  const show = () => {
    button.setAttribute("aria-label", isDark() ? "Use light theme" : "Use dark theme");
    button.replaceChildren(icon(isDark() ? "sun" : "moon"));
  };
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem(KEY, root.dataset.theme);
    } catch {
      // Without storage it lasts as long as the page.
    }
    show();
  });
  system.addEventListener("change", show);
  show();
  return button;
}
