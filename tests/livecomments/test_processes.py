"""The processes of tests: none of them outlives its test."""

import subprocess
import sys
import threading
from pathlib import Path

from tests.processes import REPOSITORY, Process, eventually

# As a pytest that has a service: started by a thread that ends, as some tests do.
_TEST = """
import sys, threading
from pathlib import Path
from tests.processes import Process
service = Process("service", ["/bin/sleep", "600"], Path(sys.argv[1]))
starting = threading.Thread(target=service.start)
starting.start()
starting.join()
print(service.popen.pid, flush=True)
sys.stdin.read()
"""


def test_a_killed_test_leaves_no_service(tmp_path: Path) -> None:
    test = subprocess.Popen(
        [sys.executable, "-c", _TEST, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=REPOSITORY
    )
    with test:
        assert test.stdout is not None
        service = Path(f"/proc/{int(test.stdout.readline())}")
        eventually(lambda: b"sleep" in (service / "cmdline").read_bytes(), "it has become what it was to be")
        test.kill()
    eventually(lambda: not service.exists() or "State:\tZ" in (service / "status").read_text(), "it has gone, too")


def test_a_service_outlives_the_thread_that_asked_for_it(tmp_path: Path) -> None:
    service = Process("service", [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(600)"], tmp_path)
    starting = threading.Thread(target=service.start)
    starting.start()
    starting.join()
    try:
        eventually(
            lambda: service.alive() and service.output.read_bytes(), "it runs, with nobody left who asked for it"
        )
    finally:
        service.kill()
