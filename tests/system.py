"""The whole system for tests: nats-server, cores, storages, fanouts and one edge, each a real process."""

import json
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import httpx

from livecomments.local import make_secrets
from livecomments.settings import Settings
from tests.cluster import NatsCluster
from tests.processes import PATIENCE_S, NatsServer, Service, eventually
from tests.viewers import Viewer


def ready(system: "System", edge: Service) -> str:
    """The address of one more edge, once it may be sent requests."""
    url = f"http://{edge.address}"
    eventually(lambda: system.client.get(f"{url}/readyz").status_code == 200, "the edge is ready")
    return url


class NotNow(AssertionError):
    """An answer was 503."""


class System:
    """Starts on entering, ends on leaving. Each part keeps its port and its data over kill() and start()."""

    def __init__(
        self,
        data_dir: Path,
        cluster: NatsCluster | None = None,
        nats: NatsServer | None = None,
        *,
        cores: int = 1,
        fanouts: int = 1,
        storages: int = 1,
        **settings: str,
    ) -> None:
        """``cluster``: nats-servers that run already. ``nats``: a server of its own that is not the usual one."""
        make_secrets(data_dir)
        self._count = {"core": cores, "fanout": fanouts, "storage": storages}
        self.data_dir = data_dir
        # Nothing is left out: tests post faster than one can read. All read the same clock.
        quick = {
            "drain_s": "1",
            "edge_drain_s": "0.2",
            "edge_max_comments_per_second": "0",
            "edge_jwt_leeway_s": "0",
        }
        self._settings = {**quick, **settings}
        self._key = Settings(data_dir=data_dir).token_key()
        self._open = ExitStack()
        self.nats = nats or NatsServer(data_dir)
        self._cluster = cluster
        self.client = httpx.Client(timeout=PATIENCE_S, trust_env=False)

    def __enter__(self) -> Self:
        with ExitStack() as opening:
            opening.enter_context(self.client)
            if self._cluster is None:
                opening.enter_context(self.nats)
            self._settings["nats_url"] = (self._cluster or self.nats).url
            self.storages = self._several("storage", opening)
            self.cores = self._several("core", opening)
            self.fanouts = self._several("fanout", opening)
            self.edge = opening.enter_context(self.service("edge"))
            self.ready()
            self._open = opening.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def _several(self, name: str, opening: ExitStack) -> list[Service]:
        """Starts as many of a kind as there shall be; those that come later know them."""
        instances = ["", *(f"-{number}" for number in range(2, self._count[name] + 1))]
        services = [opening.enter_context(self.service(name, instance)) for instance in instances]
        self._settings[f"{name}_urls"] = ",".join(service.address for service in services)
        return services

    @property
    def core(self) -> Service:
        """The only one, or the first."""
        return self.cores[0]

    @property
    def fanout(self) -> Service:
        """The only one, or the first."""
        return self.fanouts[0]

    @property
    def storage(self) -> Service:
        """The only one, or the first."""
        return self.storages[0]

    def service(self, name: str, instance: str = "", **settings: str) -> Service:
        """One more process of a kind; enter it to start it."""
        return Service(name, self.data_dir, instance, **{**self._settings, **settings})

    @property
    def url(self) -> str:
        return f"http://{self.edge.address}"

    def ready(self) -> None:
        """Waits until the edge may be sent requests, and posts and feeds are reachable again after a kill."""
        eventually(lambda: self._status("/readyz") == 200, "the edge is ready")

    def _status(self, path: str) -> int:
        try:
            return self.client.get(self.url + path).status_code
        except httpx.TransportError:
            return 0

    def token(
        self, user: str, *, name: str = "", role: str = "viewer", ttl_s: float = 3600, streams: tuple[str, ...] = ()
    ) -> str:
        return self._key.issue(user, name=name, role=role, ttl_s=ttl_s, streams=streams)

    def request(
        self, method: str, path: str, body: object = None, *, token: str = "", headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """One request to the edge's API; ``path`` begins with ``/``."""
        all_headers = {**(headers or {}), **({"Authorization": f"Bearer {token}"} if token else {})}
        content = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        return self.client.request(method, self.url + path, content=content, headers=all_headers)

    def create_stream(self, stream_id: str = "", *, host: str = "host", **fields: Any) -> str:
        """A new stream of a host; returns its id."""
        stream_id = stream_id or f"s-{uuid.uuid4().hex[:12]}"
        body = {"title": "A test", "stream_id": stream_id, **fields}
        token = self.token(host, role="host")
        answer = eventually(
            lambda: _unless_503(self.request("POST", "/v1/streams", body, token=token)), f"{stream_id} can be created"
        )
        assert answer.status_code == 201, answer.text
        return stream_id

    def try_post(
        self, stream_id: str, text: str, *, user: str = "ann", token: str = "", key: str = "", **fields: Any
    ) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        token = token or self.token(user)
        return self.request(
            "POST", f"/v1/streams/{stream_id}/comments", {"text": text, **fields}, token=token, headers=headers
        )

    def post(self, stream_id: str, text: str, *, user: str = "ann", key: str = "", **fields: Any) -> dict[str, Any]:
        """Posts as a good client does, and returns the answer: repeats with the same key while it is 503, which a
        machine with much else to do may bring. Fails for any answer but 202.
        """
        key = key or uuid.uuid4().hex

        answer = eventually(
            lambda: _unless_503(self.try_post(stream_id, text, user=user, key=key, **fields)), f"{text!r} is accepted"
        )
        assert answer.status_code == 202, answer.text
        posted: dict[str, Any] = answer.json()
        return posted

    def post_until_accepted(self, stream_id: str, text: str, **fields: Any) -> dict[str, Any]:
        """The same where connections break meanwhile, too."""
        fields.setdefault("key", uuid.uuid4().hex)

        def once() -> dict[str, Any] | None:
            try:
                return self.post(stream_id, text, **fields)
            except httpx.TransportError:
                return None

        return eventually(once, f"{text!r} is accepted")

    def end_stream(self, stream_id: str, *, host: str = "host") -> None:
        answer = self.request("POST", f"/v1/streams/{stream_id}/end", token=self.token(host, role="host"))
        assert answer.status_code == 200, answer.text

    def watch(self, stream_id: str, *, token: str = "", cursor: str = "", query: str = "") -> Viewer:
        """A viewer that has its snapshot."""
        viewer = Viewer(self.url, stream_id, token=token, cursor=cursor, query=query)
        viewer.until(lambda v: v.events or (v.status and v.status != 200), "the first event")
        return viewer

    def replay(
        self, stream_id: str, *, start: float = 0, duration: float = 3600, limit: int = 200, token: str = ""
    ) -> list[dict[str, Any]]:
        """All comments of a window, read page by page; raises NotNow for a 503."""
        comments: list[dict[str, Any]] = []
        page_token = ""
        while True:
            query = f"?start_time={start}&duration={duration}&limit={limit}"
            query += f"&pagination_token={page_token}" if page_token else ""
            answer = self.request("GET", f"/v1/streams/{stream_id}/comments{query}", token=token)
            if answer.status_code == 503:
                raise NotNow(answer.text)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            comments += page["comments"]
            page_token = page.get("next_pagination_token", "")
            if not page_token:
                return comments

    def stored(
        self, stream_id: str, is_enough: Callable[[list[dict[str, Any]]], object], timeout_s: float = PATIENCE_S
    ) -> list[dict[str, Any]]:
        """The replay, once the writer has brought what is waited for."""
        deadline = time.monotonic() + timeout_s
        seen = "nothing"
        while True:
            try:
                comments = self.replay(stream_id)
            except NotNow as refusal:
                seen = str(refusal)
            else:
                if is_enough(comments):
                    return comments
                seen = f"{len(comments)} comments"
            assert time.monotonic() < deadline, f"within {timeout_s} s not stored; last seen: {seen}"
            time.sleep(0.02)


def _unless_503(answer: httpx.Response) -> httpx.Response | None:
    """A machine that is busy with other tests may be too slow for once."""
    return answer if answer.status_code != 503 else None
