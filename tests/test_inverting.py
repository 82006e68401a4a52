"""Photographs become codes, and the same commands edit and measure them."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import toy_photos
from click.testing import CliRunner, Result
from flat_results import summarise
from PIL import Image
from test_benchmark import SUITE, Silent
from toy import ToyGenerator, ToyIdentity

from latentedit import (
    FingerprintMismatch,
    InputError,
    InversionRuntime,
    PluginFault,
    Registry,
    Unsupported,
    WeightedLoss,
    make_bank,
)
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite
from latentedit.cli.choices import example_setting
from latentedit.cli.main import cli
from latentedit.data.bank import LatentBank
from latentedit.photos.align import find_photographs, read_photograph
from latentedit.photos.invert import InversionPlan, invert_photographs, parse_losses
from latentedit.report.page import write_report

QUICK = {"pictures": 64, "w_steps": 40, "rows_steps": 20}
PLAN = InversionPlan(
    generator=("toy", {}),
    labeller=("toy-labeller", {}),
    losses={"pyramid": 1.0},
    inverter=("optimisation", QUICK),
    recognisers=("toy-identity",),
)


def invert(folder: Path, photos: Path, **changes: Any) -> LatentBank:
    found = [read_photograph(path, 8) for path in find_photographs([photos])]
    return invert_photographs(toy_photos.registry(), found, folder, replace(PLAN, **changes))


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    toy_photos.write_photos(folder)
    return folder


@pytest.fixture(scope="module")
def code(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    return invert(tmp_path_factory.mktemp("inverted") / "code", photos)


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    monkeypatch.setattr(Registry, "discover", staticmethod(toy_photos.registry))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch, "set_num_threads", lambda n: None)

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(cli, arguments, catch_exceptions=True)

    return run


def test_codes_show_what_the_photos_showed(code: LatentBank) -> None:
    test, world = code.split("test"), ToyGenerator()
    assert test.space == "w+"
    images = world.synthesize(test.codes, "w+")
    assert (images - code.photographs).abs().mean() < 1 / 127.5
    truth = world.truth(world.sample(3, 11)).attributes
    errors = (test.attributes - truth).abs() / truth.std(0)
    assert errors.mean() < 0.15


def test_the_bank_records_how_well_each_photo_was_met(code: LatentBank) -> None:
    record = code.inversion
    assert record is not None
    assert [row["name"] for row in record["photographs"]] == ["0.png", "1.png", "2.png"]
    images = ToyGenerator().synthesize(code.split("test").codes, "w+")
    gaps = (images - code.photographs).double().flatten(1)
    faces = [ToyIdentity().embed(shown) for shown in (images, code.photographs)]
    for i, row in enumerate(record["photographs"]):
        assert row["pixel_error"] == pytest.approx(255 / 2 * gaps[i].abs().mean().item(), rel=1e-3)
        noise = gaps[i].square().mean().item()
        assert row["psnr"] == pytest.approx(10 * math.log10(2**2 / noise), abs=1e-2)
        similar = (faces[0][i] @ faces[1][i]).item()
        assert row["identity similarity · toy-identity"] == pytest.approx(similar, abs=1e-5)
        assert row["pixel_error"] < 1
        assert similar > 0.97
        assert row["crop"].startswith("the middle")
    assert record["figures"]["distance"] <= record["figures"]["distance_w"]
    assert record["figures"]["distance_w"] <= record["figures"]["distance_start"]


def test_more_steps_come_nearer(photos: Path, tmp_path: Path) -> None:
    found = [
        invert(tmp_path / str(n), photos, inverter=("optimisation", QUICK | steps))
        for n, steps in enumerate(
            (
                {"pictures": 0, "w_steps": 0, "rows_steps": 0},
                {"pictures": 0, "w_steps": 20, "rows_steps": 0},
                {"pictures": 0, "w_steps": 80, "rows_steps": 0},
            )
        )
    ]
    assert [bank.split("test").space for bank in found] == ["w", "w", "w"]
    mean_code, twenty, eighty = (bank.inversion["figures"]["distance"] for bank in found)  # type: ignore[index]
    assert eighty < twenty < mean_code, (mean_code, twenty, eighty)


def test_equal_seeds_give_equal_banks(photos: Path, code: LatentBank, tmp_path: Path) -> None:
    assert invert(tmp_path / "again", photos).hash == code.hash
    assert invert(tmp_path / "other", photos, seed=1).hash != code.hash


@pytest.mark.parametrize(
    ("name", "told"),
    [("nan", "NaN or infinity in codes"), ("shape", r"\(3, 23\), not"), ("space", "codes of 'q'")],
)
def test_inverters_that_break_their_contract_are_named(
    photos: Path, tmp_path: Path, name: str, told: str
) -> None:
    with pytest.raises(PluginFault, match=f"{name}.*{told}"):
        invert(tmp_path / "code", photos, inverter=(name, {}))
    assert not list(tmp_path.iterdir())


def test_a_generator_without_weights_is_not_tuned(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(Unsupported, match="no weights that can be tuned"):
        invert(tmp_path / "code", photos, inverter=("optimisation", QUICK | {"tuning_steps": 2}))


@pytest.mark.parametrize("weight", [0.0, -1.0, float("inf"), float("nan")])
def test_losses_weigh_something(weight: float) -> None:
    with pytest.raises(InputError, match="weight of a loss must be above 0"):
        WeightedLoss(((weight, toy_photos.registry().build("perceptual", "pyramid")),))


@pytest.mark.parametrize("loss", ["pixels=0", "pixels=-1", "pixels=.inf", "pixels=true", "=1"])
def test_a_loss_has_a_name_and_a_weight(loss: str) -> None:
    with pytest.raises(InputError, match="a weight above 0, each NAME once"):
        parse_losses((loss,))


def test_losses_add_up() -> None:
    pyramid = toy_photos.registry().build("perceptual", "pyramid")
    images = ToyGenerator().synthesize(ToyGenerator().sample(2, 0))
    once, thrice = (WeightedLoss(((1.0, pyramid),) * n).features(images) for n in (1, 3))
    apart = (once[0] - once[1]).square().sum()
    assert torch.allclose((thrice[0] - thrice[1]).square().sum(), 3 * apart)


def test_the_pyramid_is_the_sum_that_its_formula_says() -> None:
    pyramid = toy_photos.registry().build("perceptual", "pyramid", {"coarsest": 4})
    x, y = torch.rand(2, 1, 3, 8, 8, generator=torch.Generator().manual_seed(0)).double()
    expected = 0.0
    for x_s, y_s in ((x, y), *((_halved(x), _halved(y)) for _ in (1,))):
        gap = x_s - y_s
        slopes = gap.diff(dim=3).square().mean() + gap.diff(dim=2).square().mean()
        expected += float(gap.square().mean() + slopes / 2) / 2
    found = (pyramid.features(x) - pyramid.features(y)).square().sum()
    assert float(found) == pytest.approx(expected)


def _halved(x: torch.Tensor) -> torch.Tensor:
    return (x[..., ::2, ::2] + x[..., 1::2, ::2] + x[..., ::2, 1::2] + x[..., 1::2, 1::2]) / 4


def test_progress_goes_from_0_to_1(photos: Path, tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    found = [read_photograph(path, 8) for path in find_photographs([photos])]
    images = torch.stack([photo.image for photo in found])
    registry = toy_photos.registry()
    loss = WeightedLoss(((1.0, registry.build("perceptual", "pyramid")),))
    runtime = InversionRuntime(ToyGenerator(), loss, progress=lambda *at: told.append(at))
    registry.build("inverter", "optimisation", QUICK | {"batch": 2}).invert(images, runtime)
    fractions = [fraction for fraction, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[0] == 0
    assert 0.85 < fractions[-1] <= 1
    assert {message for _, message in told} >= {"descending in W", "descending in W+"}


def test_the_benchmark_edits_photos_and_compares_with_reconstruction_and_photo(
    code: LatentBank, tmp_path: Path
) -> None:
    folder = tmp_path / "run"
    suite = Suite.model_validate(SUITE | {"editors": {"exact": {"plugin": "exact"}}})
    outcome = run_suite(
        suite, folder, Silent(), registry=toy_photos.registry, workers=2, photographs=code.folder
    )
    assert not outcome.failed
    results = summarise(folder)
    photographs = results["photographs"]
    assert photographs["pixel_error"] < 1
    assert photographs["identity"][0]["similarity"] > 0.97
    means = {
        row["metric"]: row["mean"]
        for row in results["measures"]
        if row["editor"] == "exact" and row["task"].startswith("age")
    }
    to_reconstruction = means["identity similarity · toy-identity"]
    to_photo = means["identity similarity to the photo · toy-identity"]
    assert to_reconstruction > 0.999
    assert to_photo == pytest.approx(photographs["identity"][0]["similarity"], abs=2e-3)
    page = write_report(folder).read_text("utf-8")
    assert "The faces are 3 photographs" in page
    assert "identity similarity to the photo" in page


def test_one_photo_is_refused_before_anything_is_computed(tmp_path: Path) -> None:
    registry = toy_photos.registry
    one = make_bank(
        registry(), tmp_path / "one", generator="toy", labeller="toy-labeller", n_fit=2, n_test=1
    )
    suite = Suite.model_validate(SUITE | {"editors": {"exact": {"plugin": "exact"}}})
    with pytest.raises(InputError, match=r"one photograph.*2 or more.*latentedit edit --editor"):
        run_suite(suite, tmp_path / "run", Silent(), registry=registry, photographs=one.folder)
    assert not (tmp_path / "run").exists()


def test_the_commands_work_on_photos(command: Any, photos: Path) -> None:
    options = [word for name, value in QUICK.items() for word in ("--option", f"{name}={value}")]
    inverted = command(
        *("invert", str(photos), "--generator", "toy", "--labeller", "toy-labeller", "--out"),
        *("code", "--identity", "toy-identity", "--inverter", "optimisation", *options),
    )
    assert inverted.exit_code == 0, inverted.output
    assert "of 255 levels" in inverted.output
    assert "identity similarity · toy-identity" in inverted.output
    assert "crop: the middle" in inverted.output
    uri = Path("code/inversion.png").resolve().as_uri()
    assert f"next: python -m webbrowser {uri}, then: latentedit edit" in inverted.output
    assert f"--set {example_setting(LatentBank.open('code').schema)} " in inverted.output
    assert Image.open("code/inversion.png").width > 3 * 8
    make = ("bank", "make", "--generator", "toy", "--labeller", "toy-labeller", "--out", "B")
    edit = ("edit", "--editor", "E", "--bank", "code")
    for step in (
        (*make, "--n", "50", "--test", "5"),
        ("fit", "exact", "--bank", "B", "--out", "E"),
        (*edit, "--index", "0..2", "--set", "age=60", "--out", "grid.png"),
        ("bank", "verify", "code"),
    ):
        done = command(*step)
        assert done.exit_code == 0, done.output
    assert Path("grid.png").is_file()


def test_the_frame_of_a_generator_needs_a_detector(command: Any, photos: Path) -> None:
    options = ("--generator", "toy", "--labeller", "toy-labeller", "--inverter", "optimisation")
    Path("places.json").write_text("{}")
    for landmarks in ((), ("--landmarks", "places.json")):
        done = command(
            "invert", str(photos), *options, *landmarks, "--frame", "generator", "--out", "c"
        )
        assert isinstance(done.exception, InputError)
        assert "needs a landmark detector: --landmarks NAME" in str(done.exception)


def test_codes_are_compared_with_the_true_ones_of_a_bank(command: Any) -> None:
    make = ("bank", "make", "--generator", "toy", "--labeller", "toy-labeller", "--out", "B")
    assert command(*make, "--n", "10", "--test", "3").exit_code == 0
    assert command("bank", "images", "B", "--split", "test", "--out", "faces").exit_code == 0
    options = ("--generator", "toy", "--labeller", "toy-labeller", "--truth", "B", "--json")
    options += ("--inverter", "optimisation")
    found = command("invert", "faces", *options, "--out", "code")
    assert found.exit_code == 0, found.output
    for row in json.loads(found.output)["photographs"]:
        assert row["code_error"] < 1
        assert row["true identity drift"] < 0.3
    Path("faces/test-00001.png").rename("faces/someone.png")
    refused = command("invert", "faces", *options, "--out", "other")
    assert isinstance(refused.exception, InputError)
    assert "someone.png does not name an image" in str(refused.exception)
    options = (*options, "--generator-option", "world_seed=1")
    refused = command("invert", "faces/test-00000.png", *options, "--out", "other")
    assert isinstance(refused.exception, FingerprintMismatch)
    assert not Path("other").exists()


def test_an_editor_of_another_generator_refuses_the_code(command: Any, code: LatentBank) -> None:
    make = ("bank", "make", "--generator", "toy", "--labeller", "toy-labeller", "--out", "B")
    assert command(*make, "--generator-option", "world_seed=1", "--n", "20").exit_code == 0
    assert command("fit", "exact", "--bank", "B", "--out", "E").exit_code == 0
    edit = ("edit", "--editor", "E", "--bank", str(code.folder), "--index", "0")
    refused = command(*edit, "--set", "age=60", "--out", "grid.png").exception
    assert isinstance(refused, FingerprintMismatch)
    assert code.generator.fingerprint[:8] in str(refused)


def test_a_folder_in_use_is_refused_before_anything_is_computed(command: Any, photos: Path) -> None:
    Path("code").mkdir()
    Path("code", "notes.txt").touch()
    refused = command("invert", str(photos), "--generator", "toy", "--out", "code").exception
    assert isinstance(refused, InputError)
    assert "exists already" in str(refused)
