"""How a command measures: the same several times over, one after the other in turn, and one table at the end."""

import argparse
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping
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
    parser.add_argument("--profile", type=Path, help="file for what cProfile sees in our edge (pstats); slows it down")
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"({default})")
    return parser


def run(count: int, title: str, measure: Callable[[], Round]) -> None:
    """Measures ``count`` times and prints a table: min / median / max of each figure."""
    machine.prepare()
    figures: dict[str, dict[str, list[float]]] = {}
    shares = []
    for number in range(1, count + 1):
        with Neighbours() as neighbours:
            for row, found in measure():
                print(f"round {number} of {count}: {row}: {_line(found)}", file=sys.stderr, flush=True)
                cells = figures.setdefault(row, {})
                for column, value in found.items():
                    cells.setdefault(column, []).append(value)
        shares.append(neighbours.share)
    print(f"{title}\n{machine.description()}; {count} round{'s' * (count > 1)}, min / median / max\n")
    _print_table(figures)
    if any(share > machine.BUSY_SHARE for share in shares):
        print(f"\nOthers took {min(shares):.0%} to {max(shares):.0%} of all cores meanwhile: the figures are rough.")


def _line(figures: Figures) -> str:
    return ", ".join(f"{column} {_number(value)}" for column, value in figures.items())


def _print_table(figures: Mapping[str, Mapping[str, list[float]]]) -> None:
    columns = list(dict.fromkeys(column for row in figures.values() for column in row))
    lines = [["", *columns], ["---"] * (len(columns) + 1)]
    lines += [[row, *(_cell(found.get(column, [])) for column in columns)] for row, found in figures.items()]
    widths = [max(len(line[at]) for line in lines if line[at] != "---") for at in range(len(columns) + 1)]
    for line in lines:
        cells = [
            ("-" * width if cell == "---" else cell.ljust(width)) for cell, width in zip(line, widths, strict=True)
        ]
        print(f"| {' | '.join(cells)} |")


def _cell(values: list[float]) -> str:
    three = [min(values), statistics.median(values), max(values)] if values else []
    return " / ".join(dict.fromkeys(map(_number, three)))


def _number(value: float) -> str:
    """Three digits that count, whole above a thousand."""
    return f"{value:,.0f}" if abs(value) >= 1000 or value == 0 else f"{value:.3g}"
