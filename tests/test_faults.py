"""Plugins that misbehave in one suite, and a disk that refuses: what is not at fault is as ever."""

from __future__ import annotations

import errno
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import toy_editors
from test_benchmark import SUITE, Silent
from toy import toy_registry

from latentedit import (
    CellStore,
    Ended,
    EnvironmentFault,
    Event,
    Executor,
    Job,
    LatentBank,
    LatentEditError,
    PluginSpec,
    Registry,
    hookimpl,
)
from latentedit.benchmark.cells.store import OUTPUT, Cell
from latentedit.benchmark.execution.worker import compute, open_bench
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.run import RunOutcome, explain, run_suite
from latentedit.benchmark.suite import Suite
from latentedit.report.page import write_report
from latentedit.sampling.make import make_bank

FAULTS = {
    "unimportable": ("failed", "half of me is missing"),
    "raises-in-fit": ("failed", "fit raised ValueError: nothing to learn here"),
    "raises": ("failed", "edit raised ValueError: I do not feel like it"),
    "gives-nan": ("failed", "NaN or infinity"),
    "wrong-shape": ("failed", "returned codes"),
    "wrong-dtype": ("failed", "torch.float64"),
    "wrong-type": ("failed", "not Edited"),
    "mutates": ("failed", "changed its input codes in place"),
    "mutates-target": ("failed", "changed its input target in place"),
    "global-randomness": ("failed", "torch's global random state"),
    "numpy-randomness": ("failed", "numpy's global random state"),
    "changes-threads": ("failed", "the number of threads"),
    "changes-folder": ("failed", "the current folder"),
    "crashes": ("crashed", "SIGSEGV"),
    "leaves": ("crashed", "exited with code 7"),
    "exits": ("failed", "edit raised SystemExit: I have had enough"),
    "eats-memory": ("oom", "took more than 1 GiB of memory"),
    "asks-for-too-much": ("oom", "cannot allocate 8 EiB"),
    "leaves-quietly": ("crashed", "exited with code 0"),
    "raises-on-save": ("failed", "state raised ValueError: nothing that I could write down"),
    "raises-on-load": ("failed", "load_state raised ValueError: I cannot read my own writing"),
    "unspeakable": ("failed", "Mute"),
    "verbose": ("failed", "too much, too much"),
}
"""By editor what becomes of its first cell that fails, and what is told. A fit ends with timing an
edit, so that most of them do not get further."""


def carry_out(folder: Path, registry: Callable[[], Registry], **settings: Any) -> RunOutcome:
    suite = Suite.model_validate(SUITE | settings.pop("changes", {}))
    return run_suite(suite, folder, Silent(), registry=registry, **settings)


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "clean"
    assert not carry_out(folder, toy_editors.registry).failed
    summarise(folder)
    return folder


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RunOutcome]:
    """A run in which most editors are at fault, and one is only a nuisance."""
    folder = tmp_path_factory.mktemp("runs") / "disturbed"
    nuisance = {"plugin": "talks", "options": {"note": str(folder.parent / "left behind")}}
    editors = SUITE["editors"] | {name: {"plugin": name} for name in FAULTS} | {"talks": nuisance}
    changes = {"editors": editors, "limits": {"memory_gib": 1}}
    return folder, carry_out(folder, toy_editors.registry, changes=changes)


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_told_of_the_editor_that_has_it(
    disturbed: tuple[Path, RunOutcome], name: str
) -> None:
    status, told = FAULTS[name]
    failed = {record.id: record for record in disturbed[1].failed}
    edit = failed[f"edit--{name}--seed0--age"]
    first = failed.get(f"fit--{name}--seed0", edit)
    assert (first.status, told in first.error) == (status, True), first.error
    assert len(first.error) < 20_000
    if first is not edit:
        assert edit.status == "failed"
        assert f"fit--{name}--seed0 did not finish" in edit.error


def test_a_cell_that_hangs_is_ended_and_told_and_the_next_ones_are_computed(
    clean: Path, tmp_path: Path
) -> None:
    """In a run whose other cells are there, so that only this one can come near the limit."""
    folder = tmp_path / "run"
    shutil.copytree(clean, folder)
    editors = SUITE["editors"] | {"hangs": {"plugin": "hangs"}}
    changes = {"editors": editors, "limits": {"seconds": 5}}
    outcome = carry_out(folder, toy_editors.registry, changes=changes)
    first = next(record for record in outcome.failed if record.id == "fit--hangs--seed0")
    assert (first.status, first.error) == ("timeout", "took longer than limits.seconds = 5")
    told = "fit--hangs--seed0 did not finish: took longer than limits.seconds = 5"
    rest = [record for record in outcome.failed if record is not first]
    assert [(record.status, record.error) for record in rest] == [("failed", told)] * 3
    assert outcome.kept == 17


def test_cells_of_the_others_are_those_of_a_run_without_faults(
    clean: Path, disturbed: tuple[Path, RunOutcome]
) -> None:
    folder, outcome = disturbed
    assert {record.id.split("--")[1] for record in outcome.failed} == set(FAULTS)
    files = sorted(p.relative_to(clean) for p in (clean / "cells").rglob("*.safetensors"))
    assert len(files) == 1 + 4 * (2 + 5)  # two cells of edits have a file of codes too
    for file in files:
        assert (folder / file).read_bytes() == (clean / file).read_bytes(), file
    summarise(folder)


def test_what_plugins_print_is_kept_with_their_cell_and_out_of_the_way(
    disturbed: tuple[Path, RunOutcome], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    store = CellStore(disturbed[0])
    printed = (store.path("fit--crashes--seed0") / OUTPUT).read_text()
    assert "toy_editors.py" in printed  # where it crashed
    told = explain(disturbed[0], "fit--crashes--seed0", registry=toy_editors.registry)
    assert any(OUTPUT in line for line in told)
    changes = {"editors": {"talks": {"plugin": "talks"}}, "controls": []}
    assert not carry_out(tmp_path / "run", toy_editors.registry, changes=changes).failed
    assert "own output" not in "".join(capfd.readouterr())
    assert (store.path("fit--verbose--seed0") / OUTPUT).stat().st_size < 3 * 16_384 + 1


def test_processes_that_a_plugin_leaves_behind_end_with_its_cell(
    disturbed: tuple[Path, RunOutcome],
) -> None:
    left = (disturbed[0].parent / "left behind").read_text().split()
    assert len(left) > 10
    assert [pid for pid in left if alive(int(pid))] == []


def alive(pid: int) -> bool:
    """Whether a process runs; one that has ended and that nobody waited for does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Inline(Executor):
    """Computes cells in this process, where a test can let the disk fail."""

    ended: Ended | None = None

    def free(self) -> int:
        return 0 if self.ended else 1

    def start(self, job: Job) -> None:
        try:
            staged = str(compute(job, open_bench(job), lambda fraction, message: None))
            self.ended = Ended(job.cell.id, "ok", 0.0, staged=staged)
        except EnvironmentFault as error:
            self.ended = Ended(job.cell.id, "failed", 0.0, str(error))

    def events(self, seconds: float) -> list[Event]:
        ended, self.ended = self.ended, None
        return [ended] if ended else []

    def close(self) -> None:
        pass


class _Inline:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [PluginSpec("executor", "inline", "test_faults:Inline", "for tests")]


@cache
def inline_registry() -> Registry:
    return toy_registry(toy_editors.plugins, _Inline())


SMALL = {
    "bank": SUITE["bank"] | {"n_fit": 20, "n_test": 8},
    "strengths": [0.5, 1.0],
    "editors": {"exact": {"plugin": "exact"}},
    "controls": [],
    "sequences": [],
    "tasks": SUITE["tasks"][:1],
}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "small"
    assert not run_small(folder).failed
    (folder / "report").mkdir()
    (folder / "report" / "index.html").write_text("old")
    return folder


def run_small(folder: Path) -> RunOutcome:
    outcome = carry_out(folder, inline_registry, changes=SMALL, executor="inline")
    summarise(folder)
    return outcome


FAILURES = [
    ("write", errno.ENOSPC),
    ("fsync", errno.EIO),
    ("replace", errno.EACCES),
    ("chmod", errno.EPERM),
]
"""What the operating system refuses, and why."""


class FailNth:
    """``os.<name>``, failing when it is called for the n-th time; no disk is waited for."""

    def __init__(self, name: str, n: int, code: int) -> None:
        self.real = (lambda handle: None) if name == "fsync" else getattr(os, name)
        self.n, self.code, self.calls = n, code, 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        if self.calls == self.n:
            raise OSError(self.code, os.strerror(self.code))
        return self.real(*args, **kwargs)


@pytest.mark.parametrize(("name", "code"), FAILURES)
def test_whichever_write_fails_it_is_named_and_the_same_command_goes_on(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    wanted = {file: (small / file).read_bytes() for file in FINAL}
    for n in range(1, 200):
        folder = tmp_path / str(n)
        RunFolder.claim(folder)
        shutil.copytree(small / "bank", folder / "bank")
        (folder / "results.json").write_text('"old"')
        with monkeypatch.context() as patch:
            failing = FailNth(name, n, code)
            patch.setattr(os, name, failing)
            told = _told(folder)
        if failing.calls < n:
            break
        assert os.strerror(code) in told, f"{name} {n}: {told}"
        assert not list(folder.rglob(".*"))
        assert json.loads((folder / "results.json").read_text())
        assert not run_small(folder).failed
        assert {file: (folder / file).read_bytes() for file in FINAL} == wanted
        shutil.rmtree(folder)
    assert 10 < n < 199


@pytest.mark.parametrize(("name", "code"), FAILURES)
def test_a_bank_that_cannot_be_written_is_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    def make(folder: Path) -> LatentBank:
        models = {"generator": "toy", "labeller": "toy-labeller"}
        return make_bank(inline_registry(), folder / "bank", n_fit=10, n_test=5, **models)

    for n in every_failure(monkeypatch, name, code, lambda n: make(tmp_path / str(n))):
        folder = tmp_path / str(n)
        if name == "fsync" and (folder / "bank").exists():  # of the folder, when all is there
            LatentBank.open(folder / "bank").verify()
        else:
            assert not list(folder.iterdir())
            make(folder).verify()


@pytest.mark.parametrize(("name", "code"), FAILURES)
def test_a_report_that_cannot_be_written_leaves_the_old_one(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, code: int
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(small, folder)
    page = folder / "report" / "index.html"
    for _ in every_failure(monkeypatch, name, code, lambda n: write_report(folder)):
        if page.read_text() == "old":
            continue
        assert name == "fsync"  # of the folder, when the new one is there
        page.write_text("old")
    assert page.read_text().startswith("<!doctype html>")
    assert not list(folder.rglob(".*"))


def every_failure(
    monkeypatch: pytest.MonkeyPatch, name: str, code: int, act: Callable[[int], object]
) -> Iterator[int]:
    """Yield 1, 2, … after ``os.<name>`` failed in `act` for the n-th time, until it does not."""
    for n in itertools.count(1):
        with monkeypatch.context() as patch:
            failing = FailNth(name, n, code)
            patch.setattr(os, name, failing)
            try:
                act(n)
            except EnvironmentFault as error:
                assert os.strerror(code) in str(error)
        if failing.calls < n:
            assert n > 1
            return
        yield n


FINAL = (
    "results.json",
    "results.csv",
    "cells/faces/arrays.safetensors",
    "cells/edit--exact--seed0--age/arrays.safetensors",
)


def _told(folder: Path) -> str:
    """The error of a small run, or those of its cells."""
    try:
        return " ".join(record.error for record in run_small(folder).failed)
    except LatentEditError as error:
        return str(error)


def test_what_killed_writers_left_is_gone_after_the_next_run(clean: Path, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(clean, folder)
    (folder / ".results.json.unfinished.a1b2c3d4").write_text("half")
    (folder / "cells" / ".faces.unfinished.zzzzzz_0").mkdir()
    (folder / ".mine").write_text("not ours")
    assert carry_out(folder, toy_editors.registry).computed == 0
    summarise(folder)
    assert [path.name for path in folder.rglob(".*")] == [".mine"]
    assert json.loads((folder / "results.json").read_text())


def test_every_flipped_byte_of_a_cell_is_found(clean: Path, tmp_path: Path) -> None:
    """A thousand positions over all files of a fit: tensors, weights, configuration, record."""
    store = CellStore(tmp_path)
    shutil.copytree(clean / "cells" / "fit--leaky--seed0", store.path("fit--leaky--seed0"))
    cell = Cell("fit", store.key("fit--leaky--seed0"), "leaky", 0)
    assert store.is_done(cell)
    files = sorted(path for path in store.folder.rglob("*") if path.is_file())
    places = [(file, at) for file in files for at in range(file.stat().st_size)]
    assert len(files) == 5
    for file, at in places[:: max(1, len(places) // 1000)]:
        data = file.read_bytes()
        file.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        assert not store.is_done(cell) or _means_the_same(file, data), (file, at)
        file.write_bytes(data)
    assert store.is_done(cell)


def _means_the_same(file: Path, data: bytes) -> bool:
    """Whether JSON holds what it held: the 17th digit of a number may decide nothing."""
    return file.suffix == ".json" and bool(json.loads(file.read_bytes()) == json.loads(data))
