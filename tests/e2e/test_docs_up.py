"""``scripts/up`` as the pages start it, and what they do beside it: the README, docs/tour.md, tokens.md, embed.md."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from livecomments.settings import Settings
from tests.commands import Elsewhere, answers, bash, terminal, with_environment
from tests.processes import REPOSITORY, Process, eventually
from tests.texts import examples

TOKENS, EMBED = "docs/tokens.md", "docs/embed.md"
PROVIDER = "An identity provider that publishes its keys"
TRIAL = "To try it without one"
(SETTINGS, START_WITH_ISSUER, RUN_ISSUER) = examples(TOKENS, "sh", under=PROVIDER)
SERVE_PAGES, START_WITH_PAGES = examples(EMBED, "sh")
STARTS = (
    examples("README.md", "sh")[0],
    *examples("docs/tour.md", "sh"),
    START_WITH_ISSUER,
    START_WITH_PAGES,
)
UP = "scripts/up\n"


@dataclass(frozen=True)
class Instance:
    """What ``scripts/up`` runs, with all that the pages set."""

    url: str
    folder: Path
    """Where the pages' other commands run: ``data`` and ``.venv`` are in it, as in a checkout."""
    elsewhere: Elsewhere


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Instance]:
    """One start for all of them, at a free port."""
    folder = with_environment(tmp_path_factory.mktemp("checkout"))
    elsewhere = Elsewhere(*STARTS)
    assert all(start.endswith(UP) for start in STARTS)
    settings = "".join(elsewhere(start).removesuffix(UP) for start in STARTS)
    is_made = "source scripts/environment; is_made_from requirements.lock requirements-dev.lock"
    made = subprocess.run(["bash", "-c", is_made], cwd=REPOSITORY, check=False, timeout=30)
    assert made.returncode == 0, "scripts/up would install another .venv than these tests run in: run scripts/test"
    command = ["bash", "-c", f'{settings} exec scripts/up --port 0 --data "$0"', str(folder / "data")]
    with Process("up", command, folder) as up:
        eventually(lambda: up.alive() and "Ready" in up.output.read_text(), "the instance is ready", 60)
        url = json.loads((folder / "data" / "instance.json").read_text())["http"]
        yield Instance(url, folder, elsewhere)
        assert up.stop(60) == 0


def test_the_system_greets_with_a_stream(instance: Instance) -> None:
    answer = httpx.get(f"{instance.url}/v1/streams/demo", trust_env=False)
    assert (answer.status_code, answer.json()["state"]) == (200, "live")


def test_a_user_of_an_identity_provider_posts(instance: Instance) -> None:
    (issuer,) = examples(TOKENS, "python", under=TRIAL)
    (post,) = examples(TOKENS, "bash", under=TRIAL)
    (instance.folder / "issuer.py").write_text(issuer.replace("9000", str(instance.elsewhere.port(9000))))
    with terminal("issuer", RUN_ISSUER, instance.folder) as running:
        printed = eventually(
            lambda: running.alive() and running.output.read_text().endswith("\n") and running.output.read_text(),
            "it prints a token",
        )
        script = post.replace("token=…", f"token={printed.split()[0]}").replace("http://127.0.0.1:8080", instance.url)

        def posted() -> bool:
            # A service that asked before the issuer ran asks again some seconds later.
            return "comment_id" in bash(script, instance.folder)

        eventually(posted, "the comment is taken", 40)
    (shown,) = httpx.get(f"{instance.url}/v1/streams/demo/comments/recent", trust_env=False).json()["comments"]
    assert (shown["author_id"], shown["author_name"], shown["text"]) == ("ann", "Ann", "It is me")


def test_a_backend_signs_with_the_shared_secret(instance: Instance) -> None:
    (backend,) = examples(TOKENS, "python", under="A backend that signs by itself")
    (instance.folder / "backend.py").write_text(backend)
    token = bash(".venv/bin/python backend.py", instance.folder).strip()
    host = Settings(data_dir=instance.folder / "data").token_key().issue("eve", role="host", ttl_s=60)
    with httpx.Client(base_url=instance.url, trust_env=False) as http:
        club = {"stream_id": "club", "title": "Club", "visibility": "private"}
        assert http.post("/v1/streams", json=club, headers={"Authorization": f"Bearer {host}"}).status_code == 201
        assert http.get("/v1/streams/club").status_code == 401
        shown = http.get("/v1/streams/club", headers={"Authorization": f"Bearer {token}"})
    assert (shown.status_code, shown.json()["stream_id"]) == (200, "club")


def test_the_settings_for_an_identity_provider_are_taken(tmp_path: Path) -> None:
    read = "from livecomments.settings import Settings; s = Settings(); print(s.edge_jwks_url, s.edge_jwt_audience)"
    printed = bash(f"{SETTINGS}.venv/bin/python -c '{read}'", with_environment(tmp_path))
    assert "https://id.example/protocol/openid-connect/certs" in printed
    assert printed.strip().endswith(" livecomments")


def test_pages_are_served_and_let_in(instance: Instance) -> None:
    (instance.folder / "watch.html").write_text("the page")
    port = instance.elsewhere.port(8000)
    assert SERVE_PAGES.count("8000") == 1
    with terminal("pages", SERVE_PAGES.replace("8000", str(port)), instance.folder, "python3") as serving:
        eventually(lambda: serving.alive() and answers(port), "it serves")
        assert httpx.get(f"http://127.0.0.1:{port}/watch.html", trust_env=False).text == "the page"
    origin = f"http://127.0.0.1:{port}"
    answer = httpx.get(f"{instance.url}/v1/streams/demo", headers={"Origin": origin}, trust_env=False)
    assert answer.headers["access-control-allow-origin"] == origin
