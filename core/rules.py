"""What is a good comment, title, stream id: pure checks, each error naming its field."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

import msgspec

from livecomments.errors import FieldError, Reason, Refusal, invalid
from livecomments.v1.comment_pb2 import STREAM_VISIBILITY_PRIVATE, STREAM_VISIBILITY_PUBLIC, StreamVisibility

LAG_MAX_MS = 60_000
REQUEST_ID_MAX = 128
AUTHOR_ID_MAX = 128
AUTHOR_NAME_MAX = 100
TITLE_MAX = 200
SLOW_MODE_MAX_S = 3_600
NOTICE_MAX_S = 3_600

_CONTROL_BUT_LINE_FEED = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(frozen=True, slots=True)
class CommentRules:
    """The limits of one installation."""

    text_max: int
    """Code points."""
    meta_max: int
    """Bytes."""

    def check(self, text: str, lag_ms: int, request_id: str, meta: str) -> str:
        """The text as it will be stored: NFC, trimmed. Raises Refusal(INVALID_FIELD) that names every bad field."""
        text = _tidy(text)
        problems: dict[str, str] | None = None
        if not 1 <= len(text) <= self.text_max:
            problems = {"text": f"must have 1 to {self.text_max} characters"}
        elif not text.isprintable() and _CONTROL_BUT_LINE_FEED.search(text) is not None:
            problems = {"text": "must have no control characters but line feed"}
        if not 0 <= lag_ms <= LAG_MAX_MS:
            problems = {**(problems or {}), "lag_ms": f"must be 0 to {LAG_MAX_MS}"}
        if len(request_id) > REQUEST_ID_MAX or not request_id.isprintable():
            problems = {**(problems or {}), "request_id": f"must have at most {REQUEST_ID_MAX} printable characters"}
        if meta and (problem := self._meta_problem(meta)):
            problems = {**(problems or {}), "meta_json": problem}
        if problems is not None:
            raise _refusal(problems)
        return text

    def _meta_problem(self, meta: str) -> str | None:
        encoded = meta.encode()
        if len(encoded) > self.meta_max:
            return f"must have at most {self.meta_max} bytes"
        try:
            msgspec.json.decode(encoded, type=dict[str, object])
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return "must be a JSON object"
        return None


def check_author(author_id: str, author_name: str) -> None:
    """Raises Refusal(INVALID_FIELD) for an ingested item whose author is not one."""
    if 1 <= len(author_id) <= AUTHOR_ID_MAX and len(author_name) <= AUTHOR_NAME_MAX:
        return
    problems = {}
    if not 1 <= len(author_id) <= AUTHOR_ID_MAX:
        problems["author_id"] = f"must have 1 to {AUTHOR_ID_MAX} characters"
    if len(author_name) > AUTHOR_NAME_MAX:
        problems["author_name"] = f"must have at most {AUTHOR_NAME_MAX} characters"
    raise _refusal(problems)


def check_user_id(user_id: str) -> None:
    """Raises Refusal(INVALID_FIELD)."""
    if not 1 <= len(user_id) <= AUTHOR_ID_MAX:
        raise invalid("user_id", f"must have 1 to {AUTHOR_ID_MAX} characters")


def check_title(title: str) -> str:
    """The title as it will be stored: NFC, trimmed. Raises Refusal(INVALID_FIELD)."""
    title = _tidy(title)
    if not 1 <= len(title) <= TITLE_MAX:
        raise invalid("title", f"must have 1 to {TITLE_MAX} characters")
    if _CONTROL.search(title) is not None:
        raise invalid("title", "must have no control characters")
    return title


def check_slow_mode(seconds: int) -> int:
    """Raises Refusal(INVALID_FIELD)."""
    if not 0 <= seconds <= SLOW_MODE_MAX_S:
        raise invalid("slow_mode_s", f"must be 0 to {SLOW_MODE_MAX_S}")
    return seconds


def check_visibility(visibility: StreamVisibility.ValueType) -> StreamVisibility.ValueType:
    """The visibility, public when none was given; raises Refusal(INVALID_FIELD) for a number that means nothing."""
    if visibility not in (0, STREAM_VISIBILITY_PUBLIC, STREAM_VISIBILITY_PRIVATE):
        raise invalid("visibility", "must be public or private")
    return visibility or STREAM_VISIBILITY_PUBLIC


def check_notice(seconds: int) -> int:
    """Raises Refusal(INVALID_FIELD)."""
    if not 0 <= seconds <= NOTICE_MAX_S:
        raise invalid("notice_s", f"must be 0 to {NOTICE_MAX_S}")
    return seconds


def _tidy(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip()


def _refusal(problems: Mapping[str, str]) -> Refusal:
    detail = "; ".join(f"{field}: {problem}" for field, problem in problems.items())
    return Refusal(Reason.INVALID_FIELD, detail, tuple(FieldError(*problem) for problem in problems.items()))
