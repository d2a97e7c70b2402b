"""A child process, and its end."""

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

import trio

_LEASH = Path(__file__).with_name("leash.py")


class Child:
    """A child process: started and killed from the main thread, watched by one task that runs ``watch``.

    It has a session of its own, so that the terminal's Ctrl-C reaches nobody but us, and it can't outlive us.
    """

    def __init__(
        self,
        command: Sequence[str],
        env: Mapping[str, str],
        output: IO[bytes] | None = None,
        descriptors: Sequence[int] = (),
    ) -> None:
        """``output`` is where both of its streams go; None: where ours go. It inherits ``descriptors``."""
        leashed = [sys.executable, "-I", "-S", str(_LEASH), str(os.getpid()), *command]
        # Not trio's open_process: that starts it from a worker thread, whose end would end the child.
        self._popen = subprocess.Popen(
            leashed,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            pass_fds=descriptors,
        )
        self.pid = self._popen.pid
        self.ended = trio.Event()
        self.exit_code: int | None = None
        """Negative: the number of the signal that ended it."""

    async def watch(self) -> None:
        """Returns when the process has ended and is reaped; then ``exit_code`` is known and ``ended`` is set."""
        descriptor = os.pidfd_open(self.pid)
        try:
            await trio.lowlevel.wait_readable(descriptor)
        finally:
            os.close(descriptor)
        self.exit_code = self._popen.wait()
        self.ended.set()

    async def stop(self, deadline_s: float) -> bool:
        """SIGTERM, after the deadline SIGKILL; returns whether it ended by itself. ``watch`` must be running."""
        self._popen.send_signal(signal.SIGTERM)
        with trio.move_on_after(deadline_s):
            await self.ended.wait()
            return True
        self.kill()
        await self.ended.wait()
        return False

    def kill(self) -> None:
        """SIGKILL; does nothing to one that has ended."""
        self._popen.kill()

    def epitaph(self) -> str:
        """How it ended, in words."""
        if self.exit_code is not None and self.exit_code < 0:
            return f"killed by {signal.Signals(-self.exit_code).name}"
        return f"exit code {self.exit_code}"
