// @ts-check
import { hueOf, initialOf } from "../model/avatar.js";
import { element } from "./element.js";

/**
 * A coloured initial; decoration only, the name stands beside it.
 *
 * @param {string} id
 * @param {string} name
 * @returns {HTMLElement}
 */
export function avatar(id, name) {
  const made = element("span", { class: "avatar", text: initialOf(name), with: { "aria-hidden": "true" } });
  tint(made, id);
  return made;
}

/**
 * Gives an element its author's hue; the style sheet makes colours of it that fit the theme.
 *
 * @param {HTMLElement} target
 * @param {string} id
 */
export function tint(target, id) {
  target.style.setProperty("--hue", String(hueOf(id)));
}
