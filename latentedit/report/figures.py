"""The figures of a report, as SVG text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

EDITOR_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B")
"""Okabe and Ito's colours, which colour-blind people can tell apart."""
CONTROL_COLOURS = ("#8a8f98", "#b0a89a", "#6d7580", "#c3c7cc")
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a8f98",
    "axes.labelcolor": "#30343a",
    "xtick.color": "#60656c",
    "ytick.color": "#60656c",
    "axes.grid": True,
    "grid.color": "#e6e8ea",
    "svg.fonttype": "none",
    "svg.hashsalt": "latentedit",
}
ENOUGH = 0.5
"""Share of faces that must reach an effect for the curve to be drawn there as a full line."""


def colours(results: dict[str, Any]) -> dict[str, str]:
    """One colour an editor, the same on the whole page."""
    editors, controls = list(results["suite"]["editors"]), results["controls"]
    return {
        **{name: EDITOR_COLOURS[i % len(EDITOR_COLOURS)] for i, name in enumerate(editors)},
        **{name: CONTROL_COLOURS[i % len(CONTROL_COLOURS)] for i, name in enumerate(controls)},
    }


def curve_figures(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Each metric that has curves, with a panel a task."""
    metrics = dict.fromkeys(row["metric"] for row in results["curves"])
    return [{"metric": m, "panels": [Markup(s) for s in curves(results, m)]} for m in metrics]  # noqa: S704


def curves(results: dict[str, Any], metric: str) -> list[str]:
    """`metric` against achieved effect: an SVG a task, on one scale, with a band an editor."""
    rows = [row for row in results["curves"] if row["metric"] == metric]
    palette, bottom_top = colours(results), _bounds(rows)
    panels = []
    for task in dict.fromkeys(row["task"] for row in rows):
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(3.8, 2.9), layout="constrained")
            axis = figure.subplots()
            axis.set_title(task, loc="left", fontweight="bold", color="#30343a")
            for row in (row for row in rows if row["task"] == task):
                _curve(axis, row, palette[row["editor"]], row["editor"] in results["controls"])
            axis.set(xlim=(0, 1), ylim=bottom_top)
            axis.set_xlabel("achieved share of the requested change")
            axis.set_ylabel(metric.split(" · ", maxsplit=1)[0])
            panels.append(_svg(figure))
    return panels


def _bounds(rows: Sequence[dict[str, Any]]) -> tuple[float, float] | None:
    """Lowest and highest value that a full line or a band has, with a little room."""
    drawn = [
        np.array(row[key], dtype=float)[np.array(row["reach"], dtype=float) >= ENOUGH]
        for row in rows
        for key in ("mean", "low", "high")
    ]
    known = np.concatenate(drawn)
    known = known[np.isfinite(known)]
    if not known.size or known.min() == known.max():
        return None
    room = 0.05 * float(np.ptp(known))
    return float(known.min()) - room, float(known.max()) + room


def _curve(axis: Axes, row: dict[str, Any], colour: str, control: bool) -> None:
    x, mean, low, high, reach = (
        np.array(row[key], dtype=float) for key in ("effect", "mean", "low", "high", "reach")
    )
    thin = reach < ENOUGH
    width = 1.1 if control else 1.8
    axis.fill_between(x, low, high, where=~thin, color=colour, alpha=0.15, linewidth=0)
    axis.plot(x, np.where(thin, np.nan, mean), color=colour, linewidth=width)
    few = np.where(thin | np.roll(thin, -1), mean, np.nan)
    axis.plot(x, few, color=colour, linewidth=0.8, linestyle=":")


def forest(rows: Sequence[dict[str, Any]], unit: str, better_right: bool) -> str:
    """Differences with intervals, a line a task; a full dot where an editor is better."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 0.6 + 0.28 * len(rows)), layout="constrained")
        axis = figure.subplots()
        for i, row in enumerate(rows):
            decided = row["better"] is not None
            colour = "#30343a" if decided else "#9aa0a6"
            axis.plot([row["low"], row["high"]], [i, i], color=colour, linewidth=1.4)
            fill = colour if decided else "white"
            axis.plot(row["difference"], i, "o", color=colour, markerfacecolor=fill, markersize=5)
        axis.axvline(0, color="#60656c", linewidth=0.8)
        axis.set_yticks(range(len(rows)), [row["task"] for row in rows])
        axis.invert_yaxis()
        axis.set_xlabel(f"difference in {unit} ({'right' if better_right else 'left'} is better)")
        return _svg(figure)


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
