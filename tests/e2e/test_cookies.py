"""A cookie in place of the header, for browsers: what it opens, and for whose pages."""

import ssl
from collections.abc import Iterator

import httpx
import pytest

from livecomments.errors import Reason
from tests.certificates import Certificate, make_certificate
from tests.e2e.test_errors import refused
from tests.grpc_web import GrpcWebViewer
from tests.http2 import Http2SocketViewer
from tests.session_viewers import SessionViewer
from tests.sockets import SocketViewer
from tests.system import System
from tests.viewers import Viewer
from tests.ways import answered, reason_of

NAME = "live"
LISTED = "https://site.example"
FOREIGN = "https://evil.example"
HYPERCORN = ("Content-Length: 0",)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory, certificate: Certificate) -> Iterator[System]:
    """One that takes a cookie, and whose API pages of all origins may call."""
    with System(
        tmp_path_factory.mktemp("system"),
        core_user_rate="0",
        edge_address_rate="0",
        edge_cookie=NAME,
        edge_cors_origins=f"{LISTED},*",
        edge_tls_listen="127.0.0.1:0",
        tls_cert=str(certificate.cert),
        tls_key=str(certificate.key),
    ) as running:
        yield running


@pytest.fixture(scope="module")
def stream(system: System) -> str:
    return system.create_stream(visibility="private")


@pytest.fixture(scope="module")
def cookie(system: System, stream: str) -> str:
    """Ann's, as a header's value."""
    return f"other=1; {NAME}={system.token('ann', streams=(stream,))}"


def lines(cookie: str, origin: str = "") -> tuple[str, ...]:
    return (f"Cookie: {cookie}", *([f"Origin: {origin}"] if origin else []))


def headers(cookie: str, origin: str | None = None) -> dict[str, str]:
    return {"Cookie": cookie, **({"Origin": origin} if origin is not None else {})}


def test_a_token_becomes_a_cookie_that_scripts_and_other_sites_never_see(system: System, stream: str) -> None:
    token = system.token("ann", streams=(stream,), ttl_s=600)
    kept = system.request("PUT", "/v1/cookie", token=token)
    assert kept.status_code == 204, kept.text
    value, *attributes = kept.headers["set-cookie"].split("; ")
    assert value == f"{NAME}={token}"
    age = next(attribute for attribute in attributes if attribute.startswith("Max-Age="))
    assert sorted(attributes) == sorted(["Path=/", age, "HttpOnly", "SameSite=Strict"])
    assert 500 < int(age.partition("=")[2]) <= 600
    over_tls = httpx.put(
        f"https://{system.edge.tls_address}/v1/cookie",
        headers={"Authorization": f"Bearer {token}"},
        verify=False,
        trust_env=False,
    )
    assert over_tls.headers["set-cookie"].endswith("; Secure")
    cleared = system.request("DELETE", "/v1/cookie", headers=headers(value))
    assert cleared.headers["set-cookie"].startswith(f"{NAME}=; Path=/; Max-Age=0; ")


def test_a_cookie_with_a_prefix_is_for_tls_alone(system: System) -> None:
    with system.service("edge", "-host", edge_cookie="__Host-live", edge_tls_listen="127.0.0.1:0") as edge:
        answer = system.client.put(
            f"http://{edge.address}/v1/cookie", headers={"Authorization": f"Bearer {system.token('ann')}"}
        )
        assert answer.headers["set-cookie"].startswith("__Host-live=")
        assert answer.headers["set-cookie"].endswith("; Secure")


def test_a_cookie_is_made_of_a_good_token_that_fits(system: System, cookie: str) -> None:
    for token in ("", "x.y.z", system.token("ann", ttl_s=-60)):
        refused(system.request("PUT", "/v1/cookie", token=token), Reason.UNAUTHENTICATED)
    refused(system.request("PUT", "/v1/cookie", headers=headers(cookie, LISTED)), Reason.UNAUTHENTICATED)
    large = system.token("ann", streams=tuple(f"stream-{number:04}" for number in range(300)))
    refused(system.request("PUT", "/v1/cookie", token=large), Reason.INVALID_FIELD, "Authorization")
    foreign = system.request("DELETE", "/v1/cookie", headers=headers(cookie, FOREIGN))
    refused(foreign, Reason.FORBIDDEN)


def test_a_cookie_reads_what_its_token_may(system: System, stream: str, cookie: str) -> None:
    url, own = system.url, system.url
    assert answered(Viewer(url, stream, lines=lines(cookie))) is None
    assert answered(Viewer(url, stream, lines=(*lines(cookie), *HYPERCORN))) is None
    assert answered(SocketViewer(url, stream, headers=headers(cookie, own))) is None
    assert answered(SocketViewer(url, stream, headers=headers(cookie, LISTED), reused=True)) is None
    assert answered(GrpcWebViewer(url, stream, headers=headers(cookie, own))) is None
    assert answered(GrpcWebViewer(url, stream, headers=headers(cookie, LISTED), reused=True)) is None
    path = f"/v1/streams/{stream}"
    for read in (path, f"{path}/comments", f"{path}/comments/recent", f"{path}/comments?since=&wait=0"):
        assert system.request("GET", read, headers=headers(cookie)).status_code == 200, read
    session = SessionViewer(url, [])
    session.disconnect()
    session.asked_for, session.lines = f"stream={stream}", lines(cookie)
    session.connect()
    assert answered(session) is None


@pytest.mark.parametrize("origin", [LISTED, None], ids=["a listed page", "our own page"])
def test_a_cookie_changes_something_for_pages_that_may(
    system: System, stream: str, cookie: str, origin: str | None
) -> None:
    sent = headers(cookie, origin or system.url)
    path = f"/v1/streams/{stream}/comments"
    posted = system.request("POST", path, {"text": "by cookie"}, headers=sent)
    assert posted.status_code == 202, posted.text
    by_hypercorn = {**sent, "Content-Encoding": "identity"}
    assert system.request("POST", path, {"text": "by cookie"}, headers=by_hypercorn).status_code == 202
    assert system.request("POST", "/v1/tickets", {"stream_id": stream}, headers=sent).status_code == 201
    gone = system.request("DELETE", f"{path}/{posted.json()['comment_id']}", headers=sent)
    assert gone.status_code == 204, gone.text


def test_a_cookie_is_taken_over_http2(system: System, stream: str, cookie: str, certificate: Certificate) -> None:
    url, tls = f"https://{system.edge.tls_address}", ssl.create_default_context(cafile=certificate.cert)
    other, _, own = cookie.partition("; ")
    path = f"{url}/v1/streams/{stream}/comments"
    with httpx.Client(http1=False, http2=True, verify=tls, trust_env=False, timeout=10) as client:
        # Each in a line of its own, as browsers send them there.
        lines = [("Cookie", other), ("Cookie", own)]
        assert client.get(path, headers=lines).status_code == 200
        posted = client.post(path, json={"text": "over HTTP/2"}, headers=[*lines, ("Origin", url)])
        assert posted.status_code == 202, posted.text
        refused(client.post(path, json={"text": "forged"}, headers=[*lines, ("Origin", FOREIGN)]), Reason.FORBIDDEN)
    assert answered(Http2SocketViewer(url, stream, headers=headers(cookie, url), tls=tls)) is None
    assert answered(Http2SocketViewer(url, stream, headers=headers(cookie, FOREIGN), tls=tls)) is Reason.FORBIDDEN


@pytest.mark.parametrize("origin", [FOREIGN, "null", None], ids=["a foreign page", "a page without one", "no page"])
def test_a_cookie_changes_nothing_for_others(system: System, stream: str, cookie: str, origin: str | None) -> None:
    sent, path = headers(cookie, origin), f"/v1/streams/{stream}"
    knocks = {
        "post": system.request("POST", f"{path}/comments", {"text": "forged"}, headers=sent),
        "post by Hypercorn": system.request(
            "POST", f"{path}/comments", {"text": "forged"}, headers={**sent, "Content-Encoding": "identity"}
        ),
        "end": system.request("POST", f"{path}/end", headers=sent),
        "change": system.request("PATCH", path, {"title": "forged"}, headers=sent),
        "create": system.request("POST", "/v1/streams", {"title": "forged"}, headers=sent),
        "delete": system.request("DELETE", f"{path}/comments/x", headers=sent),
        "pin": system.request("PUT", f"{path}/pinned", {"comment_id": "x"}, headers=sent),
        "ban": system.request("PUT", f"{path}/bans/bob", headers=sent),
        "ticket": system.request("POST", "/v1/tickets", {"stream_id": stream}, headers=sent),
        "session": system.request("PUT", f"/v1/sessions/x/streams/{stream}", headers=sent),
    }
    told = {what: reason_of(answer) for what, answer in knocks.items()}
    told["WebSocket"] = answered(SocketViewer(system.url, stream, headers=sent))
    told["WebSocket by Hypercorn"] = answered(SocketViewer(system.url, stream, headers=sent, reused=True))
    told["gRPC-web"] = answered(GrpcWebViewer(system.url, stream, headers=sent))
    assert told == dict.fromkeys(told, Reason.FORBIDDEN)


def test_the_header_wins_over_the_cookie(system: System, stream: str, cookie: str) -> None:
    good, bad = system.token("ann", streams=(stream,)), f"{NAME}=x.y.z"
    path = f"/v1/streams/{stream}"
    assert system.request("GET", path, token=good, headers=headers(bad)).status_code == 200
    refused(system.request("GET", path, token="x.y.z", headers=headers(cookie)), Reason.UNAUTHENTICATED)
    # Without an Origin: it is not the cookie that says who posts.
    assert system.try_post(stream, "by header", token=good).status_code == 202
    assert answered(Viewer(system.url, stream, token=good, lines=lines(bad))) is None
    assert answered(Viewer(system.url, stream, token="x.y.z", lines=lines(cookie))) is Reason.UNAUTHENTICATED
    refused(system.request("GET", path, headers=headers(f"{cookie}; {bad}")), Reason.UNAUTHENTICATED)


def test_browsers_show_answers_to_cookies_to_pages_that_are_listed_by_name(system: System, cookie: str) -> None:
    ask = {"Access-Control-Request-Method": "PUT", "Access-Control-Request-Headers": "authorization"}
    for origin, is_shared in ((LISTED, True), (FOREIGN, False)):
        for answer in (
            system.client.options(f"{system.url}/v1/cookie", headers={"Origin": origin, **ask}),
            system.request("GET", "/v1/streams", headers=headers(cookie, origin)),
        ):
            assert answer.headers["access-control-allow-origin"] == origin
            assert ("access-control-allow-credentials" in answer.headers) is is_shared


def test_a_server_without_a_name_for_it_takes_no_cookie(system: System, stream: str, cookie: str) -> None:
    with system.service("edge", "-plain", edge_cookie="", edge_tls_listen="127.0.0.1:0") as edge:
        url = f"http://{edge.address}"
        answer = system.client.get(f"{url}/v1/streams/{stream}", headers=headers(cookie))
        refused(answer, Reason.UNAUTHENTICATED)
        bearer = {"Authorization": f"Bearer {system.token('ann')}"}
        assert system.client.put(f"{url}/v1/cookie", headers=bearer).status_code == 404
        assert "cookie" not in system.client.get(f"{url}/openapi.json").json()["components"]["securitySchemes"]
    described = system.request("GET", "/openapi.json").json()
    assert described["components"]["securitySchemes"]["cookie"]["name"] == NAME
