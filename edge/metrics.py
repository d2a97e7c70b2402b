"""What the edge counts."""

import trio
from prometheus_client import Counter, Gauge, Histogram

_LATENCY_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)

connections = Gauge("livecomments_edge_connections", "Viewers that are connected")
sessions = Gauge("livecomments_edge_sessions", "Connections that may watch many streams")
ordinary_viewers = Gauge("livecomments_edge_ordinary_viewers", "Viewers that Hypercorn serves: TLS and HTTP/2")
tasks = Gauge("livecomments_edge_tasks", "Tasks in the event loop; a viewer that is a descriptor has none")
passed_on = Counter("livecomments_edge_passed_on_total", "Calls passed on to another process of this edge")
topics = Gauge("livecomments_edge_topics", "Streams that are watched here")
deliveries = Counter("livecomments_edge_deliveries_total", "Comments handed to viewers (comments x viewers)")
omitted = Counter("livecomments_edge_omitted_total", "Comments left out of samples (comments x viewers)")
joins = Counter("livecomments_edge_joins_total", "Subscribes answered", ["outcome"])
dropped_viewers = Counter("livecomments_edge_viewers_behind_total", "Viewers closed because they could not keep up")
departures = Counter("livecomments_edge_departures_total", "Viewers sent away for their age or token", ["why"])
bad_sockets = Counter(
    "livecomments_edge_bad_sockets_total", "WebSockets closed for what they sent, by close code", ["code"]
)
posts = Counter("livecomments_edge_posts_total", "Posts answered", ["outcome"])
post_seconds = Histogram("livecomments_edge_post_seconds", "From a post's arrival to its answer", buckets=_LATENCY_S)
feed_lag_seconds = Histogram(
    "livecomments_edge_feed_lag_seconds", "From a comment's posted_at to its delivery here", buckets=_LATENCY_S
)
relay_breaks = Counter("livecomments_edge_relay_breaks_total", "Relay streams that ended and were dialled again")
round_seconds = Histogram("livecomments_edge_round_seconds", "One write to all viewers of a stream", buckets=_LATENCY_S)
accept_failures = Counter("livecomments_edge_accept_failures_total", "Connections that could not be accepted", ["why"])
handshakes = Counter("livecomments_edge_tls_handshakes_total", "TLS handshakes, by how they went", ["outcome"])
merged_reads = Counter("livecomments_edge_merged_reads_total", "Reads answered by an identical one under way")
backfills = Counter("livecomments_edge_backfills_total", "Ranges asked of fanout for resumes", ["outcome"])


async def count_tasks() -> None:
    """Keeps ``tasks`` up to date, until cancelled."""
    while True:
        tasks.set(trio.lowlevel.current_statistics().tasks_living)
        await trio.sleep(1)
