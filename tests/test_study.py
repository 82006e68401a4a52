"""The study and the replay of protocols: shares, sources of variance, agreement of rankings."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import limited_world as world
import numpy as np
import pytest
import torch
from scipy.stats import kendalltau

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))

import protocol_scores  # noqa: E402
import protocols  # noqa: E402
import study  # noqa: E402
import study_measure  # noqa: E402
import study_page  # noqa: E402
from protocol_scores import at_first  # noqa: E402
from study_figures import Difference, read_rows, write_rows  # noqa: E402
from study_page import Finding, components, share  # noqa: E402
from study_shares import share_of, share_of_all  # noqa: E402

from latentedit.benchmark.cells.bench import Bench  # noqa: E402
from latentedit.benchmark.results.comparison import Comparison, Verdict  # noqa: E402
from latentedit.benchmark.results.keys import ALL_TASKS, MetricKey  # noqa: E402
from latentedit.benchmark.results.reading import Run  # noqa: E402
from latentedit.benchmark.suite import load_suite  # noqa: E402


def difference(
    value: float,
    *,
    world: str = "synthface",
    world_seed: int = 0,
    bank_seed: int = 0,
    metric: str = "identity similarity",
    bounds: tuple[float, float] | None = None,
    face_sd: float = 0.0,
    fit_variance: float | None = 0.0,
    faces: int = 16,
    fits: int = 1,
    effect: float = 0.8,
) -> Difference:
    low, high = bounds or (None, None)
    return Difference(
        world, world_seed, bank_seed, "a", "b", metric, "", effect, value, low, high, faces,
        face_sd, fit_variance, fits,
    )  # fmt: skip


def test_there_are_eighteen_settings_of_two_worlds() -> None:
    found = study.settings()
    assert len({one.name for one in found}) == 18
    assert [one.world for one in found[:4]] == ["synthface", "synthface-net"] * 2
    suites = [one.suite(load_suite("study")) for one in found]
    rendered = {
        (s.bank.generator.options["world_seed"], s.bank.seed)
        for s in suites
        if s.bank.generator.plugin == "synthface"
    }
    assert rendered == {(world, bank) for world in range(3) for bank in range(3)}
    trained = [s for s in suites if s.bank.generator.plugin == "synthface-net"]
    assert {s.bank.seed for s in trained} == set(range(9))
    assert {(str(s.judge), str(s.bank.labeller)) for s in trained} == {
        ("synthface-net-judge", "synthface-net-labeller")
    }


def compared(first: str, second: str, metric: str, verdict: Verdict, of: float) -> Comparison:
    bounds = (of - 0.001, of + 0.001)
    key = MetricKey(metric)
    return Comparison(
        first, second, ALL_TASKS, key, 0.8, of, *bounds, 80, 5, 0.01, 0.01, verdict
    )  # fmt: skip


@pytest.mark.parametrize(("first", "second", "sign"), [("a", "b", 1), ("b", "a", -1)])
def test_the_share_of_a_verdict_counts_the_settings_of_its_sign(
    first: str, second: str, sign: int
) -> None:
    """`a` leaks less than `b` in three of four settings, in one of them by less than matters."""
    leaks = [difference(v, bank_seed=i, metric="true leakage") for i, v in enumerate(LEAKS)]
    missed = [difference(v, bank_seed=i, metric="target error") for i, v in enumerate(MISSES)]
    found = study_page.Study([], [*leaks, *missed])
    better = compared(first, second, "true leakage", "better" if sign > 0 else "worse", -sign * 0.1)
    equal = compared(first, second, "target error", "equivalent", 0.0)
    undecided = compared(first, second, "true leakage", "undecided", 0.0)
    unknown = compared(first, "c", "true leakage", "better", -0.1)
    assert str(share_of(better, found)) == "3 of 4"
    assert str(share_of(equal, found)) == "2 of 4"
    assert share_of(undecided, found) is None
    assert share_of(unknown, found) is None
    assert str(share_of_all([better, undecided, equal], found)) == "1 of 4"
    assert share_of_all([undecided, unknown], found) is None


LEAKS = (-0.1, -0.2, -0.001, 0.1)
MISSES = (0.2, 0.01, -0.2, -0.01)
"""Differences of `a` to `b` in four settings; of target errors, 0.05 matters."""


def test_a_finding_holds_where_the_better_sign_is_seen() -> None:
    finding = Finding("a keeps the person better", "a", "b", "identity similarity")
    rows = [
        difference(0.02, bounds=(0.01, 0.03)),
        difference(0.01, bounds=(-0.01, 0.03)),
        difference(-0.01, bounds=(-0.02, -0.001)),
        difference(-0.01),
    ]
    assert share(finding, rows) == study_page.Share(4, holds=2, decided=1, against=1)
    lower = [difference(-0.1, metric="true leakage", bounds=(-0.2, -0.05))]
    assert share(Finding("", "a", "b", "true leakage"), lower).decided == 1


def test_the_second_of_a_pair_can_be_the_better_one() -> None:
    finding = Finding("", "b", "a", "identity similarity")
    (row,) = study_page.rows_of(finding, [difference(-0.02, bounds=(-0.03, -0.01))])
    assert (row.first, row.difference, row.low, row.high) == ("b", 0.02, 0.01, 0.03)
    assert share(finding, [row]).decided == 1


def test_equality_is_a_difference_below_the_one_that_matters() -> None:
    finding = Finding("", "a", "b", "identity similarity", equal=True)
    rows = [
        difference(0.004, bounds=(-0.009, 0.009)),
        difference(0.004, bounds=(-0.02, 0.02)),
        difference(0.03, bounds=(0.02, 0.04)),
    ]
    assert share(finding, rows) == study_page.Share(3, holds=2, decided=1, against=1)


def test_sources_of_variance_are_found_again() -> None:
    rng = np.random.default_rng(0)
    rows = []
    for place in range(300):
        of_world = rng.normal(0, 0.05)
        for bank in range(4):
            noise = rng.normal(0, 0.2 / 10) + rng.normal(0, 0.04 / 5**0.5)
            value = 0.3 + of_world + rng.normal(0, 0.03) + noise
            rows.append(
                difference(value, world_seed=place, bank_seed=bank, face_sd=0.2, faces=100,
                           fit_variance=0.04**2, fits=5)
            )  # fmt: skip
    found = components(rows)
    assert found.mean == pytest.approx(0.3, abs=0.01)
    assert found.world == pytest.approx(0.05, rel=0.1)
    assert found.bank == pytest.approx(0.03, rel=0.1)
    assert (found.fit, found.face) == (pytest.approx(0.04), pytest.approx(0.2))


def test_noise_alone_is_no_source_of_variance() -> None:
    rows = [
        difference(value, world_seed=place, bank_seed=bank, face_sd=1.0)
        for place in range(2)
        for bank, value in enumerate((0.1, 0.2))
    ]
    found = components(rows)
    assert (found.world, found.bank, found.fit) == (0, 0, 0)


def test_rows_are_read_as_they_were_written(tmp_path: Path) -> None:
    rows = [difference(0.1, bounds=(0.0, 0.25)), difference(-0.1, fit_variance=None)]
    write_rows(tmp_path / "rows.csv", rows)
    assert read_rows(tmp_path / "rows.csv", Difference) == rows


def test_agreement_is_kendalls_tau() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        score, cost = rng.normal(size=(2, 7))
        expected = kendalltau(score, -cost).statistic
        assert protocols.agreement(score, cost, 0.0) == pytest.approx(expected)


def test_pairs_that_the_truth_does_not_tell_apart_do_not_count() -> None:
    cost = np.array([0.10, 0.11, 0.30])
    assert protocols.agreement(np.array([1.0, 2.0, 0.0]), cost, 0.02) == 1
    assert protocols.agreement(np.array([1.0, 2.0, 0.0]), cost, 0.0) == pytest.approx(1 / 3)
    assert np.isnan(protocols.agreement(cost, cost, 1.0))
    assert protocols.best_is_best(np.array([1.0, 2.0, 0.0]), cost, 0.02)
    assert not protocols.best_is_best(np.array([1.0, 2.0, 3.0]), cost, 0.02)


def test_a_value_is_read_where_a_face_first_attains_the_effect() -> None:
    along = torch.tensor([[0.0, 0.0, 0.0], [1.0, 0.2, 0.4], [0.5, 0.4, 0.9]])
    values = torch.tensor([[1.0, 1.0, 1.0], [0.8, 0.9, 0.8], [0.0, 0.8, 0.3]])
    strength = torch.tensor([[0.0] * 3, [1.0] * 3, [2.0, 2.0, float("nan")]])
    found = at_first(values, along, 0.5, strength)
    assert found[0] == pytest.approx(0.9)  # on the way up, not on the way back
    assert found[1:].isnan().all()  # too weak; and a strength that was not tried


def path(**changes: torch.Tensor) -> protocol_scores.Path:
    """Three strengths of one face: 0, 1 and 2."""
    line = torch.tensor([[0.0], [1.0], [2.0]])
    given = {
        "strength": line,
        "effect": line / 2,
        "true_effect": line / 2,
        "change": line,
        "others": 0.1 * line,
        "true_others": 0.2 * line,
        "drift": 0.3 * line,
        "similarity": 1 - 0.1 * line,
        "once": torch.tensor([1]),
    }
    return protocol_scores.Path(**(given | changes))


@pytest.mark.parametrize(
    ("score", "lenient", "expected"),
    [
        ("unmatched_cosine", False, 0.9),
        ("euclidean_distance", False, 0.2**0.5),
        ("classifier_threshold", False, 0.84),
        ("classifier_threshold", True, 0.86),
        ("matched_cosine", True, 0.84),
        ("rescored", False, 0.1),
        ("attribute_dependency", False, 0.1),
        ("matched_leakage", False, 0.16),
        ("true_drift", False, 0.48),
        ("true_leakage", False, 0.32),
    ],
)
def test_every_protocol_reads_its_own_place_of_the_path(
    score: str, lenient: bool, expected: float
) -> None:
    found = getattr(protocol_scores, score)(path(), lenient)
    assert found.tolist() == pytest.approx([expected])


def test_edits_side_by_side_are_measured_as_in_a_run(tmp_path: Path) -> None:
    world.carry_out(tmp_path / "run", controls=[], keep_codes=False)
    run = Run(tmp_path / "run")
    bench = Bench(run.suite, run.bank, world.registry())
    editors = study_measure.fitted(bench, run.suite)
    arrays = study_measure.measured(bench, run.suite, editors)[0]
    for entrant, task in itertools.product(run.suite.editors, run.suite.tasks):
        (edits,) = run.finished(entrant, task.name)
        start = study_measure.array_name((entrant, 0), task.name, "")
        own = {k.removeprefix(start): v for k, v in arrays.items() if k.startswith(start)}
        assert {"judged", "matched_strength", "matched_truth", "similarity"} < set(own)
        for name, values in own.items():
            torch.testing.assert_close(
                values, edits.arrays[name], rtol=1e-4, atol=1e-4, equal_nan=True, msg=name
            )
