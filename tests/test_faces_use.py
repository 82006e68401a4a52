"""The estimators where people use them: in suites, and on the command line from bank to bank."""

from __future__ import annotations

import csv
from pathlib import Path

import faces_world
import pytest
import torch
from faces_world import DECLARED, attribute_model, feature_model, identity_model, judge_file
from flat_results import summarise
from toy import ToyGenerator

from latentedit import InputError, LatentBank, Registry
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite
from latentedit.cli.main import cli


class Silent:
    def progressed(self, cell_id: str, fraction: float, message: str) -> None: ...

    def finished(self, cell_id: str, status: str, error: str) -> None: ...


def test_a_suite_with_models_in_files_gives_the_known_answers(tmp_path: Path) -> None:
    judge = {"function": f"{judge_file(tmp_path)}:judge", "attributes": DECLARED}
    identity = {"contract": str(identity_model(tmp_path))}
    suite = Suite.model_validate(
        {
            "name": "files",
            "bank": {
                "generator": {"plugin": "toy"},
                "labeller": {
                    "plugin": "faces-onnx",
                    "options": {"contract": str(attribute_model(tmp_path))},
                },
                "n_fit": 300,
                "n_test": 20,
            },
            "judge": {"plugin": "faces-python", "options": judge, "name": "mine"},
            "identity": [
                "toy-identity",
                {"plugin": "faces-onnx-identity", "options": identity, "name": "filed"},
            ],
            "editors": {"regression": {"plugin": "regression"}},
            "controls": [],
            "tasks": [{"attribute": "age", "change": 10}],
            "show_images": 1,
        }
    )
    outcome = run_suite(suite, tmp_path / "run", Silent(), registry=faces_world.registry, workers=1)
    assert not outcome.failed
    results = summarise(tmp_path / "run")
    found = {m["metric"]: m["mean"] for m in results["measures"]}
    assert found["reach"] == 1
    known, filed = (found[f"identity similarity · {name}"] for name in ("toy-identity", "filed"))
    assert filed == pytest.approx(known, abs=1e-4)
    assert filed > 0.9
    assert found["target error"] == pytest.approx(0, abs=0.05)
    assert results["provenance"]["judge"]["name"] == "mine"
    assert results["provenance"]["bank"]["labeller_options"]["contract"].endswith(".yaml")
    (tmp_path / "attributes.yaml").unlink()
    with pytest.raises(InputError, match=r"there is no file .*attributes.yaml"):
        run_suite(suite, tmp_path / "run", Silent(), registry=faces_world.registry, workers=1)
    LatentBank.open(tmp_path / "run" / "bank").verify()


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a bank B of toy faces and pictures of 120 of them."""
    monkeypatch.setattr(Registry, "discover", staticmethod(faces_world.registry))
    monkeypatch.chdir(tmp_path)
    make = "bank make --generator toy --labeller toy-labeller --n 120 --test 10 --out B"
    cli.main(make.split(), standalone_mode=False)
    cli.main(["bank", "images", "B", "--split", "fit", "--out", "faces"], standalone_mode=False)
    return tmp_path


def test_from_a_bank_to_pictures_to_labels_to_an_estimator_to_a_bank(
    run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ages = LatentBank.open("B").split("fit").attributes[:, 0]
    with open("labels.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["file", "age"])
        table.writerows([f"fit-{i:05d}.png", f"{age:.2f}"] for i, age in enumerate(ages[:90]))
    train = "train faces-trained --images faces --labels labels.csv --out E --option features=onnx"
    model = feature_model(run)
    cli.main([*train.split(), "--option", f"model={model}"], standalone_mode=False)
    told = capsys.readouterr().out
    assert "age: on held-out pictures n 90, r2 0.99" in told.replace("r2 1,", "r2 0.99")
    label = "bank label B --labeller faces-trained --labeller-option folder=E --out C"
    cli.main(label.split(), standalone_mode=False)
    found = LatentBank.open("C").split("test")
    truth = ToyGenerator().truth(found.codes).attributes[:, 0]
    assert (found.attributes[:, 0] - truth).abs().max() < 2
    assert LatentBank.open("C").labeller.options == {"folder": "E"}


def test_notes_on_the_faces_of_a_bank_become_its_labels(run: Path) -> None:
    with open("notes.csv", "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["split", "index", "mood"])
        table.writerows(["fit", i, i / 240] for i in reversed(range(120)))
        table.writerows(["test", i, 0.25] for i in range(10))
    label = "bank label B --labeller faces-csv --labeller-option file=notes.csv --out C"
    cli.main(label.split(), standalone_mode=False)
    bank = LatentBank.open("C")
    assert bank.schema.names == ("mood",)
    torch.testing.assert_close(bank.split("fit").attributes[:, 0], torch.arange(120) / 240)
    assert torch.equal(bank.split("fit").codes, LatentBank.open("B").split("fit").codes)
