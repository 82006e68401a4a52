"""What a run keeps and what it computes again, and who may compute it."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import pytest
import toy_editors
from flat_results import summarise
from other_plugins import (
    other_editors,
    other_generator,
    other_identity,
    other_judge,
    other_labeller,
)
from test_benchmark import SUITE as WHOLE
from test_benchmark import Silent

from latentedit import CellStore, EnvironmentFault, Registry
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.states import cell_states
from latentedit.benchmark.run import explain, run_suite
from latentedit.benchmark.suite import Suite
from latentedit.editing import keys

SUITE = WHOLE | {"editors": {"exact": {"plugin": "exact"}}, "controls": []}
CELLS = {"faces": 1, "fit": 1, "edit": 2, "sequence": 1}
LOOKS = ("faces", "edit", "sequence")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "toy"
    repeat(folder, toy_editors.registry)
    summarise(folder)
    return folder


def repeat(folder: Path, registry: Callable[[], Registry], **changes: Any) -> dict[str, int]:
    """Run the suite, changed, in a folder; how many cells of each kind were computed."""
    observer, suite = Silent(), Suite.model_validate(SUITE | changes)
    assert not run_suite(suite, folder, observer, registry=registry, workers=2).failed
    kinds = [cell.split("--")[0] for cell in observer.ended if cell != "bank"]
    return {kind: kinds.count(kind) for kind in CELLS if kind in kinds}


@pytest.mark.parametrize(
    ("registry", "stale", "named"),
    [
        (other_generator, tuple(CELLS), "bank was"),
        (other_labeller, tuple(CELLS), "bank was"),
        (other_judge, LOOKS, "judge.fingerprint was"),
        (other_identity, LOOKS, "identity.0.fingerprint was"),
        (other_editors, ("fit", "edit", "sequence"), "editor.version was"),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_another_version_of_a_plugin_leaves_no_cell_that_rests_on_the_old_one(
    run: Path, tmp_path: Path, registry: Callable[[], Registry], stale: tuple[str, ...], named: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    if named != "bank was":  # which is only made again by the run itself
        told = explain(folder, "edit--exact--seed0--age", registry=registry)
        assert [line for line in told if line.startswith(named)]
    assert repeat(folder, registry) == {kind: CELLS[kind] for kind in stale}
    assert repeat(folder, registry) == {}


@pytest.mark.parametrize(
    ("name", "value", "field"),
    [
        ("run.THREADS", 2, "threads was 1, is 2"),
        ("cells.keys.BATCH", 32, "batch was 64, is 32"),
        ("cells.keys.core_versions", lambda: {"torch": "9.9"}, "versions.torch was"),
    ],
)
def test_threads_batches_and_versions_are_part_of_the_key(
    run: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: Any, field: str
) -> None:
    monkeypatch.setattr(f"latentedit.benchmark.{name}", value)
    told = explain(run, "edit--exact--seed0--age", registry=toy_editors.registry)
    assert [line for line in told if line.startswith(field)], told


def test_another_version_of_latentedit_is_another_key(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keys, "__version__", "99")
    told = explain(run, "faces", registry=toy_editors.registry)
    assert any(line.startswith("versions.latentedit was") for line in told)


def test_other_code_of_a_plugin_is_another_key(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert explain(run, "edit--exact--seed0--age", registry=toy_editors.registry) == []
    monkeypatch.setattr(Registry, "source", lambda *of: "changed")
    told = explain(run, "edit--exact--seed0--age", registry=toy_editors.registry)
    assert [
        line for line in told if line.startswith("editor.source was") and "is changed" in line
    ], told


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"strengths": [0.5, 1.0]}, "strengths was"),
        ({"effects": [0.5]}, "effects was"),
        ({"show_images": 2}, "show_faces was"),
        ({"tasks": [{"attribute": "age", "change": 9}, SUITE["tasks"][1]]}, "task.change was"),
        (
            {"tasks": [{"attribute": "age", "change": 10, "layers": [0, 1]}, SUITE["tasks"][1]]},
            "task.layers was",
        ),
        (
            {
                "tasks": [
                    {"attribute": "age", "change": 10, "layers": "middle"},
                    SUITE["tasks"][1],
                ]
            },
            "layers.middle.rows.age was nothing, is [1, 2]",
        ),
        ({"editors": SUITE["editors"] | {"exact": {"plugin": "leaky"}}}, "editor.plugin was"),
    ],
    ids=lambda value: value.split(" ")[0] if isinstance(value, str) else "",
)
def test_whatever_a_suite_says_of_a_cell_is_part_of_its_key(
    run: Path, tmp_path: Path, changes: dict[str, Any], field: str
) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    suite = Suite.model_validate(SUITE | changes).model_dump(mode="json")
    (folder / "suite.json").write_text(json.dumps(suite))
    told = explain(folder, "edit--exact--seed0--age", registry=toy_editors.registry)
    assert [line for line in told if line.startswith(field)], told


def test_results_of_two_plans_are_never_mixed(run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(run, folder)
    assert repeat(folder, toy_editors.registry, effects=[0.5]) == {"edit": 2}
    old = run / "cells" / "edit--exact--seed0--age"
    shutil.rmtree(folder / "cells" / old.name)
    shutil.copytree(old, folder / "cells" / old.name)  # as if the second run had not come to it
    status = {state.id: state.status for state in cell_states(Run(folder))}
    assert status.pop(old.name) == "stale"
    assert set(status.values()) == {"ok"}
    results = summarise(folder)
    assert not [m for m in results["measures"] if (m["editor"], m["task"]) == ("exact", "age")]


def contend(folder: Path, pipe: Connection) -> None:
    """Try to hold a folder until that works; tell what happened on the way."""
    while True:
        try:
            with RunFolder.claim(folder).locked():
                pipe.send(("holds", os.getpid()))
                time.sleep(3600)
        except EnvironmentFault as error:
            pipe.send(("refused", str(error)))
            time.sleep(0.02)


def test_one_process_at_a_time_holds_a_run_and_the_others_learn_who(tmp_path: Path) -> None:
    """Eight want it, and the one that has it is killed, until none is left."""
    context = multiprocessing.get_context("fork")
    pipes, waiting = [], {}
    for _ in range(8):
        ours, theirs = multiprocessing.Pipe(duplex=False)
        process = context.Process(target=contend, args=(tmp_path, theirs), daemon=True)
        process.start()
        pipes.append(ours)
        waiting[process.pid] = process
    while waiting:
        holder = _said(pipes, "holds")
        if len(waiting) > 1:
            told = f"in use by process {holder} on {socket.gethostname()}"
            assert any(told in _said(pipes, "refused") for _ in range(100))
        os.kill(holder, signal.SIGKILL)
        waiting.pop(holder).join()


def _said(pipes: list[Connection], what: str) -> Any:
    """The next message of a kind; two that hold the folder at once would be one too many."""
    while True:
        for pipe in multiprocessing.connection.wait(pipes, 30):
            assert isinstance(pipe, Connection)
            try:
                kind, message = pipe.recv()
            except EOFError:
                pipes.remove(pipe)
                continue
            if kind == what:
                return message
            assert kind == "refused", f"{message} holds it too"


def test_a_cell_that_is_done_is_read_whole(run: Path) -> None:
    assert set(CellStore(run).planned) == {path.name for path in (run / "cells").iterdir()}
