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
from numpy.typing import NDArray

from latentedit.benchmark.results.comparison import Comparison
from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.rows import Curve

EDITOR_COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C564B"),
    *("#332288", "#117733", "#882255", "#999933", "#44AA99", "#661100", "#6699CC"),
    *("#AA4499", "#DDCC77"),
)
"""Okabe and Ito's colours, then Tol's muted ones, which colour-blind people can tell apart."""
CONTROL_COLOURS = ("#8a8f98", "#b0a89a", "#6d7580", "#c3c7cc")
BAND = CONTROL_COLOURS[0]
"""The colour of the band of all controls."""
INK, QUIET, GRID = "#30343a", "#60656c", "#e6e8ea"
STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8a8f98",
    "axes.labelcolor": INK,
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "axes.grid": True,
    "grid.color": GRID,
    "svg.fonttype": "none",
    "svg.hashsalt": "latentedit",
}
ENOUGH = 0.5
"""Share of images that must reach an effect for the curve to be drawn there as a full line."""
APART = 0.052
"""Smallest distance of two names at the right edge, as a share of the axis."""

Line = NDArray[np.float64]


@dataclass(frozen=True)
class Panel:
    """One task's curves.

    Args:
        left, right: ends of the axis as shares of the picture's width.
        values: by entrant its means at each effect, None where few images come; for a script.
    """

    task: str
    svg: Markup
    left: float
    right: float
    values: dict[str, list[float | None]]


@dataclass(frozen=True)
class CurveFigure:
    """A metric along the achieved effect: a panel a task."""

    metric: MetricKey
    effects: tuple[float, ...]
    panels: tuple[Panel, ...]


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
        panels = tuple(_panels(own, palette, controls))
        figures.append(CurveFigure(metric, own[0].effect, panels))
    return figures


def _panels(
    curves: Sequence[Curve], palette: Mapping[str, str], controls: Container[str]
) -> list[Panel]:
    """Curves of one metric: an SVG a task, on one scale that holds every editor, with a band an
    editor and one for all controls."""
    ours = [curve for curve in curves if curve.editor not in controls]
    bottom_top, panels = _bounds(ours or curves), []
    for task in dict.fromkeys(curve.task for curve in curves):
        own = [curve for curve in curves if curve.task == task]
        editors = [curve for curve in own if curve.editor not in controls]
        with mpl.rc_context(STYLE):
            figure = Figure(figsize=(3.8, 2.9), layout="constrained")
            axis = figure.subplots()
            axis.set_title(task, loc="left", fontweight="bold", color=INK)
            _draw_controls(axis, [curve for curve in own if curve.editor in controls])
            for curve in editors:
                _draw(axis, curve, palette[curve.editor])
            axis.set(xlim=(0, 1), ylim=bottom_top)
            axis.set_xlabel("achieved share of the requested change")
            axis.set_ylabel(curves[0].metric.name)
            _name_lines(axis, editors, palette)
            svg = _svg(figure)
            box = axis.get_position()
            values = {curve.editor: _shown(curve) for curve in own}
            panels.append(Panel(task, svg, box.x0, box.x1, values))
    return panels


def _numbers(line: Sequence[float | None]) -> Line:
    return np.array(line, dtype=float)


def _bounds(curves: Sequence[Curve]) -> tuple[float, float] | None:
    """Lowest and highest value that a full line or a band has, with a little room."""
    drawn = [
        _numbers(line)[_numbers(curve.reach) >= ENOUGH]
        for curve in curves
        for line in (curve.mean, curve.low, curve.high)
    ]
    known = np.concatenate(drawn)
    known = known[np.isfinite(known)]
    if not known.size or known.min() == known.max():
        return None
    room = 0.05 * float(np.ptp(known))
    return float(known.min()) - room, float(known.max()) + room


def _draw(axis: Axes, curve: Curve, colour: str) -> None:
    x, mean, low, high, reach = (
        _numbers(line) for line in (curve.effect, curve.mean, curve.low, curve.high, curve.reach)
    )
    thin = reach < ENOUGH
    axis.fill_between(x, low, high, where=~thin, color=colour, alpha=0.15, linewidth=0)
    axis.plot(x, np.where(thin, np.nan, mean), color=colour, linewidth=1.8)
    few = np.where(thin | np.roll(thin, -1), mean, np.nan)
    axis.plot(x, few, color=colour, linewidth=0.8, linestyle=":")


def _draw_controls(axis: Axes, curves: Sequence[Curve]) -> None:
    """From the lowest to the highest mean of those that most images bring so far."""
    means = [_full(curve) for curve in curves]
    if means and np.isfinite(np.stack(means)).any():
        lines = np.ma.masked_invalid(np.stack(means))
        low, high = lines.min(0).filled(np.nan), lines.max(0).filled(np.nan)
        axis.fill_between(curves[0].effect, low, high, color=BAND, alpha=0.18, linewidth=0)


def _full(curve: Curve) -> Line:
    """The means; NaN where few images come."""
    mean: Line = np.where(_numbers(curve.reach) >= ENOUGH, _numbers(curve.mean), np.nan)
    return mean


def _shown(curve: Curve) -> list[float | None]:
    return [None if np.isnan(value) else round(float(value), 3) for value in _full(curve)]


def _name_lines(axis: Axes, curves: Sequence[Curve], palette: Mapping[str, str]) -> None:
    """Each editor's name at the right edge, near the end of its full line."""
    low, high = axis.get_ylim()
    ends = {}
    for curve in curves:
        known = _full(curve)[np.isfinite(_full(curve))]
        if known.size:
            ends[curve.editor] = (float(known[-1]) - low) / (high - low)
    for name, place in _spread(ends).items():
        axis.annotate(
            name,
            (1, place),
            (9, 0),
            xycoords="axes fraction",
            textcoords="offset points",
            fontsize=7,
            color=INK,
            va="center",
            annotation_clip=False,
        )
        axis.plot(
            [1.02],
            [place],
            marker="s",
            linestyle="none",
            markersize=3.5,
            color=palette[name],
            transform=axis.transAxes,
            clip_on=False,
        )


def _spread(places: Mapping[str, float]) -> dict[str, float]:
    """The same places in the same order, moved until no two are nearer than `APART`."""
    order = sorted(places, key=lambda name: places[name])
    spread: dict[str, float] = {}
    lowest = min(0.0, 1.0 - APART * (len(order) - 1))
    for name in order:
        spread[name] = max(places[name], lowest)
        lowest = spread[name] + APART
    highest = max(1.0, APART * (len(order) - 1))
    for name in reversed(order):
        spread[name] = min(spread[name], highest)
        highest = spread[name] - APART
    return spread


def forest(rows: Sequence[Comparison], unit: str, better_right: bool) -> Markup:
    """Differences with intervals, a line a second editor; a full dot where an editor is better or
    ahead."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2, 0.6 + 0.28 * len(rows)), layout="constrained")
        axis = figure.subplots()
        for i, row in enumerate(rows):
            decided = row.leader is not None
            colour = INK if decided else "#9aa0a6"
            axis.plot(np.array([row.low, row.high], float), [i, i], color=colour, linewidth=1.4)
            fill = colour if decided else "white"
            axis.plot(row.difference, i, "o", color=colour, markerfacecolor=fill, markersize=5)
        axis.axvline(0, color=QUIET, linewidth=0.8)
        axis.set_yticks(range(len(rows)), [row.second for row in rows])
        axis.invert_yaxis()
        axis.set_xlabel(f"difference in {unit} ({'right' if better_right else 'left'} is better)")
        return _svg(figure)


def _svg(figure: Figure) -> Markup:
    text = io.StringIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    return Markup(text.getvalue()[text.getvalue().index("<svg") :])  # noqa: S704
