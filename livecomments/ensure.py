"""What JetStream must hold before a service can work: found, or made by whichever service comes first.

A cluster that has just come up answers nothing until its servers have elected a leader, and may not know yet that it
has enough of them. What another service is making at the same time is in use before it is found.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from nats.errors import Error as NatsError
from nats.js.errors import APIError, NotFoundError

from livecomments.settings import SettingsError
from livecomments.telemetry import log

T = TypeVar("T")

PATIENCE_S = 30.0
"""An election takes up to 9 s, and a second one may be needed."""
_TRY_S = 2.0
_LOG_AFTER_S = 3.0
# nats-server's server/errors.json.
_NAME_IN_USE = 10058
_NO_PEERS = 10005
_NO_CLUSTER = 10074


async def ensure(what: str, find: Callable[[], Awaitable[T]], make: Callable[[], Awaitable[T]]) -> T:
    """What ``find`` gives; where that raises NotFoundError, what ``make`` gives. ``what`` names it in the log.

    Tries for PATIENCE_S, then raises the last error of nats, or TimeoutError. Raises SettingsError where there shall be
    several copies and there is but one server. Cancelled, it may have been made.
    """
    clock = asyncio.get_running_loop().time
    began = clock()
    while True:
        try:
            async with asyncio.timeout(_TRY_S):
                try:
                    return await find()
                except NotFoundError:
                    return await make()
        except (NatsError, TimeoutError) as error:
            code = error.err_code if isinstance(error, APIError) else None
            if code == _NO_CLUSTER:
                raise SettingsError(
                    f"setting LIVECOMMENTS_LOG_REPLICAS: {what}: several copies need a cluster of nats-servers"
                ) from error
            if clock() - began > PATIENCE_S or not _may_pass(error):
                raise
            if clock() - began > _LOG_AFTER_S:
                log().warning("waiting for JetStream", what=what, error=str(error) or repr(error))
        await asyncio.sleep(random.uniform(0.05, 0.2))


def _may_pass(error: Exception) -> bool:
    if not isinstance(error, APIError) or error.code is None:
        return True  # no answer, or nobody there to answer
    return error.code == 503 or error.err_code in (_NAME_IN_USE, _NO_PEERS)
