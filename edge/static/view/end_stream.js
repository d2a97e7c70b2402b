// @ts-check
/** Asks before a stream is ended: there is no way back. */

import { element } from "./element.js";

/**
 * @param {() => Promise<void>} end rejects when it failed; the caller tells the user
 * @returns {() => void} opens the question
 */
export function endStreamDialog(end) {
  const confirm = element("button", { class: "button danger", text: "End stream", with: { type: "button" } });
  const cancel = element("button", { class: "button", text: "Keep it live", with: { type: "button", autofocus: true } });
  const dialog = element(
    "dialog",
    { class: "dialog", with: { "aria-labelledby": "end-title" } },
    element(
      "div",
      { class: "dialog-content" },
      element("h2", { text: "End this stream?", with: { id: "end-title" } }),
      element("p", { class: "muted", text: "Nobody can comment afterwards. The replay stays." }),
      element("div", { class: "dialog-actions" }, cancel, confirm),
    ),
  );
  document.body.append(dialog);
  cancel.addEventListener("click", () => dialog.close());
  confirm.addEventListener("click", async () => {
    confirm.disabled = true;
    await end().finally(() => {
      confirm.disabled = false;
      dialog.close();
    });
  });
  return () => dialog.showModal();
}
