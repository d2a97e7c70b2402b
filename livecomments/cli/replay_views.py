"""How ``livecomments replay`` shows comments: for people, or as JSON."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from livecomments.cli.playing import shown_at_ms
from livecomments.cli.times import clock_of
from livecomments.cli.views import comment_line, json_line, plain, printable
from livecomments.v1.comment_pb2 import Comment, Stream


class JsonReplay:
    """A comment a line, as in protobuf's JSON, with ``shown_at_ms``: its moment in the recording."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is left open."""

    def begin(self, stream: Stream, start_ms: int, end_ms: int) -> None:
        """Says nothing."""

    def show(self, comment: Comment) -> None:
        """Writes one line."""
        fields = plain(comment)
        assert isinstance(fields, dict)
        json_line({"shown_at_ms": shown_at_ms(comment), **fields})

    def reach(self, at_ms: int) -> None:
        """Says nothing."""


class TerminalReplay:
    """The comments with their place in the recording; on a terminal a bar below them."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[place]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("", total=None, place="")
        self._start_ms = self._end_ms = 0

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._bar.stop()

    def begin(self, stream: Stream, start_ms: int, end_ms: int) -> None:
        """The title, and how long it is."""
        self._start_ms, self._end_ms = start_ms, end_ms
        self._console.print(Text(f"{printable(stream.title)}  ", "bold").append(clock_of(end_ms), "dim"))
        self._bar.update(self._task, total=max(1, end_ms - start_ms))

    def show(self, comment: Comment) -> None:
        """One comment."""
        self._console.print(comment_line(f"{clock_of(shown_at_ms(comment)):>7}", comment))

    def reach(self, at_ms: int) -> None:
        """Moves the bar."""
        place = f"{clock_of(at_ms)} / {clock_of(self._end_ms)}"
        self._bar.update(self._task, completed=at_ms - self._start_ms, place=place)
