"""The whole system around our edge, with comments that come in as a viewer's do: posted over HTTP, and stored."""

import asyncio
import json

from comments import schedule, text
from ours import STREAM, Ours


class Whole(Ours):
    """As Ours, but ``publish()`` posts to the edge, and storage writes what was posted."""

    parts = ("core", "storage", "fanout")

    def __init__(self, window_ms: int) -> None:
        lifted = {"CORE_USER_RATE": "0", "EDGE_ADDRESS_RATE": "0"}
        super().__init__(settings={**lifted, "FANOUT_WINDOW_MS": str(window_ms)})

    async def _publish(self, rate: float, seconds: float, text_size: int) -> int:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        head = (
            f"POST /v1/streams/{STREAM}/comments HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {self.house.token('viewer')}\r\nContent-Length: "
        )
        before = self._published
        async for due in schedule(before + 1, rate, seconds):
            for one in due:
                body = json.dumps({"text": text(one, text_size)})
                writer.write(f"{head}{len(body)}\r\n\r\n{body}".encode())
                answer = (await reader.readuntil(b"\r\n\r\n")).lower()
                await reader.readexactly(int(answer.split(b"content-length:")[1].split(b"\r\n")[0]))
                if not answer.startswith(b"http/1.1 202"):
                    raise SystemExit(f"a post was refused: {answer.decode()}")
                self._published = one[0]
        writer.close()
        await writer.wait_closed()
        return self._published - before
