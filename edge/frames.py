"""WebSocket frames (RFC 6455, section 5), as a server reads and writes them. Pure.

A viewer that is silent needs no reader; one that has sent a part of something needs no more than that part. Nothing is
negotiated: no extensions, no subprotocols.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

NORMAL = 1000
GOING_AWAY = 1001
PROTOCOL_ERROR = 1002
UNSUPPORTED = 1003
BAD_TEXT = 1007
POLICY = 1008
TOO_BIG = 1009
TRY_AGAIN_LATER = 1013

_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
_OPCODES = frozenset({_CONTINUATION, _TEXT, _BINARY, _CLOSE, _PING, _PONG})
_FIN, _RESERVED, _OPCODE, _MASK, _LENGTH = 0x80, 0x70, 0x0F, 0x80, 0x7F
_CONTROL_MAX = 125
_SENDABLE = frozenset({*range(1000, 1004), *range(1007, 1014)})
"""Codes of the protocol that a peer may send (section 7.4.1); 3000 to 4999 are anyone's."""


class BadFrame(Exception):
    """What came is no frame that may come here; the connection is to be closed with this code."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Text:
    """A whole text message: UTF-8."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Binary:
    """A whole binary message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Fragment:
    """A frame that does not complete its message."""


@dataclass(frozen=True, slots=True)
class Ping:
    """To be answered with the same payload."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Pong:
    """An answer, or a sign of life."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class Close:
    """The last frame; ``code`` is None when none was given."""

    code: int | None
    reason: str


Frame = Text | Binary | Fragment | Ping | Pong | Close


class FrameReader:
    """Reads one client's frames. It holds at most one message of ``message_max`` bytes, and one control frame."""

    __slots__ = ("_buffer", "_has_ended", "_message", "_message_max", "_opcode")

    def __init__(self, message_max: int) -> None:
        self._message_max = message_max
        self._buffer = bytearray()
        self._message = bytearray()
        """The payloads of the message's frames so far."""
        self._opcode: int | None = None
        """What kind of message is being continued; None between two."""
        self._has_ended = False

    @property
    def is_clean(self) -> bool:
        """Nothing has come in part: a new reader would do as well."""
        return not self._buffer and self._opcode is None

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yields one Frame for each that is complete, in order. Nothing is read behind a Close.

        Raises BadFrame as soon as it is known; what came before it was yielded, and nothing may be fed behind it.
        """
        self._buffer += data
        while not self._has_ended and (frame := self._next()) is not None:
            self._has_ended = isinstance(frame, Close)
            yield frame
        if self._has_ended:
            self._buffer.clear()

    def _next(self) -> Frame | None:
        buffer = self._buffer
        if len(buffer) < 2:
            return None
        opcode = self._check(buffer[0], buffer[1])
        head, length = 2, buffer[1] & _LENGTH
        if length > _CONTROL_MAX:
            head = 4 if length == 126 else 10
            if len(buffer) < head:
                return None
            length = _long_length(bytes(buffer[2:head]))
        if opcode < _CLOSE and len(self._message) + length > self._message_max:
            raise BadFrame(TOO_BIG, f"a message is larger than {self._message_max} bytes")
        end = head + 4 + length
        if len(buffer) < end:
            return None
        is_final = bool(buffer[0] & _FIN)
        payload = _unmask(bytes(buffer[head + 4 : end]), bytes(buffer[head : head + 4]))
        del buffer[:end]
        return _control(opcode, payload) if opcode >= _CLOSE else self._take_part(opcode, payload, is_final)

    def _check(self, first: int, second: int) -> int:
        """The frame's opcode; raises BadFrame for what its first two bytes show to be wrong."""
        opcode = first & _OPCODE
        if opcode not in _OPCODES:
            raise BadFrame(PROTOCOL_ERROR, f"opcode {opcode:#x} is not known")
        if first & _RESERVED:
            raise BadFrame(PROTOCOL_ERROR, "a reserved bit is set")
        if not second & _MASK:
            raise BadFrame(PROTOCOL_ERROR, "a client's frame must be masked")
        if opcode >= _CLOSE:
            if not first & _FIN or second & _LENGTH > _CONTROL_MAX:
                raise BadFrame(PROTOCOL_ERROR, "a control frame is fragmented or too long")
        elif (opcode == _CONTINUATION) is (self._opcode is None):
            raise BadFrame(PROTOCOL_ERROR, "a continuation without a beginning, or the other way round")
        return opcode

    def _take_part(self, opcode: int, payload: bytes, is_final: bool) -> Frame:
        self._message += payload
        if self._opcode is None:
            self._opcode = opcode
        if not is_final:
            return Fragment()
        kind, data = self._opcode, bytes(self._message)
        self._opcode = None
        self._message.clear()
        if kind == _BINARY:
            return Binary(data)
        return Text(_utf8(data))


def text_frame(payload: bytes) -> bytes:
    """One text message in one frame, unmasked, as a server sends it."""
    return _server_frame(_TEXT, payload)


def ping_frame() -> bytes:
    """A Ping without a payload."""
    return _server_frame(_PING, b"")


def pong_frame(payload: bytes) -> bytes:
    """The answer to a Ping with this payload."""
    return _server_frame(_PONG, payload)


def close_frame(code: int | None, reason: str = "") -> bytes:
    """The last frame; ``reason`` is at most 123 bytes of UTF-8."""
    return _server_frame(_CLOSE, b"" if code is None else struct.pack("!H", code) + reason.encode())


def _server_frame(opcode: int, payload: bytes) -> bytes:
    size = len(payload)
    if size <= _CONTROL_MAX:
        head = struct.pack("!BB", _FIN | opcode, size)
    elif size < 1 << 16:
        head = struct.pack("!BBH", _FIN | opcode, 126, size)
    else:
        head = struct.pack("!BBQ", _FIN | opcode, 127, size)
    return head + payload


def _long_length(data: bytes) -> int:
    length = int.from_bytes(data, "big")
    if length <= (_CONTROL_MAX if len(data) == 2 else 0xFFFF) or length >> 63:
        raise BadFrame(PROTOCOL_ERROR, "a length is not written in its shortest form")
    return length


def _unmask(payload: bytes, key: bytes) -> bytes:
    size = len(payload)
    # One long exclusive or: 20 times as fast as byte by byte.
    keys = (key * (size // 4 + 1))[:size]
    return (int.from_bytes(payload, "big") ^ int.from_bytes(keys, "big")).to_bytes(size, "big")


def _control(opcode: int, payload: bytes) -> Frame:
    match opcode:
        case 0x9:
            return Ping(payload)
        case 0xA:
            return Pong(payload)
        case _:
            return _close(payload)


def _close(payload: bytes) -> Close:
    if not payload:
        return Close(None, "")
    code = int.from_bytes(payload[:2], "big")
    if len(payload) == 1 or not (code in _SENDABLE or 3000 <= code <= 4999):
        raise BadFrame(PROTOCOL_ERROR, "a close frame has a code that may not be sent")
    return Close(code, _utf8(payload[2:]).decode())


def _utf8(data: bytes) -> bytes:
    try:
        data.decode()
    except UnicodeDecodeError:
        raise BadFrame(BAD_TEXT, "text is not UTF-8") from None
    return data
