"""The system's Chromium, as everything here starts it: without a screen, a GPU or errands of its own."""

import shutil

from playwright.sync_api import Browser, Playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
"""What it may be called, the first one first."""
_ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def launch(playwright: Playwright) -> Browser:
    """Starts the one that is installed; SystemExit when none is."""
    found = next((path for name in NAMES if (path := shutil.which(name))), None)
    if found is None:
        raise SystemExit(f"Chromium is not installed (looked for {', '.join(NAMES)})")
    return playwright.chromium.launch(executable_path=found, args=_ARGUMENTS)
