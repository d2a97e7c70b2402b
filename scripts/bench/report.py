"""The results as files: JSON, a page in Markdown, and a plot where matplotlib is there."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import machine
import rounds
from goals import Goal, Place, Subject
from native import HERE
from rounds import Measured

_JUDGED = "min / median / max, judged by the median"
_PEERS: Mapping[str, Any] = json.loads((HERE / "peers.json").read_text())


def write(subject: Subject, measured: Measured, folder: Path) -> list[Path]:
    """Writes the subject's ``.json``, ``.md`` and, with matplotlib, ``.svg``; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "when": time.strftime("%Y-%m-%d", time.gmtime()),
        "machine": machine.description(),
        "versions": machine.versions(),
        "rounds": measured.rounds,
        "others' share of all cores, by round": [round(share, 3) for share in measured.others],
    }
    lines = [{**asdict(goal), **_verdict(goal, measured)} for goal in subject.goals]
    files = {
        f"{subject.name}.json": json.dumps({**about, "goals": lines, "figures": measured.figures}, indent=1) + "\n",
        f"{subject.name}.md": page(subject, measured, about),
    }
    for name, text in files.items():
        (folder / name).write_text(text)
    written = [folder / name for name in files]
    if find_spec("matplotlib") is None:
        print("No plot without matplotlib: .venv/bin/pip install --require-hashes -r requirements-bench.lock")
    else:
        written.append(folder / f"{subject.name}.svg")
        import_module("plot").draw(subject, measured, _PEERS["figures"], written[-1])
    return written


def page(subject: Subject, measured: Measured, about: Mapping[str, Any]) -> str:
    """The page: what was to be reached, what was, and every figure."""
    busy = f"\n**{rounds.busy_line(measured)}**\n" if measured.was_busy else ""
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    peers = ", ".join(f"{name} {version}" for name, version in _PEERS["versions"].items())
    earlier = f"Earlier: measured on {_PEERS['when']}, not in this run: {_PEERS['how']}. {peers}."
    return "\n".join([
        f"# {subject.title}",
        "",
        f"Written by `scripts/bench/{subject.name}`; how it measures: [scripts/bench](../../scripts/bench/README.md).",
        f"{about['when']}; {about['machine']}; {measured.rounds} round{'s' * (measured.rounds > 1)}, {_JUDGED}.",
        f"Versions: {versions}.",
        busy,
        f"![the main figures]({subject.name}.svg)",
        "",
        *goals_table(subject, measured),
        "",
        *([earlier, ""] if any(goal.peers for goal in subject.goals) else []),
        "## Every figure",
        "",
        *rounds.table(measured.figures),
        "",
    ])  # fmt: skip


def goals_table(subject: Subject, measured: Measured) -> list[str]:
    """Lines of Markdown: each goal beside what was measured."""
    has_peers = any(goal.peers for goal in subject.goals)
    columns = ["what", "reach", "ours", *subject.beside, *(["others, earlier"] if has_peers else []), "met"]
    lines = [f"| {' | '.join(columns)} |", "|" + " --- |" * len(columns)]
    for goal in subject.goals:
        earlier = _PEERS["figures"].get(goal.peers, {})
        cells = [
            goal.what,
            f"{'≤' if goal.is_most else '≥'} {rounds.number(goal.reach)}",
            _three(measured, goal.ours),
            *(_three(measured, goal.beside.get(name)) for name in subject.beside),
            *(["; ".join(f"{name} {rounds.number(value)}" for name, value in earlier.items())] if has_peers else []),
            {True: "yes", False: "no", None: "not measured"}[_verdict(goal, measured)["met"]],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _three(measured: Measured, place: Place | None) -> str:
    if place is None:
        return ""
    row, column = place
    return rounds.three(measured.figures.get(row, {}).get(column, ()))


def _verdict(goal: Goal, measured: Measured) -> dict[str, Any]:
    figure = measured.median(*goal.ours)
    return {"median": figure, "met": None if figure is None else goal.is_met(figure)}
