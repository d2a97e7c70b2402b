// @ts-check
/** Typed events over EventTarget: a listener that throws is reported, and the others are told all the same. */

/** @typedef {{signal?: AbortSignal, once?: boolean}} ListenOptions */

class Told extends Event {
  /**
   * @param {string} name
   * @param {unknown} data
   */
  constructor(name, data) {
    super(name);
    this.data = data;
  }
}

/** @template {object} Events what each event tells, by its name */
export class Emitter {
  #target = new EventTarget();

  /**
   * @template {keyof Events & string} Name
   * @param {Name} name
   * @param {(data: Events[Name]) => void} listener
   * @param {ListenOptions} [options]
   * @returns {() => void} stops listening
   */
  on(name, listener, options) {
    const told = (/** @type {any} */ event) => listener(event.data);
    this.#target.addEventListener(name, told, options);
    return () => this.#target.removeEventListener(name, told);
  }

  /**
   * @protected
   * @template {keyof Events & string} Name
   * @param {Name} name
   * @param {Events[Name]} data
   */
  emit(name, data) {
    this.#target.dispatchEvent(new Told(name, data));
  }
}
