"""Figures of fits and runs reach trackers, and a tracker that fails costs nothing."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, ClassVar

import pytest
from toy import toy_registry

import latentedit_neural
import latentedit_trackers
from latentedit import (
    EnvironmentFault,
    InputError,
    PluginSpec,
    Registry,
    Tracker,
    UnknownName,
    fit_editor,
    hookimpl,
    make_bank,
)
from latentedit.benchmark.execution.tracked import Tracked
from latentedit.editing.tracking import tracking

LOSSES = {0: 2.5, 10: 1.25, 20: 0.5}


class Kept(Tracker):
    """Remembers every call; fails at step `FAILING`."""

    calls: ClassVar[list[tuple[Any, ...]]] = []
    FAILING: ClassVar[int] = -1

    def begin(self, name: str, settings: Mapping[str, Any]) -> None:
        self.calls.append(("begin", name, dict(settings), self.options.place))

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        if step == self.FAILING:
            raise OSError("the disk is full")
        self.calls.append((step, dict(figures)))

    def end(self) -> None:
        self.calls.append(("end",))


class kept_plugins:  # noqa: N801  (a plugin is a module or an object like one)
    @staticmethod
    @hookimpl
    def latentedit_plugins() -> list[PluginSpec]:
        return [PluginSpec("tracker", "kept", "test_trackers:Kept", "for tests")]


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    monkeypatch.setitem(sys.modules, "test_trackers", sys.modules[__name__])
    monkeypatch.setattr(Kept, "calls", [])
    found = Registry()
    found.add(kept_plugins, "kept")
    return found


def test_figures_reach_every_tracker_between_begin_and_end(registry: Registry) -> None:
    said: list[str] = []
    with tracking(registry, ["kept:a", "kept:b/c:d"], "fit it", {"seed": 3}, said.append) as kept:
        kept.log(4, {"loss": 0.5})
        kept.last({"r2": 0.75})
    begun = [("begin", "fit it", {"seed": 3}, place) for place in ("a", "b/c:d")]
    two = [call for call in ((4, {"loss": 0.5}), (4, {"r2": 0.75}), ("end",)) for _ in range(2)]
    assert Kept.calls == [*begun, *two]
    assert said == []


def test_a_tracker_that_fails_is_told_once_and_left_out(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Kept, "FAILING", 1)
    said: list[str] = []
    with tracking(registry, ["kept:a"], "fit", {}, said.append) as kept:
        for step in range(4):
            kept.log(step, {"loss": 1.0})
    assert [call[0] for call in Kept.calls] == ["begin", 0]
    assert said == ["kept:a keeps no more figures: OSError: the disk is full"]


@pytest.mark.parametrize("place", ["kept", "kept:", ":logs"])
def test_a_place_without_a_name_or_a_folder_is_refused(registry: Registry, place: str) -> None:
    with pytest.raises(InputError, match=r"--log takes NAME:FOLDER.*Names: kept"):
        tracking(registry, [place], "fit", {}, print).__enter__()
    with pytest.raises(UnknownName, match="kept"):
        tracking(registry, ["keeps:logs"], "fit", {}, print).__enter__()


def test_a_run_logs_its_cells_beside_its_observer(registry: Registry) -> None:
    seen: list[tuple[str, ...]] = []
    observer = SimpleNamespace(
        progressed=lambda *told: seen.append(told), finished=lambda *told: seen.append(told)
    )
    with tracking(registry, ["kept:a"], "run", {}, print) as kept:
        tracked = Tracked(observer, kept)
        tracked.progressed("fit", 0.5, "half")
        for cell, status in (("bank", "ok"), ("faces", "ok"), ("fit", "oom"), ("edit", "ok")):
            tracked.finished(cell, status, "")  # type: ignore[arg-type]
    assert len(seen) == 5
    counts = [(1, 0), (1, 1), (2, 1)]
    assert Kept.calls[1:-1] == [
        (sum(pair), {"cells finished": pair[0], "cells failed": pair[1]}) for pair in counts
    ]


def test_an_editor_logs_its_loss_while_it_is_fitted(tmp_path: Path) -> None:
    registry = toy_registry(latentedit_neural)
    models = {"generator": "toy", "labeller": "toy-labeller"}
    bank = make_bank(registry, tmp_path / "bank", **models, n_fit=60, n_test=2)
    logged: list[tuple[int, dict[str, float]]] = []
    options = {"steps": 40, "transformer_steps": 101, "hidden": 8, "transformer_hidden": 8}
    fit_editor(
        registry,
        "latent-transformer",
        bank,
        options,
        log=lambda step, figures: logged.append((step, dict(figures))),
    )
    losses = {step: figures for step, figures in logged if "transformers/loss" in figures}
    assert set(losses) == {0, 100}
    assert all(figures["transformers/loss"] > 0 for figures in losses.values())
    assert any("regressor/held-out error" in figures for _, figures in logged)


def fill(name: str, place: Path) -> None:
    """Losses and settings, by an installed tracker."""
    registry = toy_registry(latentedit_trackers)
    with tracking(registry, [f"{name}:{place}"], "fit it", {"editor": "e", "n": 3}, print) as kept:
        for step, loss in LOSSES.items():
            kept.log(step, {"held-out loss": loss})
        kept.last({"edit–identity area": 0.75})


def test_event_files_hold_what_was_logged(tmp_path: Path) -> None:
    events = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard is not installed",
    )
    fill("tensorboard", tmp_path / "logs")
    found = events.EventAccumulator(str(tmp_path / "logs"))
    found.Reload()
    assert {e.step: e.value for e in found.Scalars("held-out loss")} == LOSSES
    (last,) = found.Scalars("edit–identity area")
    assert (last.step, last.value) == (20, 0.75)


def test_offline_runs_get_what_was_logged_and_nothing_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: dict[str, Any] = {}
    logged: list[tuple[int, dict[str, float]]] = []
    ended: list[bool] = []

    def init(**given: Any) -> SimpleNamespace:
        begun.update(given)
        return SimpleNamespace(
            log=lambda figures, step: logged.append((step, figures)),
            finish=lambda: ended.append(True),
        )

    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(init=init))
    fill("wandb", tmp_path / "logs")
    assert begun["mode"] == "offline"
    assert begun["dir"] == str(tmp_path / "logs")
    assert begun["config"] == {"editor": "e", "n": 3}
    wanted = [(step, {"held-out loss": loss}) for step, loss in LOSSES.items()]
    assert logged == [*wanted, (20, {"edit–identity area": 0.75})]
    assert ended == [True]


class Store:
    """The part of MLflow's client that the tracker uses; writes one JSON file."""

    def __init__(self, tracking_uri: str) -> None:
        self.path = Path(tracking_uri.removeprefix("file://"))
        self.kept: dict[str, Any] = {"params": {}, "metrics": []}

    def get_experiment_by_name(self, name: str) -> None:
        return None

    def create_experiment(self, name: str) -> str:
        return f"id of {name}"

    def create_run(self, experiment: str, tags: dict[str, str]) -> SimpleNamespace:
        self.kept |= {"experiment": experiment, "tags": tags}
        return SimpleNamespace(info=SimpleNamespace(run_id="r1"))

    def log_param(self, run: str, name: str, value: str) -> None:
        self.kept["params"][name] = value

    def log_metric(self, run: str, name: str, value: float, step: int) -> None:
        self.kept["metrics"].append([run, name, value, step])

    def set_terminated(self, run: str) -> None:
        self.path.mkdir()
        (self.path / "kept.json").write_text(json.dumps(self.kept))


def test_a_file_store_gets_what_was_logged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module = ModuleType("mlflow.tracking")
    monkeypatch.setattr(module, "MlflowClient", Store, raising=False)
    monkeypatch.setitem(sys.modules, "mlflow", ModuleType("mlflow"))
    monkeypatch.setitem(sys.modules, "mlflow.tracking", module)
    fill("mlflow", tmp_path / "store")
    kept = json.loads((tmp_path / "store" / "kept.json").read_text())
    assert kept["params"] == {"editor": "e", "n": "3"}
    wanted = [["r1", "held-out loss", loss, step] for step, loss in LOSSES.items()]
    assert kept["metrics"] == [*wanted, ["r1", "edit-identity area", 0.75, 20]]
    assert kept["experiment"] == "id of latentedit"


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_tracker_without_its_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    monkeypatch.setitem(sys.modules, "mlflow.tracking", None)
    with pytest.raises(EnvironmentFault, match=rf"latentedit\[{name}\]"):
        fill(name, tmp_path / "logs")
