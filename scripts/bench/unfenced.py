"""What the log itself takes, one comment a message: published by one client, many at once, without a fence.

No core stands between: nothing is checked, nothing is counted, nothing is said of the order. It shows what group commit
gains over mere concurrency. The client has the first core for itself, as core has in the other parts.
"""

import asyncio
import os
import time
from argparse import Namespace
from itertools import count

import machine
import nats
import rounds
import uvloop
from answers import Answers
from comments import text
from house import LOG, House
from raising import told

from livecomments.log import open_log
from livecomments.v1.comment_pb2 import Comment, CommentPosted, Event, EventBatch

_AT_ONCE = 256
_TEXT_SIZE = 75


def measure(options: Namespace) -> rounds.Round:
    """One round: as many as it takes, in a closed loop."""
    with House("client", {}) as house:
        first, last = machine.cores()
        os.sched_setaffinity(0, {first})
        try:
            cpu_s = house.cpu_seconds()[LOG]
            answers = uvloop.run(_publish(house, options.seconds))
            cpu_s = house.cpu_seconds()[LOG] - cpu_s
        finally:
            os.sched_setaffinity(0, {last})
    row = f"one comment a message, unfenced, {_AT_ONCE} at once"
    yield row, {**told(answers), "comments a batch": 1, f"{LOG} busy": cpu_s / answers.seconds}


async def _publish(house: House, seconds: float) -> Answers:
    client = await nats.connect(house.nats_url)
    js = client.jetstream()
    subject = (await open_log(js, house.settings())).shard_of("unfenced").subject("unfenced")
    numbers, late_ms = count(), list[float]()
    began = time.perf_counter()

    async def publish() -> None:
        while time.perf_counter() - began < seconds:
            due = time.perf_counter()
            await js.publish(subject, _message(next(numbers)), timeout=10)
            late_ms.append((time.perf_counter() - due) * 1000)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(_AT_ONCE):
            tasks.create_task(publish())
    took_s = time.perf_counter() - began
    await client.close()
    return Answers(len(late_ms), took_s, sorted(late_ms))


def _message(number: int) -> bytes:
    author = f"viewer-{number}"
    comment = Comment(
        comment_id=f"{number:036x}",
        stream_id="unfenced",
        author_id=author,
        author_name=author,
        text=text((number, 0), _TEXT_SIZE),
        posted_at_ms=number,
    )
    posted = CommentPosted(comment=comment, request_digest=number)
    return EventBatch(events=[Event(posted=posted)]).SerializeToString()
