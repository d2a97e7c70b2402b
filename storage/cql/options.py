"""What of the schema is the operator's to choose."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Options:
    """What is said when a keyspace and its tables are made."""

    replicas: int
    """Copies of each row in the data centre, when the keyspace is made here."""
    keyspace: str
    """More for CREATE KEYSPACE, such as ``tablets = {'enabled': false}``; may be empty."""
    comments: str
    """What the table ``comments`` is altered to have, such as a compaction strategy."""


def compaction(retention_days: float | None) -> str:
    """Compaction by time: rows come in the order of time, leave together, and are never changed.

    About thirty windows within the retention, as is advised; without one, a window a month.
    """
    days = 30 if retention_days is None else max(1, round(retention_days / 30))
    return (
        "compaction = {'class': 'TimeWindowCompactionStrategy', "
        f"'compaction_window_unit': 'DAYS', 'compaction_window_size': {days}}}"
    )
