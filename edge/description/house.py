"""Health, and this description itself, described."""

from edge.description.parts import JSON, NOBODY, Answer, Json, operation

HOUSE_TAG = "Service"


def house() -> Json:
    """Paths that tell of the service."""
    text: Json = {"text/plain": {"schema": {"type": "string"}}}
    return {
        "/livez": {
            "get": operation("livez", "Whether the process runs", {200: Answer("It does.", text)}, tag=HOUSE_TAG,
                             security=NOBODY),
        },
        "/readyz": {
            "get": operation(
                "readyz", "Whether the process may be sent viewers and posts",
                {200: Answer("It may.", text), 503: Answer("It is starting or draining.", text)}, tag=HOUSE_TAG,
                security=NOBODY,
            ),
        },
        "/openapi.json": {
            "get": operation(
                "openapi", "This description", {200: Answer("OpenAPI 3.1.", {JSON: {"schema": {"type": "object"}}})},
                tag=HOUSE_TAG, security=NOBODY,
            ),
        },
    }  # fmt: skip
