"""A recorded digest is checked where its file is used: a changed file is named, never believed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import alias_free_networks
import pickles
import pytest
import torch
import toy_editors
from flat_results import read_flat
from in_process import CommandLine
from made_runs import write_run
from test_strict_records import INVERSION

import latentedit_stylegan
from latentedit import (
    CorruptArtefact,
    LatentBank,
    check_digest,
    file_digest,
    fit_editor,
    load_editor,
    make_bank,
    read_tensors,
    write_json,
    write_tensors,
)
from latentedit.benchmark.results.board import boards
from latentedit.files import digests
from latentedit_styleflow.checkpoint import to_released
from latentedit_styleflow.flow import ContinuousFlow
from latentedit_styleflow.importing import import_checkpoint, read_imported
from latentedit_styleflow.solver import Solver
from latentedit_stylegan.importing import import_network

REGISTRY = toy_editors.registry()
REGISTRY.add(latentedit_stylegan, "stylegan")


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    folder = tmp_path_factory.mktemp("banks") / "B"
    return make_bank(
        REGISTRY, folder, generator="toy", labeller="toy-labeller", n_fit=40, n_test=4, seed=0
    )


def saved_editor(bank: LatentBank, folder: Path) -> tuple[Path, Callable[[Path], object]]:
    fit_editor(REGISTRY, "exact", bank).save(folder)
    return folder / "model.safetensors", lambda here: load_editor(REGISTRY, here)


def a_bank(split: str) -> Callable[[LatentBank, Path], tuple[Path, Callable[[Path], object]]]:
    def make(bank: LatentBank, folder: Path) -> tuple[Path, Callable[[Path], object]]:
        shutil.copytree(bank.folder, folder)
        return folder / f"{split}-00000.safetensors", lambda at: LatentBank.open(at).split(split)

    return make


def photographs(bank: LatentBank, folder: Path) -> tuple[Path, Callable[[Path], object]]:
    LatentBank.write(
        folder, {"test": bank.split("test")}, bank.generator, bank.labeller, {"fit": 0, "test": 4},
        inversion=INVERSION,
        files={"photographs": {"images": torch.zeros(4, 3, 8, 8, dtype=torch.uint8)}},
    )  # fmt: skip
    return folder / "photographs.safetensors", lambda here: LatentBank.open(here).photographs


def network(bank: LatentBank, folder: Path) -> tuple[Path, Callable[[Path], object]]:
    file = folder.with_suffix(".pkl")
    import_network(pickles.write(file, pickles.nvidia_pickle(pickles.random_network())), folder)
    options = {"path": str(folder)}
    return folder / "model.safetensors", lambda _: REGISTRY.generator("stylegan2", options)


def alias_free(bank: LatentBank, folder: Path) -> tuple[Path, Callable[[Path], object]]:
    small = alias_free_networks.SMALL
    weights = alias_free_networks.random_weights(alias_free_networks.architecture(small))
    file = folder.with_suffix(".pkl")
    import_network(pickles.write(file, alias_free_networks.pickled(small, weights)), folder)
    options = {"path": str(folder)}
    return folder / "model.safetensors", lambda _: REGISTRY.generator("stylegan3", options)


def flow(bank: LatentBank, folder: Path) -> tuple[Path, Callable[[Path], object]]:
    file = folder.with_suffix(".pt")
    released = to_released(ContinuousFlow(8, 2, (6,), 1, Solver("rk4", 2), False))
    torch.save(released, file)
    import_checkpoint(file, folder)
    place = next(path for path in folder.iterdir() if path.suffix == ".safetensors")
    return place, lambda here: read_imported(here, Solver("rk4", 2))


USED = {
    "fit": a_bank("fit"),
    "test": a_bank("test"),
    "photographs": photographs,
    "editor": saved_editor,
    "network": network,
    "alias-free network": alias_free,
    "flow": flow,
}


@pytest.mark.parametrize("kind", USED)
def test_a_changed_file_is_refused_by_name_where_it_is_used(
    bank: LatentBank, tmp_path: Path, kind: str
) -> None:
    file, use = USED[kind](bank, tmp_path / "made")
    use(tmp_path / "made")
    whole = file.read_bytes()
    tensors = read_tensors(file)
    changed = {
        name: t + 1 if t.numel() and t.is_floating_point() else t for name, t in tensors.items()
    }
    if kind == "photographs":
        changed = {name: t + 1 for name, t in tensors.items()}
    write_tensors(file, changed)
    with pytest.raises(CorruptArtefact, match=f"{file.name} has sha256 .*changed or cut"):
        use(tmp_path / "made")
    file.write_bytes(whole[:-1])
    with pytest.raises(CorruptArtefact, match=f"{file.name} has sha256"):
        use(tmp_path / "made")
    file.write_bytes(whole)
    use(tmp_path / "made")


def test_the_commands_refuse_a_changed_bank_and_a_changed_editor(
    bank: LatentBank, tmp_path: Path
) -> None:
    run = CommandLine(tmp_path, lambda: REGISTRY)
    run.ok("fit", "exact", "--bank", str(bank.folder), "--out", "E")
    shutil.copytree(bank.folder, tmp_path / "B")
    shard = tmp_path / "B" / "fit-00000.safetensors"
    data = bytearray(shard.read_bytes())
    data[len(data) // 2] ^= 1
    shard.write_bytes(data)
    assert "B/fit-00000.safetensors" in run.refused("fit", "exact", "--bank", "B", "--out", "F")
    model = tmp_path / "E" / "model.safetensors"
    write_tensors(model, {name: 1000 * t for name, t in read_tensors(model).items()})
    told = run.refused(
        "edit", "--editor", "E", "--bank", str(bank.folder), "--index", "0", "--set", "age=40",
        "--out", "g.png",
    )  # fmt: skip
    assert "E/model.safetensors has sha256" in told
    assert not (tmp_path / "g.png").exists()


@pytest.mark.parametrize("how", ["a mean", "no digest", "another judge"])
def test_results_that_were_changed_are_not_listed(tmp_path: Path, how: str) -> None:
    good = write_run(tmp_path / "good")
    other = write_run(tmp_path / "other")
    file = other / "results.json"
    record: Any = json.loads(file.read_text())
    if how == "a mean":
        record["measures"][0]["mean"] += 0.1
        write_json(file, record)
    elif how == "no digest":
        write_json(file, {name: value for name, value in record.items() if name != "sha256"})
    else:
        seen = json.loads((other / "provenance.json").read_text())
        seen["judge"]["fingerprint"] = "0" * 64
        write_json(other / "provenance.json", seen)
    found, refused = boards([tmp_path])
    assert [[run.folder for run in board.runs] for board in found] == [[good]]
    assert list(refused) == [str(other)]
    assert "Write it again with: latentedit bench report" in refused[str(other)]
    assert read_flat(good)


def test_a_file_is_read_once_a_process_for_its_digest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, read = tmp_path / "a", []
    file.write_bytes(b"one")
    digest = file_digest(file)

    def counted(path: Path) -> str:
        read.append(path)
        return file_digest(path)

    monkeypatch.setattr(digests, "file_digest", counted)
    for _ in range(3):
        check_digest(file, digest, "record.json", "Make it again.")
    assert read == [file]
    file.write_bytes(b"two")
    with pytest.raises(CorruptArtefact, match=r"a has sha256 .*, record.json records"):
        check_digest(file, digest, "record.json", "Make it again.")
    assert read == [file, file]
