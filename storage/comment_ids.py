"""What a comment's id tells: UUIDv7 (RFC 9562, section 5.7), whose first 48 bits are the posting time."""

import re

_FORM = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}", re.ASCII)


def posted_at_of(comment_id: str) -> int:
    """When the comment of this id was posted, ms since the Unix epoch.

    Raises ValueError for anything but a UUIDv7 in lower case, as core writes it.
    """
    if _FORM.fullmatch(comment_id) is None:
        raise ValueError("must be a UUIDv7 in lower case")
    return int(comment_id[:8] + comment_id[9:13], 16)
