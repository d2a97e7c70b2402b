"""What an OpenAPI document is made of: parameters, answers, operations."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from edge.problems import render
from edge.reasons import MEANINGS
from livecomments.errors import FieldError, RateLimit, Reason, Refusal

Json = dict[str, Any]

JSON = "application/json"
PROBLEM = "application/problem+json"

ANYONE: Sequence[Json] = ({}, {"bearer": []})
"""No token is needed where a stream is public; one that is sent must be good."""
USER: Sequence[Json] = ({"bearer": []},)
NOBODY: Sequence[Json] = ()
"""Tokens are not looked at."""

_LIMITED = frozenset({Reason.USER_RATE, Reason.ADDRESS_RATE, Reason.SLOW_MODE})
_RETRY_AFTER: Json = {
    "description": "When to try again, seconds.", "required": True, "schema": {"type": "integer", "minimum": 1},
}  # fmt: skip
_PROBLEM_HEADERS: Mapping[int, Json] = {
    401: {
        "WWW-Authenticate": {
            "description": "How to say who one is.", "required": True, "schema": {"type": "string"},
        }
    },
    429: {
        "Retry-After": _RETRY_AFTER,
        "RateLimit-Policy": {"description": 'The limit: `"user";q=10;w=10`.', "schema": {"type": "string"}},
        "RateLimit": {"description": 'What is left of it: `"user";r=0;t=1`.', "schema": {"type": "string"}},
    },
    503: {"Retry-After": _RETRY_AFTER},
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Answer:
    """What one status means."""

    description: str
    content: Json = field(default_factory=dict)
    """By media type."""
    headers: Json = field(default_factory=dict)

    def described(self) -> Json:
        """As OpenAPI has it."""
        found: Json = {"description": self.description}
        if self.headers:
            found["headers"] = self.headers
        if self.content:
            found["content"] = self.content
        return found


def json_answer(description: str, form: type, headers: Json | None = None) -> Answer:
    """A body of one form."""
    return Answer(description, {JSON: {"schema": ref(form)}}, headers or {})


def operation(
    name: str,
    summary: str,
    answers: Mapping[int, Answer],
    reasons: Iterable[Reason] = (),
    *,
    tag: str,
    description: str = "",
    parameters: Sequence[Json] = (),
    body: Json | None = None,
    security: Sequence[Json] = ANYONE,
) -> Json:
    """One thing that can be asked for; ``reasons`` are those for which it is refused."""
    responses = {str(status): answer.described() for status, answer in answers.items()}
    by_status: dict[int, list[Reason]] = {}
    for reason in reasons:
        by_status.setdefault(reason.http_status, []).append(reason)
    responses |= {str(status): refusals(status, found).described() for status, found in sorted(by_status.items())}
    described: Json = {"operationId": name, "tags": [tag], "summary": summary}
    if description:
        described["description"] = description
    if parameters:
        described["parameters"] = list(parameters)
    if body is not None:
        described["requestBody"] = body
    responses["431"] = {"$ref": "#/components/responses/HeadTooLarge"}
    return described | {"responses": responses, "security": list(security)}


def refusals(status: int, reasons: Sequence[Reason]) -> Answer:
    """The problems of one status, each with an example that is made as the real ones are."""
    text = "\n".join(f"- `{reason}`: {MEANINGS[reason].meaning}" for reason in reasons)
    narrowed = {"properties": {"status": {"const": status}, "reason": {"enum": [str(reason) for reason in reasons]}}}
    schema = {"allOf": [{"$ref": "#/components/schemas/Problem"}, narrowed]}
    examples = {str(reason): {"value": example_of(reason)} for reason in reasons}
    return Answer(text, {PROBLEM: {"schema": schema, "examples": examples}}, dict(_PROBLEM_HEADERS.get(status, {})))


def example_of(reason: Reason) -> Json:
    """A problem of this reason."""
    fields = (FieldError("text", "must have 1 to 500 characters"),) if reason is Reason.INVALID_FIELD else ()
    limit = RateLimit("user", 10, 10) if reason in _LIMITED else None
    _, _, body = render(Refusal(reason, MEANINGS[reason].meaning, fields, rate_limit=limit))
    found: Json = msgspec.json.decode(body)
    return found


def body_of(form: type, example: object, *, required: bool = True) -> Json:
    """A JSON body of one form."""
    return {"required": required, "content": {JSON: {"schema": ref(form), "example": example}}}


def ref(form: type) -> Json:
    """The schema of a form."""
    return {"$ref": f"#/components/schemas/{form.__name__}"}


def parameter(name: str) -> Json:
    """One that stands among the components."""
    return {"$ref": f"#/components/parameters/{name}"}


def query(name: str, schema: Json, description: str) -> Json:
    """A parameter of the query."""
    return {"name": name, "in": "query", "description": description, "schema": schema}


def header(name: str, schema: Json, description: str) -> Json:
    """A request's header."""
    return {"name": name, "in": "header", "description": description, "schema": schema}


def whole(least: int, most: int, default: int) -> Json:
    """A whole number."""
    return {"type": "integer", "minimum": least, "maximum": most, "default": default}


def text(most: int, pattern: str = "") -> Json:
    """A text of up to so many characters."""
    return {"type": "string", "maxLength": most} | ({"pattern": pattern} if pattern else {})


def path_text(name: str, schema: Json, description: str) -> Json:
    """A part of the path."""
    return {"name": name, "in": "path", "required": True, "description": description, "schema": schema}
