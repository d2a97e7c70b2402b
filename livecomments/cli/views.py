"""How ``livecomments tail`` shows events: for people, or as JSON."""

import json
import time
import unicodedata
from dataclasses import fields

from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message
from rich.console import Console
from rich.text import Text

from livecomments.client import (
    CommentDeleted,
    CommentPinned,
    CommentsPosted,
    CommentUnpinned,
    Degraded,
    Disconnected,
    FeedEvent,
    LiveCommentsError,
    Omitted,
    Snapshot,
    StreamEnded,
    StreamEnding,
    StreamUpdated,
    Viewers,
)
from livecomments.v1.comment_pb2 import Comment

_COLOURS = ("cyan", "green", "magenta", "yellow", "blue", "bright_red")
_NAMES = {
    Snapshot: "snapshot",
    CommentsPosted: "new_comment",
    CommentDeleted: "delete_comment",
    CommentPinned: "pinned_comment",
    CommentUnpinned: "unpinned_comment",
    StreamUpdated: "stream_updated",
    StreamEnding: "stream_ending",
    StreamEnded: "stream_ended",
    Viewers: "viewers",
    Omitted: "omitted",
    Degraded: "degraded",
    Disconnected: "disconnected",
}
"""As SSE calls them."""


class JsonLines:
    """One JSON object a line: ``event`` (SSE's names) and the event's fields, messages as in protobuf's JSON."""

    def show(self, event: FeedEvent) -> None:
        record = {"event": _NAMES[type(event)]} | {
            field.name: plain(getattr(event, field.name)) for field in fields(event)
        }
        json_line(record)


class Terminal:
    """For people: the author in a colour of its own, the time, the text."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)
        self._interrupted = False

    def show(self, event: FeedEvent) -> None:
        match event:
            case Snapshot():
                self._snapshot(event)
            case CommentsPosted(comments=comments):
                for comment in comments:
                    self._comment(comment)
            case Disconnected(why=why):
                if not self._interrupted:
                    self._note(f"connection lost ({why}); trying again …", "yellow")
                self._interrupted = True
            case Viewers():
                pass
            case _:
                self._note(_sentence(event))

    def _snapshot(self, snapshot: Snapshot) -> None:
        if not self._interrupted:
            stream = snapshot.stream
            self._console.print(
                Text(f"{printable(stream.title)}  ", "bold").append(f"{snapshot.viewers} watching", "dim")
            )
        elif snapshot.gap:
            self._note("connected again, but comments may be missing here", "yellow")
        else:
            self._note("connected again, nothing was missed", "green")
        self._interrupted = False
        for comment in snapshot.comments:
            self._comment(comment)

    def _comment(self, comment: Comment) -> None:
        self._console.print(comment_line(_clock(comment.posted_at_ms), comment))

    def _note(self, text: str, style: str = "dim") -> None:
        self._console.print(Text(f"— {printable(text)} —", style))


def comment_line(when: str, comment: Comment) -> Text:
    """A comment as people see it: when, who, what."""
    colour = _COLOURS[sum(comment.author_id.encode()) % len(_COLOURS)]
    line = Text(f"{when}  ", "dim")
    line.append(f"{printable(comment.author_name)}  ", f"bold {colour}")
    return line.append(printable(comment.text).replace("\n", "\n" + " " * (len(when) + 2)), "default")


def json_line(record: object) -> None:
    """One JSON object a line, at once."""
    print(json.dumps(record, ensure_ascii=False), flush=True)


def printable(text: str) -> str:
    """The text without what could steer a terminal: control characters but line feed, and bidirectional overrides."""
    return "".join(
        char
        for char in text
        if char == "\n" or (unicodedata.category(char) != "Cc" and not 0x202A <= ord(char) <= 0x202E)
    )


def _clock(ms: int) -> str:
    return time.strftime("%H:%M:%S", time.localtime(ms / 1000))


def _sentence(event: FeedEvent) -> str:
    match event:
        case CommentDeleted(comment_id=comment_id):
            return f"comment {comment_id} was deleted"
        case CommentPinned(comment=comment):
            return f"pinned: {comment.author_name}: {comment.text}"
        case CommentUnpinned():
            return "unpinned"
        case StreamUpdated(stream=stream):
            return f"the stream was changed; it is called “{stream.title}”"
        case StreamEnding(ends_at_ms=ends_at_ms):
            return f"the stream ends at {_clock(ends_at_ms)}"
        case StreamEnded(ended_at_ms=ended_at_ms):
            return f"the stream ended at {_clock(ended_at_ms)}"
        case Omitted(count=count):
            return f"{count} comments more than anyone can read; the replay has them"
        case Degraded(degraded=True):
            return "comments may come late for now"
        case Degraded():
            return "comments come in time again"
        case _:
            return _NAMES[type(event)]


def plain(value: object) -> object:
    """What JSON can hold of a value, messages as in protobuf's JSON."""
    match value:
        case Message():
            return MessageToDict(value, preserving_proto_field_name=True)
        case tuple():
            return [plain(part) for part in value]
        case LiveCommentsError():
            return str(value)
        case _:
            return value
