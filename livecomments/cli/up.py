"""``livecomments up``: the whole system on this machine, in one terminal."""

import errno
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from pathlib import Path

import trio

from livecomments.cli import CommandError, demo
from livecomments.cli.environment import check_services, check_settings
from livecomments.cli.house import NATS, Death, House
from livecomments.cli.instance import Instance, forget, hold
from livecomments.cli.logs import parse
from livecomments.cli.screen import Screen
from livecomments.local import make_secrets
from livecomments.settings import Settings, SettingsError

START_S = 60.0
"""A start that takes longer has failed."""
TOKEN_S = 24 * 3600.0
_READY_POLL_S = 0.05
_LOG_POLL_S = 0.25


def up(port: int, data_dir: Path) -> int:
    """Runs an instance until it is told to stop; returns the exit code. Raises CommandError when it can't start."""
    began = time.monotonic()
    check_services()
    check_settings(os.environ)
    check_port(port)
    with hold(data_dir):
        token = _prepare(data_dir)
        try:
            return trio.run(_Run(port, data_dir, token, Screen(began)).main, strict_exception_groups=True)
        finally:
            forget(data_dir)


def _prepare(data_dir: Path) -> str:
    """Makes what is missing in the data folder; returns a token of the demo stream's host."""
    try:
        make_secrets(data_dir)
        (data_dir / "run").mkdir(exist_ok=True)
        settings = Settings(data_dir=data_dir)
        settings.service_token()
        return settings.token_key().issue(demo.HOST_ID, name="Host", role="host", ttl_s=TOKEN_S)
    except OSError as error:
        raise CommandError(f"the data folder {data_dir} can't be written: {error.strerror}", 2) from error
    except SettingsError as error:
        raise CommandError(str(error), 2) from error


def check_port(port: int) -> None:
    """Raises CommandError when a port of the loopback interface can't be had."""
    with socket.socket() as probe:
        # As servers do: what is left of connections that have ended doesn't count.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError as error:
            why = "is taken" if error.errno == errno.EADDRINUSE else f"can't be used ({error.strerror})"
            raise CommandError(f"port {port} {why}: choose another with --port", 2) from error


class _Run:
    """One run, from the first process to the last."""

    def __init__(self, port: int, data_dir: Path, token: str, screen: Screen) -> None:
        self._port = port
        self._data_dir = data_dir
        self._token = token
        self._screen = screen
        self._life = trio.CancelScope()
        """Cancelled when the instance is to end, for whatever reason."""
        self._exit_code = 0

    async def main(self) -> int:
        """Returns the exit code; no child survives it."""
        with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, signal.SIGHUP) as signals:
            async with trio.open_nursery() as nursery:
                house = House(self._data_dir.resolve(), self._port, nursery, self._on_death)
                try:
                    nursery.start_soon(self._heed, signals, house)
                    nursery.start_soon(self._show_warnings, house)
                    with self._life:
                        await self._live(house)
                    self._screen.leaving()
                    self._screen.left(await house.drain())
                finally:
                    house.kill()
                nursery.cancel_scope.cancel()
        return self._exit_code

    async def _live(self, house: House) -> None:
        """Starts the instance and lets it run until ``_life`` is cancelled; returns early when it can't start."""
        try:
            with trio.fail_after(START_S), self._screen.progress():
                await self._start(house)
        except trio.TooSlowError:
            self._fail(f"not ready within {START_S:.0f} s; see {self._data_dir}/logs")
        except (CommandError, OSError) as error:
            self._fail(str(error))
        else:
            address = house.addresses["edge"]
            self._screen.ready(f"http://{address}", self._token, str(self._data_dir))
            await trio.sleep_forever()

    async def _start(self, house: House) -> None:
        """Returns once the instance is ready, and others can find it."""
        async with aclosing(house.open()) as steps:
            async for missing in steps:
                self._screen.waiting_for(missing)
        edge = house.addresses["edge"]
        while not await trio.to_thread.run_sync(demo.is_ready, edge, abandon_on_cancel=True):
            await trio.sleep(_READY_POLL_S)
        await trio.to_thread.run_sync(demo.ensure_stream, edge, self._token, abandon_on_cancel=True)
        Instance(
            http=f"http://{edge}",
            core=house.addresses["core"],
            fanout=house.addresses["fanout"],
            storage=house.addresses["storage"],
            nats=house.addresses[NATS],
            pids={"up": os.getpid(), **{name: child.pid for name, child in house.children.items()}},
        ).save(self._data_dir)

    async def _heed(self, signals: AsyncIterator[int], house: House) -> None:
        """The first signal lets everything drain; a Ctrl-C after that ends it at once."""
        async for number in signals:
            if self._life.cancel_called and number == signal.SIGINT:
                house.kill()
            self._life.cancel()

    def _on_death(self, death: Death) -> None:
        self._exit_code = 2 if death.exit_code == 2 else 1
        self._screen.death(death, str(self._data_dir / "logs" / f"{death.name}.log"))
        self._life.cancel()

    def _fail(self, why: str) -> None:
        self._exit_code = 1
        self._screen.failed(why)

    async def _show_warnings(self, house: House) -> None:
        while True:
            await trio.sleep(_LOG_POLL_S)
            for name, written in house.logs.items():
                notable = [line for line in map(parse, written.new_lines()) if line.is_notable]
                written.bound()
                # That the others go away is no news once all do.
                if notable and not self._life.cancel_called:
                    self._screen.warnings(name, notable)
