"""Codes that others labelled, as a bank that editors are fitted on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_editors
from click.testing import CliRunner, Result
from toy import ROWS, W_DIM, ToyGenerator

import latentedit_styleflow
from latentedit import CorruptArtefact, InputError, Registry, UnknownName
from latentedit.cli.main import cli
from latentedit.data.bank import LatentBank
from latentedit.editing.fitted import fit_editor
from latentedit.sampling.importing import import_bank
from latentedit.sampling.relabel import relabel_bank
from latentedit_styleflow.data import StyleFlowData

SHARED = Path(__file__).parents[2] / "shared" / "data"
N = 40


def registry() -> Registry:
    """The toy world with the importer of the release's data."""
    found = toy_editors.registry()
    found.add(latentedit_styleflow, "styleflow")
    return found


def write_latents(folder: Path, n: int, seed: int = 0) -> torch.Tensor:
    """``latents.npy`` as the release has it, of the toy world's W codes (n, D)."""
    codes = ToyGenerator().sample(n, seed)
    np.save(folder / "latents.npy", codes[:, None, None].expand(-1, 1, ROWS, -1).numpy())
    return codes


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder, rng = tmp_path / "data", np.random.default_rng(0)
    folder.mkdir()
    write_latents(folder, N)
    attributes = rng.random((N, 8, 1))
    attributes[:, 6] += 40
    np.save(folder / "attributes.npy", attributes)
    np.save(folder / "lighting.npy", rng.random((N, 1, 9, 1, 1)).astype("f4"))
    return folder


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> Result:
    monkeypatch.setattr(Registry, "discover", staticmethod(registry))
    return CliRunner().invoke(cli, arguments)


def rows_of(codes: torch.Tensor, values: torch.Tensor) -> set[tuple[float, ...]]:
    return {tuple(row) for row in torch.cat([codes, values], 1).tolist()}


def imported(data: Path, out: Path, **options: Any) -> LatentBank:
    asked = {"generator": "toy", "n_test": 8} | options
    return import_bank(registry(), "styleflow-data", data, out, **asked)


def test_every_face_is_in_one_split_with_its_attributes(data: Path, tmp_path: Path) -> None:
    bank = imported(data, tmp_path / "B")
    bank.verify()
    fit, test = bank.split("fit"), bank.split("test")
    assert (bank.space, len(fit), len(test)) == ("w", N - 8, 8)
    given = StyleFlowData().read(data)
    assert bank.schema == given.schema
    found = rows_of(fit.codes, fit.attributes) | rows_of(test.codes, test.attributes)
    assert found == rows_of(given.codes, given.attributes)


def test_the_seed_decides_the_splits_and_the_hash(data: Path, tmp_path: Path) -> None:
    hashes = [imported(data, tmp_path / str(i), seed=i // 2).hash for i in range(3)]
    assert hashes[0] == hashes[1] != hashes[2]


def test_codes_of_w_plus_stay_so(data: Path, tmp_path: Path) -> None:
    np.save(data / "latents.npy", np.random.default_rng(1).random((N, ROWS, W_DIM), "f4"))
    assert imported(data, tmp_path / "B").space == "w+"


def test_attributes_can_be_measured_anew(data: Path, tmp_path: Path) -> None:
    bank = imported(data, tmp_path / "B")
    with pytest.raises(UnknownName, match="styleflow-data"):
        toy_editors.registry().estimator(bank.labeller.name, bank.labeller.options)
    again = relabel_bank(toy_editors.registry(), bank, tmp_path / "C", labeller="toy-labeller")
    expected = ToyGenerator().truth(again.split("test").codes).attributes
    assert torch.allclose(again.split("test").attributes, expected, atol=1e-3)


@pytest.mark.parametrize("n_test", [1, N - 1])
def test_one_image_is_enough_for_a_split(data: Path, tmp_path: Path, n_test: int) -> None:
    bank = imported(data, tmp_path / "B", n_test=n_test)
    assert (len(bank.split("fit")), len(bank.split("test"))) == (N - n_test, n_test)


@pytest.mark.parametrize("n_test", [0, N, N + 1, -1])
def test_something_is_left_to_fit_on(data: Path, tmp_path: Path, n_test: int) -> None:
    with pytest.raises(InputError, match=f"has {N} images"):
        imported(data, tmp_path / "B", n_test=n_test)


def test_codes_of_another_generator_are_refused(data: Path, tmp_path: Path) -> None:
    np.save(data / "latents.npy", np.zeros((N, 1, ROWS, W_DIM + 1), "f4"))
    with pytest.raises(InputError, match=r"codes have shape \(25,\), but toy has z \(24,\)"):
        imported(data, tmp_path / "B")
    assert not (tmp_path / "B").exists()


def test_the_command_makes_a_bank_that_the_others_take(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = command(
        monkeypatch, "bank", "import", "data", "--generator", "toy", "--test", "8", "--out", "B"
    )
    assert made.exit_code == 0, made.output
    assert "B: 32 faces to fit on, 8 to edit, in W" in made.output
    assert "next: latentedit bank images B" in made.output
    shown = json.loads(command(monkeypatch, "bank", "show", "B", "--json").output)
    assert shown["sampling"]["origin"] == "styleflow-data"
    assert command(monkeypatch, "bank", "images", "B", "--out", "faces").exit_code == 0
    (data / "lighting.npy").write_bytes(b"no")
    refused = command(monkeypatch, "bank", "import", "data", "--generator", "toy", "--out", "C")
    assert isinstance(refused.exception, CorruptArtefact)


def test_the_published_measurements_become_a_bank(tmp_path: Path) -> None:
    files = {"styleflow_attributes.npy": "attributes.npy", "styleflow_light.npy": "lighting.npy"}
    if missing := [name for name in files if not (SHARED / name).is_file()]:
        pytest.skip(f"the published measurements are not in {SHARED}: {', '.join(missing)}")
    for name, copy in files.items():
        shutil.copy(SHARED / name, tmp_path / copy)
    write_latents(tmp_path, 1_000)
    bank = imported(tmp_path, tmp_path / "B", n_test=200)
    ages = torch.cat([bank.split(name).attributes for name in ("fit", "test")])[
        :, bank.schema.columns("age")
    ]
    published = np.load(SHARED / "styleflow_attributes.npy")[:, 6, 0]
    assert sorted(ages.flatten().tolist()) == sorted(published.tolist())
    fitted = fit_editor(toy_editors.registry(), "no-edit", bank)
    fitted.check_bank(bank)
    assert fitted.schema.names == bank.schema.names
