"""What a stream may be called."""

import re

from livecomments.errors import invalid

_FORM = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)


def check_stream_id(stream_id: str) -> None:
    """Raises Refusal(INVALID_FIELD). What passes is also safe as a part of a NATS subject and of a path."""
    if _FORM.fullmatch(stream_id) is None:
        raise invalid("stream_id", "must have 1 to 64 characters of A-Z, a-z, 0-9, _ and -")
