"""StyleSpace: the channels of S that are specific to an attribute."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import FitStats, Options, Runtime, Split, Unsupported
from latentedit_linear.directions import DirectionEditor, Figures, by_column, unit

CERTAINTY = 3.0
"""Smallest mean change that is calibrated, in its standard errors."""
_DOUBLINGS = 6
"""Largest number of strengths tried, from one standard deviation along the direction upwards."""


class StyleSpaceOptions(Options):
    """Options of StyleSpace.

    Args:
        exemplars: number of faces with the highest values of the attribute; 10 to 30 suffice
            according to the paper.
        channels: number of channels to move together, the most specific first; the paper moves one
            at a time.
        probes: number of held-out faces on which each direction's effect is measured.
    """

    exemplars: int = Field(default=30, ge=2)
    channels: int = Field(default=1, ge=1)
    probes: int = Field(default=32, ge=2)


class StyleSpace(DirectionEditor):
    """Moves the few style channels in which faces with the attribute differ most.

        δ = (s − μ) / σ,    θ_u = |mean δ_u| / std δ_u over the exemplars
        d_k ∝ Σ_u σ_u mean δ_u e_u over the channels of greatest θ

    with μ, σ mean and deviation of the styles of all faces. Thousands of channels come from one
    code and are correlated over faces. The slope along a single channel can therefore not be
    regressed on the fit split. It is measured: the move is rendered on some faces, and the labeller
    estimates the change. Strength is doubled until the change is one deviation of the attribute.

    Wu, Lischinski, Shechtman: "StyleSpace analysis: disentangled controls for StyleGAN image
    generation", CVPR 2021, section 5 (attribute-specific channels from exemplars).
    """

    Options: ClassVar[type[StyleSpaceOptions]] = StyleSpaceOptions
    seeded = False
    candidates = ({"channels": 4}, {"exemplars": 100}, {"channels": 4, "exemplars": 100})
    spaces: ClassVar[tuple[str, ...]] = ("s",)
    needs = frozenset({"attributes", "generator", "estimator"})
    options: StyleSpaceOptions

    def find_directions(self, data: Split, runtime: Runtime) -> tuple[Tensor, Figures]:
        o, styles = self.options, data.codes.double()
        mean, deviation = styles.mean(0), styles.std(0)
        normalised = torch.where(deviation > 0, (styles - mean) / deviation, 0.0)
        directions, best = [], []
        for values in data.attributes.T:
            most = values.topk(min(o.exemplars, len(values))).indices
            difference, theta = standing_out(normalised[most])
            chosen = theta.topk(min(o.channels, len(theta))).indices
            direction = torch.zeros_like(difference)
            direction[chosen] = (difference * deviation)[chosen]
            directions.append(unit(direction))
            best.append(chosen[0])
        return torch.stack(directions), by_column("channel", torch.stack(best), data)

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        choosing, held_out = data.hold_out()
        found, figures = self.find_directions(choosing, runtime)
        self.directions = found.float()
        self.slopes = measured_slopes(held_out, self.directions, self.options.probes, runtime)
        return FitStats({**figures, **by_column("slope", self.slopes, data)})


def standing_out(normalised: Tensor) -> tuple[Tensor, Tensor]:
    """Size and consistency of the exemplars' difference from the population, by channel.

    Args:
        normalised: (M, S) δ, styles of the exemplars in standard scores of the population.

    Returns:
        (S,) mean δ, and (S,) θ = |mean δ| / std δ, which is 0 if no exemplar differs.
    """
    difference, spread = normalised.mean(0), normalised.std(0)
    return difference, torch.where(difference != 0, difference.abs() / spread, 0.0)


@torch.no_grad()
def measured_slopes(data: Split, directions: Tensor, probes: int, runtime: Runtime) -> Tensor:
    """Slopes of attributes along their own directions, measured on rendered faces.

    Args:
        data: codes (N, S) and attributes (N, A).
        directions: (A, S), unit norm or zero.
        probes: number of faces to measure on.

    Returns:
        (A,) natural units per unit of strength; 0 if the attribute's change is not significant.
    """
    if runtime.generator is None or runtime.estimator is None:
        raise Unsupported("stylespace measures its directions: give a generator and an estimator")
    index = torch.linspace(0, len(data) - 1, min(probes, len(data))).round().long()
    codes = data.rows(index)[0].to(runtime.device)
    sigma = data.attributes.std(0)
    spread = (data.codes @ directions.T).std(0)
    slopes = torch.zeros(len(directions))
    for k, direction in enumerate(directions.to(codes)):
        runtime.progress(k / len(directions), f"effect of {data.schema.column_names[k]}")
        for doublings in range(_DOUBLINGS):
            strength = float(spread[k]) * 2**doublings
            ends = torch.cat([codes - strength * direction, codes + strength * direction])
            images = runtime.generator.synthesize(ends, data.space)
            low, high = runtime.estimator.estimate(images)[:, k].cpu().chunk(2)
            change = high - low
            if float(change.mean().abs()) >= float(sigma[k]):
                break
        error = float(change.std()) / len(change) ** 0.5
        if strength > 0 and float(change.mean().abs()) > max(CERTAINTY * error, 1e-6):
            slopes[k] = change.mean() / (2 * strength)
    return slopes
