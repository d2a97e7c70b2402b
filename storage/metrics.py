"""What storage tells Prometheus."""

from prometheus_client import Counter, Gauge, Histogram

_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

ROWS = Counter("livecomments_storage_rows_written_total", "Comments that are new in the database.")
WRITE_SECONDS = Histogram(
    "livecomments_storage_write_seconds", "Time to write one batch, with retries.", buckets=_BUCKETS_S
)
BATCH_MESSAGES = Histogram(
    "livecomments_storage_batch_messages",
    "Log messages in one transaction.",
    buckets=(1, 2, 5, 10, 25, 50, 100, 250, 500),
)
WRITE_FAILURES = Counter(
    "livecomments_storage_write_failures_total", "Writes that the database refused; each is repeated."
)
LAG_MESSAGES = Gauge(
    "livecomments_storage_writer_lag_messages",
    "Log messages not yet written, looked up once a second and as the writer goes; each storage tells of all shards.",
    ["shard"],
)
LAG_SECONDS = Gauge(
    "livecomments_storage_writer_lag_seconds",
    "Age of the oldest log message that is not yet written; grows while the database is down.",
    ["shard"],
)
WRITING = Gauge(
    "livecomments_storage_writer_active", "1 where this storage writes the shard, 0 where another one does.", ["shard"]
)
STALLED = Gauge(
    "livecomments_storage_writer_stalled",
    "1 while the database takes nothing of the shard, or does not answer; the log keeps what it has.",
    ["shard"],
)
LOG_FILLED = Gauge(
    "livecomments_storage_log_filled_ratio", "Share of LOG_BYTES that a shard takes; at 1 posts are refused.", ["shard"]
)
DEAD_LETTERS_WAITING = Gauge(
    "livecomments_storage_dead_letters_waiting",
    "Dead letters in files of the data folder, as the stream DEADLETTER did not take them.",
)
DEAD_LETTERS = Counter(
    "livecomments_storage_dead_letters_total",
    "Log messages that can't be written: kept in the JetStream stream DEADLETTER, missing in history. Look at each.",
    ["shard"],
)
NEW_EPOCHS = Counter("livecomments_storage_new_epochs_total", "Shards whose log began a new life.", ["shard"])
TRIMMED = Counter(
    "livecomments_storage_trimmed_messages_total",
    "Log messages purged: written, and old or in the way.",
    ["shard"],
)
READS = Counter(
    "livecomments_storage_reads_total", "Calls of HistoryService by outcome (OK or a reason).", ["method", "outcome"]
)
READ_SECONDS = Histogram("livecomments_storage_read_seconds", "Time to answer a call.", ["method"], buckets=_BUCKETS_S)
STORE_READS = Counter(
    "livecomments_storage_store_reads_total", "Reads that the database was asked for, by the call.", ["method"]
)
COALESCED = Counter("livecomments_storage_coalesced_reads_total", "Calls that joined an identical read under way.")
