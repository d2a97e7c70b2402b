"""The pages, their files, health, and the description of this API."""

from pathlib import Path

from quart import Blueprint, Response, send_from_directory

from edge.openapi import document
from edge.reasons import errors_page
from edge.shapes import encode
from edge.state import this_edge

pages = Blueprint("pages", __name__)

STATIC = Path(__file__).parent.parent / "static"
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


async def _page(name: str) -> Response:
    response = await send_from_directory(STATIC, name)
    response.headers["Content-Security-Policy"] = _CSP
    response.headers["Referrer-Policy"] = "no-referrer"
    # Asked for by ETag each time: a page and its modules must be of one version.
    response.headers["Cache-Control"] = "no-cache"
    response.headers.pop("Expires", None)
    return response


@pages.get("/")
async def index() -> Response:
    """The streams."""
    return await _page("index.html")


@pages.get("/watch/<stream_id>")
async def watch(stream_id: str) -> Response:  # noqa: ARG001 (the page reads it from its address)
    """A live stream."""
    return await _page("watch.html")


@pages.get("/replay/<stream_id>")
async def replay(stream_id: str) -> Response:  # noqa: ARG001 (the page reads it from its address)
    """A recording."""
    return await _page("replay.html")


@pages.get("/docs/errors")
async def errors() -> Response:
    """Every reason of a refusal; problem details point here."""
    response = Response(errors_page(), content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _CSP
    return response


@pages.get("/static/<path:name>")
async def static(name: str) -> Response:
    """The pages' modules and styles."""
    return await _page(name)


@pages.get("/livez")
async def livez() -> Response:
    """Tells that the process runs."""
    return Response(b"ok\n", content_type="text/plain")


@pages.get("/readyz")
async def readyz() -> Response:
    """Tells whether the process may be sent viewers and posts."""
    edge = this_edge()
    if edge.is_ready:
        return Response(b"ready\n", content_type="text/plain")
    return Response(b"draining\n" if edge.is_draining else b"starting\n", 503, content_type="text/plain")


@pages.get("/openapi.json")
async def openapi() -> Response:
    """Describes the API: OpenAPI 3.1."""
    return Response(encode(document()), content_type="application/json")
