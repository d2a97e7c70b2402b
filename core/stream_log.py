"""The log of one stream: appending under a fence, and reading."""

import datetime
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from google.protobuf.message import DecodeError
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, DeliverPolicy, Header
from nats.js.errors import APIError, NotFoundError

from core.gist import HEADER as GIST_HEADER
from core.gist import Gist, gist_of, read_gist
from core.replay import Delivery, ReplayLost, Take, replay
from livecomments.log import Shard
from livecomments.telemetry import log
from livecomments.v1.comment_pb2 import EventBatch

READ_S = 2.0
"""How long one reading call may take."""
# nats-server's server/errors.json. 10164 is 10071 with another append still on its way through the cluster.
_WRONG_LAST_SEQUENCE = (10071, 10164)
_STORE_FAILED = 10077
_NO_RESOURCES = (10023, 10047)
_AT_THE_LIMIT = ("maximum bytes exceeded", "maximum messages exceeded")


class Fenced(Exception):
    """Not stored by this call: the stream's last message is not the expected one."""


class LogFull(Exception):
    """Not stored by this call: the log is at its limit."""


class InDoubt(Exception):
    """May be stored, now or later: no answer came, or one that says neither."""


class LogUnreadable(Exception):
    """The log could not be read in time."""


@dataclass(frozen=True, slots=True)
class LogMessage:
    """One message of the stream."""

    seq: int
    msg_id: str
    """The Nats-Msg-Id that it was published with."""
    stored_at_ms: int
    """When nats-server stored it, ms since the Unix epoch, on its own clock."""
    batch: EventBatch


@dataclass(frozen=True, slots=True)
class LogGist:
    """One message of the stream without its payload."""

    seq: int
    msg_id: str
    gist: Gist


class _Bare(Exception):
    """A message bears no gist."""

    def __init__(self, seq: int) -> None:
        self.seq = seq


class _Reached(Exception):
    """What is behind this message is not wanted."""


class StreamLog:
    """One stream's subject in its shard."""

    def __init__(self, client: Client, shard: Shard, stream_id: str) -> None:
        self._client = client
        self._js = client.jetstream(timeout=READ_S)
        self._subject = shard.subject(stream_id)
        self.shard = shard

    async def append(self, payload: bytes, gist: str | None, after_seq: int, msg_id: str, timeout_s: float) -> int:
        """Stores a message if the stream's last one is ``after_seq`` (0: none); returns its sequence.

        ``gist``: of the payload, as ``write_gist`` makes it.
        Repeating a call with the same arguments stores at most one message. Raises Fenced, LogFull or InDoubt; when
        the call is cancelled it is in doubt, too. Fenced does not say whose message came first: it may be an earlier
        attempt's own (a lone nats-server looks at the sequence before it looks for duplicates).
        """
        if not self._client.is_connected:
            # Published now it would wait in the client's buffer, which repetitions would fill.
            raise InDoubt("not connected to nats")
        headers = {
            Header.EXPECTED_LAST_SUBJECT_SEQUENCE.value: str(after_seq),
            Header.MSG_ID.value: msg_id,
        }
        if gist is not None:
            headers[GIST_HEADER] = gist
        try:
            ack = await self._js.publish(self._subject, payload, timeout_s, headers=headers)
        except APIError as error:
            if error.err_code in _WRONG_LAST_SEQUENCE:
                raise Fenced from error
            if error.err_code in _NO_RESOURCES or (
                error.err_code == _STORE_FAILED and error.description in _AT_THE_LIMIT
            ):
                raise LogFull from error
            raise InDoubt(str(error)) from error
        except (NatsError, TimeoutError, OSError) as error:
            raise InDoubt(repr(error)) from error
        return ack.seq

    async def last(self) -> LogMessage | None:
        """The stream's last message, as the log's leader knows it; raises LogUnreadable."""
        return await self._get(None)

    async def next(self, seq: int) -> LogMessage | None:
        """The stream's first message at or after a sequence, as the log's leader knows it; raises LogUnreadable."""
        return await self._get(seq)

    async def first_seq(self) -> int:
        """The first sequence that the shard still holds, over all streams; 1 when it was never trimmed."""
        try:
            return (await self._js.stream_info(self.shard.name)).state.first_seq
        except (NatsError, TimeoutError, OSError) as error:
            raise LogUnreadable(repr(error)) from error

    async def replay_from(self, seq: int, apply: Callable[[LogMessage], None]) -> None:
        """Gives every message at or after a sequence to ``apply``, in order; raises LogUnreadable, maybe midway."""
        await self._replay(_from_seq(seq), _in_full(apply))

    async def replay_since(self, at_ms: int, apply: Callable[[LogMessage], None]) -> None:
        """Like ``replay_from``, for what nats-server stored at or after a time, ms since the Unix epoch."""
        await self._replay(_since(at_ms), _in_full(apply))

    async def replay_gists_since(
        self, at_ms: int, apply: Callable[[LogGist], None], up_to_seq: int | None = None
    ) -> None:
        """Like ``replay_since``, for the gists alone: a tenth of the bytes, and of the time. No further than
        ``up_to_seq``.

        From the first message on that bears none (an older core's, or a very large one) all are read in full.
        """

        def take(delivery: Delivery, message: Msg) -> None:
            if up_to_seq is not None and delivery.seq > up_to_seq:
                raise _Reached
            headers = message.headers or {}
            said = read_gist(headers.get(GIST_HEADER, ""))
            if said is None:
                raise _Bare(delivery.seq)
            apply(LogGist(delivery.seq, headers.get(Header.MSG_ID.value, ""), said))

        def apply_full(message: LogMessage) -> None:
            if up_to_seq is not None and message.seq > up_to_seq:
                raise _Reached
            apply(LogGist(message.seq, message.msg_id, gist_of(message.batch)))

        with suppress(_Reached):
            try:
                await self._replay(_since(at_ms).evolve(headers_only=True), take)
            except _Bare as bare:
                await self.replay_from(bare.seq, apply_full)

    async def _get(self, seq: int | None) -> LogMessage | None:
        try:
            # Not a direct get: a follower may be behind.
            raw = await self._js.get_msg(self.shard.name, seq=seq, subject=self._subject, next=seq is not None)
        except NotFoundError:
            return None
        except (NatsError, TimeoutError, OSError) as error:
            raise LogUnreadable(repr(error)) from error
        assert raw.seq is not None
        assert raw.time is not None
        return _message(raw.seq, raw.headers, int(raw.time.timestamp() * 1000), raw.data)

    async def _replay(self, config: ConsumerConfig, take: Take) -> None:
        config = config.evolve(filter_subject=self._subject)
        try:
            await replay(self._client, self.shard.name, config, READ_S, take)
        except (ReplayLost, NatsError, TimeoutError, OSError) as error:
            raise LogUnreadable(repr(error)) from error


def _from_seq(seq: int) -> ConsumerConfig:
    return ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=seq)


def _since(at_ms: int) -> ConsumerConfig:
    start = datetime.datetime.fromtimestamp(at_ms / 1000, datetime.UTC)
    return ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=start)


def _in_full(apply: Callable[[LogMessage], None]) -> Take:
    def take(delivery: Delivery, message: Msg) -> None:
        apply(_message(delivery.seq, message.headers, delivery.stored_at_ms, message.data))

    return take


def _message(seq: int, headers: Mapping[str, str] | None, stored_at_ms: int, data: bytes | None) -> LogMessage:
    msg_id = (headers or {}).get(Header.MSG_ID.value, "")
    return LogMessage(seq, msg_id, stored_at_ms, _parse(data or b""))


def _parse(data: bytes) -> EventBatch:
    try:
        return EventBatch.FromString(data)
    except DecodeError as error:
        # Not written by a core. It holds a sequence and nothing else.
        log().error("a message of the log can't be read", error=repr(error))
        return EventBatch()
