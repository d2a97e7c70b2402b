"""What ``livecomments up`` shows: rich on a terminal, plain lines elsewhere."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.markup import escape
from rich.status import Status

from livecomments.cli import demo
from livecomments.cli.house import Death
from livecomments.cli.logs import Line

_STYLES = {"warning": "yellow", "error": "red", "critical": "red"}
_SHOWN_AT_ONCE = 5


class Screen:
    """The terminal of a run that began at ``began`` (time.monotonic). Losing the terminal is no error."""

    def __init__(self, began: float) -> None:
        self._began = began
        self._out = Console(highlight=False, soft_wrap=True)
        self._err = Console(file=sys.stderr, highlight=False, soft_wrap=True)
        self._status: Status | None = None

    @contextmanager
    def progress(self) -> Iterator[None]:
        """One line that moves while the instance starts."""
        if not self._out.is_terminal:
            self._print("Starting nats-server, core, storage, fanout and edge …")
            yield
            return
        with self._out.status("Starting …") as self._status:
            yield
        self._status = None

    def waiting_for(self, names: list[str]) -> None:
        """What the progress line says."""
        if self._status is not None:
            self._status.update(f"Starting {', '.join(names) if names else 'the demo stream'} …")

    def ready(self, base_url: str, token: str, data_dir: str) -> None:
        stream = demo.STREAM_ID
        page = f"{stream}?video={demo.VIDEO}"
        self._print(f"[bold green]Ready[/] in {time.monotonic() - self._began:.1f} s. Ctrl-C stops it.\n")
        self._print(f"  [bold]Watch [/]  {base_url}/watch/{page}#token={token}")
        self._print(f"  [bold]Replay[/]  {base_url}/replay/{page}")
        self._print(f"  [bold]API   [/]  {base_url}/v1/streams/{stream}")
        self._print(f"  [bold]Logs  [/]  {escape(data_dir)}/logs\n")
        self._print("  Post as the host of the demo stream (the token is good for 24 hours):\n")
        self._print(f"  TOKEN={token}")
        self._print(
            f'  curl -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" '
            f"""-d '{{"text": "Hello"}}' {base_url}/v1/streams/{stream}/comments\n"""
        )

    def warnings(self, name: str, lines: list[Line]) -> None:
        """A child has said something that people should see; of a flood, the beginning."""
        for line in lines[:_SHOWN_AT_ONCE]:
            self._print(f"[{_STYLES.get(line.level, 'dim')}]{name} {line.level}[/]  {escape(line.text)}")
        if len(lines) > _SHOWN_AT_ONCE:
            self._print(f"[dim]{name}: {len(lines) - _SHOWN_AT_ONCE} more in its log[/]")

    def death(self, death: Death, log: str) -> None:
        """A child ended that should not have."""
        if death.exit_code == 2 and death.last_lines:
            self._complain(f"{death.name} could not start: {death.last_lines[-1]}")
            return
        self._complain(f"{death.name} ended unexpectedly ({death.how}); the end of {log}:")
        for line in death.last_lines:
            with suppress(OSError):
                self._err.print(f"  {escape(line)}")

    def failed(self, why: str) -> None:
        self._complain(why)

    def leaving(self) -> None:
        self._print("Stopping …")

    def left(self, killed: list[str]) -> None:
        if killed:
            self._print(f"[yellow]{', '.join(killed)} did not stop in time and had to be killed[/]")
        self._print("Stopped.")

    def _complain(self, text: str) -> None:
        with suppress(OSError):
            self._err.print(f"[bold red]livecomments:[/] {escape(text)}")

    def _print(self, text: str) -> None:
        with suppress(OSError):
            self._out.print(text)
