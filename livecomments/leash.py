"""Starts a program that dies with its parent: ``python -I -S leash.py <parent's pid> <program> [argument…]``.

A program of its own, as nats-server can't do this for itself, and code between fork and exec is not safe in a process
that has threads. The kernel watches the *thread* that started the child: it must be one that lives as long as its
process, which is why Child starts children from the main thread.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def run(parent: int, command: list[str]) -> None:
    """Does not return, unless the program can't be started (OSError)."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        sys.exit("the parent has ended meanwhile")
    os.execvp(command[0], command)  # noqa: S606 (no shell is wanted)


if __name__ == "__main__":
    run(int(sys.argv[1]), sys.argv[2:])
