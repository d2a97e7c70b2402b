// @ts-check
/** The player's controls: play, seek, speed, and a video's sound and size; by pointer and by keyboard. */

import { SPEEDS } from "../model/clock.js";
import { formatOffset, speakOffset } from "../model/time.js";
import { byId, element } from "./element.js";
import { icon } from "./icon.js";

const JUMP_MS = 10_000;

/** @typedef {import("../model/clock.js").Clock | import("../video/media_clock.js").MediaClock} Clock */

export class Player {
  /**
   * @param {Clock} clock
   * @param {HTMLVideoElement | null} video that keeps the clock
   */
  constructor(clock, video) {
    this.#clock = clock;
    if (video) this.#attach(video);
    byId("back").append(icon("back"));
    byId("forward").append(icon("forward"));
    byId("back").addEventListener("click", () => this.#seek(clock.positionMs - JUMP_MS));
    byId("forward").addEventListener("click", () => this.#seek(clock.positionMs + JUMP_MS));
    this.#play.addEventListener("click", () => this.#toggle());
    this.#speed.append(...SPEEDS.map((speed) => element("option", { text: `${speed}×`, with: { value: speed } })));
    this.#speed.addEventListener("change", () => {
      clock.speed = Number(this.#speed.value);
      this.show();
    });
    this.#bar.addEventListener("input", () => {
      this.#dragging = true;
      this.#time.textContent = formatOffset(Number(this.#bar.value));
    });
    this.#bar.addEventListener("change", () => {
      this.#dragging = false;
      this.#seek(Number(this.#bar.value));
    });
    addEventListener("keydown", (event) => this.#key(event));
    this.show();
  }

  #clock;
  #box = byId("player");
  #play = byId("play");
  #bar = byId("seek");
  #speed = byId("speed");
  #time = byId("position");
  #dragging = false;
  #shown = "";

  /** Brings the controls to the clock's state; cheap when nothing changed. */
  show() {
    const { playing, positionMs, durationMs, speed } = this.#clock;
    const state = [playing, Math.floor(positionMs / 250), Math.floor(durationMs / 1000), speed].join();
    if (state === this.#shown) return;
    this.#shown = state;
    const label = playing ? "Pause" : "Play";
    if (this.#play.getAttribute("aria-label") !== label) {
      this.#play.setAttribute("aria-label", label);
      this.#play.replaceChildren(icon(playing ? "pause" : "play"));
    }
    this.#speed.value = String(speed);
    byId("duration").textContent = formatOffset(durationMs);
    this.#bar.max = String(Math.max(1, Math.ceil(durationMs)));
    if (this.#dragging) return;
    this.#bar.value = String(Math.round(positionMs));
    this.#bar.setAttribute("aria-valuetext", `${speakOffset(positionMs)} of ${speakOffset(durationMs)}`);
    this.#bar.style.setProperty("--played", `${durationMs ? (100 * positionMs) / durationMs : 0}%`);
    this.#time.textContent = formatOffset(positionMs);
  }

  /** @param {HTMLVideoElement} video */
  #attach(video) {
    const sound = byId("sound");
    const showSound = () => {
      sound.replaceChildren(icon(video.muted ? "silent" : "sound"));
      sound.setAttribute("aria-label", video.muted ? "Sound on" : "Sound off");
    };
    byId("screen").append(this.#box);
    byId("video-buttons").hidden = false;
    byId("whole-screen").append(icon("expand"));
    byId("whole-screen").addEventListener("click", () => video.requestFullscreen().catch(() => undefined));
    sound.addEventListener("click", () => (video.muted = !video.muted));
    video.addEventListener("volumechange", showSound);
    video.addEventListener("click", () => this.#toggle());
    showSound();
  }

  #toggle() {
    if (this.#clock.playing) this.#clock.pause();
    else this.#clock.play();
    this.show();
  }

  /** @param {number} ms */
  #seek(ms) {
    this.#clock.seek(ms);
    this.show();
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const target = /** @type {HTMLElement} */ (event.target);
    const isForOthers = event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey;
    if (isForOthers || this.#box.disabled || target.closest("dialog")) return;
    const run = this.#keys(target)[event.key];
    if (!run) return;
    event.preventDefault();
    run();
  }

  /**
   * What keys do, given where the focus is: a focused control keeps the keys that it needs itself.
   *
   * @param {HTMLElement} target
   * @returns {Record<string, () => void>}
   */
  #keys(target) {
    const clock = this.#clock;
    if (target.matches("select, textarea, input:not([type=range])")) return {};
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowLeft: () => this.#seek(clock.positionMs - JUMP_MS),
      ArrowRight: () => this.#seek(clock.positionMs + JUMP_MS),
    };
    if (!target.matches("button, a, summary")) keys[" "] = () => this.#toggle();
    if (!target.matches(".scroller")) {
      keys.ArrowUp = () => clock.nextSpeed(1);
      keys.ArrowDown = () => clock.nextSpeed(-1);
    }
    return keys;
  }
}
