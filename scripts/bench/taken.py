"""What the processes of a house take for the comments of one run, and how these were gathered."""

from collections.abc import Callable

import machine
import rounds
from answers import Answers
from house import House

_BATCHES = "livecomments_core_batch_comments"


def measured(house: House, offer: Callable[[], Answers], load: int) -> tuple[Answers, rounds.Figures]:
    """The outcome of an offer; comments a batch, and for each process, and the load's of this id, how much of a core.

    "busy": 1 is a whole core; "µs": CPU time for each comment that was accepted.
    """
    pids = {**house.pids, "load": load}
    cpu_s = {name: machine.cpu_seconds([pid]) for name, pid in pids.items()}
    batches, comments = house.sample("core", f"{_BATCHES}_count"), house.sample("core", f"{_BATCHES}_sum")
    answers = offer()
    cpu_s = {name: machine.cpu_seconds([pid]) - cpu_s[name] for name, pid in pids.items()}
    batches = house.sample("core", f"{_BATCHES}_count") - batches
    comments = house.sample("core", f"{_BATCHES}_sum") - comments
    figures = {"comments a batch": comments / max(1.0, batches)}
    for name in cpu_s:
        figures[f"{name} busy"] = cpu_s[name] / answers.seconds
    for name in ("core", "edge"):
        if name in cpu_s:
            figures[f"{name} µs a comment"] = cpu_s[name] / max(1, answers.accepted) * 1e6
    return answers, figures
