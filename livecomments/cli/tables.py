"""Tables and single answers of the command: for people, or one JSON object a line."""

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from livecomments.cli.bench import Measured, percentile
from livecomments.cli.views import json_line, plain, printable
from livecomments.client import StreamStatus
from livecomments.v1.comment_pb2 import STREAM_STATE_ENDED, STREAM_VISIBILITY_PRIVATE, Stream
from livecomments.v1.comment_service_pb2 import PostCommentResponse

_SHARES = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}


class Answers(Protocol):
    """Where what was asked for goes."""

    def posted(self, posted: PostCommentResponse) -> None:
        """A comment was taken."""

    def streams(self, found: Iterable[StreamStatus]) -> None:
        """A list of streams."""

    def stream(self, stream: Stream) -> None:
        """One stream, after a change."""

    def measured(self, measured: Measured) -> None:
        """What a bench has found."""


class JsonAnswers:
    """One object a line, messages as in protobuf's JSON."""

    def posted(self, posted: PostCommentResponse) -> None:
        """The comment, and the cursor of its place in the log."""
        json_line(plain(posted))

    def streams(self, found: Iterable[StreamStatus]) -> None:
        """A line each."""
        for status in found:
            json_line(_with_viewers(status))

    def stream(self, stream: Stream) -> None:
        """It alone."""
        json_line(plain(stream))

    def measured(self, measured: Measured) -> None:
        """A line for each row, milliseconds; one more for what was refused or missed."""
        for name, row in _rows(measured):
            json_line({"measured": name, "count": len(row)} | (_percentiles_ms(row) if row else {}))
        json_line({"refused": dict(measured.refused), "missed": measured.missed})


class TableAnswers:
    """For people."""

    def __init__(self) -> None:
        self._console = Console(highlight=False)

    def posted(self, posted: PostCommentResponse) -> None:
        """The comment's id alone."""
        print(posted.comment.comment_id)

    def streams(self, found: Iterable[StreamStatus]) -> None:
        """A table."""
        table = _table("Stream", "State", "Title", "Viewers", "Started", "Host")
        for status in found:
            stream = status.stream
            table.add_row(
                stream.stream_id,
                _state(stream),
                # A Text: whatever a host writes is no markup.
                Text(printable(stream.title)),
                str(status.viewers),
                _when(stream.started_at_ms),
                Text(printable(stream.host_id)),
            )
        self._console.print(table if table.row_count else "There is no stream.")

    def stream(self, stream: Stream) -> None:
        """One line."""
        ends = f", ends {_when(stream.ends_at_ms)}" if stream.ends_at_ms and not stream.ended_at_ms else ""
        print(f"{stream.stream_id} is {_state(stream)}{ends}")

    def measured(self, measured: Measured) -> None:
        """A table, and a line for what went wrong."""
        table = _table("ms", "Count", *_SHARES)
        for name, row in _rows(measured):
            told = [f"{value:.1f}" for value in _percentiles_ms(row).values()] if row else ["–"] * len(_SHARES)
            table.add_row(name, str(len(row)), *told)
        self._console.print(table)
        for reason, count in measured.refused.most_common():
            self._console.print(f"{count} refused: {reason}", style="red")
        if measured.missed:
            self._console.print(f"{measured.missed} not seen in time", style="red")


@contextmanager
def bar(what: str) -> "Iterator[_Bar]":
    """A bar on the terminal's stderr; nothing where that is no terminal."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        yield _Bar(progress, what)


class _Bar:
    def __init__(self, progress: Progress, what: str) -> None:
        self._progress = progress
        self._task = progress.add_task(what, total=1.0)

    def reach(self, share: float) -> None:
        """So much is done, of 1."""
        self._progress.update(self._task, completed=share)


def _table(*columns: str) -> Table:
    return Table(*columns, box=None, pad_edge=False, header_style="bold")


def _rows(measured: Measured) -> Iterator[tuple[str, list[float]]]:
    yield "answered", measured.answered
    yield "seen", measured.seen


def _percentiles_ms(row: list[float]) -> dict[str, float]:
    return {name: round(percentile(row, share) * 1000, 3) for name, share in _SHARES.items()}


def _with_viewers(status: StreamStatus) -> Mapping[str, object]:
    fields = plain(status.stream)
    assert isinstance(fields, dict)
    return {**fields, "viewers": status.viewers}


def _state(stream: Stream) -> str:
    state = "ended" if stream.state == STREAM_STATE_ENDED else "live"
    return f"{state}, private" if stream.visibility == STREAM_VISIBILITY_PRIVATE else state


def _when(ms: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(ms / 1000))
