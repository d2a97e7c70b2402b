"""What reads are to reach, and where the figures for it stand."""

from goals import Goal, Subject, at_most


def _p99(what: str, row: str) -> Goal:
    """In CQL, beside SQLite."""
    return at_most(f"{what}: p99 ms", 20, (f"cql: {row}", "p99 ms"), {"SQLite": (f"sqlite: {row}", "p99 ms")})


READS = Subject(
    "reads",
    "Seeks in a replay, measured",
    (
        _p99("a seek at any moment of 1,000,000 comments, from the store over CQL", "Store.window, 1 reader"),
        _p99("the same, one now and then, when nothing is known of the stream", "Store.window, rare"),
        _p99("the same through ListComments", "ListComments, 1 reader"),
        _p99("the same, 4 readers without a pause", "ListComments, 4 readers"),
        _p99("the same, 16 readers without a pause", "ListComments, 16 readers"),
        _p99("the first seeks after the database was started, its files not in memory", "Store.window, cold"),
    ),
    ("SQLite",),
)
