"""Commands for those who use the system: tokens, posting, watching, replaying, streams, a small benchmark.

Imports stay inside the commands, so that ``--help`` answers at once.
"""

import uuid
from typing import TYPE_CHECKING, Annotated

import typer

from livecomments.cli.options import (
    DATA_DIR,
    AsJson,
    Core,
    Data,
    Fanout,
    Name,
    RoleName,
    StateName,
    Storage,
    StreamId,
    Token,
    User,
    examples,
)

if TYPE_CHECKING:
    from livecomments.cli.tables import Answers

use_app = typer.Typer(rich_markup_mode="rich")
streams_app = typer.Typer(invoke_without_command=True, rich_markup_mode="rich")
use_app.add_typer(streams_app, name="streams", rich_help_panel="Use")


@use_app.command(
    rich_help_panel="Use", epilog=examples("token --user ann", "token --user eve --role moderator --stream final")
)
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


@use_app.command(
    rich_help_panel="Use", epilog=examples("post demo 'What a goal!'", "post demo hello --user ann --json")
)
def post(
    stream: StreamId,
    text: Annotated[str, typer.Argument(help="The comment.")],
    user: User = None,
    name: Name = "",
    role: Annotated[RoleName, typer.Option(help="As whom.")] = RoleName.viewer,
    as_json: AsJson = False,
    data: Data = DATA_DIR,
    core: Core = None,
    token: Token = "",
) -> None:
    """Post a comment and print its id. With LIVECOMMENTS_TOKEN set, as its bearer."""
    from livecomments.cli.access import Access
    from livecomments.cli.post import post_comment

    access = Access(data, token, core)
    address = access.core_address()
    bearer = access.bearer(user, role=role.value, name=name, stream_id=stream)
    _answers(as_json).posted(post_comment(address, bearer, stream, text))


@use_app.command(
    rich_help_panel="Use", epilog=examples("tail demo", "tail demo --since 10m", "tail demo --json | jq .event")
)
def tail(
    stream: StreamId,
    since: Annotated[
        str,
        typer.Option(
            metavar="WHEN", help="First what was posted in the last 90s, 10m or 2h; or what follows a cursor."
        ),
    ] = "",
    as_json: AsJson = False,
    data: Data = DATA_DIR,
    core: Core = None,
    fanout: Fanout = None,
    storage: Storage = None,
    token: Token = "",
) -> None:
    """Show comments as they come, until the stream ends or Ctrl-C; resumes over lost connections."""
    from livecomments.cli.access import Access, until_interrupted
    from livecomments.cli.tail import After, show_last, tail_stream
    from livecomments.cli.times import span_s
    from livecomments.cli.views import JsonLines, Terminal

    access = Access(data, token, core, fanout, storage)
    address = access.fanout_address()
    output = JsonLines() if as_json else Terminal()

    def fresh_token() -> str:
        return access.watcher(stream)

    with until_interrupted():
        seconds = span_s(since)
        if seconds is None:
            tail_stream(address, fresh_token, stream, output, cursor=since or None)
            return
        shown = show_last(
            access.core_address(), access.storage_address(), fresh_token(), stream, seconds, output=output
        )
        tail_stream(address, fresh_token, stream, After(output, shown))


@use_app.command(
    rich_help_panel="Use",
    epilog=examples("replay demo", "replay demo --speed 4 --from 12:30", "replay demo --speed 1000 --json"),
)
def replay(
    stream: StreamId,
    speed: Annotated[float, typer.Option(metavar="N", min=0.1, max=100_000, help="So many times as fast.")] = 1.0,
    begin: Annotated[str, typer.Option("--from", metavar="TIME", help="75, 1:15 or 0:01:15.")] = "0",
    as_json: AsJson = False,
    data: Data = DATA_DIR,
    core: Core = None,
    storage: Storage = None,
    token: Token = "",
) -> None:
    """Play a stream's comments at their pace, each at the moment of the recording that it is about."""
    from livecomments.cli.access import Access, until_interrupted
    from livecomments.cli.replay import replay_stream
    from livecomments.cli.replay_views import JsonReplay, TerminalReplay
    from livecomments.cli.times import place_s

    start_s = place_s(begin)
    access = Access(data, token, core, None, storage)
    addresses = access.core_address(), access.storage_address()
    with until_interrupted(), JsonReplay() if as_json else TerminalReplay() as output:
        replay_stream(*addresses, lambda: access.watcher(stream), stream, output=output, start_s=start_s, speed=speed)


@streams_app.callback(
    epilog=examples("streams", "streams --state live --json", "streams create 'The final' --id final")
)
def streams(
    context: typer.Context,
    state: Annotated[StateName | None, typer.Option(help="Only these.")] = None,
    user: User = None,
    as_json: AsJson = False,
    data: Data = DATA_DIR,
    core: Core = None,
    token: Token = "",
) -> None:
    """List the streams, the newest first; create and end them."""
    if context.invoked_subcommand is not None:
        return
    from livecomments.cli.access import Access
    from livecomments.cli.streams import list_streams

    access = Access(data, token, core)
    found = list_streams(access.core_address(), access.bearer(user), state.value if state else None)
    _answers(as_json).streams(found)


@streams_app.command(
    epilog=examples("streams create 'The final'", "streams create 'Backstage' --id backstage --private")
)
def create(
    title: Annotated[str, typer.Argument(help="What viewers see.")],
    stream_id: Annotated[str | None, typer.Option("--id", metavar="ID", help="Default: one is made.")] = None,
    private: Annotated[bool, typer.Option("--private", help="For those alone whose tokens name it.")] = False,
    slow_mode: Annotated[int, typer.Option(metavar="S", help="Seconds between two comments of one user.")] = 0,
    user: User = None,
    as_json: AsJson = False,
    data: Data = DATA_DIR,
    core: Core = None,
    token: Token = "",
) -> None:
    """Create a stream; its host is who creates it."""
    from livecomments.cli.access import Access
    from livecomments.cli.streams import create_stream

    access = Access(data, token, core)
    made = create_stream(
        access.core_address(),
        access.bearer(user, role="host"),
        title,
        stream_id=stream_id,
        visibility="private" if private else "public",
        slow_mode_s=slow_mode,
    )
    _answers(as_json).stream(made)


@streams_app.command(
    epilog=examples("streams end final", "streams end final --notice 60", "streams end demo --user host")
)
def end(
    stream: StreamId,
    notice: Annotated[int, typer.Option(metavar="S", help="In so many seconds, and viewers are told.")] = 0,
    user: User = None,
    as_json: AsJson = False,
    data: Data = DATA_DIR,
    core: Core = None,
    token: Token = "",
) -> None:
    """End a stream; it takes no more comments, and its replay stays. For its host."""
    from livecomments.cli.access import Access
    from livecomments.cli.streams import end_stream

    access = Access(data, token, core)
    _answers(as_json).stream(end_stream(access.core_address(), access.bearer(user, role="host"), stream, notice))


@use_app.command(rich_help_panel="Use", epilog=examples("bench", "bench --rate 50 --seconds 30 --watchers 3 --json"))
def bench(
    rate: Annotated[float, typer.Option(metavar="N", min=0.1, max=1000, help="Comments a second.")] = 5.0,
    seconds: Annotated[float, typer.Option(metavar="S", min=0.1, max=3600, help="For so long.")] = 10.0,
    watchers: Annotated[int, typer.Option(metavar="N", min=1, max=100, help="Who watch meanwhile.")] = 1,
    yes: Annotated[bool, typer.Option("--yes", help="Also where a service is not on this machine.")] = False,
    as_json: AsJson = False,
    data: Data = DATA_DIR,
    core: Core = None,
    fanout: Fanout = None,
    token: Token = "",
) -> None:
    """Post into a stream of its own and watch it, and print how long both took. A look, and no load test."""
    from livecomments.cli.access import Access, until_interrupted
    from livecomments.cli.bench import Plan, require_loopback, run_bench
    from livecomments.cli.exits import Exit
    from livecomments.cli.streams import create_stream, end_stream
    from livecomments.cli.tables import bar

    access = Access(data, token, core, fanout)
    where = access.core_address(), access.fanout_address()
    require_loopback(where, is_sure=yes)
    # A host's posts are not limited, and a private stream is in nobody's list.
    stream = f"bench-{uuid.uuid4().hex[:12]}"
    bearer = access.bearer("bench", role="host", stream_id=stream)
    create_stream(where[0], bearer, "Bench", stream_id=stream, visibility="private", slow_mode_s=0)
    with until_interrupted(), bar("Posting") as shown:
        try:
            measured = run_bench(*where, bearer, stream, plan=Plan(rate, seconds, watchers), progress=shown.reach)
        finally:
            end_stream(where[0], access.bearer("bench", role="host"), stream, 0)
    _answers(as_json).measured(measured)
    if measured.refused or measured.missed:
        raise typer.Exit(Exit.REFUSED)


def _answers(as_json: bool) -> "Answers":
    from livecomments.cli.tables import JsonAnswers, TableAnswers

    return JsonAnswers() if as_json else TableAnswers()
