"""README and docs say what the results in docs/results say, in words that follow from verdicts."""

from __future__ import annotations

import importlib
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from made_runs import write_run
from test_benchmarks import BENCHMARKS, script

from latentedit.benchmark.results.comparison import Comparison, Verdict
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.rows import Measure

REACH, LEAKAGE, IDENTITY = (
    MetricKey("reach"),
    MetricKey("true leakage"),
    MetricKey("identity similarity", "some-recogniser"),
)


@pytest.fixture(scope="module")
def figures() -> ModuleType:
    sys.path.append(str(BENCHMARKS))
    return script("figures")


@pytest.fixture(scope="module")
def sentences(figures: ModuleType) -> ModuleType:
    return script("suite_sentences")


def compared(
    second: str, metric: MetricKey, verdict: Verdict, difference: float = 0.125, fits: int = 1
) -> Comparison:
    bounds = (difference - 0.01, difference + 0.02)
    return Comparison(
        "styleflow", second, ALL_TASKS, metric, 0.8, difference, *bounds, 40, fits, 0.01, 0.02,
        verdict,
    )  # fmt: skip


def shipped(*rows: Comparison, means: tuple[Measure, ...] = ()) -> Any:
    """A kept run with these comparisons, and with the facts of the shipped quickstart."""
    module = importlib.import_module("shipped")
    editors = {name: {"plugin": name} for name in ["styleflow", *(row.second for row in rows)]}
    facts = module.Shipped.read(module.RESULTS / "quickstart").facts
    return module.Shipped(replace(facts, editors=editors), means=means, comparisons=tuple(rows))


def test_readme_and_docs_are_as_the_shipped_results_have_them(figures: ModuleType) -> None:
    assert list(figures.faults()) == []


def test_a_page_that_differs_is_a_fault(
    figures: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "docs").mkdir()
    readme = (figures.ROOT / "README.md").read_text(encoding="utf-8")
    block, typed = "<!-- overview of quickstart -->\n", "It reaches 0.99.\n\n"
    (tmp_path / "README.md").write_text(
        readme.replace(block, f"{typed}{block}| by hand |\n"), encoding="utf-8"
    )
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    found = list(figures.faults())
    assert len(found) == 2
    assert "README.md differs" in found[0]
    assert "'0.99' is typed" in found[1]
    figures.write()
    written = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert written == readme.replace(block, typed + block)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("It reaches 0.87 of them.", ["0.87"]),
        ("A gain of −0.12 σ, or +3 %.", ["−0.12", "+3 %"]),
        ("In 95% of them.", ["95%"]),
        ("It ends with 0.5.", ["0.5"]),
        ("Six tasks and 200 faces.", []),
        ("Python 3.11.2, `--option c=0.5` and [a page](v1.5.md).", []),
        ("```\nstrength 0.25\n```\n", []),
        ("<!-- reach of quickstart -->\n0.5\n<!-- end -->\n0.6", ["0.6"]),
    ],
)
def test_a_typed_figure_is_found(figures: ModuleType, text: str, found: list[str]) -> None:
    assert figures.typed_figures(text) == found


def test_figures_are_looked_for_in_the_named_sections_alone(figures: ModuleType) -> None:
    page = "# A\n0.1\n## Results of B\n0.2\n### Of C\n0.3\n## D\n0.4\n"
    assert figures.typed_figures(page, "Results") == ["0.2", "0.3"]


def test_a_block_that_nothing_writes_is_refused(figures: ModuleType) -> None:
    with pytest.raises(SystemExit, match="asks for 'nonsense of quickstart'; there are "):
        figures.filled("<!-- nonsense of quickstart -->\n<!-- end -->\n")


def test_kept_results_are_read_as_the_run_has_them(figures: ModuleType, tmp_path: Path) -> None:
    run = Run(write_run(tmp_path / "run"))
    module = importlib.import_module("shipped")
    module.keep(run, tmp_path / "kept")
    kept = module.Shipped.read(tmp_path / "kept")
    results = run.results
    wanted = [
        row
        for row in results.measures
        if results.at_effect(row) and (row.task == ALL_TASKS or row.metric.name in module.BY_TASK)
    ]
    assert [(m.editor, m.metric, m.task, m.faces) for m in kept.means] == [
        (m.editor, m.metric, m.task, m.faces) for m in wanted
    ]
    assert [m.mean for m in kept.means] == pytest.approx([m.mean for m in wanted], rel=1e-5)
    assert {row.verdict for row in kept.comparisons} >= {"ahead", "undecided"}
    assert len(kept.comparisons) == sum(
        r.verdict != "exploratory" and results.at_effect(r) for r in results.comparisons
    )
    assert kept.facts.suite == results.suite.name
    assert list(kept.facts.editors) == list(results.suite.editors)
    assert module.Shipped.read(tmp_path / "kept") == kept


@pytest.mark.parametrize(
    ("verdicts", "standing"),
    [
        (("behind", "equivalent"), "loses"),
        (("worse", "undecided"), "loses"),
        (("ahead", "behind"), "trade"),
        (("better", "worse"), "trade"),
        (("equivalent", "undecided"), "tie"),
        (("ahead", "equivalent"), "wins"),
        (("better", "better"), "wins"),
    ],
)
def test_a_flow_loses_where_it_is_behind_and_nowhere_ahead(
    sentences: ModuleType, verdicts: tuple[Verdict, Verdict], standing: str
) -> None:
    rows = [compared("x", key, said) for key, said in zip((REACH, LEAKAGE), verdicts, strict=True)]
    assert sentences.standing(rows) == standing


def test_the_first_sentence_names_those_to_whom_the_flow_loses(sentences: ModuleType) -> None:
    run = shipped(
        compared("closed", REACH, "behind", -0.125),
        compared("closed", IDENTITY, "equivalent"),
        compared("svm", LEAKAGE, "ahead", -0.25),
        compared("svm", REACH, "undecided"),
        compared("other", REACH, "worse"),
    )
    said = " ".join(sentences.findings(run).split())
    assert said.startswith("**StyleFlow (`styleflow`) loses to `closed` and `other`**: ")
    assert "It is ahead of `svm` in at least one endpoint" in said
    assert (
        "- **Against `closed`** (40 faces, one fit): `styleflow` is behind in reach -0.125 "
        "(-0.135 to -0.105). Equivalent: identity (recogniser) +0.125 (+0.115 to +0.145)." in said
    )
    assert "`styleflow` is ahead in true leakage -0.250 σ (-0.260 to -0.230). Undecided" in said
    assert "`styleflow` is worse in reach" in said
    assert "*better* takes 5 fits of both editors" in said


def test_a_flow_that_loses_to_nobody_is_said_to(sentences: ModuleType) -> None:
    run = shipped(compared("svm", LEAKAGE, "better", -0.25, fits=5))
    said = " ".join(sentences.findings(run).split())
    assert said.startswith("**StyleFlow (`styleflow`) loses to no other editor.** It is ahead of")
    assert "(40 faces, 5 fits)" in said
    assert "takes 5 fits" not in said


@pytest.mark.parametrize(("svm", "words"), [(0.97, "in 1 of 1 metrics"), (0.99, "in 0 of 1")])
def test_the_oracle_is_best_within_its_interval(
    sentences: ModuleType, svm: float, words: str
) -> None:
    def mean(name: str, value: float) -> Measure:
        bounds = (value - 0.01, value + 0.01)
        return Measure(name, ALL_TASKS, IDENTITY, 0.8, value, *bounds, 40, 1, None)

    means = (mean("oracle", 0.965), mean("svm", svm))
    said = sentences.oracle(shipped(compared("svm", IDENTITY, "ahead"), means=means))
    assert words in said
    assert ("behind `svm`" in said) == (svm > 0.975)


@pytest.mark.parametrize(
    ("embedded", "published", "outcome"),
    [
        ("ahead", "better", "holds in both"),
        ("ahead", "behind", "the other way round"),
        ("behind", "equivalent", "embedded world alone"),
        ("undecided", "worse", "published networks alone"),
        ("equivalent", "undecided", "told apart in neither"),
    ],
)
def test_a_finding_of_one_world_is_sought_in_the_other(
    figures: ModuleType, embedded: Verdict, published: Verdict, outcome: str
) -> None:
    worlds = importlib.import_module("two_worlds")
    judged = MetricKey("attribute leakage")
    first, second = (
        shipped(compared("svm", key, said))
        for key, said in ((LEAKAGE, embedded), (judged, published))
    )
    (found,) = worlds.findings(first, second)
    assert found.outcome == outcome
    assert found.endpoint == "leakage"
    assert outcome in worlds.compared(first, second)


def test_findings_of_many_editors_are_counted_and_told_for_one(figures: ModuleType) -> None:
    worlds = importlib.import_module("two_worlds")
    rows = [compared("svm", LEAKAGE, "ahead"), compared("other", LEAKAGE, "behind")]
    others = replace(compared("svm", LEAKAGE, "ahead"), first="other")
    run = shipped(*rows, others)
    assert [found.embedded.pair for found in worlds.findings(run, run, "styleflow")] == [
        ("styleflow", "svm"),
        ("styleflow", "other"),
    ]
    assert len(list(worlds.findings(run, run))) == 3
    (counts,) = [line for line in worlds.counted(run, run).splitlines() if "| leakage" in line]
    assert counts == "| leakage | 3 | 0 | 0 | 0 | 0 | 3 |"
    told = " ".join(worlds.said(run, run, "styleflow").split())
    assert "2 comparisons of `styleflow` with another editor in an endpoint" in told
    row = "`styleflow` before `svm` in leakage; `other` before `styleflow` in leakage"
    assert f"| holds in both | 2 | {row} |" in told
    assert "`other` before `svm`" not in told
    assert "`other` before `svm`" in " ".join(worlds.said(run, run).split())


def test_editors_with_other_options_are_not_compared_between_worlds(figures: ModuleType) -> None:
    worlds = importlib.import_module("two_worlds")
    run = shipped(compared("svm", REACH, "ahead"))
    options = {"styleflow": {"plugin": "styleflow"}, "svm": {"plugin": "svm", "whiten": True}}
    other = replace(run, facts=replace(run.facts, editors=options))
    assert worlds.shared(run, other) == ["styleflow"]
    assert list(worlds.findings(run, other)) == []


def test_leakage_as_judged_is_shown_where_the_true_one_is_unknown(figures: ModuleType) -> None:
    tables = importlib.import_module("suite_tables")
    judged = MetricKey("attribute leakage")

    def measures(*keys: MetricKey) -> tuple[Measure, ...]:
        return tuple(Measure("svm", ALL_TASKS, k, 0.8, 0.5, 0.4, 0.6, 40, 1, None) for k in keys)

    both, one = shipped(means=measures(LEAKAGE, judged)), shipped(means=measures(judged))
    assert tables.metrics(both) == [LEAKAGE]
    assert tables.metrics(one) == [judged]
