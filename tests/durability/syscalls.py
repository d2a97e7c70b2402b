"""What strace wrote, as system calls with a place in time. Pure: text in, calls out.

It reads ``strace -f -yy -ttt -T``: a line for each call, two for one in whose course another process was seen.
"""

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass

_LINE = re.compile(r"(?P<pid>\d+) +(?P<at>\d+\.\d{6}) (?P<what>.*)")
_RESUMED = re.compile(r"<\.\.\. (?P<name>\w+) resumed>(?P<rest>.*)")
_UNFINISHED = " <unfinished ...>"
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)(?P<after>.*?)(?: <(?P<took>\d+\.\d{6})>)?")
_DESCRIPTOR = re.compile(r"\d+<(?P<target>[^<>\[]*(?:\[[^\]]*\])?)>")
_STRING = re.compile(r'"(?P<text>(?:[^"\\]|\\.)*)"(?P<cut>\.\.\.)?')
_OFFSET = re.compile(r", (?P<offset>\d+)\Z")


class CutShort(Exception):
    """strace left out a part of what was written: its ``-s`` is too small for this trace."""


@dataclass(frozen=True, slots=True)
class Moment:
    """When strace stopped a process at the beginning or the end of a call."""

    trace: int
    line: int
    at_us: int
    """Microseconds since the Unix epoch."""

    def precedes(self, other: "Moment") -> bool:
        """Lines of one trace are in order; those of several on one machine are told apart by the clock.

        A process stands still from the stop until strace has noted it. So what precedes another here did so in truth.
        """
        if self.trace == other.trace:
            return self.line < other.line
        return self.at_us < other.at_us


@dataclass(frozen=True, slots=True)
class Call:
    """A system call on a descriptor that came to its end."""

    name: str
    target: str
    """What the descriptor is: a path, or ``TCP:[from->to]``."""
    data: bytes
    """What it wrote: the whole buffers, of which ``result`` bytes were taken."""
    offset: int | None
    """Where in the file it wrote; None where the call does not say."""
    result: int
    """Negative: it failed."""
    begin: Moment
    end: Moment

    @property
    def is_sync(self) -> bool:
        """Whether it brought the file to the disk, with success."""
        return self.name in ("fsync", "fdatasync") and self.result == 0

    @property
    def is_to_network(self) -> bool:
        return self.target.startswith("TCP")

    @property
    def span(self) -> range:
        """Which bytes of the file it wrote; empty for a write that does not say where."""
        return range(0) if self.offset is None else range(self.offset, self.offset + max(0, self.result))


def parse(lines: Iterable[str], trace: int = 0) -> list[Call]:
    """The calls on descriptors, by their end. Those that never came back are left out.

    ``trace`` tells several traces apart. Raises CutShort.
    """
    calls = []
    under_way: dict[str, tuple[str, Moment]] = {}
    for number, line in enumerate(lines):
        if (found := _LINE.match(line)) is None:
            continue
        pid, what = found["pid"], found["what"].rstrip("\n")
        at_us = int(found["at"].replace(".", ""))
        begin = end = Moment(trace, number, at_us)
        if what.endswith(_UNFINISHED):
            under_way[pid] = what.removesuffix(_UNFINISHED), begin
            continue
        is_resumed = (resumed := _RESUMED.match(what)) is not None
        if resumed is not None:
            if pid not in under_way:
                continue
            started, begin = under_way.pop(pid)
            what = started + resumed["rest"]
        if (call := _CALL.fullmatch(what)) is not None:
            if not is_resumed:
                end = Moment(trace, number, at_us + int((call["took"] or "0").replace(".", "")))
            calls += _on_descriptor(call, begin, end)
    return calls


def _on_descriptor(call: re.Match[str], begin: Moment, end: Moment) -> list[Call]:
    arguments = call["arguments"]
    if (descriptor := _DESCRIPTOR.match(arguments)) is None:
        return []
    strings = list(_STRING.finditer(arguments))
    if any(string["cut"] for string in strings):
        raise CutShort(f"{call['name']} to {descriptor['target']}")
    data = b"".join(ast.literal_eval(f'b"{string["text"]}"') for string in strings)
    offset = _OFFSET.search(arguments) if call["name"] == "pwrite64" else None
    return [
        Call(
            call["name"],
            descriptor["target"],
            data,
            int(offset["offset"]) if offset else None,
            int(call["result"]),
            begin,
            end,
        )
    ]
