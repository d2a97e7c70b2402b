"""Takes the README's pictures of a stream with comments: dark and light."""

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from tests.system import System

FOLDER = Path(__file__).parent.parent / "docs" / "screenshots"
COMMENTS = (
    ("ada", "Ada", "Here we go 🎉"),
    ("kim", "Kim", "Sound is great tonight"),
    ("maria", "María José", "Saludos desde Sevilla"),
    ("zed", "Zed", "Who else is watching from work?"),
    ("omar", "Omar", "تحية للجميع"),
    ("bo", "Bo", "That pass!"),
    ("ada", "Ada", "Replay please, I blinked"),
    ("kim", "Kim", "Same 😂"),
    ("host", "Grace", "Half-time in five minutes. Questions for the studio: post them now."),
    ("zed", "Zed", "Why did they change the line-up?"),
    ("maria", "María José", "GOAL! I cannot believe he made that from there!"),
    ("bo", "Bo", "What a goal"),
)


def take(page: Page, url: str, name: str) -> None:
    """One picture, once the comments are shown."""
    page.goto(url)
    page.get_by_text("What a goal").last.wait_for()
    page.screenshot(path=FOLDER / name)


def main() -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, System(Path(folder), core_user_rate="0") as system:
        stream = system.create_stream("final", title="The final, live")
        for user, name, text in COMMENTS:
            role = "host" if user == "host" else "viewer"
            answer = system.try_post(stream, text, token=system.token(user, name=name, role=role))
            assert answer.status_code == 202, answer.text
        token = system.token("ada", name="Ada")
        with sync_playwright() as playwright:
            arguments = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
            browser = playwright.chromium.launch(
                executable_path=chromium, args=[*arguments, "--disable-background-networking"]
            )
            for scheme in ("dark", "light"):
                context = browser.new_context(viewport={"width": 1120, "height": 640}, color_scheme=scheme)
                take(context.new_page(), f"{system.url}/watch/{stream}#token={token}", f"watch-{scheme}.png")
                context.close()
            browser.close()


if __name__ == "__main__":
    main()
