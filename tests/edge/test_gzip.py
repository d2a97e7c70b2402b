"""One compressed stream for all: readable from any part on, by anyone."""

import random
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.encodings.gzip import GZIP, takes_gzip
from edge.encodings.sse import SSE
from edge.events import FeedEvent

events = st.lists(st.builds(FeedEvent, st.just(b"new_comment"), st.binary(max_size=300), st.just(b"ab-1")), max_size=3)


@given(st.lists(events, min_size=1, max_size=6), st.data())
def test_a_viewer_that_joins_at_any_part_reads_all_from_there(
    windows: list[list[FeedEvent]], data: st.DataObject
) -> None:
    parts = [GZIP.events(window) for window in windows]
    joined = data.draw(st.integers(0, len(windows)))
    stream = GZIP.begin(700) + b"".join(parts[joined:]) + GZIP.heartbeat + GZIP.farewell(900)
    plain = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(stream)
    expected = [SSE.begin(700), *map(SSE.events, windows[joined:]), SSE.heartbeat, SSE.farewell(900)]
    assert plain == b"".join(expected)


def test_each_part_can_be_shown_as_soon_as_it_has_come() -> None:
    reader = zlib.decompressobj(zlib.MAX_WBITS | 16)
    assert reader.decompress(GZIP.begin(700)) == SSE.begin(700)
    for number in range(3):
        window = [FeedEvent(b"new_comment", b"[%d]" % number, b"ab-1")]
        assert reader.decompress(GZIP.events(window)) == SSE.events(window)


def test_comments_take_much_less_room() -> None:
    words = ["goal", "what", "amazing", "never", "seen", "anything", "like", "that", "replay", "please"]
    picked = random.Random(1)
    text = b",".join(
        b'{"comment_id":"0192f%027x","author_name":"viewer %d","text":"%b"}'
        % (picked.getrandbits(100), number, " ".join(picked.choices(words, k=8)).encode())
        for number in range(50)
    )
    window = [FeedEvent(b"new_comment", text, b"ab-1")]
    assert len(GZIP.events(window)) * 2 < len(SSE.events(window))


@pytest.mark.parametrize(
    ("header", "takes"),
    [
        ("gzip", True),
        ("deflate, GZIP;q=0.5, br", True),
        ("gzip;q=0", False),
        ("gzip; q=0.0", False),
        ("identity", False),
        ("", False),
        (None, False),
    ],
)
def test_only_who_asks_for_gzip_gets_it(header: str | None, takes: bool) -> None:
    assert takes_gzip(header) is takes
