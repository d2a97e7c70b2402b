"""The Quart application: routes, errors, CORS."""

from contextlib import suppress

import trio
from quart import Response, has_request_context, request, websocket
from quart.typing import ResponseTypes
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter

from edge.headers import Origins, shared_headers
from edge.problems import problem, unexpected
from edge.routes.comments import comments
from edge.routes.credentials import credentials
from edge.routes.feed import feed
from edge.routes.grpc_web import grpc_web
from edge.routes.moderation import moderation
from edge.routes.pages import pages
from edge.routes.sessions import sessions
from edge.routes.streams import streams
from edge.shapes import encode
from edge.state import EXTENSION, Edge, asking_of
from livecomments.errors import Reason, Refusal

_REST_S = 2.0
"""How long the rest of a body may take once its request is answered."""
_BODY_HEADERS = ("Content-Length", "Transfer-Encoding")
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
    app.url_map.converters["comment"] = CommentIdConverter
    for blueprint in (comments, credentials, feed, grpc_web, sessions, streams, moderation, pages):
        app.register_blueprint(blueprint)
    app.register_error_handler(Refusal, _refused)
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)
    app.after_request(_take_rest)
    _allow_origins(app, edge.origins)
    _bring_keys(app, edge)
    return app


class CommentIdConverter(BaseConverter):
    """A comment's id in a path: anything but what else stands there, so that this answers 405."""

    regex = "(?!(?:recent|subscribe)$)[^/]+"


async def _refused(refusal: Refusal) -> Response:
    return problem(refusal)


async def _http_error(error: HTTPException) -> Response:
    """What Quart itself refuses. Routes that do not exist have no row in the error table, but the same form."""
    if error.code == 413:
        return problem(Refusal(Reason.BODY_TOO_LARGE, "the body is too large"))
    status = error.code or 500
    body = encode({"type": "about:blank", "title": error.name, "status": status})
    response = Response(body, status, content_type="application/problem+json")
    if allowed := getattr(error, "valid_methods", None):
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return response


async def _take_rest(response: Response) -> Response:
    """Takes the body that an answered request still sends: closing on it would cut the answer off with a reset.

    Where it can't be had, the client is told that the connection goes with it: else its next request may come just as
    that is closed.
    """
    if request.http_version.startswith("1") and any(name in request.headers for name in _BODY_HEADERS):
        is_taken = False
        with trio.move_on_after(_REST_S), suppress(HTTPException):
            await request.get_data()
            is_taken = True
        if not is_taken:
            response.headers["Connection"] = "close"
    return response


async def _unexpected(error: Exception) -> Response:
    return problem(unexpected(error, request.path if has_request_context() else websocket.path))


def _bring_keys(app: QuartTrio, edge: Edge) -> None:
    """Lets a request wait for the key of its token, so that no handler has to."""

    @app.before_request
    async def for_request() -> None:
        with suppress(Refusal):
            await edge.authenticator.bring_keys(edge.credentials.for_reading(asking_of(request.headers)))

    @app.before_websocket
    async def for_websocket() -> None:
        with suppress(Refusal):
            await edge.authenticator.bring_keys(edge.credentials.for_reading(asking_of(websocket.headers)))


def _allow_origins(app: QuartTrio, origins: Origins) -> None:
    @app.before_request
    async def preflight() -> Response | None:
        if request.method != "OPTIONS" or "Access-Control-Request-Method" not in request.headers:
            return None
        response = Response(b"", 204)
        if origins.allow(request.headers.get("Origin")):
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
