"""One operation of the description as HTML. Pure."""

import json
from html import escape

from edge.description.markup import block, inline
from edge.description.parts import JSON, Json

_LONG = 4_096
"""Characters; whoever comes near that knows why."""


def described(document: Json, method: str, path: str) -> str:
    """What is sent and what comes back; folded, with its ``operationId`` as the anchor."""
    item = document["paths"][path]
    operation = item[method]
    parameters = [
        _resolved(document, found) for found in (*item.get("parameters", ()), *operation.get("parameters", ()))
    ]
    parts = [block(operation.get("description", "")) if "description" in operation else "", _who(operation["security"])]
    if parameters:
        parts.append(_list("Parameters", [_parameter(found) for found in parameters]))
    if "requestBody" in operation:
        parts.append(_body(document, operation["requestBody"]))
    answers = [
        _answer(document, status, _resolved(document, answer)) for status, answer in operation["responses"].items()
    ]
    parts.append(_list("Answers", answers))
    summary = (
        f'<span class="method">{method.upper()}</span> <code>{_breakable(path)}</code> '
        f"<span>{inline(operation['summary'])}</span>"
    )
    anchor = operation["operationId"]
    return f'<details class="request" id="{anchor}"><summary>{summary}</summary>{"".join(parts)}</details>'


def _who(security: list[Json]) -> str:
    if not security:
        return ""
    needed = "A token is needed." if {} not in security else "A token is needed where the stream is private."
    return f'<p class="muted">{needed}</p>'


def _parameter(parameter: Json) -> tuple[str, str]:
    place = {"path": "in the path", "query": "in the query", "header": "a header"}[parameter["in"]]
    needed = ", required" if parameter.get("required") else ""
    term = f'<code>{escape(parameter["name"])}</code> <span class="muted">{place}{needed}</span>'
    return term, inline(parameter.get("description", "")) + _constraint(parameter["schema"])


def _body(document: Json, body: Json) -> str:
    parts = []
    if "description" in body:
        parts.append(block(body["description"]))
    for content_type, content in body["content"].items():
        fields = _fields(document, content["schema"])
        if fields:
            parts.append(_list(f"Body: {content_type}", fields))
        if "example" in content:
            parts.append(_example(content["example"]))
    return "".join(parts)


def _answer(document: Json, status: str, answer: Json) -> tuple[str, str]:
    parts = [block(answer["description"])]
    if "headers" in answer:
        parts.append(f"<p>Headers: {', '.join(f'<code>{escape(name)}</code>' for name in answer['headers'])}</p>")
    for content_type, content in answer.get("content", {}).items():
        if content_type == JSON:
            found = "".join(
                f"<div><dt>{term}</dt><dd>{what}</dd></div>" for term, what in _fields(document, content["schema"])
            )
            parts.append(f'<dl class="facts">{found}</dl>' if found else "")
        if "example" in content:
            parts.append(_example(content["example"]))
    return f"<strong>{status}</strong>", "".join(parts)


def _fields(document: Json, schema: Json) -> list[tuple[str, str]]:
    if "anyOf" in schema:
        return [field for option in schema["anyOf"] for field in _fields(document, option)]
    form = _resolved(document, schema)
    required = set(form.get("required", ()))
    return [_field(name, field, name in required) for name, field in form.get("properties", {}).items()]


def _field(name: str, schema: Json, is_required: bool) -> tuple[str, str]:
    kind = _kind(schema) + (", required" if is_required else "")
    term = f'<code>{escape(name)}</code> <span class="muted">{kind}</span>'
    return term, inline(schema.get("description", "")) + _constraint(schema)


def _kind(schema: Json) -> str:
    if "$ref" in schema:
        return escape(schema["$ref"].rpartition("/")[2].removesuffix("Shape").lower())
    if "anyOf" in schema:
        return " or ".join(_kind(option) for option in schema["anyOf"])
    kind = schema.get("format") or schema.get("type", "any JSON")
    return f"{_kind(schema['items'])}s" if kind == "array" else escape(str(kind))


def _constraint(schema: Json) -> str:
    said = []
    if "enum" in schema:
        said.append("one of " + ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"]))
    if schema.get("maxLength", _LONG) < _LONG:
        said.append(f"{schema.get('minLength', 0)} to {schema['maxLength']} characters")
    if "minimum" in schema and "maximum" in schema and abs(schema["minimum"]) < 2**53:
        said.append(f"{schema['minimum']:g} to {schema['maximum']:,}")
    if schema.get("default") not in (None, ""):
        said.append(f"default <code>{escape(str(schema['default']))}</code>")
    return f' <span class="muted">({"; ".join(said)})</span>' if said else ""


def _list(title: str, entries: list[tuple[str, str]]) -> str:
    rows = "".join(f"<div><dt>{term}</dt><dd>{what}</dd></div>" for term, what in entries)
    return f'<h4>{escape(title)}</h4><dl class="facts">{rows}</dl>'


def _example(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, indent=2)
    return f'<pre tabindex="0">{escape(text.rstrip())}</pre>'


def _breakable(path: str) -> str:
    """So that a narrow screen breaks it where a reader would."""
    return escape(path).replace("/", "/<wbr>").replace(".", ".<wbr>")


def _resolved(document: Json, found: Json) -> Json:
    while "$ref" in found:
        _, kind, name = found["$ref"].removeprefix("#/").split("/")
        found = document["components"][kind][name]
    return found
