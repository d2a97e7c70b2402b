"""A service under cProfile, by the CPU time of its thread and not by the clock: others may be at work, too.

    python profiled.py FILE SERVICE

FILE is written when the service ends; ``python -m pstats FILE`` reads it.
"""

import cProfile
import runpy
import sys
import time
from pathlib import Path


def main() -> None:
    """Runs the service, as ``python -m SERVICE`` does."""
    file, service = sys.argv[1:]
    sys.argv = [service]
    sys.path[0] = str(Path.cwd())
    profile = cProfile.Profile(time.thread_time)
    try:
        profile.runcall(runpy.run_module, service, run_name="__main__", alter_sys=True)
    finally:
        profile.dump_stats(file)


if __name__ == "__main__":
    main()
