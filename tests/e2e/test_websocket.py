"""The feed over a WebSocket: the same events as over SSE, and posts on the same connection, by every way in."""

import pytest

from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import watch


@pytest.fixture(params=["door", "hypercorn"])
def reused(request: pytest.FixtureRequest) -> bool:
    """Whether the connection is Hypercorn's already when the WebSocket is opened."""
    return bool(request.param == "hypercorn")


def open_socket(system: System, stream: str, **how: object) -> SocketViewer:
    """A viewer that has its snapshot. The door knows the stream, so that it could have answered."""
    system.watch(stream, token=str(how.get("token", ""))).disconnect()
    viewer = SocketViewer(system.url, stream, **how)  # type: ignore[arg-type]
    viewer.until(lambda v: v.events or v.closed or v.status not in (0, 101), "the first event")
    return viewer


def test_a_viewer_watches_and_posts_on_one_connection(system: System, reused: bool) -> None:
    stream = system.create_stream(title="The final")
    system.post(stream, "before")
    with open_socket(system, stream, token=system.token("ann"), reused=reused) as viewer, system.watch(stream) as other:
        first = viewer.events[0]
        assert first.name == "snapshot"
        assert first.data["stream"]["title"] == "The final"
        assert first.data["recovered"] is False
        assert viewer.texts() == ["before"]
        posted = viewer.post("What a goal!", "r1", lag_ms=5, meta={"a": 1})
        assert posted.keys() == {"request_id", "comment_id", "posted_at", "offset_ms", "cursor"}
        watch([viewer, other], lambda: len(viewer.ids()) == len(other.ids()) == 2, "both see it")
        assert viewer.comments() == other.comments()
        shown = viewer.comments()[1]
        assert (shown["comment_id"], shown["lag_ms"], shown["meta"]) == (posted["comment_id"], 5, {"a": 1})
        assert viewer.cursor == other.cursor == posted["cursor"]
