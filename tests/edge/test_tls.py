"""What the TLS listener is made of, and what it says when that does not do."""

import socket
import ssl
from pathlib import Path

import pytest
import trio
import trio.testing

from edge import tls
from edge.tls import HANDSHAKE_S, TlsDoor, tls_context
from livecomments.settings import Settings, SettingsError
from tests.certificates import make_certificate


def test_the_context_offers_http_2_and_nothing_old(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    context = tls_context(Settings(tls_cert=made.cert, tls_key=made.key))
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.options & ssl.OP_NO_RENEGOTIATION
    ciphers = {str(cipher["name"]) for cipher in context.get_ciphers()}
    assert all(name.startswith(("TLS_", "ECDHE-")) for name in ciphers)


def test_what_does_not_do_is_named_by_its_setting(tmp_path: Path) -> None:
    one, other = make_certificate(tmp_path, "one"), make_certificate(tmp_path, "other")
    locked = make_certificate(tmp_path, "locked", password="very secret")
    missing, empty = tmp_path / "missing.pem", tmp_path / "empty.pem"
    empty.touch()
    for cert, key, what in (
        (None, one.key, "TLS_CERT: must be set"),
        (one.cert, None, "TLS_KEY: must be set"),
        (missing, one.key, f"TLS_CERT: {missing}: No such file"),
        (one.cert, missing, f"TLS_KEY: {missing}: No such file"),
        (tmp_path, one.key, f"TLS_CERT: {tmp_path}: Is a directory"),
        (empty, one.key, f"TLS_CERT: {empty}: holds no certificate"),
        (one.key, one.key, f"TLS_CERT: {one.key}: holds no certificate"),
        (one.cert, empty, f"TLS_KEY: {empty}: holds no plain key"),
        (one.cert, one.cert, f"TLS_KEY: {one.cert}: holds no plain key"),
        (locked.cert, locked.key, f"TLS_KEY: {locked.key}: holds no plain key"),
        (one.cert, other.key, f"TLS_KEY: {other.key}: does not belong to TLS_CERT"),
    ):
        with pytest.raises(SettingsError) as error:
            tls_context(Settings(tls_cert=cert, tls_key=key))
        assert str(error.value).startswith(f"setting LIVECOMMENTS_{what}"), error.value
        assert "\n" not in str(error.value)


# -- the door --


class Served:
    """Takes what has shaken hands: says hello, and goes."""

    def __init__(self) -> None:
        self.count = 0

    async def serve(self, stream: trio.abc.Stream) -> None:
        self.count += 1
        await stream.send_all(b"hello")
        await stream.aclose()


def listening() -> socket.socket:
    listener = socket.create_server(("127.0.0.1", 0))
    listener.setblocking(False)
    return listener


async def shake_hands(port: int, cert: Path) -> bytes:
    context = ssl.create_default_context(cafile=cert)
    transport = await trio.open_tcp_stream("127.0.0.1", port)
    async with trio.SSLStream(transport, context, server_hostname="127.0.0.1", https_compatible=True) as stream:
        return bytes(await stream.receive_some())


def test_one_that_does_not_shake_hands_in_time_is_let_go(tmp_path: Path) -> None:
    made = make_certificate(tmp_path)
    served = Served()

    async def run() -> None:
        with listening() as listener:
            door = TlsDoor(listener, tls_context(Settings(tls_cert=made.cert, tls_key=made.key)), served.serve)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(door.run, nursery)
                for beginning in (b"", b"\x16\x03\x01"):
                    began = trio.current_time()
                    mute = await trio.open_tcp_stream("127.0.0.1", listener.getsockname()[1])
                    await mute.send_all(beginning)
                    assert await mute.receive_some() == b""
                    assert trio.current_time() - began == pytest.approx(HANDSHAKE_S)
                    await mute.aclose()
                nursery.cancel_scope.cancel()

    trio.run(run, clock=trio.testing.MockClock(autojump_threshold=0))
    assert served.count == 0


def test_no_more_handshakes_are_begun_than_there_is_room_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tls, "HANDSHAKES", 2)
    made = make_certificate(tmp_path)
    served = Served()

    async def run() -> None:
        with listening() as listener:
            port = listener.getsockname()[1]
            door = TlsDoor(listener, tls_context(Settings(tls_cert=made.cert, tls_key=made.key)), served.serve)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(door.run, nursery)
                mute = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(2)]
                for _ in range(3):
                    # Those that are done with it make room at once.
                    assert await shake_hands(port, made.cert) == b"hello"
                assert trio.current_time() - began == pytest.approx(HANDSHAKE_S)
                for stream in mute:
                    await stream.aclose()
                nursery.cancel_scope.cancel()

    clock = trio.testing.MockClock(autojump_threshold=0)
    began = clock.current_time()
    trio.run(run, clock=clock)
    assert served.count == 3
