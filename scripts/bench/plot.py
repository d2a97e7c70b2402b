"""The main figures as bars. Needs matplotlib: nobody imports this where it is missing."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib as mpl
import rounds
from goals import Goal, Subject
from matplotlib.figure import Figure
from rounds import Measured

Peers = Mapping[str, Mapping[str, float]]
"""What was measured of others earlier: by figure, and by name."""


def draw(subject: Subject, measured: Measured, peers: Peers, path: Path) -> None:
    """One picture for each goal that there is another figure for; the median of ours."""
    # The same figures give the same file.
    mpl.rcParams["svg.hashsalt"] = subject.name
    mpl.rcParams["svg.fonttype"] = "none"
    shown = [goal for goal in subject.goals if (goal.peers or goal.beside) and measured.median(*goal.ours) is not None]
    lines = max(1, (len(shown) + 1) // 2)
    figure = Figure(figsize=(10, 1.9 * lines), layout="constrained")
    for number, goal in enumerate(shown, 1):
        axes = figure.add_subplot(lines, 2, number)
        bars = _bars(goal, measured, peers)
        drawn = axes.barh([*bars], [*bars.values()], color=["C0" if name == "ours" else "0.75" for name in bars])
        axes.bar_label(drawn, [rounds.number(value) for value in bars.values()], padding=3, fontsize=7)
        axes.axvline(goal.reach, color="C3", linewidth=1, linestyle=":")
        axes.set_title(f"{goal.what}\n({'less' if goal.is_most else 'more'} is better; dotted: to reach)", fontsize=7)
        axes.tick_params(labelsize=7)
        axes.invert_yaxis()
        axes.margins(x=0.2)
    figure.savefig(path, metadata={"Date": None})


def _bars(goal: Goal, measured: Measured, peers: Peers) -> dict[str, float]:
    here = {name: measured.median(*place) for name, place in {"ours": goal.ours, **goal.beside}.items()}
    known = peers[goal.peers] if goal.peers else {}
    # What was measured beside ours says more than what was measured some other day.
    earlier = {f"{name} (earlier)": value for name, value in known.items() if here.get(name) is None}
    return {name: value for name, value in {**here, **earlier}.items() if value is not None}
