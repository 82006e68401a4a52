"""The figures of a report, as SVG text."""

from __future__ import annotations

import io
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from latentedit.benchmark.results.comparison import Comparison
from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.records import Curve

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


@dataclass(frozen=True)
class CurveFigure:
    """A metric along the achieved effect: an SVG a task."""

    metric: MetricKey
    panels: tuple[Markup, ...]


def colours(editors: Iterable[str], controls: Iterable[str]) -> dict[str, str]:
    """One colour an editor, the same on the whole page."""
    return {
        **{name: EDITOR_COLOURS[i % len(EDITOR_COLOURS)] for i, name in enumerate(editors)},
        **{name: CONTROL_COLOURS[i % len(CONTROL_COLOURS)] for i, name in enumerate(controls)},
    }


def curve_figures(
    curves: Sequence[Curve], palette: Mapping[str, str], controls: Container[str]
) -> list[CurveFigure]:
    """Each metric that has curves, with a panel a task."""
    figures = []
    for metric in dict.fromkeys(curve.metric for curve in curves):
        own = [curve for curve in curves if curve.metric == metric]
        panels = tuple(Markup(svg) for svg in _panels(own, palette, controls))  # noqa: S704
        figures.append(CurveFigure(metric, panels))
    return figures


def _panels(
    curves: Sequence[Curve], palette: Mapping[str, str], controls: Container[str]
) -> list[str]:
    """Curves of one metric: an SVG a task, on one scale, with a band an editor."""
    bottom_top, panels = _bounds(curves), []
    for task in dict.fromkeys(curve.task for curve in curves):
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(3.8, 2.9), layout="constrained")
            axis = figure.subplots()
            axis.set_title(task, loc="left", fontweight="bold", color="#30343a")
            for curve in (curve for curve in curves if curve.task == task):
                _draw(axis, curve, palette[curve.editor], curve.editor in controls)
            axis.set(xlim=(0, 1), ylim=bottom_top)
            axis.set_xlabel("achieved share of the requested change")
            axis.set_ylabel(curves[0].metric.name)
            panels.append(_svg(figure))
    return panels


def _bounds(curves: Sequence[Curve]) -> tuple[float, float] | None:
    """Lowest and highest value that a full line or a band has, with a little room."""
    drawn = [
        np.array(line, dtype=float)[np.array(curve.reach, dtype=float) >= ENOUGH]
        for curve in curves
        for line in (curve.mean, curve.low, curve.high)
    ]
    known = np.concatenate(drawn)
    known = known[np.isfinite(known)]
    if not known.size or known.min() == known.max():
        return None
    room = 0.05 * float(np.ptp(known))
    return float(known.min()) - room, float(known.max()) + room


def _draw(axis: Axes, curve: Curve, colour: str, control: bool) -> None:
    x, mean, low, high, reach = (
        np.array(line, dtype=float)
        for line in (curve.effect, curve.mean, curve.low, curve.high, curve.reach)
    )
    thin = reach < ENOUGH
    width = 1.1 if control else 1.8
    axis.fill_between(x, low, high, where=~thin, color=colour, alpha=0.15, linewidth=0)
    axis.plot(x, np.where(thin, np.nan, mean), color=colour, linewidth=width)
    few = np.where(thin | np.roll(thin, -1), mean, np.nan)
    axis.plot(x, few, color=colour, linewidth=0.8, linestyle=":")


def forest(rows: Sequence[Comparison], unit: str, better_right: bool) -> str:
    """Differences with intervals, a line a task; a full dot where an editor is better or ahead."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 0.6 + 0.28 * len(rows)), layout="constrained")
        axis = figure.subplots()
        for i, row in enumerate(rows):
            decided = row.leader is not None
            colour = "#30343a" if decided else "#9aa0a6"
            axis.plot(np.array([row.low, row.high], float), [i, i], color=colour, linewidth=1.4)
            fill = colour if decided else "white"
            axis.plot(row.difference, i, "o", color=colour, markerfacecolor=fill, markersize=5)
        axis.axvline(0, color="#60656c", linewidth=0.8)
        axis.set_yticks(range(len(rows)), [row.task for row in rows])
        axis.invert_yaxis()
        axis.set_xlabel(f"difference in {unit} ({'right' if better_right else 'left'} is better)")
        return _svg(figure)


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    return text.getvalue()[text.getvalue().index("<svg") :]
