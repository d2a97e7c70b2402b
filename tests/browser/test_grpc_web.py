"""What Chromium makes of a gRPC-web feed in its text form: each frame can be read as it comes."""

import re
from base64 import b64encode

from playwright.sync_api import Page, expect

from livecomments.v1.feed_service_pb2 import WatchRequest, WatchResponse
from tests.browser.conftest import Visitors
from tests.grpc_web import TEXT, WATCH, framed, from_text, read_trailers, split_frames
from tests.processes import eventually
from tests.system import System

CALL = """async ([path, type, body]) => {
  const response = await fetch(path, { method: "POST", headers: { "Content-Type": type, "X-Grpc-Web": "1" }, body });
  window.feed = { status: response.status, type: response.headers.get("content-type"), text: "", ended: false };
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  (async () => {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      window.feed.text += value;
    }
    window.feed.ended = true;
  })();
}"""


def frames_of(page: Page) -> list[tuple[int, bytes]]:
    """Those that the page has read whole so far."""
    return split_frames(from_text(page.evaluate("() => window.feed.text").encode())[0])[0]


def texts(found: list[tuple[int, bytes]]) -> list[str]:
    responses = [WatchResponse.FromString(content) for flags, content in found if flags == 0]
    return [
        event.posted.comment.text
        for response in responses
        for message in response.batch.messages
        for event in message.events.events
        if event.HasField("posted")
    ]


def test_a_page_reads_each_frame_as_it_comes_and_the_trailers_at_the_end(system: System, visitors: Visitors) -> None:
    stream_id = system.create_stream()
    page = visitors.page()
    page.goto(f"{system.url}/watch/{stream_id}")
    expect(page.locator("#connection")).to_have_text("Live")
    body = b64encode(framed(WatchRequest(stream_id=stream_id))).decode()
    page.evaluate(CALL, [WATCH, TEXT, body])
    expected: list[str] = []
    for number in range(6):
        # Of many lengths, so that every padding comes.
        expected.append("x" * (number + 1))
        system.post(stream_id, expected[-1])
        # Before the next is posted: nothing waits for what follows it.
        eventually(lambda: texts(frames_of(page)) == expected, "the page has read it")
    system.end_stream(stream_id)
    page.wait_for_function("() => window.feed.ended")
    assert page.evaluate("() => [window.feed.status, window.feed.type]") == [200, f"{TEXT}+proto"]
    *messages, (flags, trailers) = frames_of(page)
    assert flags == 0x80
    assert read_trailers(trailers).status == 0
    assert texts(messages) == expected
    paddings = set(re.findall("[^=](=*)(?=[^=]|$)", page.evaluate("() => window.feed.text")))
    assert paddings >= {"", "=", "=="}
