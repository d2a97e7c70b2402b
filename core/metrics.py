"""What core counts."""

from prometheus_client import Counter, Gauge, Histogram

POSTS = Counter(
    "livecomments_core_posts",
    "Posts by outcome: COMMITTED, REPEATED (answered from the log), or the reason of the refusal",
    ["outcome"],
)
BATCH_COMMENTS = Histogram(
    "livecomments_core_batch_comments",
    "Comments committed as one message",
    buckets=(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000),
)
COMMIT_SECONDS = Histogram(
    "livecomments_core_commit_seconds",
    "From the publishing of a message until it was known to be stored",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10),
)
IN_DOUBT = Counter("livecomments_core_in_doubt", "Publishes that were not answered in time and had to be repeated")
FENCED = Counter("livecomments_core_fenced", "Appends refused because another core had appended before")
WAITING_POSTS = Gauge("livecomments_core_waiting_posts", "Posts without an answer yet")
COMMITTERS = Gauge("livecomments_core_committers", "Streams that this core has taken over")
TAKEOVER_SECONDS = Histogram(
    "livecomments_core_takeover_seconds",
    "How long taking a stream over took, by where its last two minutes were read: SUMMARIES, or the LOG itself",
    ["source"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 5, 10),
)
SUMMARIES_LOST = Counter("livecomments_core_summaries_lost", "Summaries of busy streams that could not be left")
