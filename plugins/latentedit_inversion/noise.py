"""Noise maps that are optimised along with a code, and regularised towards white noise."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from latentedit import Generator, InversionRuntime, Unsupported

_SMALLEST = 8


class NoiseMaps:
    """A set of the generator's noise maps for each photo.

    Attributes:
        names: as in `Generator.tunable`; empty if the generator adds no noise.
        maps: one tensor (N, H, W) per name.
    """

    def __init__(self, names: Sequence[str], maps: list[Tensor]) -> None:
        self.names, self.maps = tuple(names), maps

    @classmethod
    def of(cls, generator: Generator, n: int, runtime: InversionRuntime) -> NoiseMaps:
        try:
            noise = generator.tunable().noise
        except Unsupported:
            return cls((), [])
        copies = [m.to(runtime.device).expand(n, -1, -1).clone() for m in noise.values()]
        return cls(tuple(noise), copies)

    def tensors(self) -> dict[str, Tensor]:
        return dict(zip(self.names, self.maps, strict=True))

    def structure(self) -> Tensor:
        """(N,) deviation of the maps from white noise (Karras et al. 2020, appendix D).

        It is the squared correlation of neighbouring values, summed over scales and maps:

            Σ_s (mean n_xy n_{x−1,y})² + (mean n_xy n_{x,y−1})²,   n_{s+1} = 2 · n_s averaged 2×2
        """
        return torch.stack([_structure(noise) for noise in self.maps]).sum(0)

    @torch.no_grad()
    def normalise(self) -> None:
        """Reset mean and variance of each map to 0 and 1, as for white noise."""
        for noise in self.maps:
            noise.sub_(noise.mean((1, 2), keepdim=True))
            noise.mul_(noise.square().mean((1, 2), keepdim=True).clamp_min(1e-12).rsqrt())


def _structure(noise: Tensor) -> Tensor:
    total = noise.new_zeros(len(noise))
    while True:
        for axis in (1, 2):
            total = total + (noise * noise.roll(1, axis)).mean((1, 2)).square()
        if noise.shape[1] <= _SMALLEST:
            return total
        noise = 2 * avg_pool2d(noise, 2)  # averaging 4 values halves the deviation; 2 restores it
