"""Critical-difference diagrams, drawn and in words."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from markupsafe import Markup

from latentedit.benchmark.results.ranking import Ranking

AXIS, ROW, BAR = 64, 24, 9
"""In pixels: how far down the axis lies, and the heights of a label and of a bar."""
RANK, SHORTEST, LONGEST = 60, 180, 420
"""In pixels: of the axis, the length of one rank, and its least and greatest length."""
LETTER, GAP = 9, 24
"""In pixels: the width of a letter, and the space between a label and the axis."""


def diagram(ranking: Ranking, label: str) -> Markup:
    """The mean ranks on an axis, best at the left, as SVG that takes the colours of its page.

    A thick bar joins editors that the critical difference does not tell apart. A bracket over the
    axis has its length.

    Args:
        label: id of the element that names the drawing for readers who do not see it.
    """
    count = len(ranking.editors)
    texts = [f"{name} {rank:.2f}" for name, rank in ranking.means.items()]
    half = (count + 1) // 2
    left, right = (LETTER * max(map(len, part)) + GAP for part in (texts[:half], texts[half:]))
    length = min(max(RANK * (count - 1), SHORTEST), LONGEST)
    width = left + length + right

    def at(rank: float) -> float:
        return left + length * (rank - 1) / (count - 1)

    first = AXIS + 2 * BAR + BAR * len(ranking.groups) + ROW // 2
    height = first + ROW * half
    parts = [_line(left, AXIS, left + length, AXIS)]
    for tick in range(1, count + 1):
        parts += [_line(at(tick), AXIS - 6, at(tick), AXIS), _text(at(tick), AXIS - 12, str(tick))]
    parts += _bracket(at(1), min(at(1 + ranking.difference), width - 8), ranking.difference)
    for i, group in enumerate(ranking.groups):
        down, ends = AXIS + BAR * (i + 1), [ranking.means[group[0]], ranking.means[group[-1]]]
        parts.append(_line(at(ends[0]) - 4, down, at(ends[1]) + 4, down, wide=5))
    for i, (text, rank) in enumerate(zip(texts, ranking.means.values(), strict=True)):
        row = first + ROW * (i if i < half else count - 1 - i)
        end, anchor = (left - GAP // 2, "end") if i < half else (left + length + GAP // 2, "start")
        parts += _label(at(rank), row, end, text, anchor)
    return Markup(  # noqa: S704  (names are escaped)
        f'<svg class="ranks" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img" aria-labelledby="{escape(label)}">{"".join(parts)}</svg>'
    )


def _bracket(left: float, right: float, difference: float) -> list[str]:
    y = 22.0
    ends = [_line(x, y - 5, x, y + 5) for x in (left, right)]
    said = _text(left, y - 8, f"critical difference {difference:.2f}", "start")
    return [_line(left, y, right, y, wide=2), *ends, said]


def _label(x: float, y: float, end: float, text: str, anchor: str) -> list[str]:
    beside = end + (-5 if anchor == "end" else 5)
    return [_line(x, AXIS, x, y), _line(x, y, end, y), _text(beside, y + 5, text, anchor)]


def _line(x1: float, y1: float, x2: float, y2: float, wide: int = 1) -> str:
    places = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {places} stroke="currentColor" stroke-width="{wide}"/>'


def _text(x: float, y: float, text: str, anchor: str = "middle") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="14" text-anchor="{anchor}" '
        f'fill="currentColor">{escape(text)}</text>'
    )


def in_words(ranking: Ranking) -> list[str]:
    """What the diagram shows, a sentence each."""
    worlds = len({block.world for block in ranking.blocks})
    listed = ", ".join(f"{name} {rank:.2f}" for name, rank in ranking.means.items())
    test, verdict = ranking.test, "the editors differ" if ranking.differ else "no difference shown"
    said = [
        f"Mean ranks over {len(ranking.blocks)} blocks of {_counted(worlds, 'world')}, 1 is best: "
        f"{listed}.",
        f"Friedman's test: χ² = {test.statistic:.2f}, {_p(test.p)}: {verdict} at "
        f"{ranking.error_rate:.0%}.",
    ]
    if not ranking.differ:
        return [*said, "So the order of the editors is no finding."]
    return [
        *said,
        f"Mean ranks less than {ranking.difference:.2f} apart are not told apart (Nemenyi). "
        + (
            f"Not told apart: {'; '.join(map(_joined, ranking.groups))}."
            if ranking.groups
            else "Here every two editors are told apart."
        ),
    ]


def _counted(number: int, one: str) -> str:
    return f"1 {one}" if number == 1 else f"{number} {one}s"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def _joined(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]}"
