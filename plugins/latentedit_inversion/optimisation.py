"""The `optimisation` inverter."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import InversionRuntime, Inverted, Inverter, Options
from latentedit_inversion.descent import descend
from latentedit_inversion.noise import NoiseMaps
from latentedit_inversion.prior import CodePrior
from latentedit_inversion.regression import CodeRegression, coarse_features
from latentedit_inversion.tuning import PivotalTuning, unclipped


class OptimisationOptions(Options):
    """Options of inversion by optimisation.

    Args:
        pictures: number of the generator's own images for the initial regression; 0 starts at the
            mean code.
        corrections: steps of the regression before the gradient descent.
        w_steps: steps of gradient descent in W, or in the generator's home space if it has no W.
        rows_steps: steps of gradient descent in W+ after that; 0 stays in W, as do generators
            without W+.
        rate: learning rate of both, in standard deviations of the generator's codes.
        prior: weight of ‖u‖², which keeps codes near the generator's own codes.
        rows_apart: weight of the squared distance of rows from their mean. It keeps W+ codes near
            W, where editors are fitted.
        noise: weight of noise regularisation. Noise maps are optimised in W only, if the generator
            adds noise.
        tuning_steps: steps of pivotal tuning; 0 does not change the generator.
        tuning_rate: learning rate of pivotal tuning.
        locality: weight of the change of the generator's other images during tuning.
        batch: photos inverted together.
    """

    pictures: int = Field(default=2048, ge=0)
    corrections: int = Field(default=8, ge=0)
    w_steps: int = Field(default=200, ge=0)
    rows_steps: int = Field(default=200, ge=0)
    rate: float = Field(default=0.05, gt=0)
    prior: float = Field(default=1e-3, ge=0)
    rows_apart: float = Field(default=1e-3, ge=0)
    noise: float = Field(default=1e3, ge=0)
    tuning_steps: int = Field(default=0, ge=0)
    tuning_rate: float = Field(default=3e-4, gt=0)
    locality: float = Field(default=0.1, ge=0)
    batch: int = Field(default=8, ge=1)


class Optimisation(Inverter):
    """Finds codes by gradient descent on a perceptual distance, in W and then in W+.

        min_u  d(G(mean + u S), photo) + λ mean u²

    There are four stages:

    1. A regression of codes on the generator's own images gives a first code. It is corrected a few
       times by the remaining difference, as Alaluf et al., "ReStyle", ICCV 2021, do with an
       encoder. This needs no gradient, which a renderer does not have at outlines.
    2. Gradient descent in W, with free and regularised noise maps (Karras et al., "Analyzing and
       improving the image quality of StyleGAN", CVPR 2020, appendix D).
    3. Gradient descent in W+, with the generator's own noise.
    4. On request, tuning of the generator around the codes (Roich et al., "Pivotal tuning for
       latent-based editing of real images", 2021).
    """

    Options: ClassVar[type[OptimisationOptions]] = OptimisationOptions
    losses: ClassVar[Mapping[str, float]] = {"pyramid": 1.0}
    options: OptimisationOptions

    def invert(self, images: Tensor, runtime: InversionRuntime) -> Inverted:
        started, options = time.perf_counter(), self.options
        prior = CodePrior.of(runtime.generator, runtime.seed, runtime.device)
        regression = (
            CodeRegression.learned(runtime, prior, options.pictures) if options.pictures else None
        )
        groups = images.split(options.batch)
        found, distances = [], []
        for i, group in enumerate(groups):
            photos = _Photos(group, runtime, prior, options, i / len(groups), len(groups))
            u, marks = photos.begin(regression)
            u, in_w = photos.in_w(u)
            rows, in_rows = photos.in_rows(u)
            found.append(rows)
            distances.append(torch.stack([marks, in_w, in_rows]))
        codes = prior.codes(torch.cat(found))
        space = prior.space_of(codes)
        at = torch.cat(distances, 1).mean(1)
        figures = dict(zip(("distance_start", "distance_w", "distance"), at.tolist(), strict=True))
        weights: dict[str, Tensor] = {}
        if options.tuning_steps:
            tuning = PivotalTuning(options.tuning_steps, options.tuning_rate, options.locality)
            weights, tuned = tuning.tuned(images, codes, space, runtime)
            figures["distance_tuned"] = tuned
        figures["seconds"] = time.perf_counter() - started
        return Inverted(codes.detach(), space, weights, figures)


class _Photos:
    """A batch of photos in the stages of inversion; all tensors have one row per photo."""

    def __init__(
        self,
        images: Tensor,
        runtime: InversionRuntime,
        prior: CodePrior,
        options: OptimisationOptions,
        at: float,
        groups: int,
    ) -> None:
        self.images, self.runtime, self.prior, self.options = images, runtime, prior, options
        self.at, self.groups = at, groups
        self.wanted = runtime.loss.features(images).detach()
        self.noise = NoiseMaps.of(runtime.generator, len(images), runtime)

    @torch.no_grad()
    def begin(self, regression: CodeRegression | None) -> tuple[Tensor, Tensor]:
        """(N, D) initial coordinates, and (N,) their distances."""
        wide = len(self.prior.mean)
        u = torch.zeros(len(self.images), wide, device=self.images.device)
        least = self.distance(u)
        if regression is None:
            return u, least
        wanted = coarse_features(self.runtime, self.images)
        guess, reach = regression(wanted), torch.ones(len(u), 1, device=u.device)
        for _ in range(self.options.corrections + 1):
            distance = self.distance(guess)
            better = distance < least
            u, least = torch.where(better[:, None], guess, u), torch.minimum(distance, least)
            reach = torch.where(better[:, None], reach, reach / 2)
            images = self.runtime.generator.synthesize(self.prior.codes(u), self.prior.home)
            lacking = (wanted - coarse_features(self.runtime, images))[:, regression.chosen]
            guess = u + reach * regression.step(lacking)
        return u, least

    def in_w(self, u: Tensor) -> tuple[Tensor, Tensor]:
        noise, weight = self.noise, self.options.noise
        maps = noise.maps if weight and self.options.w_steps else []

        def objective() -> tuple[Tensor, Tensor]:
            distance = self.distance(u, noise.tensors() if maps else {})
            spread = self.options.prior * u.square().mean(1)
            return distance + spread + (weight * noise.structure() if maps else 0), distance

        (best, *_), least = descend(
            [u, *maps],
            objective,
            steps=self.options.w_steps,
            rate=self.options.rate,
            progress=lambda done: self._report(0.45 * done, self.prior.home.upper()),
            after=noise.normalise if maps else None,
        )
        return best, least if not maps else self.distance(best).detach()

    def in_rows(self, u: Tensor) -> tuple[Tensor, Tensor]:
        """Rows (N, L, D) after the steps in W+; `u` itself if there are none."""
        if not self.options.rows_steps or self.prior.rows is None:
            return u, self.distance(u).detach()
        rows = u[:, None].repeat(1, self.runtime.generator.num_ws, 1)

        def objective() -> tuple[Tensor, Tensor]:
            distance, middle = self.distance(rows), rows.mean(1, keepdim=True)
            apart = (rows - middle).square().mean((1, 2))
            spread = middle.square().mean((1, 2))
            penalty = self.options.prior * spread + self.options.rows_apart * apart
            return distance + penalty, distance

        (best,), least = descend(
            [rows],
            objective,
            steps=self.options.rows_steps,
            rate=self.options.rate,
            progress=lambda done: self._report(0.45 + 0.45 * done, "W+"),
        )
        return best, least

    def distance(self, u: Tensor, noise: dict[str, Tensor] | None = None) -> Tensor:
        """(N,) distances of the images of coordinates (N, D) or (N, L, D) from the photos."""
        codes = self.prior.codes(u)
        space = self.prior.space_of(codes)
        images = unclipped(self.runtime.generator, noise or {}, codes, space)
        found = self.runtime.loss.features(images)
        return (found - self.wanted).square().sum(1)

    def _report(self, done: float, stage: str) -> None:
        share = self.at + done / self.groups
        self.runtime.progress(0.2 + 0.7 * share, f"descending in {stage}")
