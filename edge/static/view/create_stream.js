// @ts-check
/** The form with which a host starts a stream. */

import { Problem } from "../client/index.js";
import { byId } from "./element.js";

/** @typedef {import("../client/index.js").Stream} Stream */

const FIELDS = ["title", "stream_id", "slow_mode_s"];

/**
 * @param {(stream: {title: string, stream_id?: string, slow_mode_s?: number, visibility?: string}) => Promise<Stream>} create
 * @param {(stream: Stream) => void} onCreated
 */
export function attachCreateForm(create, onCreated) {
  const dialog = byId("create");
  const form = byId("create-form");
  const error = byId("create-error");
  const submit = byId("create-submit");

  const complain = (/** @type {Problem | null} */ problem) => {
    for (const name of FIELDS) {
      const detail = problem?.field(name);
      byId(`${name}-error`).textContent = detail ?? "";
      form.elements[name].setAttribute("aria-invalid", String(Boolean(detail)));
    }
    const named = FIELDS.find((name) => problem?.field(name));
    error.textContent = problem && !named ? problem.words : "";
    if (named) form.elements[named].focus();
  };

  byId("new-stream").addEventListener("click", () => {
    form.reset();
    complain(null);
    dialog.showModal();
  });
  byId("create-cancel").addEventListener("click", () => dialog.close());
  form.addEventListener("submit", async (/** @type {Event} */ event) => {
    event.preventDefault();
    submit.disabled = true;
    complain(null);
    try {
      onCreated(
        await create({
          title: form.elements.title.value.trim(),
          stream_id: form.elements.stream_id.value.trim() || undefined,
          slow_mode_s: Number(form.elements.slow_mode_s.value) || 0,
          visibility: form.elements.private.checked ? "private" : "public",
        }),
      );
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      complain(problem);
    } finally {
      submit.disabled = false;
    }
  });
}
