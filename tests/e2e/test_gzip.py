"""The compressed feed, read by curl and by a viewer that joins late."""

import subprocess
import threading
import time
import zlib

import httpx

from tests.system import System


def read_feed(system: System, stream: str, opened: threading.Event, result: list[bytes]) -> None:
    with httpx.Client(trust_env=False, timeout=20) as client:
        url = f"{system.url}/v1/streams/{stream}/comments/subscribe"
        with client.stream("GET", url, headers={"Accept-Encoding": "gzip"}) as response:
            assert response.headers["content-encoding"] == "gzip"
            reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
            for part in response.iter_raw():
                result.append(reader.decompress(part))
                opened.set()


def test_a_compressed_feed_is_read_to_its_end_wherever_one_joins(system: System) -> None:
    stream = system.create_stream()
    results: list[list[bytes]] = [[], [], []]
    threads = []
    for number, result in enumerate(results):
        opened = threading.Event()
        thread = threading.Thread(target=read_feed, args=(system, stream, opened, result))
        thread.start()
        threads.append(thread)
        assert opened.wait(10)
        system.post(stream, f"comment {number}")
    system.end_stream(stream)
    for thread in threads:
        thread.join(15)
        assert not thread.is_alive(), "the end of the feed is an end for the reader"
    for result in results:
        text = b"".join(result).decode()
        assert [text.count(f'"text":"comment {number}"') for number in range(3)] == [1, 1, 1]
        assert "event: stream_ended" in text


def test_curl_takes_a_compressed_feed_and_its_end(system: System) -> None:
    stream = system.create_stream()
    system.post(stream, "for curl")
    url = f"{system.url}/v1/streams/{stream}/comments/subscribe"
    curl = subprocess.Popen(["curl", "-sSN", "--compressed", "--max-time", "20", url], stdout=subprocess.PIPE)
    assert curl.stdout is not None
    text = b""
    deadline = time.monotonic() + 10
    while b"for curl" not in text and time.monotonic() < deadline:
        text += curl.stdout.readline()
    system.post(stream, "live for curl")
    system.end_stream(stream)
    rest, _ = curl.communicate(timeout=15)
    assert curl.returncode == 0
    assert b"live for curl" in text + rest
    assert b"stream_ended" in text + rest
