"""The pages, their files, health, and the description of this API."""

from pathlib import Path

from quart import Blueprint, Response, request, send_from_directory

from edge.description.document import document
from edge.description.pages import docs_page, errors_page
from edge.description.parts import Json
from edge.ranges import serve_part
from edge.shapes import encode
from edge.state import this_edge

pages = Blueprint("pages", __name__)

STATIC = Path(__file__).parent.parent / "static"
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "manifest-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

# Whoever links to these pages says where the stream's video is.
_VIDEO_CSP = f"{_CSP}; media-src http: https:"


async def _page(name: str, csp: str = _CSP) -> Response:
    response = await send_from_directory(STATIC, name, conditional=False)
    size = response.content_length or 0
    await response.make_conditional(request)
    response.headers["Content-Security-Policy"] = csp
    response.headers["Referrer-Policy"] = "no-referrer"
    # Asked for by ETag each time: a page and its modules must be of one version.
    response.headers["Cache-Control"] = "no-cache"
    response.headers.pop("Expires", None)
    # Players ask before they seek.
    response.headers["Accept-Ranges"] = "bytes"
    if response.status_code == 200:
        await serve_part(request, response, size)
    return response


@pages.get("/")
async def index() -> Response:
    """The streams."""
    return await _page("index.html")


@pages.get("/watch/<stream_id>")
async def watch(stream_id: str) -> Response:  # noqa: ARG001 (the page reads it from its address)
    """A live stream."""
    return await _page("watch.html", _VIDEO_CSP)


@pages.get("/replay/<stream_id>")
async def replay(stream_id: str) -> Response:  # noqa: ARG001 (the page reads it from its address)
    """A recording."""
    return await _page("replay.html", _VIDEO_CSP)


@pages.get("/docs")
async def docs() -> Response:
    """The API for people: its requests, and in prose what OpenAPI has no words for."""
    return _written(docs_page(_described(), this_edge().settings))


@pages.get("/docs/errors")
async def errors() -> Response:
    """Every reason of a refusal; problem details point here."""
    return _written(errors_page())


def _written(html: str) -> Response:
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _CSP
    response.headers["Referrer-Policy"] = "no-referrer"
    response.headers["Cache-Control"] = "no-cache"
    return response


@pages.get("/static/<path:name>")
async def static(name: str) -> Response:
    """The pages' modules, styles and pictures; a part of a file to who asks for a range of it."""
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
    return Response(encode(_described()), content_type="application/json")


def _described() -> Json:
    edge = this_edge()
    return document(edge.credentials.cookie, edge.settings.edge_session_max_streams)
