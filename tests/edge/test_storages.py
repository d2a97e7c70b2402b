"""Reads of stored comments go to the storage that answers, whatever has become of the others."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import grpc
import pytest
import trio

from edge.storages import Storages
from livecomments.errors import Reason, Refusal
from livecomments.v1.comment_pb2 import Comment
from livecomments.v1.history_service_pb2 import GetCommentRequest, GetCommentResponse
from livecomments.v1.history_service_pb2_grpc import HistoryServiceServicer, add_HistoryServiceServicer_to_server


@dataclass
class Storage(HistoryServiceServicer):
    """Answers with its name, unless it is told otherwise."""

    name: str
    refusal: Refusal | None = None
    is_frozen: bool = False
    asked: int = 0
    thaws: threading.Event = field(default_factory=threading.Event)

    def GetComment(self, _request: GetCommentRequest, context: grpc.ServicerContext) -> GetCommentResponse:  # noqa: N802 (gRPC's)
        self.asked += 1
        if self.is_frozen:
            self.thaws.wait(20)
        if self.refusal is not None:
            context.abort_with_status(self.refusal.to_status())
        return GetCommentResponse(comment=Comment(comment_id=self.name))


@contextmanager
def serving(*storages: Storage) -> Iterator[list[str]]:
    """Their addresses."""
    servers, addresses = [], []
    for storage in storages:
        server = grpc.server(ThreadPoolExecutor(4))
        add_HistoryServiceServicer_to_server(storage, server)
        addresses.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
        server.start()
        servers.append(server)
    try:
        yield addresses
    finally:
        for storage in storages:
            storage.thaws.set()
        for server in servers:
            server.stop(0).wait()


def read(addresses: list[str], times: int = 1) -> list[str]:
    """The names of those that answered."""

    async def run() -> list[str]:
        storages = Storages(addresses)
        try:
            answers = [await storages.read(lambda stub: stub.GetComment, GetCommentRequest(), ()) for _ in range(times)]
        finally:
            storages.close()
        return [answer.comment.comment_id for answer in answers]

    return trio.run(run)


def test_all_are_asked_in_turn() -> None:
    with serving(Storage("a"), Storage("b"), Storage("c")) as addresses:
        assert sorted(read(addresses, 6)) == ["a", "a", "b", "b", "c", "c"]


def test_a_frozen_one_is_waited_for_once_and_then_left_alone_for_a_while() -> None:
    frozen = Storage("frozen", is_frozen=True)
    with serving(frozen, Storage("well")) as addresses:
        assert read(addresses, 20) == ["well"] * 20
    assert frozen.asked == 1


@pytest.mark.parametrize("reason", [Reason.OVERLOADED, Reason.DRAINING])
def test_one_that_takes_nothing_now_is_passed_over(reason: Reason) -> None:
    with serving(Storage("full", Refusal(reason)), Storage("well")) as addresses:
        assert read(addresses, 4) == ["well"] * 4


def test_one_that_is_gone_is_passed_over() -> None:
    with serving(Storage("gone")) as gone:
        pass
    with serving(Storage("well")) as addresses:
        assert read([*gone, *addresses], 4) == ["well"] * 4


def test_what_is_not_there_is_asked_for_once() -> None:
    storages = [Storage(name, Refusal(Reason.COMMENT_NOT_FOUND)) for name in ("a", "b")]
    with serving(*storages) as addresses, pytest.raises(Refusal) as raised:
        read(addresses)
    assert raised.value.reason is Reason.COMMENT_NOT_FOUND
    assert sum(storage.asked for storage in storages) == 1


def test_when_none_answers_their_own_word_is_passed_on() -> None:
    storages = [Storage(name, Refusal(Reason.DRAINING)) for name in ("a", "b")]
    with serving(*storages) as addresses, pytest.raises(Refusal) as raised:
        read(addresses)
    assert raised.value.reason is Reason.DRAINING
