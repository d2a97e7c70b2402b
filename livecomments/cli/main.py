"""The ``livecomments`` command. Imports stay inside the commands, so that ``--help`` answers at once."""

import os
import sys
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from livecomments.cli import CommandError

if TYPE_CHECKING:
    from livecomments.cli.instance import Instance

app = typer.Typer(
    help="Live comments under a broadcast: durable, resumable, replayable.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

storage_app = typer.Typer(invoke_without_command=True)
app.add_typer(storage_app, name="storage", rich_help_panel="Run")

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", envvar="LIVECOMMENTS_DATA_DIR", help="Folder of the local instance.")
]
Core = Annotated[str | None, typer.Option("--core", metavar="ADDRESS", help="host:port, instead of --data.")]
Fanout = Annotated[str | None, typer.Option("--fanout", metavar="ADDRESS", help="host:port, instead of --data.")]
User = Annotated[str | None, typer.Option("--user", metavar="ID", help="Who posts; default: your login name.")]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Shown name; default: the id.")]
Token = Annotated[str, typer.Option(envvar="LIVECOMMENTS_TOKEN", hidden=True)]
DATA_DIR = Path("data")


class RoleName(StrEnum):
    """What a token allows."""

    host = "host"
    moderator = "moderator"
    viewer = "viewer"


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


@app.command(rich_help_panel="Use")
def token(
    user: Annotated[str, typer.Option(metavar="ID", help="The user's id.")],
    name: Name = "",
    role: Annotated[RoleName, typer.Option(help="What the user may do.")] = RoleName.viewer,
    ttl: Annotated[float, typer.Option(metavar="S", min=1, help="Seconds until it expires.")] = 24 * 3600,
    stream: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="A stream that a moderator rules, or a private one; may be repeated."),
    ] = None,
    data: Data = DATA_DIR,
) -> None:
    """Print a JWT of the local instance."""
    from livecomments.cli.tokens import local_token

    print(local_token(data, user, name=name, role=role.value, ttl_s=ttl, streams=tuple(stream or ())))


@app.command(rich_help_panel="Use")
def post(
    stream: Annotated[str, typer.Argument(help="The stream's id.")],
    text: Annotated[str, typer.Argument(help="The comment.")],
    user: User = None,
    name: Name = "",
    role: Annotated[RoleName, typer.Option(help="As whom.")] = RoleName.viewer,
    data: Data = DATA_DIR,
    core: Core = None,
    token: Token = "",
) -> None:
    """Post a comment and print its id. With LIVECOMMENTS_TOKEN set, as its bearer."""
    from livecomments.cli.post import post_comment
    from livecomments.cli.tokens import local_token, login_name

    address = core or _instance(data).core
    bearer = token or local_token(data, user or login_name(), name=name, role=role.value, ttl_s=60, streams=(stream,))
    print(post_comment(address, bearer, stream, text))


@app.command(rich_help_panel="Use")
def tail(
    stream: Annotated[str, typer.Argument(help="The stream's id.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
    data: Data = DATA_DIR,
    fanout: Fanout = None,
    token: Token = "",
) -> None:
    """Show comments as they come, until the stream ends or Ctrl-C; resumes over lost connections."""
    from livecomments.cli.tail import tail_stream
    from livecomments.cli.tokens import local_token
    from livecomments.cli.views import JsonLines, Terminal

    address = fanout or _instance(data).fanout

    def fresh_token() -> str:
        # With an address alone: nobody, who may watch what is public.
        return token or ("" if fanout else local_token(data, "tail", ttl_s=3600, streams=(stream,)))

    tail_stream(address, fresh_token, stream, JsonLines() if as_json else Terminal())


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
