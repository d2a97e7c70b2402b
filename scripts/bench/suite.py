"""Several measurements in turn, round after round, and their results as files."""

import sys
import traceback
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import report
import rounds
from goals import Subject
from native import REPOSITORY

Parts = Mapping[str, Callable[[Namespace], rounds.Round]]
"""By name, in order: one round of each, given the command's options."""


def run(subject: Subject, about: str | None, parts: Parts) -> None:
    """The command of a subject. A part that fails is told and left out."""
    parser = rounds.arguments(about, seconds=4.0)
    parser.set_defaults(rounds=1)
    parser.add_argument("--only", default=",".join(parts), help=f"parts, separated by commas ({','.join(parts)})")
    parser.add_argument("--into", type=Path, default=REPOSITORY / "docs" / "benchmarks", help="folder for the results")
    options = parser.parse_args()
    wanted = options.only.split(",")
    if unknown := set(wanted) - set(parts):
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    measured = rounds.collect(options.rounds, lambda: _round(parts, wanted, options))
    written = report.write(subject, measured, options.into)
    print("\n".join(report.goals_table(subject, measured)))
    if measured.was_busy:
        print(f"\n{rounds.busy_line(measured)}")
    print("\nWritten:", *written)


def _round(parts: Parts, wanted: Sequence[str], options: Namespace) -> rounds.Round:
    for part in wanted:
        try:
            yield from parts[part](options)
        except (Exception, SystemExit) as error:
            if isinstance(error, SystemExit) and isinstance(error.code, int):
                raise  # told to stop
            traceback.print_exc()
            print(f"{part} could not be measured: {error}", file=sys.stderr, flush=True)
