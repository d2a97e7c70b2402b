"""Says how fast this Python is and where: ``<µs> <path>``, one line; fails where it is too old for us.

One Python is not as fast as the other, also of one version: compiled without profile-guided optimisation, as pyenv does
unless it is told otherwise, it takes a third more CPU for all that we do. The µs are for objects, calls, strings and
dictionaries, which is what a comment is made of on its way; the best of several runs, in CPU time, so that neighbours
count little.
"""

import os
import sys
import time

_RUNS = 7


class _Comment:
    def __init__(self, author: str, number: int) -> None:
        self.author = author
        self.number = number

    def key(self) -> str:
        return f"{self.author}:{self.number}"


def _work() -> int:
    kept: dict[str, _Comment] = {}
    for number in range(20_000):
        comment = _Comment("viewer", number)
        kept[comment.key()] = comment
        if comment.number % 3 == 0:
            kept.pop(comment.key(), None)
    return len(kept)


def _cpu_us() -> int:
    began = time.process_time_ns()
    _work()
    return (time.process_time_ns() - began) // 1000


if __name__ == "__main__":
    if sys.version_info < (3, 11):  # noqa: UP036 (whatever is called python3 runs this)
        sys.exit("Python 3.11 or newer is needed")
    # A virtual environment's is the one that it was made from.
    print(min(_cpu_us() for _ in range(_RUNS)), os.path.realpath(sys.executable))
