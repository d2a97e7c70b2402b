"""Places in the log, as clients hold them."""

import re
from dataclasses import dataclass

_FORM = re.compile(r"([a-z0-9]{1,32})-(0|[1-9][0-9]{0,19})", re.ASCII)
_SEQ_MAX = 2**64 - 1


class BadCursor(ValueError):
    """The text is not a cursor of this system."""


@dataclass(frozen=True, slots=True)
class Cursor:
    """A place in one log: everything up to and including ``seq`` has been seen.

    ``seq`` 0 stands before the first message. Cursors of different epochs have no order between them: the log that
    the older one points into is gone.
    """

    epoch: str
    """Random name of the log's life; a restored log has another."""
    seq: int
    """JetStream sequence of the last message that is covered; not contiguous within one stream's subject."""

    def __str__(self) -> str:
        return f"{self.epoch}-{self.seq}"

    @classmethod
    def parse(cls, text: str) -> "Cursor":
        """Reads ``<epoch>-<seq>``; raises BadCursor for anything else."""
        match = _FORM.fullmatch(text)
        if match is None or (seq := int(match[2])) > _SEQ_MAX:
            raise BadCursor("not a cursor")
        return cls(match[1], seq)
