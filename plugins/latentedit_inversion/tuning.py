"""Pivotal tuning: small changes of the generator, so that fixed codes reproduce the photos."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit import Generator, InversionRuntime, Unsupported

_REACH = 5.0
"""Distance α of the locality term's codes from a pivot, towards a sampled code, in units of w."""


@dataclass(frozen=True)
class PivotalTuning:
    """Minimises the distance of G_θ(pivot) and photo over the weights θ, for all photos together.

        min_θ  Σ_n d(G_θ(w_n), photo_n) + λ d(G_θ(w_r), G(w_r))
        w_r = w_n + α (w_z − w_n) / ‖w_z − w_n‖

    with α = 5 and a new sample w_z at every step (Roich et al. 2021, equations 2 to 5).
    """

    steps: int
    rate: float
    locality: float

    def tuned(
        self, images: Tensor, codes: Tensor, space: str, runtime: InversionRuntime
    ) -> tuple[dict[str, Tensor], float]:
        """The changed weights, and the mean remaining distance.

        Raises:
            Unsupported: the generator has no weights to tune.
        """
        generator, loss = runtime.generator, runtime.loss
        weights = {
            name: tensor.to(runtime.device).requires_grad_(True)
            for name, tensor in generator.tunable().weights.items()
            if not name.endswith("resample_filter")  # a fixed filter, not a weight
        }
        codes, rng = codes.detach(), runtime.rng(2)
        wanted = loss.features(images).detach()
        optimiser = torch.optim.Adam(weights.values(), lr=self.rate)
        for step in range(self.steps):
            chosen = torch.randint(len(codes), (1,), generator=rng).item()
            seed = int(torch.randint(2**31, (1,), generator=rng))
            near = _towards(codes[int(chosen) : int(chosen) + 1], seed, space, generator)
            with torch.enable_grad():
                found = loss.features(generator.synthesize_with(weights, codes, space))
                total = (found - wanted).square().sum()
                if self.locality:
                    total = total + self.locality * _moved(runtime, weights, near, space)
                optimiser.zero_grad()
                total.backward()
            optimiser.step()
            runtime.progress(0.9 + 0.1 * step / self.steps, "tuning the generator")
        changed = {name: tensor.detach().cpu() for name, tensor in weights.items()}
        with torch.no_grad():
            found = loss.features(generator.synthesize_with(weights, codes, space))
        return changed, float((found - wanted).square().sum(1).mean())


def _towards(pivot: Tensor, seed: int, space: str, generator: Generator) -> Tensor:
    home = generator.home
    other = generator.convert(generator.sample(1, seed, home), home, space).to(pivot)
    way = other - pivot
    near: Tensor = pivot + _REACH * way / way.norm().clamp_min(1e-6)
    return near


def _moved(
    runtime: InversionRuntime, weights: Mapping[str, Tensor], codes: Tensor, space: str
) -> Tensor:
    """Distance of the images of `codes` from those of the original weights."""
    with torch.no_grad():
        before = unclipped(runtime.generator, {}, codes, space)
        before = runtime.loss.features(before)
    now = runtime.loss.features(runtime.generator.synthesize_with(weights, codes, space))
    return (now - before).square().sum()


def unclipped(
    generator: Generator, tensors: Mapping[str, Tensor], codes: Tensor, space: str
) -> Tensor:
    """Images with some tensors replaced, unclipped if the generator supports that."""
    try:
        return generator.synthesize_with(tensors, codes, space)
    except Unsupported:
        return generator.synthesize(codes, space)
