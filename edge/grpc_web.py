"""gRPC-web (https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-WEB.md): messages and trailers as frames. Pure.

A frame is one byte of flags, four of length, and so many bytes: a message, or at the end the trailers. In the text form
each frame is base64 by itself, with its own padding: then the same bytes serve all viewers, wherever one joins. The
official client reads them so, whatever padding comes between.
"""

import binascii
import re
import struct
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

import grpc
from google.protobuf.message import DecodeError, Message

from livecomments.errors import Reason, Refusal, invalid

M = TypeVar("M", bound=Message)

_HEAD = struct.Struct("!BI")
_MESSAGE, _TRAILERS = 0x00, 0x80
_PLAIN = "".join(map(chr, range(0x20, 0x7F))).replace("%", "")
_TIMEOUT = re.compile(r"([0-9]{1,8})([HMSmun])", re.ASCII)
_UNITS_S = {"H": 3600.0, "M": 60.0, "S": 1.0, "m": 1e-3, "u": 1e-6, "n": 1e-9}


@dataclass(frozen=True, slots=True)
class WireForm:
    """One of the two forms in which frames travel."""

    name: str
    content_type: str
    write: Callable[[bytes], bytes]
    """A frame as it travels."""
    read: Callable[[bytes], bytes]
    """What has travelled as frames; raises Refusal(MALFORMED_BODY)."""

    def message(self, message: Message) -> bytes:
        """A message."""
        return self._frame(_MESSAGE, message.SerializeToString())

    def end(self) -> bytes:
        """The trailers of a call that went well."""
        return self._frame(_TRAILERS, b"grpc-status:0\r\n")

    def refusal(self, refusal: Refusal) -> bytes:
        """The trailers of one that was refused: a google.rpc.Status, as every service of ours gives it."""
        status = refusal.to_status()
        return self.failure(status.code, status.details, status.trailing_metadata or ())

    def failure(self, code: grpc.StatusCode, message: str, metadata: Iterable[tuple[str, str | bytes]] = ()) -> bytes:
        """The trailers of one that did not go well."""
        lines = [f"grpc-status:{code.value[0]}", f"grpc-message:{quote(message, safe=_PLAIN)}"]
        for name, value in metadata:
            # What is binary is base64, and gRPC wants no padding.
            text = b64encode(value).rstrip(b"=").decode() if isinstance(value, bytes) else value
            lines.append(f"{name}:{text}")
        return self._frame(_TRAILERS, "".join(f"{line}\r\n" for line in lines).encode("ascii"))

    def request(self, body: bytes, form: type[M]) -> M:
        """The one message that a request's body holds; raises Refusal(MALFORMED_BODY)."""
        frames = self.read(body)
        if len(frames) < _HEAD.size:
            raise _malformed("it ends within the head of a frame")
        flags, size = _HEAD.unpack_from(frames)
        if flags != _MESSAGE:
            raise _malformed("it must begin with a message that is not compressed")
        if len(frames) != _HEAD.size + size:
            raise _malformed("it must hold exactly one message")
        try:
            return form.FromString(frames[_HEAD.size :])
        except DecodeError:
            raise _malformed(f"it holds no {form.DESCRIPTOR.name}") from None

    def _frame(self, flags: int, content: bytes) -> bytes:
        return self.write(_HEAD.pack(flags, len(content)) + content)


def _from_text(body: bytes) -> bytes:
    """Base64, also of several parts that are padded each by itself."""
    try:
        return b"".join(b64decode(part, validate=True) for part in re.findall(rb"[^=]+=*|=+", body))
    except binascii.Error:
        raise _malformed("it is not base64") from None


BINARY = WireForm("grpc-web", "application/grpc-web+proto", bytes, bytes)
TEXT = WireForm("grpc-web-text", "application/grpc-web-text+proto", b64encode, _from_text)

_FORMS = {
    "application/grpc-web": BINARY,
    BINARY.content_type: BINARY,
    "application/grpc-web-text": TEXT,
    TEXT.content_type: TEXT,
}


@dataclass(frozen=True, slots=True)
class Forms:
    """How a call is written."""

    asked: WireForm
    answered: WireForm


def forms_of(content_type: str | None, accept: str | None) -> Forms | None:
    """By a request's Content-Type and Accept, of which the latter may be silent; None when this is no gRPC-web."""
    asked = _form(content_type or "")
    if asked is None:
        return None
    wanted = (_form(part) for part in (accept or "").split(","))
    return Forms(asked, next((form for form in wanted if form is not None), asked))


def timeout_s(header: str | None) -> float | None:
    """What ``grpc-timeout`` allows, seconds; None without one. Raises Refusal(INVALID_FIELD)."""
    if header is None:
        return None
    match = _TIMEOUT.fullmatch(header)
    if match is None:
        raise invalid("grpc-timeout", "must be up to eight digits and one of the units H, M, S, m, u and n")
    return int(match[1]) * _UNITS_S[match[2]]


def _form(media_type: str) -> WireForm | None:
    return _FORMS.get(media_type.partition(";")[0].strip().lower())


def _malformed(what: str) -> Refusal:
    return Refusal(Reason.MALFORMED_BODY, f"the body is not one gRPC-web message: {what}")
