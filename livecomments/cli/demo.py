"""The stream that a fresh instance greets with, made through the same door as everyone's."""

import http.client
import json

from livecomments.cli import CommandError

STREAM_ID = "demo"
HOST_ID = "host"
VIDEO = "/static/clip/clock.webm"
"""What the pages show beside its comments: a clock that runs."""
_TIMEOUT_S = 5.0


def is_ready(address: str) -> bool:
    """The edge at ``host:port`` answers ``/readyz`` with 200. Blocks, as all here."""
    try:
        return _status(address, "GET", "/readyz") == 200
    except (OSError, http.client.HTTPException):
        return False


def ensure_stream(address: str, token: str) -> None:
    """Makes the demo stream where it is missing; an ended one is left as it is. Raises CommandError."""
    body = json.dumps({"stream_id": STREAM_ID, "title": "Demo"})
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    try:
        status = _status(address, "GET", f"/v1/streams/{STREAM_ID}")
        if status == 404:
            status = _status(address, "POST", "/v1/streams", body, headers)
    except (OSError, http.client.HTTPException) as error:
        raise CommandError(f"the demo stream could not be made: {error!r}") from error
    if status not in (200, 201):
        raise CommandError(f"the demo stream could not be made: HTTP {status}")


# Not urllib: that would ask a proxy of the environment for a loopback address.
def _status(address: str, method: str, path: str, body: str = "", headers: dict[str, str] | None = None) -> int:
    connection = http.client.HTTPConnection(address, timeout=_TIMEOUT_S)
    try:
        connection.request(method, path, body or None, headers or {})
        return connection.getresponse().status
    finally:
        connection.close()
