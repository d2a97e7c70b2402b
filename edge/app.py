"""The Quart application: routes, errors, CORS."""

from contextlib import suppress

import trio
from quart import Response, has_request_context, request, websocket
from quart.typing import ResponseTypes
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from edge.headers import is_allowed, shared_headers
from edge.problems import problem, unexpected
from edge.routes.comments import comments
from edge.routes.feed import feed
from edge.routes.grpc_web import grpc_web
from edge.routes.moderation import moderation
from edge.routes.pages import pages
from edge.routes.sessions import sessions
from edge.routes.streams import streams
from edge.shapes import encode
from edge.state import EXTENSION, Edge
from livecomments.errors import Reason, Refusal

_REST_S = 2.0
_BODY_S = 10
"""How long a body may take to arrive."""
_ALLOW_HEADERS = "authorization, content-type, idempotency-key, last-event-id, x-grpc-web, grpc-timeout, x-user-agent"
_ALLOW_METHODS = "GET, POST, PUT, PATCH, DELETE"


def make_app(edge: Edge) -> QuartTrio:
    """The application around one edge's state."""
    app = QuartTrio("edge", static_folder=None)
    app.config["BODY_TIMEOUT"] = _BODY_S
    app.extensions[EXTENSION] = edge
    app.config["MAX_CONTENT_LENGTH"] = edge.settings.edge_body_max
    for blueprint in (comments, feed, grpc_web, sessions, streams, moderation, pages):
        app.register_blueprint(blueprint)
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    _allow_origins(app, edge.origins)
    return app


async def _refused(refusal: Refusal) -> Response:
    if has_request_context() and refusal.reason is not Reason.BODY_TOO_LARGE:
        await _read_rest()
    return _parting(problem(refusal))


def _parting(response: Response) -> Response:
    """Tells the client of a body that was not read to its end that the connection goes with it.

    Else it may send its next request just as the connection is closed.
    """
    if response.status_code == 413 and has_request_context() and request.http_version.startswith("1"):
        response.headers["Connection"] = "close"
    return response


async def _read_rest() -> None:
    """Takes the body that a refused request still sends: closing on it would cut the answer off with a reset."""
    with trio.move_on_after(_REST_S), suppress(HTTPException):
        await request.get_data()


async def _http_error(error: HTTPException) -> Response:
    """What Quart itself refuses. Routes that do not exist have no row in the error table, but the same form."""
    if error.code == 413:
        return _parting(problem(Refusal(Reason.BODY_TOO_LARGE, "the body is too large")))
    status = error.code or 500
    body = encode({"type": "about:blank", "title": error.name, "status": status})
    response = Response(body, status, content_type="application/problem+json")
    if allowed := getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


async def _unexpected(error: Exception) -> Response:
    return problem(unexpected(error, request.path if has_request_context() else websocket.path))


def _allow_origins(app: QuartTrio, origins: frozenset[str]) -> None:
    @app.before_request
    async def preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        response = Response(b"", 204)
        if is_allowed(request.headers.get("Origin"), origins):
            response.headers["Access-Control-Allow-Methods"] = _ALLOW_METHODS
            response.headers["Access-Control-Allow-Headers"] = _ALLOW_HEADERS
            response.headers["Access-Control-Max-Age"] = "600"
        return response

    @app.after_request
    async def share(response: Response) -> Response:
        for name, value in shared_headers(request.headers.get("Origin"), origins):
            response.headers.add(name, value)
        return response

    @app.after_websocket
    async def share_refusal(response: ResponseTypes | None) -> ResponseTypes | None:
        if response is not None:
            for name, value in shared_headers(websocket.headers.get("Origin"), origins):
                response.headers.add(name, value)
        return response
