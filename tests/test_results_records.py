"""Records of a run are read strictly: what is missing, added or of another type is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from made_runs import measures, write_run

from latentedit import CorruptArtefact
from latentedit.benchmark.cells.store import CellStore
from latentedit.benchmark.provenance import read_provenance
from latentedit.benchmark.results.board import boards
from latentedit.benchmark.results.costs import read_costs, write_costs
from latentedit.benchmark.results.keys import MetricKey, in_order
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import read_results, write_results
from latentedit.measures.definitions import METRICS
from latentedit.measures.headline import HEADLINES, ROUND_TRIP, brief

READERS: dict[str, Callable[[Path], Any]] = {
    "results.json": read_results,
    "costs.json": read_costs,
    "provenance.json": read_provenance,
    "plan.json": CellStore,
    "suite.json": Run,
}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    folder = write_run(tmp_path / "run")
    CellStore(folder).plan([])
    return folder


def change(folder: Path, name: str, changed: Callable[[Any], Any]) -> None:
    path = folder / name
    path.write_text(json.dumps(changed(json.loads(path.read_text()))))


@pytest.mark.parametrize("name", READERS)
def test_a_record_that_is_cut_is_refused_by_name(run: Path, name: str) -> None:
    READERS[name](run)
    text = (run / name).read_text().rstrip()
    (run / name).write_text(text[:-1])
    with pytest.raises(CorruptArtefact, match=name):
        READERS[name](run)


@pytest.mark.parametrize(
    ("name", "changed", "place"),
    [
        ("results.json", lambda r: r | {"more": 1}, "more"),
        ("results.json", lambda r: {k: v for k, v in r.items() if k != "curves"}, "curves"),
        ("results.json", lambda r: r | {"faces": "12"}, "faces"),
        (
            "results.json",
            lambda r: r | {"measures": [r["measures"][0] | {"mean": "1"}]},
            r"measures\.0\.mean",
        ),
        (
            "results.json",
            lambda r: r | {"measures": [r["measures"][0] | {"metric": "reach"}]},
            r"measures\.0\.metric",
        ),
        ("costs.json", lambda r: [r[0] | {"nfe": None}], r"0\.nfe"),
        ("costs.json", lambda r: [r[0] | {"hours": 1.0}], r"0\.hours"),
        ("provenance.json", lambda r: r | {"batch": "64"}, "batch"),
        ("provenance.json", lambda r: r | {"bank": r["bank"] | {"seed": 0.5}}, r"bank\.seed"),
        ("plan.json", lambda r: {"faces": 3}, "faces"),
        ("suite.json", lambda r: r | {"judges": "x"}, "judges"),
    ],
)
def test_a_field_that_is_added_missing_or_of_another_type_is_named(
    run: Path, name: str, changed: Callable[[Any], Any], place: str
) -> None:
    change(run, name, changed)
    with pytest.raises(CorruptArtefact, match=f"{name}: {place}: .*another version"):
        READERS[name](run)


def test_a_record_is_written_as_it_was_read(run: Path) -> None:
    results, costs = read_results(run), read_costs(run)
    write_results(run, results)
    write_costs(run, costs)
    before = [json.loads((run / name).read_text()) for name in ("results.json", "costs.json")]
    write_results(run, read_results(run))
    write_costs(run, read_costs(run))
    after = [json.loads((run / name).read_text()) for name in ("results.json", "costs.json")]
    assert after == before
    assert (read_results(run), read_costs(run)) == (results, costs)
    assert [m.mean for m in results.measures] == [m["mean"] for m in measures()]
    assert [str(m.metric) for m in results.measures] == [m["metric"] for m in measures()]


def test_a_run_whose_results_cannot_be_read_is_named_and_not_shown(
    run: Path, tmp_path: Path
) -> None:
    other = write_run(tmp_path / "other")
    change(other, "results.json", lambda r: r | {"noise": {}})
    found, refused = boards([tmp_path])
    assert [[shown.folder for shown in board.runs] for board in found] == [[run]]
    assert list(refused) == [str(other)]
    assert "noise" in refused[str(other)]


def test_a_cell_with_more_fields_than_are_known_counts_as_missing(run: Path) -> None:
    store = CellStore(run)
    assert store.finished("faces")
    change(run, "cells/faces/cell.json", lambda r: r | {"more": 1})
    assert not store.finished("faces")
    assert store.record("faces") is None


@pytest.mark.parametrize(
    ("key", "text", "detail"),
    [
        (MetricKey("reach"), "reach", ""),
        (MetricKey("identity similarity", "a-b"), "identity similarity · a-b", "a-b"),
        (MetricKey("drift", edits=1), "drift · 1 edit", "1 edit"),
        (MetricKey("drift in identity", "r", 3), "drift in identity · 3 edits · r", "3 edits · r"),
    ],
)
def test_the_text_of_a_key_names_metric_edits_and_recogniser(
    key: MetricKey, text: str, detail: str
) -> None:
    assert (str(key), key.detail) == (text, detail)
    assert key.metric is METRICS[key.name]


def test_keys_stand_in_the_order_of_names_then_of_recognisers_and_edits() -> None:
    drift = [MetricKey("drift", edits=n) for n in (2, 1, 3)]
    similar = [MetricKey("identity similarity", name) for name in ("z", "b")]
    found = in_order(
        [*drift, *similar, MetricKey("reach"), *drift], ("identity similarity", "drift")
    )
    assert found == [*similar[::-1], *sorted(drift, key=lambda key: key.edits)]


def test_the_metrics_that_are_shown_are_defined() -> None:
    assert list(brief(METRICS)) == [
        "reach",
        "identity similarity",
        "attribute leakage",
        "true leakage",
        "target error",
    ]
    assert {*HEADLINES, *ROUND_TRIP} <= set(METRICS)
