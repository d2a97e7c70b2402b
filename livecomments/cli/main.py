"""The ``livecomments`` command. Imports stay inside the commands, so that ``--help`` answers at once."""

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from livecomments.cli import CommandError
from livecomments.cli.options import DATA_DIR, EXIT_CODES, Data
from livecomments.cli.use import use_app

if TYPE_CHECKING:
    from livecomments.cli.instance import Instance

app = typer.Typer(
    help="Live comments under a broadcast: durable, resumable, replayable.",
    no_args_is_help=True,
    epilog=EXIT_CODES,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

storage_app = typer.Typer(invoke_without_command=True)
app.add_typer(storage_app, name="storage", rich_help_panel="Run")
app.add_typer(use_app)


@app.command(rich_help_panel="Run")
def up(
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port of pages and API; 0 takes a free one.")] = 8080,
    data: Data = DATA_DIR,
) -> None:
    """Run everything on this machine: nats-server, core, storage, fanout and edge."""
    from livecomments.cli.up import up as run_instance

    raise typer.Exit(run_instance(port, data))


@app.command(rich_help_panel="Run")
def core() -> None:
    """Run one core: the write path. Settings come from LIVECOMMENTS_ variables, as for all services."""
    _become("core")


@app.command(rich_help_panel="Run")
def fanout(
    upstream: Annotated[
        str, typer.Option(metavar="ADDRESSES", help="host:port of fanouts, separated by commas: one feeds this one.")
    ] = "",
) -> None:
    """Run one fanout: live events out of the log, or out of another fanout."""
    _become("fanout", *(["--upstream", upstream] if upstream else []))


@storage_app.callback()
def storage(context: typer.Context) -> None:
    """Run one storage: history and its writer."""
    if context.invoked_subcommand is None:
        _become("storage")


@storage_app.command()
def rewind(
    shard: Annotated[int | None, typer.Option(metavar="N", min=0, help="This shard of the log alone.")] = None,
    after: Annotated[
        int | None, typer.Option(metavar="SEQ", min=0, help="What stands behind this sequence; default: all.")
    ] = None,
    hours: Annotated[
        float | None, typer.Option(metavar="H", min=0, max=24 * 366, help="What was stored in the last hours.")
    ] = None,
    data: Data = DATA_DIR,
) -> None:
    """Have the log written into the database once more, after that came back without its last rows.

    Nothing is doubled, and what was deleted stays deleted. Storage may go on running meanwhile.
    """
    if after is not None and hours is not None:
        raise CommandError("give --after or --hours, not both", 2)
    given = {"--shard": shard, "--after": after, "--hours": hours}
    _reach(data)
    _become("storage.rewind", *(f"{name}={value}" for name, value in given.items() if value is not None))


@storage_app.command()
def migrate(data: Data = DATA_DIR) -> None:
    """Bring the database that LIVECOMMENTS_STORAGE_URL names to the newest schema; makes what is missing."""
    os.environ["LIVECOMMENTS_DATA_DIR"] = str(data)
    _become("storage.migrate")


@app.command(rich_help_panel="Run")
def edge(
    workers: Annotated[int | None, typer.Option(metavar="N", min=1, help="Processes that serve together.")] = None,
) -> None:
    """Run one edge: pages, HTTP and live connections."""
    _become("edge", *(["--workers", str(workers)] if workers else []))


def _instance(data_dir: Path) -> "Instance":
    from livecomments.cli.instance import find

    return find(data_dir)


def _reach(data_dir: Path) -> None:
    """Lets what this process becomes find the local instance, unless the settings say where NATS is."""
    os.environ["LIVECOMMENTS_DATA_DIR"] = str(data_dir)
    if "LIVECOMMENTS_NATS_URL" not in os.environ:
        os.environ["LIVECOMMENTS_NATS_URL"] = _instance(data_dir).nats


def _become(service: str, *arguments: str) -> NoReturn:
    if find_spec(service) is None:
        raise CommandError(f"{service} not found: the services run from a checkout, not from the wheel", 2)
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-P", "-m", service, *arguments])  # noqa: S606 (no shell is wanted)


def run() -> None:
    """Entry point of the command."""
    try:
        app()
    except CommandError as error:
        print(f"livecomments: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
