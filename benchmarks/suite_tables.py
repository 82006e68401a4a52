"""Tables in Markdown of one kept run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from shipped import Shipped

from latentedit.benchmark.results.comparison import Comparison, winner
from latentedit.benchmark.results.keys import MetricKey, in_order
from latentedit.benchmark.results.rows import Measure
from latentedit.measures.headline import ROUND_TRIP

OURS = "styleflow"
"""The editor that is compared with all others."""
SHOWN = ("reach", "identity similarity", "true leakage", "attribute leakage", "target error")
FLOWS = ("styleflow", "coupling-flow", "conditional-mean")
"""Plugins of the table of flows: an untrained flow on residuals edits as the conditional mean."""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def metrics(run: Shipped) -> list[MetricKey]:
    """Those of `SHOWN`, recognisers apart, in its order.

    Leakage as the judge sees it is shown only if no generator knows the true one.
    """
    known = {m.metric.name for m in run.means}
    unused = "attribute leakage" if "true leakage" in known else "true leakage"
    return in_order((m.metric for m in run.means), [name for name in SHOWN if name != unused])


def named(metric: MetricKey) -> str:
    """A metric in a table or sentence: identity by the last word of the recogniser's name."""
    short = metric.recogniser.rpartition("-")[2]
    name = metric.name.replace("identity similarity", "identity")
    return f"{name} ({short})" if short else name


def ranked(run: Shipped, names: Iterable[str]) -> list[str]:
    """Editors with the highest identity similarity to the first recogniser first."""
    key = next(key for key in metrics(run) if key.name == "identity similarity")

    def rank(name: str) -> float:
        found = run.mean(name, key)
        return float("inf") if found is None else -found.mean

    return sorted(names, key=rank)


def overview(run: Shipped) -> str:
    """Every editor, then floor and ceiling of the controls."""
    bounds = (run.facts.bounds.get(end) for end in ("ceiling", "floor"))
    return _means(run, run.facts.editors, [name for name in bounds if name])


def measures(run: Shipped) -> str:
    """Every editor and every control."""
    return _means(run, run.facts.editors, run.facts.controls)


def flows(run: Shipped) -> str:
    """The editors whose plugin is one of `FLOWS`."""
    editors = run.facts.editors
    return _means(run, [name for name in editors if editors[name]["plugin"] in FLOWS], [])


def _means(run: Shipped, editors: Iterable[str], controls: Sequence[str]) -> str:
    keys = metrics(run)
    best = {key: _best(run, key) for key in keys}
    rows = [
        [f"`{name}`", *(_interval(run.mean(name, key), best[key] == name) for key in keys)]
        for name in ranked(run, editors)
    ]
    rows += [[f"*{name}*", *(_interval(run.mean(name, key)) for key in keys)] for name in controls]
    return table(["editor", *map(_heading, keys)], rows)


def _best(run: Shipped, metric: MetricKey) -> str | None:
    return winner((row for row in run.comparisons if row.metric == metric), run.facts.editors)


def _heading(metric: MetricKey) -> str:
    definition = metric.metric
    unit = ", σ" if definition.unit == "σ" else ""
    return f"{named(metric)}{unit} {'↑' if definition.higher_is_better else '↓'}"


def _interval(found: Measure | None, bold: bool = False) -> str:
    if found is None:
        return "–"
    mark = "**" if bold else ""
    bounds = "" if found.low is None else f" ({found.low:.3f}–{found.high:.3f})"
    return f"{mark}{found.mean:.3f}{mark}{bounds}"


def bounded(run: Shipped) -> list[MetricKey]:
    """Metrics that have a better direction, but those of edits that are undone: no edit is best."""
    keys = dict.fromkeys(m.metric for m in run.means)
    return [
        key
        for key in keys
        if key.metric.higher_is_better is not None and key.name not in ROUND_TRIP
    ]


def bounds(run: Shipped) -> str:
    """Ceiling, best and worst editor, and floor, by every metric that has a better direction."""
    ceiling, floor = (run.facts.bounds.get(end, "") for end in ("ceiling", "floor"))
    rows = []
    for key in bounded(run):
        ends = [run.mean(name, key) for name in (ceiling, floor)]
        found = [m for name in run.facts.editors if (m := run.mean(name, key))]
        if not found:
            continue
        found.sort(key=lambda m: m.mean, reverse=bool(key.metric.higher_is_better))
        first, last = (f"{m.mean:.3f} (`{m.editor}`)" for m in (found[0], found[-1]))
        rows.append([_heading(key), _interval(ends[0]), first, last, _interval(ends[1])])
    return table(["metric", f"*{ceiling}*", "best editor", "worst editor", f"*{floor}*"], rows)


def paired(run: Shipped) -> str:
    """Our editor less each other editor, on the faces that both reach."""
    keys = [key for key in metrics(run) if any(row.metric == key for row in run.comparisons)]
    rows = []
    for other in ranked(run, (name for name in run.facts.editors if name != OURS)):
        found = {row.metric: row for row in run.against(OURS, other)}
        rows.append([f"`{other}`", *(_compared(found.get(key)) for key in keys)])
    return table([f"`{OURS}` −", *map(_heading, keys)], rows)


def _compared(row: Comparison | None) -> str:
    if row is None:
        return "–"
    words = f"{difference(row)}, {row.verdict}"
    return f"**{words}**" if row.leader == OURS else words


def difference(row: Comparison, unit: str = "") -> str:
    """A difference with its bounds; without a sign where it rounds to nothing."""
    said = signed(row.difference) + unit
    if row.low is None or row.high is None:
        return said
    return f"{said} ({signed(row.low)} to {signed(row.high)})"


def signed(value: float) -> str:
    said = f"{value:+.3f}"
    return said if float(said) else "0.000"


def reach(run: Shipped) -> str:
    return _by_task(run, MetricKey("reach"), "{:.0%}")


def identity(run: Shipped) -> str:
    """By the first recogniser."""
    return _by_task(run, MetricKey("identity similarity", run.facts.recognisers[0]), "{:.3f}")


def leakage(run: Shipped) -> str:
    return _by_task(run, MetricKey("true leakage"), "{:.2f}")


def _by_task(run: Shipped, metric: MetricKey, form: str) -> str:
    rows = []
    editors = [(name, f"`{name}`") for name in ranked(run, run.facts.editors)]
    for name, shown in [*editors, *((name, f"*{name}*") for name in run.facts.controls)]:
        found = [run.mean(name, metric, task) for task in run.facts.tasks]
        if any(found):
            rows.append([shown, *(form.format(m.mean) if m else "–" for m in found)])
    asked = (run.mean(OURS, MetricKey("reach"), task) for task in run.facts.tasks)
    heads = [
        f"{task} ({m.faces if m else 0})" for task, m in zip(run.facts.tasks, asked, strict=True)
    ]
    return table([named(metric), *heads], rows)


def options(run: Shipped) -> str:
    """Plugin and stated options of each editor."""
    rows = []
    for name, use in run.facts.editors.items():
        stated = ", ".join(f"`{key}: {_plain(v)}`" for key, v in use.items() if key != "plugin")
        rows.append([f"`{name}`", f"`{use['plugin']}`", stated or "–"])
    return table(["editor", "plugin", "options that are not its defaults"], rows)


def _plain(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def possible(run: Shipped) -> str:
    """How many faces each task asks, and how many of them no edit can do."""
    rows = [
        [task, str(faces), str(left_out), f"{left_out / faces:.0%}"]
        for task, (faces, left_out) in run.facts.left_out.items()
    ]
    return table(["task", "faces", "left out", "share"], rows)


TABLES: dict[str, Callable[[Shipped], str]] = {
    "overview": overview,
    "measures": measures,
    "flows": flows,
    "bounds": bounds,
    "paired": paired,
    "reach": reach,
    "identity": identity,
    "leakage": leakage,
    "options": options,
    "possible": possible,
}
"""By the name that a page asks for."""
