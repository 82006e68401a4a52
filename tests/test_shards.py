"""Test images in shards: cells of their own, and the figures of a run without shards."""

from __future__ import annotations

import shutil
from copy import copy
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from metric_worlds import toy_metrics_registry as registry
from test_benchmark import SUITE, Silent
from toy import toy_registry

from latentedit import (
    Evaluation,
    InputError,
    LatentBank,
    SuiteError,
    evaluate,
    make_bank,
)
from latentedit.benchmark.cells.store import CellStore
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import Results, ResultsRecord
from latentedit.benchmark.results.states import cell_states
from latentedit.benchmark.results.summary import results_of
from latentedit.benchmark.run import RunOutcome, explain, run_suite
from latentedit.benchmark.suite import Suite

TASKS = [
    {"attribute": "age", "change": 10},
    {"attribute": "glasses", "change": "flip", "among": {"age": (0.0, 20.0)}},
]
"""Few faces are so young: some shards have none of the second task's."""
N, MANY = 203, 27


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    folder = tmp_path_factory.mktemp("bank") / "bank"
    return make_bank(
        toy_registry(), folder, generator="toy", labeller="toy-labeller", n_fit=100, n_test=N
    )


@pytest.fixture(scope="module")
def evaluated(bank: LatentBank) -> dict[int | None, Evaluation]:
    """The same comparison by how many faces a shard has."""
    return {
        shard: evaluate(
            bank,
            ["exact", "leaky", "timid"],
            TASKS,
            judge="toy-judge",
            identity=["toy-identity"],
            registry=registry(),
            controls=["no-edit"],
            sequences=SUITE["sequences"],
            effects=[0.8, 0.5],
            metrics=["move"],
            show_images=3,
            only_possible=True,
            **({} if shard is None else {"shard": shard}),
        )
        for shard in (None, 300, MANY)
    }


def figures(results: Results) -> dict[str, Any]:
    """Everything that results say, but for the suite and the number of cells."""
    names = [entry.name for entry in fields(Results) if entry.name not in ("suite", "cells")]
    return {name: getattr(results, name) for name in names}


def test_a_shard_is_a_cell_and_a_fit_is_one_for_all_shards(
    evaluated: dict[int | None, Evaluation],
) -> None:
    run, shards, fits = evaluated[MANY].run, 8, 4
    states = cell_states(run)
    assert len(states) == shards + fits * (1 + shards * 3) == run.suite.cell_count
    assert {state.status for state in states} == {"ok"}
    assert "edit--exact--seed0--age--shard00007" in {state.id for state in states}
    assert len(run.store.arrays("faces--shard00007")["judged"]) == N - 7 * MANY


def leaves(value: Any, place: str = "") -> dict[str, Any]:
    """What plain data holds, by place."""
    if isinstance(value, dict):
        value = list(value.items())
    if not isinstance(value, list | tuple):
        return {place: value}
    return {k: v for i, part in enumerate(value) for k, v in leaves(part, f"{place}.{i}").items()}


def plain(results: Results) -> dict[str, Any]:
    """All figures, by place."""
    written = ResultsRecord(results).model_dump(mode="json")
    return leaves([written[name] for name in figures(results)])


def assert_near(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    numbers = {place for place, value in wanted.items() if isinstance(value, float)}
    assert {k: found[k] for k in numbers} == pytest.approx(
        {k: wanted[k] for k in numbers}, rel=1e-5, abs=1e-5
    )
    others = set(wanted) - numbers
    assert {k: found[k] for k in others} == {k: wanted[k] for k in others}


def test_the_figures_are_those_of_a_run_without_shards(
    evaluated: dict[int | None, Evaluation],
) -> None:
    assert figures(evaluated[300]) == figures(evaluated[None])
    wanted, found = plain(evaluated[None]), plain(evaluated[MANY])
    assert len(wanted) > 2000
    # sums of networks depend on the size of a batch, in the last bits
    assert_near(found, wanted)


def without_kernels(results: Results) -> Results:
    """Without kernel distances, which are over the images of one part, here too few."""
    name = "kernel distance"
    distances = tuple(replace(row, kernel=None) for row in results.realism.distances)
    return replace(
        results,
        measures=tuple(row for row in results.measures if row.metric.name != name),
        comparisons=tuple(row for row in results.comparisons if row.metric.name != name),
        realism=replace(results.realism, distances=distances),
    )


def test_figures_are_sums_over_parts_of_a_run(evaluated: dict[int | None, Evaluation]) -> None:
    whole, run = evaluated[MANY], copy(evaluated[MANY].run)
    run.at_once = 2 * MANY
    assert [part.n for part in run.parts()] == [54, 54, 54, N - 3 * 54]
    assert_near(plain(without_kernels(results_of(run))), plain(without_kernels(whole)))


def test_images_of_a_task_stay_beside_their_numbers(
    evaluated: dict[int | None, Evaluation],
) -> None:
    for task in ("age", "glasses"):
        (whole,) = evaluated[None].run.finished("leaky", task)
        (joined,) = evaluated[MANY].run.finished("leaky", task)
        assert len(whole.arrays["images"]) == 3
        for name in set(whole.arrays) - {"codes_space"}:
            torch.testing.assert_close(
                joined.arrays[name], whole.arrays[name], rtol=1e-5, atol=1e-5, equal_nan=True
            )


def test_a_shard_without_images_of_a_task_costs_nothing(
    evaluated: dict[int | None, Evaluation],
) -> None:
    store = evaluated[MANY].run.store
    cells = [f"edit--exact--seed0--glasses--shard{k:05d}" for k in range(8)]
    counts = [len(store.arrays(cell)["faces"]) for cell in cells]
    assert 0 in counts
    assert sum(counts) > 1
    assert store.timings(cells[counts.index(0)])["edits"] == 0


def suite_of(shard: int) -> Suite:
    editors = {name: {"plugin": name} for name in ("exact", "leaky")}
    changed = {"editors": editors, "controls": [], "sequences": [], "tasks": TASKS[:1]}
    return Suite.model_validate(SUITE | changed | {"shard": shard})


def carry_out(folder: Path, suite: Suite) -> RunOutcome:
    return run_suite(suite, folder, Silent(), registry=registry, workers=2)


def test_only_a_lost_shard_is_computed_again(tmp_path: Path) -> None:
    folder, lost = tmp_path / "run", "edit--leaky--seed0--age--shard00002"
    assert carry_out(folder, suite_of(15)).computed == 3 + 2 * (1 + 3)
    before = figures(results_of(Run(folder)))
    shutil.rmtree(folder / "cells" / lost)
    assert explain(folder, lost, registry=registry) == ["it was never finished"]
    missing = results_of(Run(folder))
    assert [cell.id for cell in missing.cells.failed] == [lost]
    assert {m.editor for m in missing.measures} == {"exact"}
    assert carry_out(folder, suite_of(15)).computed == 1
    assert figures(results_of(Run(folder))) == before
    other = carry_out(folder, suite_of(20))
    assert (other.computed, other.kept) == (2 + 2 * 2, 2)  # a fit does not depend on shards
    assert CellStore(folder).key("faces--shard00001")["shard"] == [20, 39]


def test_what_has_to_be_seen_whole_is_refused(bank: LatentBank, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="photographs are edited in one cell"):
        run_suite(suite_of(20), tmp_path / "run", Silent(), registry=registry, photographs=tmp_path)
    with pytest.raises(SuiteError, match="spread measures all images as one set"):
        evaluate(bank, ["exact"], {"age": 5}, judge="toy-judge", registry=registry(),
                 identity=[], metrics=["spread"], shard=20)  # fmt: skip


def test_a_shard_has_two_images_or_more() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 2"):
        suite_of(1)
