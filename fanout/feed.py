"""What the calls of this process share."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from fanout.calls import OpenCalls
from fanout.presence import LocalViewers
from fanout.ranges import Ranges
from fanout.resume import Resumer
from fanout.settings import FanoutSettings
from fanout.topics import Topics
from livecomments.v1.comment_pb2 import Stream

Find = Callable[[str], Awaitable[Stream | None]]
"""What is known of a stream before its topic is opened; raises Refusal(STREAM_NOT_FOUND). None: ask the topic."""


@dataclass(frozen=True)
class Feed:
    """The parts of a running fanout."""

    settings: FanoutSettings
    find: Find
    topics: Topics
    resumer: Resumer
    ranges: Ranges
    viewers: LocalViewers
    calls: OpenCalls
