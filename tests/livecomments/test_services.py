"""What every service offers, and what it refuses to callers without the right."""

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from livecomments.errors import Reason, Refusal
from livecomments.v1 import comment_service_pb2 as comment_pb
from livecomments.v1 import feed_service_pb2 as feed_pb
from livecomments.v1 import history_service_pb2 as history_pb
from livecomments.v1.comment_service_pb2_grpc import CommentServiceStub
from livecomments.v1.feed_service_pb2_grpc import FeedServiceStub
from livecomments.v1.history_service_pb2_grpc import HistoryServiceStub
from tests.processes import PATIENCE_S
from tests.system import System

SERVICES = {
    "core": ("CommentService", "StreamService"),
    "fanout": ("FeedService",),
    "storage": ("HistoryService",),
}
Metadata = tuple[tuple[str, str], ...]


def address(system: System, name: str) -> str:
    return {"core": system.core, "fanout": system.fanout, "storage": system.storage}[name].address


@pytest.fixture
def channels(system: System) -> Iterator[dict[str, grpc.Channel]]:
    opened = {name: grpc.insecure_channel(address(system, name)) for name in SERVICES}
    yield opened
    for channel in opened.values():
        channel.close()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_tells_its_health(channels: dict[str, grpc.Channel], name: str) -> None:
    health = health_pb2_grpc.HealthStub(channels[name])
    for served in ("", *(f"livecomments.v1.{service}" for service in SERVICES[name])):
        answer = health.Check(health_pb2.HealthCheckRequest(service=served), timeout=PATIENCE_S)
        assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_describes_itself(channels: dict[str, grpc.Channel], name: str) -> None:
    described = set(ProtoReflectionDescriptorDatabase(channels[name]).get_services())
    ours = {service for service in described if service.startswith("livecomments.")}
    assert ours == {f"livecomments.v1.{service}" for service in SERVICES[name]}
    assert "grpc.health.v1.Health" in described


def bearer(token: str) -> Metadata:
    return (("authorization", f"Bearer {token}"),)


def reason(call: Callable[[], Any]) -> Reason:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return Refusal.from_rpc_error(caught.value).reason


@pytest.mark.parametrize("as_user", [False, True], ids=["nobody", "a user"])
def test_what_only_services_may_do_is_refused_to_all_others(
    system: System, channels: dict[str, grpc.Channel], as_user: bool
) -> None:
    stream = system.create_stream()
    metadata = bearer(system.token("ann")) if as_user else ()
    comments, feeds = CommentServiceStub(channels["core"]), FeedServiceStub(channels["fanout"])
    forged = comment_pb.IngestItem(
        tag=1, author_id="bob", post=comment_pb.PostCommentRequest(stream_id=stream, text="I am Bob")
    )
    calls: list[Callable[[], Any]] = [
        lambda: next(
            comments.IngestComments(
                iter([comment_pb.IngestCommentsRequest(items=[forged])]), metadata=metadata, timeout=PATIENCE_S
            )
        ),
        lambda: next(
            feeds.Relay(
                iter([feed_pb.RelayRequest(join=feed_pb.Join(stream_id=stream))]), metadata=metadata, timeout=PATIENCE_S
            )
        ),
        lambda: next(feeds.Backfill(feed_pb.BackfillRequest(stream_id=stream), metadata=metadata, timeout=PATIENCE_S)),
    ]
    expected = Reason.FORBIDDEN if as_user else Reason.UNAUTHENTICATED
    assert [reason(call) for call in calls] == [expected] * 3
    with system.watch(stream) as viewer:
        assert viewer.ids() == []


@pytest.mark.parametrize("who", ["nobody", "a stranger"])
def test_a_private_stream_is_private_in_every_service(
    system: System, channels: dict[str, grpc.Channel], who: str
) -> None:
    stream = system.create_stream(visibility="private")
    member = system.token("ann", streams=(stream,))
    comment_id = system.post(stream, "secret", token=member)["comment_id"]
    metadata = bearer(system.token("bob")) if who == "a stranger" else ()
    feeds, history = FeedServiceStub(channels["fanout"]), HistoryServiceStub(channels["storage"])
    window = history_pb.ListCommentsRequest(stream_id=stream, duration_ms=60_000)
    one = history_pb.GetCommentRequest(stream_id=stream, comment_id=comment_id)
    calls: list[Callable[[], Any]] = [
        lambda: next(feeds.Watch(feed_pb.WatchRequest(stream_id=stream), metadata=metadata, timeout=PATIENCE_S)),
        lambda: history.ListComments(window, metadata=metadata, timeout=PATIENCE_S),
        lambda: history.ListRecentComments(
            history_pb.ListRecentCommentsRequest(stream_id=stream), metadata=metadata, timeout=PATIENCE_S
        ),
        lambda: history.GetComment(one, metadata=metadata, timeout=PATIENCE_S),
        lambda: next(
            history.ExportComments(
                history_pb.ExportCommentsRequest(stream_id=stream), metadata=metadata, timeout=PATIENCE_S
            )
        ),
    ]
    expected = Reason.FORBIDDEN if who == "a stranger" else Reason.UNAUTHENTICATED
    assert [reason(call) for call in calls] == [expected] * len(calls)


@pytest.mark.parametrize(
    "metadata",
    [
        bearer("nonsense"),
        (("authorization", "Basic YTpi"),),
        (("x-livecomments-service-token", "x" * 64),),
    ],
    ids=["not a token", "another scheme", "a wrong service token"],
)
def test_a_bad_credential_is_worse_than_none(
    system: System, channels: dict[str, grpc.Channel], metadata: Metadata
) -> None:
    stream = system.create_stream()
    recent = history_pb.ListRecentCommentsRequest(stream_id=stream)
    history, feeds = HistoryServiceStub(channels["storage"]), FeedServiceStub(channels["fanout"])
    history.ListRecentComments(recent, timeout=PATIENCE_S)
    assert (
        reason(lambda: history.ListRecentComments(recent, metadata=metadata, timeout=PATIENCE_S))
        is Reason.UNAUTHENTICATED
    )
    assert (
        reason(lambda: next(feeds.Watch(feed_pb.WatchRequest(stream_id=stream), metadata=metadata, timeout=PATIENCE_S)))
        is Reason.UNAUTHENTICATED
    )
