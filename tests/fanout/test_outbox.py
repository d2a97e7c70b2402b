"""What waits for an edge is bounded; what can't wait becomes a snapshot."""

from hypothesis import given
from hypothesis import strategies as st

from fanout import wire
from fanout.outbox import Outbox
from fanout.presence import LocalViewers
from livecomments.errors import Reason
from livecomments.v1 import feed_service_pb2 as pb


def update(stream_id: str, seq: int) -> bytes:
    return wire.relay_batch(stream_id, pb.FeedBatch(messages=[pb.FeedMessage(seq=seq)]).SerializeToString())


def fresh(stream_id: str) -> bytes:
    return wire.relay_update(pb.TopicUpdate(stream_id=stream_id, snapshot=pb.Snapshot(cursor="now")))


def taken(outbox: Outbox, max_bytes: int = 10**6) -> list[tuple[str, str]]:
    response = pb.RelayResponse.FromString(outbox.take(max_bytes, fresh))
    return [(one.stream_id, one.WhichOneof("message") or "") for one in response.updates]


def test_all_that_is_ready_goes_in_one_message() -> None:
    outbox = Outbox(10_000)
    outbox.put("a", update("a", 1))
    outbox.put("b", update("b", 2))
    outbox.put("a", update("a", 3))
    outbox.count("a", 5)
    outbox.count("a", 6)
    outbox.refuse("c", Reason.STREAM_NOT_FOUND)
    response = pb.RelayResponse.FromString(outbox.take(10_000, fresh))
    assert [one.batch.messages[0].seq for one in response.updates if one.HasField("batch")] == [1, 2, 3]
    assert [one.viewers.viewers for one in response.updates if one.HasField("viewers")] == [6]
    assert [one.refused.reason for one in response.updates if one.HasField("refused")] == ["STREAM_NOT_FOUND"]
    assert not outbox.take(10_000, fresh)
    assert outbox.size == 0


def test_a_large_queue_goes_in_several_messages() -> None:
    outbox = Outbox(10_000)
    for seq in range(10):
        outbox.put("a", update("a", seq))
    assert len(taken(outbox, 1)) == 1
    assert len(taken(outbox)) == 9


def test_an_overflow_replaces_the_windows_of_the_topics_that_it_touched() -> None:
    outbox = Outbox(len(update("a", 1)) * 2)
    outbox.put("a", update("a", 1))
    outbox.put("b", update("b", 2))
    outbox.put("a", update("a", 3))
    assert outbox.size == 0
    outbox.put("b", update("b", 4))  # the snapshot will hold it
    outbox.put("c", update("c", 5))
    assert taken(outbox) == [("c", "batch"), ("a", "snapshot"), ("b", "snapshot")]
    outbox.put("a", update("a", 6))
    assert taken(outbox) == [("a", "batch")]


def test_a_topic_that_begins_anew_or_is_left_has_nothing_waiting() -> None:
    outbox = Outbox(10_000)
    outbox.put("a", update("a", 1))
    outbox.put("b", update("b", 1))
    outbox.begin("a", [fresh("a")])
    outbox.forget("b")
    assert taken(outbox) == [("a", "snapshot")]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3)), max_size=60), st.integers(20, 200))
def test_each_topic_gets_every_window_or_a_snapshot_that_holds_it(
    happens: list[tuple[str, int]], max_bytes: int
) -> None:
    outbox, heads, seen = Outbox(max_bytes), dict.fromkeys("abc", 0), dict.fromkeys("abc", 0)

    def snapshot(stream_id: str) -> bytes:
        head = str(heads[stream_id])
        return wire.relay_update(pb.TopicUpdate(stream_id=stream_id, snapshot=pb.Snapshot(cursor=head)))

    def read() -> None:
        for one in pb.RelayResponse.FromString(outbox.take(50, snapshot)).updates:
            if one.HasField("snapshot"):
                seen[one.stream_id] = int(one.snapshot.cursor)
            else:
                assert one.batch.messages[0].seq == seen[one.stream_id] + 1
                seen[one.stream_id] += 1

    for stream_id, reads in happens:
        heads[stream_id] += 1
        outbox.put(stream_id, update(stream_id, heads[stream_id]))
        assert outbox.size <= max_bytes
        for _ in range(reads):
            read()
    for _ in range(100):
        read()
    assert seen == heads


def test_viewers_are_added_up_over_their_reporters_and_the_last_one_is_told_of() -> None:
    viewers = LocalViewers()
    viewers.report("edge 1", "a", 3)
    viewers.report("edge 2", "a", 4)
    viewers.report("edge 2", "a", 5)
    assert viewers.viewers("a") == 8
    assert viewers.due() == {"a": 8}
    viewers.report("edge 1", "a", 0)
    viewers.report("edge 2", "a", 0)
    viewers.report("edge 2", "never watched", 0)
    assert viewers.due() == {"a": 0}
    assert viewers.due() == {}
