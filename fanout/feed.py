"""What the calls of this process share."""

from dataclasses import dataclass

from fanout.calls import OpenCalls
from fanout.presence import Presence
from fanout.ranges import Ranges
from fanout.resume import Resumer
from fanout.settings import FanoutSettings
from fanout.topics import Topics


@dataclass(frozen=True)
class Feed:
    """The parts of a running fanout."""

    settings: FanoutSettings
    topics: Topics
    resumer: Resumer
    ranges: Ranges
    presence: Presence
    calls: OpenCalls
