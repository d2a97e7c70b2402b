// @ts-check
/** Builds elements. Text goes in as text only: nothing here parses HTML. */

/**
 * @param {string} tag
 * @param {object} [properties]
 * @param {string} [properties.class]
 * @param {string} [properties.text]
 * @param {Record<string, (event: any) => void>} [properties.on] listeners by event
 * @param {Record<string, string | number | boolean>} [properties.with] attributes; true is an empty one, false none
 * @param {...Node} children
 * @returns {any} the element, of the tag's own class
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  if (properties.class) made.className = properties.class;
  if (properties.text !== undefined) made.textContent = properties.text;
  for (const [name, listener] of Object.entries(properties.on ?? {})) made.addEventListener(name, listener);
  for (const [name, value] of Object.entries(properties.with ?? {})) {
    if (value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children);
  return made;
}

/**
 * The element with this id; every page has those that its script asks for.
 *
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no #${id}`);
  return found;
}

/**
 * Runs `draw` in the next frame, once, however often it was asked for.
 *
 * @param {(nowMs: number) => void} draw is told when that frame is, as requestAnimationFrame tells it
 * @returns {() => void}
 */
export function oncePerFrame(draw) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame((nowMs) => {
      asked = false;
      draw(nowMs);
    });
  };
}
