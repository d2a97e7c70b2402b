"""What phones' and pages' own gRPC-web clients make of an edge: grpc-web (text) and Connect's transport (binary)."""

import os
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tests.browser.grpc_web_clients import PACKAGES, build
from tests.browser.sites import serving
from tests.certificates import make_certificate
from tests.processes import Service, eventually
from tests.proxies import DeployedEnvoy
from tests.silent_storage import silent_storage
from tests.system import System, ready

_UNAVAILABLE = 14


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where the page with the clients is served."""
    if not PACKAGES.exists():
        words = "the clients' npm packages are not there: scripts/test fetches them"
        if os.environ.get("CI") == "true":
            pytest.fail(words)
        pytest.skip(words)
    folder = tmp_path_factory.mktemp("clients")
    build(folder)
    with serving(folder) as origin:
        yield origin


@pytest.fixture(scope="module")
def edge(system: System, origin: str) -> Iterator[Service]:
    """One that lets that page call."""
    with system.service("edge", "-called", edge_cors_origins=origin) as edge:
        ready(system, edge)
        yield edge


@pytest.fixture(scope="module")
def envoy(
    system: System, edge: Service, origin: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DeployedEnvoy]:
    """In front of the same system, for the same page."""
    folder = tmp_path_factory.mktemp("envoy")
    behind = {
        "EDGES": edge.address,
        "CORES": system.core.address,
        "FANOUTS": system.fanout.address,
        "STORAGES": system.storage.address,
        "ORIGINS": origin,
    }
    with DeployedEnvoy(folder, make_certificate(folder), **behind) as envoy:
        yield envoy


class Client:
    """One of the two, in a page."""

    def __init__(self, kind: str, page: Page, url: str) -> None:
        self.kind = kind
        self.page = page
        self.url = url

    def call(self, method: str, request: dict[str, Any], **how: Any) -> dict[str, Any]:
        """{answer}, or {code, message, details}. ``how``: token, timeoutMs.

        Asks again while it is UNAVAILABLE, which a machine with much else to do may bring.
        """
        script = "([kind, url, service, name, request, how]) => call(kind, url, service, name, request, how)"
        arguments = [self.kind, self.url, *method.split("/"), request, how]

        def once() -> dict[str, Any] | None:
            answered: dict[str, Any] = self.page.evaluate(script, arguments)
            return answered if answered.get("code") != _UNAVAILABLE else None

        return eventually(once, f"{method} is answered")

    def post(self, stream_id: str, text: str, token: str, **fields: Any) -> dict[str, Any]:
        request = {"streamId": stream_id, "text": text, "requestId": uuid.uuid4().hex, **fields}
        return self.call("CommentService/PostComment", request, token=token)

    def watch(self, request: dict[str, Any], **how: Any) -> "Feed":
        script = "([kind, url, request, how]) => watch(kind, url, request, how)"
        return Feed(self.page, self.page.evaluate(script, [self.kind, self.url, request, how]))


class Feed:
    """A call of Watch."""

    def __init__(self, page: Page, number: int) -> None:
        self._page = page
        self._feed = f"window.feeds[{number}]"

    def messages(self) -> list[dict[str, Any]]:
        """WatchResponses so far, as JSON."""
        found: list[dict[str, Any]] = self._page.evaluate(f"() => {self._feed}.messages")
        return found

    def log(self) -> list[tuple[int, str]]:
        """Sequence and text of each comment that came live."""
        return [
            (int(message["seq"]), event["posted"]["comment"]["text"])
            for response in self.messages()
            for message in response.get("batch", {}).get("messages", [])
            for event in message["events"]["events"]
        ]

    def until_texts(self, *texts: str) -> None:
        eventually(lambda: [text for _, text in self.log()] == list(texts), f"the feed has {texts}")

    def snapshot(self) -> dict[str, Any]:
        eventually(self.messages, "the snapshot")
        found: dict[str, Any] = self.messages()[0]["snapshot"]
        return found

    def ending(self) -> dict[str, Any]:
        """How it ended, once it has."""
        self._page.wait_for_function(f"() => {self._feed}.ending")
        found: dict[str, Any] = self._page.evaluate(f"() => {self._feed}.ending")
        return found

    def cancel(self) -> None:
        self._page.evaluate(f"() => {self._feed}.cancel()")


@pytest.fixture
def page(browser: Browser, origin: str) -> Iterator[Page]:
    """That page. It trusts whatever certificate it is shown."""
    context = browser.new_context(ignore_https_errors=True)
    faults: list[str] = []
    page = context.new_page()
    page.on("pageerror", lambda error: faults.append(str(error)))
    try:
        page.goto(origin)
        yield page
    finally:
        context.close()
    assert not faults


@pytest.fixture(params=["google", "connect"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=["edge", "envoy"])
def client(request: pytest.FixtureRequest, page: Page, kind: str, edge: Service, envoy: DeployedEnvoy) -> Client:
    """Of an edge, or of the services through Envoy."""
    return Client(kind, page, envoy.url if request.param == "envoy" else f"http://{edge.address}")


def test_a_comment_is_posted_watched_and_read_again(system: System, client: Client) -> None:
    stream = system.create_stream(title="The final")
    feed = client.watch({"streamId": stream})
    assert feed.snapshot()["stream"]["title"] == "The final"
    text = "hello \U0001f3c6 gr\u00fc\u00dfe"
    posted = client.post(stream, text, system.token("ann"), lagMs=70)["answer"]
    assert (posted["comment"]["authorId"], posted["comment"]["lagMs"]) == ("ann", 70)
    feed.until_texts(text)
    assert posted["cursor"].endswith(f"-{feed.log()[0][0]}")
    feed.cancel()
    system.stored(stream, len)
    for method, request in (
        ("HistoryService/ListComments", {"streamId": stream, "durationMs": "3600000"}),
        ("HistoryService/ListRecentComments", {"streamId": stream}),
    ):
        assert client.call(method, request)["answer"]["comments"] == [posted["comment"]]
    found = client.call("StreamService/GetStream", {"streamId": stream})["answer"]["stream"]
    assert (found["title"], found["state"]) == ("The final", "STREAM_STATE_LIVE")


def test_a_repeated_post_is_one_comment(system: System, client: Client) -> None:
    stream, token = system.create_stream(), system.token("ann")
    first = client.post(stream, "once", token, requestId="k1")
    assert client.post(stream, "once", token, requestId="k1") == first
    assert client.post(stream, "other", token, requestId="k1")["details"]["errorInfo"]["reason"] == "KEY_REUSED"


def test_a_feed_goes_on_at_its_cursor(system: System, client: Client) -> None:
    stream = system.create_stream()
    feed = client.watch({"streamId": stream})
    epoch = feed.snapshot()["cursor"].rpartition("-")[0]
    for number in range(4):
        # Of many lengths, so that the text form has every padding; each is read before the next is there.
        system.post(stream, "x" * (number + 1))
        feed.until_texts(*("x" * (count + 1) for count in range(number + 1)))
    feed.cancel()
    place, _ = feed.log()[1]
    again = client.watch({"streamId": stream, "cursor": f"{epoch}-{place}"})
    assert again.snapshot()["recovered"]
    system.post(stream, "live")
    again.until_texts("xxx", "xxxx", "live")
    again.cancel()


def test_a_feed_ends_with_its_stream(system: System, client: Client) -> None:
    stream = system.create_stream()
    feed = client.watch({"streamId": stream})
    feed.snapshot()
    system.end_stream(stream)
    assert feed.ending()["code"] == 0
    assert "ended" in feed.messages()[-1]["batch"]["messages"][-1]["events"]["events"][0]


def test_a_refusal_is_read_with_its_details(system: System, client: Client) -> None:
    stream, token = system.create_stream(slow_mode_s=60), system.token("ann")
    bad = client.post(stream, "", token, lagMs=-1)
    assert bad["code"] == 3
    assert "text" in bad["message"]
    assert bad["details"]["errorInfo"] == {"reason": "INVALID_FIELD", "domain": "livecomments"}
    assert [field["field"] for field in bad["details"]["badRequest"]["fieldViolations"]] == ["text", "lag_ms"]
    assert "answer" in client.post(stream, "one", token)
    slow = client.post(stream, "two", token)
    assert (slow["code"], slow["details"]["errorInfo"]["reason"]) == (8, "SLOW_MODE")
    assert 0 < float(slow["details"]["retryInfo"]["retryDelay"].removesuffix("s")) <= 60
    nobody = client.watch({"streamId": system.create_stream(visibility="private")}).ending()
    assert (nobody["code"], nobody["details"]["errorInfo"]["reason"]) == (16, "UNAUTHENTICATED")
    unknown = client.call("CommentService/DeleteComment", {"streamId": stream}, token=token)
    assert unknown["code"] == 12


def test_a_deadline_ends_a_feed(system: System, client: Client) -> None:
    feed = client.watch({"streamId": system.create_stream()}, timeoutMs=1_500)
    feed.snapshot()
    assert feed.ending()["code"] == 4


def test_a_deadline_ends_what_takes_too_long(system: System, page: Page, kind: str, origin: str) -> None:
    with (
        silent_storage() as storage,
        system.service("edge", "-waiting", edge_cors_origins=origin, storage_urls=storage) as edge,
    ):
        ready(system, edge)
        client = Client(kind, page, f"http://{edge.address}")
        late = client.call("HistoryService/ListRecentComments", {"streamId": "s"}, timeoutMs=500)
        assert late["code"] == 4


FEEDS = """async ([url, path]) => {
  // Once this is answered the browser has a connection that speaks HTTP/2, and uses it for all that follows.
  await fetch(`${url}/livez`, { mode: "no-cors", credentials: "include" });
  const socket = new WebSocket(`${url.replace("https", "wss")}${path}/feed`);
  const first = await new Promise((told) => {
    socket.onmessage = ({ data }) => told(JSON.parse(data).event);
    socket.onclose = ({ code }) => told(code);
  });
  const source = new EventSource(`${url}${path}/comments/subscribe`);
  const second = await new Promise((told) => {
    source.addEventListener("snapshot", ({ type }) => told(type));
    source.onerror = () => told("error");
  });
  socket.close();
  source.close();
  return [first, second];
}"""


def test_a_page_s_own_feeds_come_through_envoy_too(system: System, page: Page, envoy: DeployedEnvoy) -> None:
    path = f"/v1/streams/{system.create_stream()}"
    assert page.evaluate(FEEDS, [envoy.url, path]) == ["snapshot", "snapshot"]
    (feed,) = eventually(lambda: envoy.logged(f"{path}/feed"), "the WebSocket's end is logged")
    assert feed["protocol"] == "HTTP/2"
