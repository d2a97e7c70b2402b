"""Viewers of many streams on one connection; to be used wherever a ``tests.viewers.Viewer`` is."""

import ssl
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from tests.viewers import Viewer


class SessionViewer(Viewer):
    """One ``/v1/events`` connection. It comes back as an EventSource does: to the address that it was opened by."""

    def __init__(
        self,
        url: str,
        streams: Iterable[str],
        *,
        token: str = "",
        cursor: str = "",
        query: str = "",
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.asked_for = "&".join([*(f"stream={quote(stream)}" for stream in streams), *([query] if query else [])])
        super().__init__(url, "", token=token, cursor=cursor, tls=tls)

    def connect(self) -> None:
        """Opens a new connection, with the last id as Last-Event-ID."""
        self.path = f"/v1/events?{self.asked_for}"
        super().connect()

    @property
    def session(self) -> str:
        """The id of the connection that is open."""
        return str(self._last_session()["session_id"])

    @property
    def streams(self) -> list[str]:
        """Those that the connection has now."""
        return list(self._last_session()["streams"])

    def _last_session(self) -> dict[str, Any]:
        return [event.data for event in self.events if event.name == "session"][-1]

    def told(self, stream: str) -> list[tuple[str, Any]]:
        """One stream's events so far, in order, without the numbers of viewers."""
        return [
            (event.name, event.data["data"])
            for event in self.events
            if event.name not in ("session", "viewers") and event.data["stream_id"] == stream
        ]

    def names(self, stream: str) -> list[str]:
        return [name for name, _ in self.told(stream)]

    def shown(self, stream: str) -> list[str]:
        """The texts of one stream's comments, snapshots' and live ones."""
        texts: list[str] = []
        for name, data in self.told(stream):
            if name in ("snapshot", "new_comment"):
                texts += [comment["text"] for comment in (data["comments"] if name == "snapshot" else data)]
        return texts
