"""Has the log written once more, for a database that came back without its last rows: ``python -m storage.rewind``."""

import argparse
import asyncio
import contextlib
import sys
from datetime import UTC, datetime, timedelta

from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.errors import NotFoundError

from livecomments.backoff import Backoff
from livecomments.log import connect, epoch_of, shard_name
from livecomments.settings import SettingsError, load
from livecomments.telemetry import configure_logging
from storage.databases import open_store
from storage.pull import CONSUMER
from storage.settings import StorageSettings
from storage.store import Store, StoreUnavailable
from storage.trim import first_since

_BUSY_S = 30.0
"""How long a database that the writer keeps busy is asked again."""


async def rewind(js: JetStreamContext, store: Store, shard: int, after_seq: int = 0) -> None:
    """Has the log behind ``after_seq`` written once more, for a database that came back without some of its rows.

    A writer that runs meanwhile notices by itself: its consumer is gone, and its next batch is out of step. Raises
    StoreUnavailable when the database is busy for too long, and nats errors.
    """
    backoff = Backoff()
    try:
        async with asyncio.timeout(_BUSY_S):
            while True:
                try:
                    await store.rewind(shard, after_seq)
                    break
                except StoreUnavailable:
                    await asyncio.sleep(backoff.next_s())
    except TimeoutError as error:
        raise StoreUnavailable("the database does not take the new position") from error
    with contextlib.suppress(NotFoundError):
        await js.delete_consumer(shard_name(shard), CONSUMER)


async def rewind_to(js: JetStreamContext, store: Store, shard: int, target: int | timedelta) -> str:
    """Rewinds a shard to behind a sequence, or to what was stored so long ago, and says what that means. Raises
    StoreUnavailable and nats errors.
    """
    stream = shard_name(shard)
    try:
        info = await js.stream_info(stream)
    except NotFoundError:
        return f"shard {shard}: there is no such shard in the log"
    position = await store.position(shard)
    if position is None or position.epoch != epoch_of(info):
        return f"shard {shard}: nothing of this log was ever written; the writer begins with its first message"
    if isinstance(target, timedelta):
        after_seq = await first_since(js, stream, datetime.now(UTC) - target) - 1
    else:
        after_seq = target
    if after_seq >= position.seq:
        return f"shard {shard}: stays at {position.seq}: a rewind never goes forward"
    await rewind(js, store, shard, after_seq)
    first_seq = max(after_seq + 1, info.state.first_seq)
    count = max(0, position.seq - first_seq + 1)
    said = f"shard {shard}: was written through {position.seq}; is written again from {first_seq} on: {count} messages"
    if info.state.first_seq > after_seq + 1:
        said += f" (the log begins at {info.state.first_seq})"
    return said


async def _main(arguments: argparse.Namespace, settings: StorageSettings) -> None:
    target = 0 if arguments.after is None else arguments.after
    if arguments.hours is not None:
        target = timedelta(hours=arguments.hours)
    shards = range(settings.log_shards) if arguments.shard is None else [arguments.shard]
    async with open_store(settings) as store, connect(settings, "rewind") as client:
        for shard in shards:
            print(await rewind_to(client.jetstream(), store, shard, target), flush=True)


def main() -> None:
    """The command; ends with 0, 2 for a bad setting or option, 1 when something does not answer."""
    parser = argparse.ArgumentParser(prog="livecomments storage rewind", description=__doc__)
    parser.add_argument("--shard", type=int)
    to = parser.add_mutually_exclusive_group()
    to.add_argument("--after", type=int)
    to.add_argument("--hours", type=float)
    arguments = parser.parse_args()
    settings = load(StorageSettings)
    # What it has to say goes to stdout; a lost connection ends it with an error of its own.
    configure_logging("rewind", settings.model_copy(update={"log_level": "error"}))
    try:
        asyncio.run(_main(arguments, settings))
    except SettingsError as error:
        print(error, file=sys.stderr)
        sys.exit(2)
    except (NatsError, OSError, TimeoutError, StoreUnavailable) as error:
        print(f"rewind: {error!r}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
