"""Whatever viewers do: everything answered 202 is seen exactly once, in one order, by all, and in every replay."""

from dataclasses import dataclass, field

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.system import System
from tests.viewers import Viewer, watch


@dataclass(frozen=True)
class Post:
    """A comment, by one of a few users."""

    user: int
    text: str


@dataclass(frozen=True)
class Leave:
    """A viewer's connection is cut, wherever it stands."""

    viewer: int


@dataclass(frozen=True)
class Return:
    """It comes back with its last id."""

    viewer: int


@dataclass(frozen=True)
class Drop:
    """The host deletes one of the comments so far."""

    which: int


@dataclass
class Model:
    """What must be so."""

    accepted: list[str] = field(default_factory=list)
    deleted: set[str] = field(default_factory=set)


VIEWERS = 3
texts = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=20)
actions = st.lists(
    st.one_of(
        st.builds(Post, st.integers(0, 3), texts),
        st.builds(Post, st.integers(0, 3), texts),
        st.builds(Leave, st.integers(0, VIEWERS - 1)),
        st.builds(Return, st.integers(0, VIEWERS - 1)),
        st.builds(Drop, st.integers(0, 50)),
    ),
    min_size=5,
    max_size=30,
)
pages = st.tuples(st.integers(1, 7), st.lists(st.integers(1, 400), min_size=1, max_size=5))


@given(script=actions, paging=pages)
@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
def test_everything_accepted_is_seen_once_in_one_order_by_all(
    system: System, script: list[object], paging: tuple[int, list[int]]
) -> None:
    stream = system.create_stream()
    model = Model()
    viewers = [system.watch(stream) for _ in range(VIEWERS)]
    try:
        for action in script:
            act(system, stream, model, viewers, action)
        for viewer in viewers:
            if viewer.closed:
                viewer.connect()
        open_viewers = viewers
        watch(open_viewers, lambda: all(len(v.ids()) >= len(model.accepted) for v in viewers), "everyone has all", 15)
        for viewer in viewers:
            assert viewer.ids() == model.accepted
            gone = {event.data["comment_id"] for event in viewer.events if event.name == "delete_comment"}
            assert gone <= model.deleted
    finally:
        for viewer in viewers:
            viewer.disconnect()
    kept = [comment for comment in model.accepted if comment not in model.deleted]
    system.stored(stream, lambda comments: [c["comment_id"] for c in comments] == kept)
    assert replay_in_windows(system, stream, *paging) == kept


def act(system: System, stream: str, model: Model, viewers: list[Viewer], action: object) -> None:
    match action:
        case Post(user, text):
            model.accepted.append(system.post(stream, text, user=f"user-{user}")["comment_id"])
        case Leave(which):
            viewers[which].disconnect()
        case Return(which) if viewers[which].closed:
            viewers[which].connect()
        case Drop(which) if model.accepted:
            comment_id = model.accepted[which % len(model.accepted)]
            token = system.token("host", role="host")
            path = f"/v1/streams/{stream}/comments/{comment_id}"
            assert system.request("DELETE", path, token=token).status_code == 204
            model.deleted.add(comment_id)


def replay_in_windows(system: System, stream: str, limit: int, durations_ms: list[int]) -> list[str]:
    """The whole timeline, in windows of changing length, each read in pages of ``limit``."""
    ids: list[str] = []
    at, turn = 0, 0
    last = max((c["offset_ms"] for c in system.replay(stream)), default=0)
    while at <= last:
        duration = durations_ms[turn % len(durations_ms)]
        window = system.replay(stream, start=at / 1000, duration=duration / 1000, limit=limit)
        ids += [comment["comment_id"] for comment in window]
        at += duration
        turn += 1
    return ids
