"""How a command measures: the same several times over, one after the other in turn, and one table at the end."""

import argparse
import math
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import machine
from machine import Neighbours

Figures = Mapping[str, float]
"""By column."""
Round = Iterator[tuple[str, Figures]]
"""By row, in order, each as soon as it is known."""


def arguments(about: str | None, **defaults: float) -> argparse.ArgumentParser:
    """The options of every command; ``defaults`` are further ones, each a number."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how often everything is measured (3)")
    parser.add_argument(
        "--profile",
        type=Path,
        help="file for what cProfile sees in our process that is measured (pstats); slows it down",
    )
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"({default})")
    return parser


@dataclass(frozen=True)
class Measured:
    """What some rounds gave."""

    rounds: int
    figures: Mapping[str, Mapping[str, Sequence[float]]]
    """By row and column, one for each round in which there was one."""
    others: Sequence[float]
    """For each round, what others took of all cores, 0 to 1."""

    @property
    def was_busy(self) -> bool:
        """Whether others took so much that the figures are rough."""
        return any(share > machine.BUSY_SHARE for share in self.others)

    def median(self, row: str, column: str) -> float | None:
        """None where nothing was measured."""
        values = self.figures.get(row, {}).get(column, ())
        return statistics.median(values) if values else None


def run(count: int, title: str, measure: Callable[[], Round]) -> None:
    """Measures ``count`` times and prints a table: min / median / max of each figure."""
    measured = collect(count, measure)
    print(f"{title}\n{machine.description()}; {count} round{'s' * (count > 1)}, min / median / max\n")
    print("\n".join(table(measured.figures)))
    if measured.was_busy:
        print(f"\n{busy_line(measured)}")


def busy_line(measured: Measured) -> str:
    """What others did meanwhile."""
    least, most = min(measured.others), max(measured.others)
    return f"Others took {least:.0%} to {most:.0%} of all cores meanwhile: the figures are rough."


def collect(count: int, measure: Callable[[], Round]) -> Measured:
    """Measures ``count`` times; tells each figure on stderr as soon as it is known."""
    machine.prepare()
    figures: dict[str, dict[str, list[float]]] = {}
    shares = []
    for number in range(1, count + 1):
        with Neighbours() as neighbours:
            for row, found in measure():
                print(f"round {number} of {count}: {row}: {_line(found)}", file=sys.stderr, flush=True)
                cells = figures.setdefault(row, {})
                for column, value in found.items():
                    if not math.isnan(value):
                        cells.setdefault(column, []).append(value)
        shares.append(neighbours.share)
    return Measured(count, figures, shares)


def _line(figures: Figures) -> str:
    return ", ".join(f"{column} {number(value)}" for column, value in figures.items())


def table(figures: Mapping[str, Mapping[str, Sequence[float]]]) -> list[str]:
    """Lines of Markdown: min / median / max, by row and column."""
    columns = list(dict.fromkeys(column for row in figures.values() for column in row))
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    lines += [[row, *(three(found.get(column, [])) for column in columns)] for row, found in figures.items()]
    widths = [max(len(line[at]) for line in lines if line[at] != "---") for at in range(len(columns) + 1)]
    aligned = []
    for line in lines:
        cells = [
            ("-" * width if cell == "---" else cell.ljust(width)) for cell, width in zip(line, widths, strict=True)
        ]
        aligned.append(f"| {' | '.join(cells)} |")
    return aligned


def three(values: Sequence[float]) -> str:
    """Least, median and most; empty for none."""
    found = [min(values), statistics.median(values), max(values)] if values else []
    return " / ".join(dict.fromkeys(map(number, found)))


def number(value: float) -> str:
    """Three digits that count, whole above a thousand."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == 0 else f"{value:.3g}"
