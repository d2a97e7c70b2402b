"""JetStream streams that are there already grow with the settings, and never shrink with them.

A server that is given a smaller limit deletes down to it at once, also where the stream is to refuse what is too much
(nats-server's issue 2589): whoever wants less must do it by hand, and know what it costs.
"""

from nats.js import JetStreamContext
from nats.js.api import StreamInfo

from livecomments.telemetry import log


async def find_enlarged(js: JetStreamContext, name: str, *, replicas: int, max_bytes: int = -1) -> StreamInfo:
    """The stream of this name, with at least so many copies and so much room; -1 leaves its room as it is.

    What it holds stays, and it goes on taking messages meanwhile. Raises as nats-py's ``stream_info`` and
    ``update_stream``.
    """
    info = await js.stream_info(name)
    config = info.config
    copies, room = config.num_replicas or 1, config.max_bytes or -1
    wanted = {
        **({"num_replicas": replicas} if replicas > copies else {}),
        **({"max_bytes": max_bytes} if 0 < room < max_bytes else {}),
    }
    if not wanted:
        return info
    log().warning("enlarging a JetStream stream", stream=name, before=[copies, room], **wanted)
    return await js.update_stream(config.evolve(**wanted))
