"""Sentences in Markdown of one kept run. Verdicts choose their words."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

from shipped import Shipped
from study_shares import has_study, share_of, share_of_all
from suite_tables import FLOWS, OURS, SHOWN, bounded, difference, named

from latentedit.benchmark.results.comparison import ENOUGH_FITS, ENOUGH_IMAGES, Comparison
from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.rows import Measure

Standing = Literal["loses", "trade", "tie", "wins"]
WIDTH = 100
DETAILED = 6
"""Up to this many other editors have a paragraph of their own."""


def standing(rows: Sequence[Comparison]) -> Standing:
    """Of the first editor of `rows`, a row an endpoint: it loses if it is behind in one of them
    and ahead in none."""
    ahead = any(row.verdict in ("ahead", "better") for row in rows)
    behind = any(row.verdict in ("behind", "worse") for row in rows)
    if ahead and behind:
        return "trade"
    if behind:
        return "loses"
    return "wins" if ahead else "tie"


def facts(run: Shipped) -> str:
    """What was compared."""
    f = run.facts
    noise = ", ".join(f"{name} {error:.2f}" for name, error in f.judge_errors.items())
    tuned = "Options were tuned." if f.tuned else "No options were tuned in the run."
    return paragraph(
        f"{len(f.editors)} editors and {len(f.controls)} controls, {len(f.tasks)} tasks, {f.faces} "
        f"faces to edit, {f.n_fit} to fit on, {_fits(run)}, compared at {f.effect:.0%} of "
        f"the requested change. {tuned} Bank `{f.bank[:12]}`; latentedit "
        f"{f.versions['latentedit']}, torch {f.versions['torch']}."
        + (f" Mean error of the judge, in σ: {noise}." if noise else "")
    )


def _fits(run: Shipped) -> str:
    """How many fits each editor has."""
    key = MetricKey("reach")
    found = {name: m.seeds for name in run.facts.editors if (m := run.mean(name, key))}
    most = max(found.values(), default=len(run.facts.seeds))
    fewer: dict[int, list[str]] = {}
    for name, fits in found.items():
        if fits < most:
            fewer.setdefault(fits, []).append(name)
    said = f"{_counted_fits(most, most)} of each editor"
    but = [f"{_counted_fits(fits, fits)} of {_listed(names)}" for fits, names in fewer.items()]
    return f"{said} (but {listed(but)})" if but else said


def findings(run: Shipped) -> str:
    """First whether `OURS` loses and to whom, then the reasons, then what limits them."""
    others = [name for name in run.facts.editors if name != OURS]
    return _found(run, others, detailed=len(others) <= DETAILED)


def verdict(run: Shipped) -> str:
    """Whether `OURS` loses and to whom."""
    others = [name for name in run.facts.editors if name != OURS]
    return _found(run, others, detailed=False)


def flow_findings(run: Shipped) -> str:
    """The same against the other flows alone."""
    editors = run.facts.editors
    flows = [name for name in editors if editors[name]["plugin"] in FLOWS and name != OURS]
    return _found(run, flows, detailed=True)


def _found(run: Shipped, others: Sequence[str], detailed: bool) -> str:
    pairs = {name: sorted(rows, key=_place) for name in others if (rows := run.against(OURS, name))}
    groups: dict[Standing, list[str]] = {"loses": [], "trade": [], "tie": [], "wins": []}
    for name, rows in pairs.items():
        groups[standing(rows)].append(name)
    known = has_study(run)
    shown = {name: _with_share(name, pairs[name] if known else []) for name in pairs}
    parts = [paragraph(_headline(groups, shown))]
    if detailed:
        order = [name for names in groups.values() for name in names]
        lines = [paragraph(_detail(name, pairs[name], known), "- ") for name in order]
        parts.append("\n".join(lines))
    return "\n\n".join([*parts, paragraph(_limits(run, pairs) + _studied(run, pairs))])


def _with_share(name: str, rows: Sequence[Comparison]) -> str:
    """A name, and in how many settings of the study all verdicts of `rows` hold at once."""
    share = share_of_all(rows)
    return f"`{name}`" if share is None else f"`{name}` ({share})"


def _place(row: Comparison) -> tuple[int, str]:
    """Of an endpoint among others: as in tables."""
    name = row.metric.name
    return SHOWN.index(name) if name in SHOWN else len(SHOWN), row.metric.recogniser


def _headline(groups: dict[Standing, list[str]], shown: Mapping[str, str]) -> str:
    loses, trade, tie, wins = ([shown[name] for name in names] for names in groups.values())
    first = (
        f"**StyleFlow (`{OURS}`) loses to {listed(loses)}**: it is behind in at least one "
        "primary endpoint and ahead in none."
        if loses
        else f"**StyleFlow (`{OURS}`) loses to no other editor.**"
    )
    more = [
        f"Against {listed(trade)} there is a trade: it is ahead in one endpoint and behind in "
        "another."
        if trade
        else "",
        f"It cannot be told apart from {listed(tie)}." if tie else "",
        f"It is ahead of {listed(wins)} in at least one endpoint and behind in none."
        if wins
        else "",
    ]
    return " ".join([first, *filter(None, more)])


SAID: dict[str, str] = {
    "worse": "worse in",
    "behind": "behind in",
    "better": "better in",
    "ahead": "ahead in",
}


def _detail(name: str, rows: Sequence[Comparison], studied: bool) -> str:
    """One bullet: what our editor is in each endpoint against `name`."""
    parts = [
        f"{said} {listed([_figure(row, studied) for row in rows if row.verdict == word])}"
        for word, said in SAID.items()
        if any(row.verdict == word for row in rows)
    ]
    said = f"`{OURS}` is {'; '.join(parts)}." if parts else "No endpoint tells them apart."
    equal = [_figure(row, studied) for row in rows if row.verdict == "equivalent"]
    undecided = [_figure(row, studied) for row in rows if row.verdict == "undecided"]
    if equal:
        said += f" Equivalent: {listed(equal)}."
    if undecided:
        said += f" Undecided: {listed(undecided)}."
    return f"**Against `{name}`** ({_basis(rows)}): {said}"


def _figure(row: Comparison, studied: bool) -> str:
    """A difference with its bounds, and in how many settings of the study its verdict holds."""
    unit = " σ" if row.metric.metric.unit == "σ" else ""
    said = f"{named(row.metric)} {difference(row, unit)}"
    share = share_of(row) if studied else None
    if share is None:
        return said
    return f"{said[:-1]}; {share})" if said.endswith(")") else f"{said} ({share})"


def _basis(rows: Sequence[Comparison]) -> str:
    faces, fits = [row.faces for row in rows], [row.fits for row in rows]
    few, most = min(faces), max(faces)
    count = f"{few}" if few == most else f"{few} to {most}"
    return f"{count} faces, {_counted_fits(min(fits), max(fits))}"


def _counted_fits(few: int, most: int) -> str:
    if few == most:
        return "one fit" if few == 1 else f"{few} fits"
    return f"{'one' if few == 1 else few} to {most} fits"


def _limits(run: Shipped, pairs: dict[str, list[Comparison]]) -> str:
    rows = [row for own in pairs.values() for row in own]
    said = (
        "Figures are paired differences over all tasks, with intervals of "
        f"{run.facts.confidence:.0%}, on the faces that both editors reach ({_basis(rows)}). "
        "Holm's rule is over all pairs of editors and endpoints, and a verdict takes "
        f"{ENOUGH_IMAGES} faces."
    )
    if min(row.fits for row in rows) < ENOUGH_FITS:
        said += (
            " *Ahead* and *behind* are about these fits alone: *better* takes "
            f"{ENOUGH_FITS} fits of both editors."
        )
    return said


def _studied(run: Shipped, pairs: Mapping[str, Sequence[Comparison]]) -> str:
    """What a share such as 17 of 18 means; empty where there is none."""
    if not has_study(run) or all(share_of_all(rows) is None for rows in pairs.values()):
        return ""
    missing = [name for name, rows in pairs.items() if share_of_all(rows) is None]
    return (
        " A count such as *17 of 18* says in how many settings of the study the same holds. A "
        "setting has another world, bank and fits. Behind the name of an editor, the count is of "
        "all that is said of it at once."
        + (f" The study does not have {_listed(missing)}." if missing else "")
    )


def oracle(run: Shipped) -> str:
    """Whether the ceiling is at least as good as every editor on every metric."""
    ceiling = run.facts.bounds.get("ceiling")
    if ceiling is None:
        return "This run has no ceiling."
    passed, failed = [], []
    for own in filter(None, (run.mean(ceiling, key) for key in bounded(run))):
        rivals = [run.mean(name, own.metric) for name in run.facts.editors]
        ahead = [m.editor for m in rivals if m is not None and _beyond(m, own)]
        (failed if ahead else passed).append((own, ahead))
    said = (
        f"The {ceiling} is the best, or within its own interval of the best, in {len(passed)} of "
        f"{len(passed) + len(failed)} metrics."
    )
    for own, ahead in failed:
        said += f" In {named(own.metric)} it is behind {_listed(ahead)}."
    return paragraph(said)


def _beyond(rival: Measure, own: Measure) -> bool:
    """Whether a mean is better than the better end of another one's interval."""
    if own.metric.metric.higher_is_better:
        return rival.mean > (own.mean if own.high is None else own.high)
    return rival.mean < (own.mean if own.low is None else own.low)


def _listed(names: Iterable[str]) -> str:
    return listed([f"`{name}`" for name in names])


def listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"


def paragraph(text: str, mark: str = "") -> str:
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=mark,
        subsequent_indent=" " * len(mark),
        break_long_words=False,
        break_on_hyphens=False,
    )


SENTENCES: dict[str, Callable[[Shipped], str]] = {
    "facts": facts,
    "findings": findings,
    "verdict": verdict,
    "flow findings": flow_findings,
    "oracle": oracle,
}
"""By the name that a page asks for."""
