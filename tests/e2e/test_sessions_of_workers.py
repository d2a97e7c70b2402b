"""A session belongs to one process; a call about it may land at any other of its edge."""

import os
import signal
from collections.abc import Iterator
from urllib.parse import quote

import httpx
import pytest

from livecomments.errors import Reason
from tests.e2e.test_errors import refused
from tests.e2e.test_workers import WORKERS, Workers, count_of
from tests.processes import eventually
from tests.session_viewers import SessionViewer
from tests.system import System


@pytest.fixture(scope="module")
def workers(system: System) -> Iterator[Workers]:
    with system.service("edge", "-sessions", edge_workers=str(WORKERS), edge_cookie="live") as service:
        running = Workers(system, service)
        eventually(running.is_ready, "all workers are ready")
        yield running


def opened(workers: Workers, *streams: str, token: str = "") -> tuple[SessionViewer, int, int]:
    """A session, the number of its worker, and that of the other."""
    viewer = SessionViewer(workers.url, streams, token=token)
    viewer.until(lambda _: viewer.events and all(viewer.told(stream) for stream in streams), "the snapshots")
    own = workers.names.index(viewer.session.partition("-")[0])
    return viewer, own, 1 - own


def ask(workers: Workers, number: int, method: str, session: str, stream: str, *, token: str = "") -> httpx.Response:
    """A call that lands at one of the workers."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with workers.inner(number) as client:
        return client.request(method, f"/v1/sessions/{quote(session, safe='')}/streams/{stream}", headers=headers)


def test_a_call_is_answered_alike_wherever_it_lands(system: System, workers: Workers) -> None:
    one, two, private = system.create_stream(), system.create_stream(), system.create_stream(visibility="private")
    ann, eve = system.token("ann"), system.token("eve")
    viewer, own, other = opened(workers, one, token=ann)
    with viewer:
        for session, stream, token in (
            (viewer.session, one, ann),
            (viewer.session, one, ""),
            (viewer.session, one, eve),
            (viewer.session, one, "x.y.z"),
            (viewer.session, "nowhere", ann),
            (viewer.session, "no%20space", ann),
            (viewer.session, private, ann),
            (viewer.session + "x", one, ann),
        ):
            for method in ("PUT", "DELETE") if stream != one else ("PUT",):
                here = ask(workers, own, method, session, stream, token=token)
                there = ask(workers, other, method, session, stream, token=token)
                assert (here.status_code, here.content) == (there.status_code, there.content)
                for headers in (here.headers, there.headers):
                    del headers["date"]
                assert sorted(here.headers.multi_items()) == sorted(there.headers.multi_items())
        for number, method, there_now in ((other, "PUT", True), (other, "DELETE", False), (own, "PUT", True)):
            assert ask(workers, number, method, viewer.session, two, token=ann).status_code == 204
            viewer.until(lambda _, now=there_now: (two in viewer.streams) == now, "the change")  # type: ignore[misc]
        system.post(two, "seen")
        viewer.until(lambda _: viewer.shown(two) == ["seen"], "what is posted to the added stream")


def test_a_call_by_cookie_is_passed_on_with_its_token(system: System, workers: Workers) -> None:
    one, two = system.create_stream(), system.create_stream(visibility="private")
    ann = system.token("ann", streams=(two,))
    viewer, _, other = opened(workers, one, token=ann)
    with viewer, workers.inner(other) as client:
        path, cookie = f"/v1/sessions/{quote(viewer.session, safe='')}/streams/{two}", {"Cookie": f"live={ann}"}
        refused(client.put(path, headers=cookie), Reason.FORBIDDEN)
        refused(client.put(path, headers={**cookie, "Origin": "https://evil.example"}), Reason.FORBIDDEN)
        origin = f"http://{client.base_url.netloc.decode()}"
        assert client.put(path, headers={**cookie, "Origin": origin}).status_code == 204
        viewer.until(lambda _: viewer.names(two) == ["snapshot"], "the stream that was added")


def test_calls_from_outside_reach_the_session_whichever_worker_takes_them(system: System, workers: Workers) -> None:
    one, two = system.create_stream(), system.create_stream()
    viewer, _, other = opened(workers, one)

    def passed_on() -> float:
        return count_of(workers.facts[other]["metrics"], "livecomments_edge_passed_on_total ")

    before = passed_on()

    def change() -> bool:
        for method in ("PUT", "DELETE"):
            # Each over a connection of its own: the kernel picks the worker.
            answer = httpx.request(
                method, f"{workers.url}/v1/sessions/{viewer.session}/streams/{two}", trust_env=False, timeout=10
            )
            assert answer.status_code == 204, answer.text
        return passed_on() > before

    with viewer:
        eventually(change, "one of the calls has landed at the other worker")


def test_a_session_whose_process_has_gone_is_not_found(system: System, workers: Workers) -> None:
    one = system.create_stream()
    viewer, own, other = opened(workers, one)
    with viewer:
        first, names = viewer.session, workers.names
        os.kill(workers.pids[own], signal.SIGKILL)
        # While it dies, a call that has reached it already gets no answer.
        eventually(lambda: ask(workers, other, "PUT", first, one).status_code != 503, "it has died")
        refused(ask(workers, other, "PUT", first, one), Reason.SESSION_NOT_FOUND)
        eventually(lambda: workers.names != names and workers.is_ready(), "it is replaced")
        for number in (own, other):
            refused(ask(workers, number, "PUT", first, one), Reason.SESSION_NOT_FOUND)
        viewer.until(lambda v: v.closed, "it was cut")
        viewer.connect()
        viewer.until(lambda _: viewer.session != first, "it is back")
        assert ask(workers, other, "PUT", viewer.session, one).status_code == 204


@pytest.mark.parametrize("session", ["7.3-x", "0.0", "-", "1.0-../1.0", "..-x", "0.0%0d%0a-x", "999.999999999-y"])
def test_an_id_that_nobody_gave_is_not_found(system: System, workers: Workers, session: str) -> None:
    one = system.create_stream()
    for number in (0, 1):
        with workers.inner(number) as client:
            answer = client.put(f"/v1/sessions/{session}/streams/{one}")
        assert answer.status_code == 404
