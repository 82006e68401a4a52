"""A bank takes its labels from any estimator, with options, and can be labelled again."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from toy import SCHEMA, ToyEstimator, ToyGenerator, toy_registry

from latentedit import (
    AttributeEstimator,
    AttributeSchema,
    InputError,
    LatentBank,
    Options,
    PluginSpec,
    Registry,
    UnknownName,
    fingerprint,
    hookimpl,
    make_bank,
    relabel_bank,
    write_images,
)


class ShiftOptions(Options):
    years: float = 0.0


class Shifted(ToyEstimator):
    """The toy attributes, with some years added."""

    Options: ClassVar[type[ShiftOptions]] = ShiftOptions

    def __init__(self, options: ShiftOptions | None = None) -> None:
        self.options = options or ShiftOptions()
        self.fingerprint = fingerprint({"shifted": self.options.years})

    def estimate(self, images: Tensor) -> Tensor:
        values = super().estimate(images)
        values[:, 0] += self.options.years
        return values


class Notes(AttributeEstimator):
    """Somebody's notes: the age of face i is i."""

    schema = AttributeSchema((SCHEMA["age"],))
    fingerprint = fingerprint({"notes": 1})

    def estimate(self, images: Tensor) -> Tensor:
        raise AssertionError("labels on record need no look")

    def recorded(self, split: str, n: int) -> Tensor:
        return torch.arange(float(n))[:, None]


class _Plugins:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            PluginSpec("estimator", "shifted", f"{__name__}:Shifted", "older than they are"),
            PluginSpec("estimator", "notes", f"{__name__}:Notes", "somebody's notes"),
        ]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return toy_registry(_Plugins())


@pytest.fixture(scope="module")
def bank(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    folder = tmp_path_factory.mktemp("banks") / "B"
    options = {"years": 5.0}
    return make_bank(
        registry,
        folder,
        generator="toy",
        labeller="shifted",
        labeller_options=options,
        n_fit=70,
        n_test=6,
    )


def test_a_labeller_takes_its_options_and_the_bank_remembers_them(bank: LatentBank) -> None:
    truth = ToyGenerator().truth(bank.split("fit").codes).attributes
    torch.testing.assert_close(bank.split("fit").attributes[:, 0], truth[:, 0] + 5)
    assert LatentBank.open(bank.folder).labeller.options == {"years": 5.0}
    assert bank.labeller.fingerprint == Shifted(ShiftOptions(years=5.0)).fingerprint


def test_an_unknown_option_of_a_labeller_is_named(registry: Registry, tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'years'"):
        make_bank(
            registry,
            tmp_path / "B",
            generator="toy",
            labeller="shifted",
            labeller_options={"yearz": 1},
            n_fit=5,
            n_test=5,
        )


def test_a_bank_is_labelled_again_with_the_same_faces(
    registry: Registry, bank: LatentBank, tmp_path: Path
) -> None:
    again = relabel_bank(registry, bank, tmp_path / "C", labeller="toy-labeller")
    assert torch.equal(again.split("fit").codes, bank.split("fit").codes)
    older = bank.split("test").attributes - again.split("test").attributes
    torch.testing.assert_close(older[:, 0], torch.full((6,), 5.0))
    assert again.hash != bank.hash


def test_labels_on_record_are_taken_as_they_are(
    registry: Registry, bank: LatentBank, tmp_path: Path
) -> None:
    noted = relabel_bank(registry, bank, tmp_path / "D", labeller="notes")
    assert noted.schema.names == ("age",)
    assert noted.split("fit").attributes[:, 0].tolist() == list(range(70))


def test_faces_are_written_as_pictures_that_show_them(
    registry: Registry, bank: LatentBank, tmp_path: Path
) -> None:
    assert write_images(registry, bank, tmp_path / "faces", split="fit", count=66) == 66
    files = sorted(file.name for file in (tmp_path / "faces").iterdir())
    assert (files[0], files[-1]) == ("fit-00000.png", "fit-00065.png")
    expected = ToyGenerator().synthesize(bank.split("fit").codes[65:66])[0]
    with Image.open(tmp_path / "faces" / "fit-00065.png") as picture:
        shades = torch.from_numpy(np.array(picture)).permute(2, 0, 1) / 127.5 - 1
    assert (shades - expected).abs().max() <= 0.5 / 127.5 + 1e-6
    with pytest.raises(InputError, match="at least 1"):
        write_images(registry, bank, tmp_path / "none", count=0)
