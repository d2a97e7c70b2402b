"""What a request carries, checked: bodies against their form, query parameters by name."""

import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec

from livecomments.errors import FieldError, Reason, Refusal, invalid

T = TypeVar("T")
_PATH = re.compile(r" - at `\$\.?(.*)`$")
_UNKNOWN = re.compile(r"unknown field `(.+?)`")
_MISSING = re.compile(r"missing required field `(.+?)`")


def read_json(body: bytes, form: type[T]) -> T:
    """The body as ``form``; raises Refusal: MALFORMED_BODY when it is no JSON, else INVALID_FIELD with the name."""
    try:
        # As text: of what a form leaves raw msgspec would not see whether it is UTF-8.
        return msgspec.json.decode(body.decode(), type=form)
    except msgspec.ValidationError as error:
        raise _misfit(str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refusal(Reason.MALFORMED_BODY, f"the body is not JSON: {error}") from None
    except RecursionError:
        raise Refusal(Reason.MALFORMED_BODY, "the body is nested too deeply") from None


class Query:
    """The query's parameters; each may stand once. Raises Refusal(INVALID_FIELD) with the parameter's name."""

    def __init__(self, values: Mapping[str, list[str]], allowed: frozenset[str]) -> None:
        self._values: dict[str, str] = {}
        for name, given in values.items():
            if name not in allowed:
                raise invalid(name, "is not a parameter of this request")
            if len(given) > 1:
                raise invalid(name, "stands more than once")
            self._values[name] = given[0]

    def text(self, name: str) -> str:
        """The parameter; empty when it is missing."""
        return self._values.get(name, "")

    def integer(self, name: str, default: int, least: int, most: int) -> int:
        text = self._values.get(name)
        if text is None:
            return default
        if not re.fullmatch(r"[0-9]{1,9}", text, re.ASCII) or not least <= int(text) <= most:
            raise invalid(name, f"must be a whole number from {least} to {most}")
        return int(text)

    def milliseconds(self, name: str, default: int, least: int, most: int) -> int:
        """A parameter in seconds, as milliseconds, with what is less than one cut off; the bounds are milliseconds."""
        text = self._values.get(name)
        if text is None:
            return default
        # A player's clock has more decimals.
        match = re.fullmatch(r"([0-9]{1,9})(?:\.([0-9]{1,3})[0-9]{0,20})?", text, re.ASCII)
        value = int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0")) if match else -1
        if not least <= value <= most:
            raise invalid(name, f"must be seconds from {least / 1000:g} to {most / 1000:g}")
        return value

    def choice(self, name: str, choices: Mapping[str, T], default: T) -> T:
        text = self._values.get(name)
        if text is None:
            return default
        if text not in choices:
            raise invalid(name, f"must be one of {', '.join(choices)}")
        return choices[text]


def idempotency_key(header: str | None) -> str:
    """The key, quoted (a structured-field string) or bare; empty when there is none."""
    if header is None:
        return ""
    key = header.strip()
    if len(key) >= 2 and key[0] == key[-1] == '"':
        key = key[1:-1]
    return checked_key("Idempotency-Key", key)


def checked_key(field: str, key: str) -> str:
    """A post's key, as it is remembered; raises Refusal(INVALID_FIELD) with the field's name."""
    if not 1 <= len(key) <= 128 or not key.isascii() or not key.isprintable():
        raise invalid(field, "must be 1 to 128 printable ASCII characters")
    return key


def _misfit(message: str) -> Refusal:
    where = _PATH.search(message)
    path = where[1] if where else ""
    what = message[: where.start()] if where else message
    for pattern in (_UNKNOWN, _MISSING):
        if named := pattern.search(what):
            path = f"{path}.{named[1]}" if path else named[1]
    if not path:
        return Refusal(Reason.MALFORMED_BODY, what)
    return Refusal(Reason.INVALID_FIELD, f"{path}: {what}", (FieldError(path, what),))
