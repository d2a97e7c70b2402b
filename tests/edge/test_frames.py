"""WebSocket frames: read as wsproto's client writes them, written as it reads them, and refused as its server does."""

import struct
from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import BytesMessage, CloseConnection, Event, Message, TextMessage
from wsproto.events import Ping as WsPing
from wsproto.events import Pong as WsPong

from edge.frames import (
    BAD_TEXT,
    PROTOCOL_ERROR,
    TOO_BIG,
    BadFrame,
    Binary,
    Close,
    Fragment,
    Frame,
    FrameReader,
    Ping,
    Pong,
    Text,
    close_frame,
    ping_frame,
    pong_frame,
    text_frame,
)

MAX = 16 * 1024
Said = tuple[list[Frame], BadFrame | None]


def read(pieces: Iterable[bytes], message_max: int = MAX) -> Said:
    """All frames but the fragments, and what was wrong with the one behind them."""
    reader = FrameReader(message_max)
    frames: list[Frame] = []
    try:
        for piece in pieces:
            frames.extend(found for found in reader.feed(piece) if not isinstance(found, Fragment))
    except BadFrame as bad:
        return frames, bad
    return frames, None


def frame(opcode: int, payload: bytes = b"", *, final: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """One frame as a client writes it, right or wrong."""
    first = (0x80 if final else 0) | reserved << 4 | opcode
    size, mask = len(payload), 0x80 if masked else 0
    if size < 126:
        head = struct.pack("!BB", first, mask | size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, mask | 126, size)
    else:
        head = struct.pack("!BBQ", first, mask | 127, size)
    key = b"\x11\x22\x33\x44"
    return head + key + bytes(byte ^ key[at % 4] for at, byte in enumerate(payload)) if masked else head + payload


def cut(data: bytes, at: list[int]) -> list[bytes]:
    places = sorted({place % (len(data) + 1) for place in at} | {0, len(data)})
    return [data[begin:end] for begin, end in pairwise(places)]


messages = st.lists(
    st.one_of(
        st.lists(st.text(max_size=400), min_size=1, max_size=4),
        st.lists(st.binary(max_size=400), min_size=1, max_size=4),
        st.builds(WsPing, st.binary(max_size=125)),
        st.builds(WsPong, st.binary(max_size=125)),
    ),
    max_size=6,
)
cuts = st.lists(st.integers(0, 10_000), max_size=12)


@given(messages, st.booleans(), cuts)
@settings(deadline=None)
def test_what_a_client_writes_is_read_however_it_is_cut(
    sent: list[list[str] | list[bytes] | WsPing | WsPong], closes: bool, at: list[int]
) -> None:
    client = Connection(ConnectionType.CLIENT)
    data, expected = b"", []
    for message in sent:
        match message:
            case WsPing(payload):
                data += client.send(message)
                expected.append(Ping(bytes(payload)))
            case WsPong(payload):
                data += client.send(message)
                expected.append(Pong(bytes(payload)))
            case _:
                for number, part in enumerate(message):
                    kind = TextMessage if isinstance(part, str) else BytesMessage
                    data += client.send(kind(data=part, message_finished=number == len(message) - 1))
                whole = b"".join(part.encode() if isinstance(part, str) else part for part in message)
                expected.append(Text(whole) if isinstance(message[0], str) else Binary(whole))
    if closes:
        data += client.send(CloseConnection(1000, "done"))
        data += b"what stands behind is not read"
        expected.append(Close(1000, "done"))
    assert read(cut(data, at)) == (expected, None)


pieces_of_frames = st.builds(
    frame,
    st.sampled_from([0, 1, 1, 2, 8, 9, 10, 3, 11]),
    st.one_of(
        st.binary(max_size=130), st.text(max_size=40).map(str.encode), st.just(b"\x03\xe8ok"), st.just(b"x" * 400)
    ),
    final=st.sampled_from([True, True, False]),
    masked=st.sampled_from([True] * 7 + [False]),
    reserved=st.sampled_from([0] * 9 + [1, 4]),
)
streams = st.one_of(
    st.lists(pieces_of_frames, max_size=6).map(b"".join),
    st.binary(max_size=60),
    st.tuples(st.lists(pieces_of_frames, max_size=3), st.binary(max_size=20)).map(lambda s: b"".join(s[0]) + s[1]),
)


@given(streams, cuts)
@settings(max_examples=500, deadline=None)
def test_anything_is_taken_or_refused_as_wsproto_does(data: bytes, at: list[int]) -> None:
    frames, bad = read(cut(data, at), message_max=1 << 62)
    expected, code = as_wsproto_reads(data)
    if bad is not None and code is None:
        # Two bytes are enough for ours to see what is wrong; it waits for the whole head.
        code = as_wsproto_reads(data + bytes(20))[1]
    if code == BAD_TEXT:
        # It looks at each part of a text, ours at the whole, which may be longer in coming.
        assert frames[: len(expected)] == expected
    else:
        assert frames == expected
        assert code == (bad.code if bad else None)


def as_wsproto_reads(data: bytes) -> tuple[list[Frame], int | None]:
    server = Connection(ConnectionType.SERVER)
    server.receive_data(data)
    frames: list[Frame] = []
    parts: list[bytes] = []
    was_open = server.state
    for event in server.events():
        if isinstance(event, CloseConnection) and server.state is was_open:
            return frames, int(event.code)  # it has found an error
        if isinstance(event, Message):
            parts.append(event.data.encode() if isinstance(event, TextMessage) else bytes(event.data))
            if event.message_finished:
                frames.append(Text(b"".join(parts)) if isinstance(event, TextMessage) else Binary(b"".join(parts)))
                parts.clear()
        else:
            frames.append(as_ours(event))
        if isinstance(event, CloseConnection):
            break
    return frames, None


def as_ours(event: Event) -> Frame:
    match event:
        case WsPing(payload):
            return Ping(bytes(payload))
        case WsPong(payload):
            return Pong(bytes(payload))
        case CloseConnection(code, reason):
            return Close(None, "") if code == 1005 else Close(int(code), reason or "")
    raise AssertionError(event)


@given(st.text(max_size=70_000) | st.integers(0, 70_000).map(lambda size: "x" * size))
@settings(deadline=None)
def test_what_we_write_a_client_reads(text: str) -> None:
    client = Connection(ConnectionType.CLIENT)
    client.receive_data(
        text_frame(text.encode()) + ping_frame() + pong_frame(b"p") + close_frame(1001, "come back in 5 ms")
    )
    events = list(client.events())
    assert "".join(event.data for event in events if isinstance(event, TextMessage)) == text
    assert events[-3:] == [WsPing(b""), WsPong(b"p"), CloseConnection(1001, "come back in 5 ms")]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(1, b"a", masked=False), PROTOCOL_ERROR),
        (frame(1, b"a", reserved=4), PROTOCOL_ERROR),
        (frame(3), PROTOCOL_ERROR),
        (frame(0, b"a"), PROTOCOL_ERROR),
        (frame(1, b"a", final=False) + frame(1, b"b"), PROTOCOL_ERROR),
        (frame(9, b"x" * 126), PROTOCOL_ERROR),
        (frame(9, final=False), PROTOCOL_ERROR),
        (b"\x81\xfe\x00\x05", PROTOCOL_ERROR),
        (b"\x81\xff" + bytes(6) + b"\xff\xff", PROTOCOL_ERROR),
        (b"\x81\xff\x80" + bytes(7), PROTOCOL_ERROR),
        (frame(8, b"\x03"), PROTOCOL_ERROR),
        (frame(8, struct.pack("!H", 1005)), PROTOCOL_ERROR),
        (frame(8, struct.pack("!H", 999)), PROTOCOL_ERROR),
        (frame(8, struct.pack("!H", 2999)), PROTOCOL_ERROR),
        (frame(8, struct.pack("!H", 5000)), PROTOCOL_ERROR),
        (frame(8, b"\x03\xe8\xff"), BAD_TEXT),
        (frame(1, b"\xff"), BAD_TEXT),
        (frame(1, b"\xc3", final=False) + frame(0, b"("), BAD_TEXT),
        (frame(1, b"x" * MAX)[:8].replace(b"\x40\x00", b"\x40\x01"), TOO_BIG),
        (b"\x81\xff" + struct.pack("!Q", 1 << 40), TOO_BIG),
        (frame(1, b"x" * MAX, final=False) + frame(0, b"x"), TOO_BIG),
    ],
)
def test_a_bad_frame_is_told_by_its_code_as_soon_as_it_is_known(data: bytes, code: int) -> None:
    frames, bad = read([data])
    assert frames == []
    assert bad is not None
    assert bad.code == code
    assert len(bad.reason.encode()) <= 123


def test_the_largest_message_may_come_whole_or_in_parts_and_a_ping_between_them() -> None:
    whole = frame(1, b"x" * MAX)
    parts = frame(1, b"y" * (MAX - 1), final=False) + frame(9, b"?") + frame(0, b"y")
    frames, bad = read([whole + parts])
    assert bad is None
    assert frames == [Text(b"x" * MAX), Ping(b"?"), Text(b"y" * MAX)]


def test_a_reader_is_needed_only_while_something_has_come_in_part() -> None:
    reader = FrameReader(MAX)
    for data, clean in (
        (frame(1, b"a"), True),
        (frame(1, b"a")[:1], False),
        (frame(1, b"a")[1:], True),
        (frame(1, b"a", final=False), False),
        (frame(10), False),
        (frame(0, b"b"), True),
    ):
        list(reader.feed(data))
        assert reader.is_clean is clean


@given(st.text(alphabet="aé漢🏆", max_size=200), st.integers(1, 7))
@settings(deadline=None)
def test_a_character_may_be_split_between_frames(text: str, size: int) -> None:
    data = text.encode()
    parts = [data[at : at + size] for at in range(0, len(data), size)] or [b""]
    stream = b"".join(
        frame(0 if number else 1, part, final=number == len(parts) - 1) for number, part in enumerate(parts)
    )
    assert read([stream]) == ([Text(data)], None)
