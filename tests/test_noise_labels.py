"""Labels without any relation to codes get a slope no more often than is stated."""

from __future__ import annotations

import pytest
import torch
from scipy.stats import binom
from toy import ToyGenerator, ToyOptions, toy_registry

import latentedit_linear
from latentedit import Attribute, AttributeEstimator, AttributeSchema, Runtime, Split

REGISTRY = toy_registry(latentedit_linear)
WORLD = ToyGenerator(ToyOptions())
COLUMNS = 60
SCHEMA = AttributeSchema((Attribute("noise", "vector", -9, 9, size=COLUMNS),))
STATED = 0.05
CALIBRATED = (
    "interfacegan",
    "regression",
    "logistic",
    "mean-difference",
    "min-norm",
    "ganspace",
    "sefa",
)
SEEDS = {300: range(4), 2_000: range(2), 20_000: range(1)}
QUICK = {"interfacegan": {"c": 0.01}}


def noise_faces(n: int, seed: int) -> Split:
    rng = torch.Generator().manual_seed(1_000 + seed)
    return Split("w", SCHEMA, ((WORLD.sample(n, seed), torch.randn(n, COLUMNS, generator=rng)),))


def most(tried: int) -> int:
    """What a rate of 5 % exceeds once in a thousand times."""
    return int(binom.ppf(0.999, tried, STATED))


@pytest.mark.parametrize("n", SEEDS)
@pytest.mark.parametrize("name", CALIBRATED)
def test_noise_is_calibrated_in_five_percent_of_columns_and_refused_in_the_others(
    name: str, n: int
) -> None:
    calibrated = 0
    for seed in SEEDS[n]:
        editor = REGISTRY.editor(name, QUICK.get(name, {}))
        figures = editor.fit(noise_faces(n, seed), Runtime(generator=WORLD)).figures
        slopes = editor.state()["slopes"]
        calibrated += int((slopes != 0).sum())
        stated = [abs(figures[f"held_out_correlation/noise_{k}"]) for k in range(COLUMNS)]
        assert max(stated) < 5 / (n / 5) ** 0.5
        codes, start = WORLD.sample(COLUMNS, 99), torch.zeros(COLUMNS, COLUMNS)
        edited = editor.edit(codes, start, torch.eye(COLUMNS), Runtime())
        assert edited.ok is not None
        assert edited.ok.tolist() == (slopes != 0).tolist()
        assert torch.equal(edited.codes[~edited.ok], codes[~edited.ok])
    assert calibrated <= most(COLUMNS * len(SEEDS[n]))


class NoiseEstimator(AttributeEstimator):
    """Reads other numbers off the same images at every call."""

    schema = SCHEMA
    fingerprint = "noise"

    def __init__(self, seed: int) -> None:
        self.rng = torch.Generator().manual_seed(seed)

    def estimate(self, images: torch.Tensor) -> torch.Tensor:
        return torch.randn(len(images), COLUMNS, generator=self.rng)


def test_noise_is_calibrated_no_more_often_by_an_editor_that_renders() -> None:
    calibrated = 0
    for seed in range(4):
        faces = noise_faces(300, seed)
        styles = WORLD.convert(faces.codes, "w", "s")
        editor = REGISTRY.editor("stylespace")
        split = Split("s", SCHEMA, ((styles, faces.attributes),))
        editor.fit(split, Runtime(generator=WORLD, estimator=NoiseEstimator(seed)))
        calibrated += int((editor.state()["slopes"] != 0).sum())
    assert calibrated <= most(4 * COLUMNS)


def test_what_codes_say_is_calibrated_by_every_editor() -> None:
    """The same rule on labels of which half the variance is in one principal axis of the codes."""
    schema = AttributeSchema((Attribute("told", "continuous", -9, 9),))
    codes, rng = WORLD.sample(300, 0), torch.Generator().manual_seed(5)
    along = (codes - WORLD.w_avg) @ WORLD.basis[1] / WORLD.deviations[1]
    labels = (along + torch.randn(300, generator=rng))[:, None]
    for name in CALIBRATED:
        editor = REGISTRY.editor(name, {"extreme_share": 0.2} if name == "interfacegan" else {})
        figures = editor.fit(Split("w", schema, ((codes, labels),)), Runtime(generator=WORLD))
        assert editor.state()["slopes"][0] != 0, name
        assert 0.3 < figures.figures["held_out_correlation/told"] < 0.9, name
