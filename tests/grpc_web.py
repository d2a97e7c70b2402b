"""gRPC-web as a client reads it."""

import re
import struct


def frames(data: bytes) -> list[tuple[int, bytes]]:
    """Whole frames: flags and content of each; fails when something is left over."""
    found, rest = split_frames(data)
    assert not rest, rest
    return found


def split_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The whole frames, and what has come of the next."""
    found = []
    while len(data) >= 5:
        flags, size = struct.unpack_from("!BI", data)
        if len(data) < 5 + size:
            break
        found.append((flags, data[5 : 5 + size]))
        data = data[5 + size :]
    return found, data


def parts_of_text(data: bytes) -> list[bytes]:
    """Base64 that was put together from parts, each with its own padding, cut into such parts again."""
    return re.findall(rb"[^=]+=*", data)
