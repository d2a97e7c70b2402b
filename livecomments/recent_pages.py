"""The latest comments' places in the log, and the page tokens that name one. Storage takes these; they are given by
storage, and by an edge that has the page before in memory. Pure.
"""

import struct
from collections.abc import Iterable, Sequence

from livecomments.page_tokens import PageTokens

KIND = "recent"
"""What they are bound to, and the stream; not to the page size: the next page may be of another."""
PLACE = struct.Struct(">qqI")
"""A comment's offset_ms, the seq of its message, and its number among that message's events: the log's order."""


def token_before(tokens: PageTokens, stream_id: str, offset_ms: int, seq: int, index: int) -> str:
    """For the page before the comment that stands there."""
    return tokens.sign(PLACE.pack(offset_ms, seq, index), KIND, stream_id)


def places(comments: int, seqs: Sequence[int], indices: Sequence[int]) -> Iterable[tuple[int, int]]:
    """The seq and index of each of so many comments, as they came beside them; 0 and 0 from a service that knows of no
    places.
    """
    return zip(seqs, indices, strict=True) if comments == len(seqs) == len(indices) else ((0, 0),) * comments
