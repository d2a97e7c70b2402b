"""What fanout tells Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

topics = Gauge("livecomments_fanout_topics", "Topics that are open.")
relays = Gauge("livecomments_fanout_relays", "Edges that are connected.")
degraded = Gauge("livecomments_fanout_degraded", "1 while the log, or the fanout above this one, is out of reach.")
upstream_breaks_total = Counter(
    "livecomments_fanout_upstream_breaks_total", "Times that the stream from the fanout above this one was lost."
)
watchers = Gauge("livecomments_fanout_watchers", "Watch calls that are open.")
windows_total = Counter("livecomments_fanout_windows_total", "Windows that were sent, over all topics.")
events_total = Counter("livecomments_fanout_events_total", "Events in those windows.")
feed_lag_seconds = Histogram(
    "livecomments_fanout_feed_lag_seconds",
    "From the acceptance of a window's first comment until the window leaves.",
    buckets=(0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
gaps_total = Counter("livecomments_fanout_gaps_total", "Times that a live message showed that some were missing.")
dropped_total = Counter(
    "livecomments_fanout_dropped_total",
    "Live messages that came and were dropped, because too many waited for this process.",
)
repaired_total = Counter(
    "livecomments_fanout_repaired_total",
    "Messages that did not come over the live subscription, by where they were found: "
    "replica or leader, after a gap; probe, when a quiet topic asked.",
    ["kind"],
)
snapshots_total = Counter(
    "livecomments_fanout_snapshots_total",
    "Snapshots: fresh, recovered (a resume that succeeded), lost (one that did not), overflow (for a slow edge), "
    "hole (what the fanout above could not give any more).",
    ["kind"],
)
snapshot_seconds = Histogram(
    "livecomments_fanout_snapshot_seconds",
    "Time to make the fresh snapshot of an open topic, from memory.",
    buckets=(0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.1, 1),
)
backfills_total = Counter("livecomments_fanout_backfills_total", "Ranges of the log that were asked for.", ["outcome"])
backfills_from_memory_total = Counter(
    "livecomments_fanout_backfills_from_memory_total", "Ranges that were answered from memory."
)
histories_without_storage_total = Counter(
    "livecomments_fanout_histories_without_storage_total", "Topics that began without the store's comments."
)
overloaded_watchers_total = Counter(
    "livecomments_fanout_overloaded_watchers_total", "Watch calls that ended because their client was too slow."
)
