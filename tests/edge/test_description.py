"""The API's description, and the pages that are made of it."""

import re
from types import SimpleNamespace
from typing import cast

import pytest

from edge.app import make_app
from edge.description.document import document
from edge.description.events import FEED_EVENTS, SOCKET_EVENTS
from edge.description.markup import block
from edge.description.pages import docs_page, errors_page
from edge.encodings.websocket import WEBSOCKET
from edge.headers import Origins
from edge.reasons import MEANINGS
from edge.settings import EdgeSettings
from edge.state import Edge
from livecomments.errors import Reason
from livecomments.v1 import comment_pb2 as pb

COOKIE = "livecomments"
PAGES = {"/", "/watch/{stream_id}", "/replay/{stream_id}", "/docs", "/docs/errors", "/static/{name}"}
"""For people: no part of the API."""


@pytest.fixture(scope="module")
def settings() -> EdgeSettings:
    return EdgeSettings()


def operations() -> set[tuple[str, str]]:
    paths = document(COOKIE, 50)["paths"]
    return {(path, method) for path, item in paths.items() for method in item if method != "parameters"}


def test_every_route_is_described_and_nothing_else_is(settings: EdgeSettings) -> None:
    app = make_app(cast("Edge", SimpleNamespace(settings=settings, origins=Origins(frozenset(), with_cookies=False))))
    routes: set[tuple[str, str]] = set()
    for rule in app.url_map.iter_rules():
        path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
        routes |= {(path, method.lower()) for method in (rule.methods or ()) - {"HEAD", "OPTIONS"}}
    served = {route for route in routes if route[0] not in PAGES}
    # One route for all calls with one answer: each of them is described.
    served.discard(("/livecomments.v1.{service}/{method}", "post"))
    described = {operation for operation in operations() if not operation[0].startswith("/livecomments.v1.")}
    served.discard(("/livecomments.v1.FeedService/Watch", "post"))
    assert described == served


def test_every_operation_has_a_name_of_its_own() -> None:
    paths = document(COOKIE, 50)["paths"]
    names = [paths[path][method]["operationId"] for path, method in operations()]
    assert len(set(names)) == len(names)


def test_every_kind_of_event_in_the_log_is_explained() -> None:
    explained = {event.name for event in FEED_EVENTS}
    assert "unknown" not in explained
    # Those outside the log: snapshot, viewers, omitted, degraded.
    assert len(explained) == len(pb.Event.DESCRIPTOR.oneofs_by_name["kind"].fields) + 4


def test_the_page_has_every_operation_event_and_setting(settings: EdgeSettings) -> None:
    described = document(COOKIE, 50)
    page = docs_page(described, settings)
    for path, method in operations():
        assert f'id="{described["paths"][path][method]["operationId"]}"' in page
    for event in (*FEED_EVENTS, *SOCKET_EVENTS):
        assert f'id="event-{event.name}"' in page
    assert f"{settings.edge_body_max:,} bytes" in page
    assert page.count("<section") == page.count("</section>")


def test_an_example_of_a_frame_is_the_frame() -> None:
    for event in SOCKET_EVENTS:
        assert WEBSOCKET.events([event.example]).endswith(event.frame.encode())


def test_a_cookie_is_described_where_the_server_takes_one() -> None:
    assert "/v1/cookie" not in document("", 50)["paths"]
    posting = document(COOKIE, 50)["paths"]["/v1/streams/{stream_id}/comments"]["post"]
    assert {"cookie": []} in posting["security"]


@pytest.mark.parametrize("reason", list(Reason))
def test_each_reason_says_what_it_means_and_what_to_do(reason: Reason) -> None:
    meaning, remedy = MEANINGS[reason]
    assert meaning
    assert remedy
    section = errors_page().split(f'<section class="entry" id="{reason}">')[1].split("</section>")[0]
    assert "What to do" in section
    assert str(reason.http_status) in section


def test_markup_is_escaped() -> None:
    assert block("a < `b & c`\n\n- [d](/d)\n- e") == (
        '<p>a &lt; <code>b &amp; c</code></p>\n<ul><li><a href="/d">d</a></li><li>e</li></ul>'
    )
