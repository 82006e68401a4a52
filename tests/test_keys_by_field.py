"""Every field of a suite, and every kind of plugin: which cells they decide, and no others."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import toy_metrics
from harness_plugins import Push, Silent
from test_run_keys import (
    BANK,
    CHAINS,
    EDITS,
    EVERY,
    EYES,
    FACES,
    FITS,
    SEQUENCES,
    SUITE,
    TASKS,
    TUNED,
    Changed,
    among,
    keys,
    placed,
)
from test_run_keys import bank as bank  # noqa: PLC0414  (a fixture)

from latentedit import EnvironmentFault, LatentBank, PluginSpec, Registry, fit_editor, hookimpl
from latentedit.benchmark.execution.worker import open_bench
from latentedit.benchmark.run import plan, run_suite
from latentedit.benchmark.suite import Suite
from latentedit.editing.generators import other_code
from latentedit.editing.layers import LayerPreset

METRIC = [{"plugin": "move"}]
DECIDES: dict[str, tuple[Any, set[str]]] = {
    "name": ("other", set()),
    "summary": ("other", set()),
    "bank": (BANK | {"labeller": {"plugin": "labeller", "options": {"light": 0.1}}}, EVERY),
    "judge": ({"plugin": "judge", "options": {"tired": True}}, EVERY - FITS),
    "identity": (EYES[:1], EVERY - FITS | TUNED),
    "editors": (SUITE["editors"] | {"set": {"plugin": "push"}}, among("set")),
    "controls": (["no-edit"], set()),
    "metrics": (METRIC, EDITS),
    "tasks": ([TASKS[0] | {"change": 9}, *TASKS[1:]], {
        cell for cell in EDITS | CHAINS if cell.endswith(("age", "one"))} | TUNED),
    "sequences": ([SEQUENCES[0] | {"edits": ["yaw", "age"]}, SEQUENCES[1]],
                  {cell for cell in CHAINS if cell.endswith("one")}),
    "strengths": ([0.5, 1.0], EDITS | TUNED),
    "strength_limit": (8.0, EDITS),
    "effects": ([0.4, 0.8], EDITS | TUNED),
    "only_possible": (True, FACES | EDITS),
    "keep_codes": ("float32", EDITS),
    "keep_images": (True, EDITS),
    "tune": (None, TUNED),
    "show_images": (3, EVERY - FITS),
    "device": ("cuda", EVERY),
    "focus": ("tuned", set()),
    "baseline": ("set", set()),
    "statistics": ({"confidence": 0.9}, set()),
    "limits": ({"seconds": 5}, set()),
}  # fmt: skip
"""By field of a suite: another value, and the cells that it decides. Seeds and shards name them."""


class Extended(Changed):
    """With a metric, a preset of rows, and an editor that reads images with the labeller."""

    def __init__(self, what: str = "", plugin: str = "", rows: tuple[int, ...] = (0, 1)) -> None:
        super().__init__(what, plugin)
        self.rows = rows
        self.origins = [*self.origins, *toy_metrics.metric_registry().origins[1:]]
        self.add(_More(), "more", version="1")

    def load(self, kind: str, name: str) -> Any:
        if (kind, name) == ("layers", "some"):
            return LayerPreset(3, {"age": self.rows})
        return super().load(kind, name)


class Asking(Push):
    """Reads images with the labeller."""

    needs = frozenset({"attributes", "estimator"})


class _More:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        asking = PluginSpec("editor", "asking", "test_keys_by_field:Asking", "for tests")
        return [PluginSpec("layers", "some", "test_keys_by_field:SOME", "for tests"), asking]


SOME = LayerPreset(3, {"age": (0, 1)})


def anew(before: dict[str, str], after: dict[str, str]) -> set[str]:
    assert set(before) == set(after)
    return {cell for cell in before if before[cell] != after[cell]}


def test_every_field_of_a_suite_is_changed_in_turn() -> None:
    assert set(DECIDES) | {"seeds", "shard"} == set(Suite.model_fields)


@pytest.mark.parametrize("field", DECIDES)
def test_a_field_decides_exactly_its_own_cells(bank: LatentBank, field: str) -> None:
    value, decided = DECIDES[field]
    before, after = keys(bank, Extended()), keys(bank, Extended(), **{field: value})
    assert anew(before, after) == decided


@pytest.mark.parametrize("value", [False, "float32"])
def test_how_codes_are_kept_decides_edits(bank: LatentBank, value: Any) -> None:
    assert anew(keys(bank), keys(bank, keep_codes=value)) == EDITS


@pytest.mark.parametrize("what", ["version", "source"])
def test_other_code_of_a_metric_makes_edits_anew(bank: LatentBank, what: str) -> None:
    before, after = (
        keys(bank, Extended(changed, "metric move"), metrics=METRIC) for changed in ("", what)
    )
    assert anew(before, after) == EDITS


def test_other_options_of_a_metric_make_edits_anew(bank: LatentBank) -> None:
    other = [METRIC[0] | {"options": {"scale": 2.0}}]
    before, after = (keys(bank, Extended(), metrics=metrics) for metrics in (METRIC, other))
    assert anew(before, after) == EDITS
    same = [METRIC[0] | {"options": {"scale": 1.0}}]
    assert keys(bank, Extended(), metrics=same) == before


def test_other_rows_of_a_preset_make_the_cells_of_its_tasks_anew(bank: LatentBank) -> None:
    tasks = [TASKS[0] | {"layers": "some"}, *TASKS[1:]]
    before, after = (
        keys(bank, Extended(rows=rows), tasks=tasks, tune=None) for rows in ((0, 1), (0, 2))
    )
    assert anew(before, after) == {
        cell for cell in EDITS | CHAINS if cell.endswith(("--age", "--one"))
    }


def on_bank(bank: LatentBank, registry: Registry, **changes: Any) -> dict[str, str]:
    """Keys of a suite that names the folder of a bank."""
    return keys(bank, registry, bank={"path": str(bank.folder)}, **changes)


@pytest.mark.parametrize("what", ["version", "source"])
def test_the_labeller_of_a_given_bank_decides_the_fits_that_ask_it(
    bank: LatentBank, what: str
) -> None:
    one, other = Extended(), Extended(what, "estimator labeller")
    assert anew(on_bank(bank, one), on_bank(bank, other)) == TUNED
    assert anew(on_bank(bank, one, tune=None), on_bank(bank, other, tune=None)) == set()
    asking = {"editors": SUITE["editors"] | {"set": {"plugin": "asking"}}, "tune": None}
    assert anew(on_bank(bank, one, **asking), on_bank(bank, other, **asking)) == among("set")


@pytest.mark.parametrize("what", ["version", "source"])
def test_a_worker_with_another_labeller_refuses_the_fits_that_ask_it(
    bank: LatentBank, what: str
) -> None:
    def job(**changes: Any) -> Any:
        suite = Suite.model_validate(SUITE | {"bank": {"path": str(bank.folder)}} | changes)
        first = plan(suite, bank.folder.parent, bank, Extended(), Extended)[0]
        other = partial(Extended, what, "estimator labeller")
        return replace(first, run_folder=placed(bank), registry=other)

    with pytest.raises(EnvironmentFault, match="another estimator labeller than the run"):
        open_bench(job())
    assert open_bench(job(tune=None)).bank.hash == bank.hash


def test_a_bank_records_the_code_of_its_models_and_its_hash_leaves_it_out(
    bank: LatentBank,
) -> None:
    opened = LatentBank.open(bank.folder)
    assert opened.labeller.code["version"] == "harness 1"
    assert len(opened.labeller.code["source"]) == 64
    assert set(opened.generator.code) == {"version", "source"}
    other = replace(opened, labeller=replace(opened.labeller, code={}))
    assert other.hash == opened.hash == bank.hash


@pytest.mark.parametrize("what", ["version", "source"])
def test_a_labeller_of_other_code_than_the_banks_is_told(
    bank: LatentBank, tmp_path: Path, what: str
) -> None:
    told: list[str] = []
    other = Extended(what, "estimator labeller")
    fit_editor(Extended(), "asking", bank, notify=told.append).save(tmp_path / "E")
    fit_editor(other, "push", bank, notify=told.append)
    assert told == []
    fit_editor(other, "asking", bank, notify=told.append)
    assert len(told) == 1
    assert f"labeller labelled the bank with another {what}" in told[0]
    assert "latentedit bank label" in told[0]
    unrecorded = replace(bank.labeller, code={})
    absent = replace(bank.labeller, name="not-installed")
    assert other_code(other, unrecorded) == other_code(other, absent) == ""


def test_a_run_on_a_bank_tells_that_its_labeller_has_other_code(
    bank: LatentBank, tmp_path: Path
) -> None:
    class Told(Silent):
        def progressed(self, cell_id: str, fraction: float, message: str) -> None:
            said.append((cell_id, message))

    said: list[tuple[str, str]] = []
    one = {"seeds": [0], "controls": [], "sequences": [], "tasks": TASKS[:1]}
    for what, tune in (("version", SUITE["tune"]), ("", SUITE["tune"]), ("version", None)):
        suite = Suite.model_validate(
            SUITE | one | {"bank": {"path": str(bank.folder)}, "tune": tune}
        )
        registry = partial(Extended, what, "estimator labeller")
        run_suite(suite, tmp_path / f"{what}{tune}", Told(), registry=registry, executor="idle")
    assert [cell for cell, _ in said] == ["bank"]
    assert "harness 1, and harness 2 is installed" in said[0][1]
