"""Whatever a record or a header says, its reader raises errors of this project only."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_editors
from file_server import Served, serving
from in_process import CommandLine
from made_runs import write_run
from record_mutants import header_mutants, json_mutants
from test_digests import flow, network
from test_strict_records import INVERSION

import latentedit_stylegan
from latentedit import (
    CellStore,
    CorruptArtefact,
    InputError,
    LatentBank,
    LatentEditError,
    fit_editor,
    load_editor,
    make_bank,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
)
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.provenance import read_provenance
from latentedit.benchmark.results.board import boards
from latentedit.benchmark.results.costs import read_costs
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import read_results
from latentedit.benchmark.results.states import cell_states
from latentedit.downloads.cache import fetch
from latentedit.downloads.catalogue import PublishedNetwork
from latentedit.files.artefacts import map_tensors
from latentedit.files.strict_json import MAX_BYTES
from latentedit_styleflow.importing import read_imported
from latentedit_styleflow.solver import Solver

MUTANTS = int(os.environ.get("LATENTEDIT_MUTANTS", "20"))
"""Of each record; ``make torture`` sets more."""
REGISTRY = toy_editors.registry()
REGISTRY.add(latentedit_stylegan, "stylegan")


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_artefacts(tmp_path_factory.mktemp("artefacts"))


def made_artefacts(home: Path) -> Path:
    """One of each artefact that has a record."""
    bank = make_bank(
        REGISTRY, home / "bank", generator="toy", labeller="toy-labeller", n_fit=40, n_test=4
    )
    LatentBank.write(
        home / "photographs", {"test": bank.split("test")}, bank.generator, bank.labeller,
        {"fit": 0, "test": 4}, inversion=INVERSION,
        files={"photographs": {"images": torch.zeros(4, 3, 8, 8, dtype=torch.uint8)}},
    )  # fmt: skip
    fit_editor(REGISTRY, "exact", bank).save(home / "editor")
    network(bank, home / "network")
    flow(bank, home / "flow")
    write_run(home / "run")
    CellStore(home / "run").plan([])
    write_run(home / "other-run")
    return home


def use_bank(folder: Path) -> None:
    bank = LatentBank.open(folder)
    _ = bank.hash, bank.splits, bank.photographs, bank.recorded_files, str(bank.generator)
    for name in ("fit", "test"):
        if name in bank.splits:
            _ = len(bank.split(name)), bank.split(name).codes.shape
    bank.verify()


def use_cell(folder: Path) -> None:
    store = CellStore(folder)
    store.record("faces")
    store.finished("faces")
    store.remove_abandoned()
    for read in (store.arrays, store.key, store.timings):
        read("faces")


def use_run(folder: Path) -> None:
    run = Run(folder)
    _ = run.results, cell_states(run)


def use_runs(folder: Path) -> None:
    """One run that cannot be read does not take the others down."""
    found, refused = boards([folder.parent / "run", folder.parent / "other-run"])
    assert sum(len(board.runs) for board in found) + len(refused) <= 2
    assert "other-run" in {run.folder.name for board in found for run in board.runs}


READERS: list[tuple[str, str, Callable[[Path], object]]] = [
    ("bank", "bank.json", use_bank),
    ("photographs", "bank.json", use_bank),
    ("editor", "config.json", lambda folder: load_editor(REGISTRY, folder)),
    ("network", "manifest.json",
     lambda folder: REGISTRY.generator("stylegan2", {"path": str(folder)})),
    ("flow", "manifest.json", lambda folder: read_imported(folder, Solver("rk4", 2))),
    ("run", "run.json", lambda folder: (RunFolder.open(folder).whole_bank())),
    ("run", "suite.json", use_run),
    ("run", "plan.json", use_cell),
    ("run", "provenance.json", read_provenance),
    ("run", "results.json", read_results),
    ("run", "results.json", use_runs),
    ("run", "suite.json", use_runs),
    ("run", "provenance.json", use_runs),
    ("run", "bank/bank.json", use_runs),
    ("run", "costs.json", read_costs),
    ("run", "cells/faces/cell.json", use_cell),
    ("run", "cells/faces/cell.json", use_runs),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "name", "use"), READERS)
def test_a_mutant_of_a_record_is_read_or_refused(
    artefacts: Path, kind: str, name: str, use: Callable[[Path], object]
) -> None:
    folder = artefacts / kind
    file = folder / name
    whole = file.read_bytes()
    use(folder)
    try:
        for i, data in zip(range(MUTANTS), json_mutants(json.loads(whole), 0), strict=False):
            file.write_bytes(data)
            try:
                use(folder)
            except LatentEditError as error:
                assert str(error)
            except Exception as error:
                raise AssertionError(f"mutant {i} of {name}: {error!r}: {data[:3000]!r}") from error
    finally:
        file.write_bytes(whole)
    use(folder)


def test_a_mutant_of_the_record_of_a_download_is_read_or_refused(tmp_path: Path) -> None:
    data = b"weights" * 100
    with serving(Served(data)) as served:
        network = PublishedNetwork(
            url=served.url, megabytes=1, sha256=None, licence="none", summary="a network",
            importer="none",
        )  # fmt: skip
        fetch("n", network, tmp_path)
        record = tmp_path / "n" / "fetched.json"
        mutants = json_mutants(json.loads(record.read_text()), 0)
        for _, mutant in zip(range(MUTANTS), mutants, strict=False):
            record.write_bytes(mutant)
            with contextlib.suppress(LatentEditError):
                fetch("n", network, tmp_path)


@pytest.mark.parametrize("read", [read_tensors, map_tensors])
def test_a_mutant_of_a_header_is_read_or_refused(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    file = tmp_path / "a.safetensors"
    write_tensors(file, {"codes": torch.randn(3, 4), "attributes": torch.randn(3, 2)})
    whole = file.read_bytes()
    read(file)
    for i, data in zip(range(10 * MUTANTS), header_mutants(whole, 0), strict=False):
        file.write_bytes(data)
        try:
            read(file)
        except LatentEditError:
            pass
        except Exception as error:
            raise AssertionError(f"mutant {i}: {error!r}: {data[:600]!r}") from error


@pytest.mark.parametrize("odd", ["folder", "fifo", "loop", "missing", "unreadable", "long"])
@pytest.mark.parametrize(("kind", "name", "use"), READERS[:10])
def test_what_is_no_regular_file_is_refused(
    artefacts: Path, tmp_path: Path, odd: str, kind: str, name: str, use: Callable[[Path], object]
) -> None:
    for run in {kind, "run", "other-run"}:
        shutil.copytree(artefacts / run, tmp_path / run)
    file = tmp_path / kind / name
    data = file.read_bytes()
    file.unlink()
    if odd == "folder":
        file.mkdir()
    elif odd == "fifo":
        os.mkfifo(file)
    elif odd == "loop":
        file.symlink_to(file.name)
    elif odd == "unreadable":
        file.write_bytes(b"\xff\xfe" + data)
    elif odd == "long":
        file.write_bytes(data.replace(b".safetensors", b"x" * 400))
    if use is use_runs or odd in ("long", "missing"):
        with contextlib.suppress(LatentEditError):
            use(tmp_path / kind)
    else:
        with pytest.raises(LatentEditError):
            use(tmp_path / kind)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"a": 1, "a": 2}', "the name 'a' occurs twice"),
        ('{"a": NaN}', "NaN is no number of JSON"),
        ("[-Infinity]", "-Infinity is no number of JSON"),
        ("[1e999]", "too large"),
        ("[1" + "0" * 400 + "]", "401 digits"),
        ("[1" + "0" * 350 + "]", "too large"),
        ("[" * 101 + "]" * 101, "nested more than 100 deep"),
        ("[" * 100_000, "nested more than 100 deep"),
        ("{", "is not JSON"),
        ("", "is not JSON"),
    ],
)
def test_json_that_is_ambiguous_or_too_large_is_refused(
    tmp_path: Path, text: str, told: str
) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(LatentEditError, match=told):
        read_json(tmp_path / "a.json")


def test_many_short_values_are_refused_before_they_take_memory(tmp_path: Path) -> None:
    """A million empty lists take 64 MB, and 3 in the file; fewer and longer values are read."""
    count = 1_000_000
    (tmp_path / "a.json").write_text("[" + "[]," * count + "0]")
    with pytest.raises(CorruptArtefact, match=r"hold up to 2,000,001 values, too many"):
        read_json(tmp_path / "a.json")
    wide = "[" + "0.1234567890123456," * 100_000 + "0]"
    (tmp_path / "a.json").write_text(wide)
    assert len(read_json(tmp_path / "a.json")) == 100_001


def test_a_record_that_is_too_large_is_neither_read_nor_written(tmp_path: Path) -> None:
    with open(tmp_path / "a.json", "wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(InputError, match=r"67,108,865 bytes, more than 67,108,864"):
        read_json(tmp_path / "a.json")
    with pytest.raises(InputError, match=r"records have 67,108,864 at most.*fewer editors"):
        write_json(tmp_path / "b.json", "x" * MAX_BYTES)
    assert not (tmp_path / "b.json").exists()


def test_json_at_the_limits_is_read(tmp_path: Path) -> None:
    for text in ("[" * 100 + "]" * 100, "[1e308, -1e308, 1" + "0" * 300 + "]", '{"a": {"a": 1}}'):
        (tmp_path / "a.json").write_text(text)
        assert read_json(tmp_path / "a.json") == json.loads(text)


@pytest.mark.parametrize("name", ["a\0b", "x" * 5000])
def test_names_that_no_file_can_have_are_refused(tmp_path: Path, name: str) -> None:
    for read in (read_json, read_tensors, map_tensors, LatentBank.open, Run, RunFolder.claim):
        with pytest.raises(LatentEditError):
            read(tmp_path / name)  # type: ignore[operator]
    with pytest.raises(LatentEditError):
        load_editor(REGISTRY, tmp_path / name)


def test_names_with_markup_are_listed_as_they_are(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "[red]run[/blue]")
    for name in ("suite.json", "provenance.json"):
        text = (folder / name).read_text()
        (folder / name).write_text(text.replace("rec-eta", "rec-[/red]").replace("alpha", "[/b]"))
    found: Any = CommandLine(tmp_path, lambda: REGISTRY)("bench", "list", str(tmp_path))
    assert found.returncode in (0, 2)
    assert "Traceback" not in found.stderr
