"""Options that several commands share, and how their help shows examples."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

DATA_DIR = Path("data")

Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", envvar="LIVECOMMENTS_DATA_DIR", help="Folder of the local instance.")
]
Core = Annotated[str | None, typer.Option("--core", metavar="ADDRESS", help="host:port, instead of --data.")]
Fanout = Annotated[str | None, typer.Option("--fanout", metavar="ADDRESS", help="host:port, instead of --data.")]
Storage = Annotated[str | None, typer.Option("--storage", metavar="ADDRESS", help="host:port, instead of --data.")]
User = Annotated[str | None, typer.Option("--user", metavar="ID", help="As whom; default: your login name.")]
Name = Annotated[str, typer.Option("--name", metavar="NAME", help="Shown name; default: the id.")]
Token = Annotated[str, typer.Option(envvar="LIVECOMMENTS_TOKEN", hidden=True)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
StreamId = Annotated[str, typer.Argument(help="The stream's id.")]


class RoleName(StrEnum):
    """What a token allows."""

    host = "host"
    moderator = "moderator"
    viewer = "viewer"


class StateName(StrEnum):
    """Which streams are listed."""

    live = "live"
    ended = "ended"


def examples(*lines: str) -> str:
    """What stands below a command's options."""
    return "\n\n".join(["[bold]Examples[/]", *(f"  livecomments {line}" for line in lines)])


EXIT_CODES = (
    "[bold]Exit codes[/]  0 done · 1 refused, or something broke · 2 put an option, a setting or the machine right · "
    "3 nobody answered in time, nothing was changed · 4 nobody answered in time, it may have been done · 130 Ctrl-C"
)
