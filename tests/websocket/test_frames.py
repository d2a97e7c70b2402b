"""The frames of a WebSocket, right and wrong."""

import socket
import struct

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wsproto.events import CloseConnection, Ping, TextMessage

from tests.processes import eventually
from tests.system import System, ready
from tests.websocket.viewers import frame, open_socket

pytestmark = pytest.mark.usefixtures("no_error_is_logged")


def test_a_ping_is_answered_and_silence_is_broken_by_one(system: System, reused: bool) -> None:
    stream = system.create_stream()
    with system.service("edge", "-beat", edge_heartbeat_s="1") as edge:
        url = ready(system, edge)
        with open_socket(system, stream, url=url, reused=reused) as viewer:
            for payload in (b"", b"hello", b"x" * 125):
                viewer.send(Ping(payload))
            viewer.until(lambda v: v.pongs == [b"", b"hello", b"x" * 125], "the pongs")
            viewer.until(lambda v: v.heartbeats >= 2, "two heartbeats")


def test_a_message_may_come_in_fragments_byte_by_byte_with_pings_between(system: System, reused: bool) -> None:
    stream = system.create_stream()
    with open_socket(system, stream, token=system.token("ann"), reused=reused) as viewer:
        message = '{"post":{"request_id":"r","text":"gr\u00fc\u00dfe \U0001f3c6"}}'
        for at, character in enumerate(message):
            viewer.send(TextMessage(data=character, message_finished=at == len(message) - 1))
            if at == 20:
                viewer.send(Ping(b"between"))
        viewer.answer("r", "posted")
        assert viewer.pongs == [b"between"]
        for byte in frame(0x81, b'{"post":{"request_id":"r2","text":"slowly"}}'):
            viewer.send_raw(bytes((byte,)))
        viewer.answer("r2", "posted")
        viewer.until(lambda v: len(v.texts()) == 2, "both")
        assert viewer.texts() == ["gr\u00fc\u00dfe \U0001f3c6", "slowly"]


def test_the_largest_message_is_taken(system: System) -> None:
    stream = system.create_stream()
    with open_socket(system, stream, token=system.token("ann")) as viewer:
        message = '{"post":{"request_id":"r","text":"a"}'
        viewer.say(message + " " * (16 * 1024 - len(message) - 1) + "}")
        viewer.answer("r", "posted")


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (frame(0x81, b"{}", masked=False), 1002),
        (frame(0xC1, b"{}"), 1002),
        (frame(0x83, b""), 1002),
        (frame(0x80, b"x"), 1002),
        (frame(0x01, b"x") + frame(0x81, b"y"), 1002),
        (frame(0x09, b""), 1002),
        (frame(0x88, b"\x03"), 1002),
        (frame(0x88, struct.pack("!H", 1006)), 1002),
        (b"\xff" * 64, 1002),
        (frame(0x81, b"\xff\xfe"), 1007),
        (frame(0x88, b"\x03\xe8\xff"), 1007),
        (frame(0x82, b"binary"), 1003),
        (b"\x81\xfe\x40\x01", 1009),
        (b"\x81\xff" + struct.pack("!Q", 1 << 33), 1009),
    ],
)
def test_a_malformed_frame_closes_with_its_code_and_disturbs_nobody(system: System, data: bytes, code: int) -> None:
    stream = system.create_stream()
    for reused in (False, True):
        with open_socket(system, stream, reused=reused) as viewer, open_socket(system, stream) as other:
            viewer.send_raw(data)
            viewer.until(lambda v: v.closed, "the close")
            assert viewer.close is not None
            assert viewer.close[0] == code
            assert viewer.close[1], "a reason"
            system.post(stream, "undisturbed")
            other.until(lambda v: v.texts()[-1:] == ["undisturbed"], "the next comment")


pieces_of_frames = st.builds(
    lambda first, payload, masked: frame(first, payload, masked=masked),
    st.sampled_from([0x81, 0x01, 0x00, 0x80, 0x89, 0x8A, 0x88, 0x82, 0xC1, 0x83]),
    st.one_of(
        st.binary(max_size=125),
        st.just(b"\x03\xe8"),
        st.sampled_from([b'{"post":{"request_id":"r","text":"a"}}', b'{"post":{}}', b"[", b'{"post":"\\ud800"}']),
    ),
    st.sampled_from([True] * 9 + [False]),
)


@given(st.lists(st.one_of(st.lists(pieces_of_frames, max_size=8).map(b"".join), st.binary(max_size=200)), max_size=4))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_whatever_is_sent_disturbs_nobody(system: System, pieces: list[bytes]) -> None:
    stream = system.create_stream()
    with open_socket(system, stream) as other:
        for reused in (False, True):
            with open_socket(system, stream, reused=reused) as viewer:
                for piece in pieces:
                    viewer.send_raw(piece)
        system.post(stream, "undisturbed")
        other.until(lambda v: v.texts() == ["undisturbed"], "the next comment")


def test_too_many_frames_close_the_connection(system: System) -> None:
    stream = system.create_stream()
    with open_socket(system, stream) as viewer:
        viewer.send_raw(frame(0x8A, b"") * 1_000)
        viewer.until(lambda v: v.closed, "the close")
        assert viewer.close == (1008, "too many frames")


def test_a_close_is_answered_with_its_code(system: System, reused: bool) -> None:
    stream = system.create_stream()
    for close, answer in ((CloseConnection(1000, "bye"), 1000), (CloseConnection(4321), 4321)):
        with open_socket(system, stream, reused=reused) as viewer:
            viewer.send(close)
            viewer.until(lambda v: v.closed, "the answer")
            assert viewer.close is not None
            assert viewer.close[0] == answer


def test_one_that_closes_its_half_or_vanishes_is_let_go(system: System, reused: bool) -> None:
    stream = system.create_stream()
    before = system.edge.descriptors()
    for vanish in (socket.SHUT_WR, None):
        viewers = [open_socket(system, stream, reused=reused) for _ in range(10)]
        assert system.edge.descriptors() >= before + 10
        for viewer in viewers:
            if vanish is not None:
                connection = viewer._socket
                assert connection is not None
                connection.shutdown(vanish)
                viewer.until(lambda v: v.closed, "the end")
            else:
                viewer.disconnect()
        eventually(lambda: system.edge.descriptors() <= before, "no descriptor is left", timeout_s=5)


def test_descriptors_come_back_from_every_way_out(system: System) -> None:
    stream = system.create_stream()
    before = system.edge.descriptors()
    for data in (frame(0x83, b""), frame(0x88, b"\x03\xe8"), b"\x81\xfe\x40\x01" + b"x" * 100_000):
        viewers = [open_socket(system, stream) for _ in range(5)]
        for viewer in viewers:
            viewer.send_raw(data)
            viewer.until(lambda v: v.closed, "the close")
            assert viewer.close is not None, "the close frame came, although more was sent than was read"
    eventually(lambda: system.edge.descriptors() <= before, "no descriptor is left", timeout_s=8)
