"""The `stylegan3` generator."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import Tunable
from latentedit_stylegan.alias_free.synthesis import AliasFreeSynthesis
from latentedit_stylegan.alias_free_architecture import FOURIER_STYLES, AliasFreeArchitecture
from latentedit_stylegan.codes import NetworkOptions, StyleCodes
from latentedit_stylegan.manifest import AliasFreeManifest
from latentedit_stylegan.mapping import MappingNetwork

FIXED = ("transform", "freqs", "phases", "magnitude_ema", "up_filter", "down_filter")
"""What training does not change by gradients, by the ends of names."""


class StyleGAN3Options(NetworkOptions):
    """Options of `stylegan3`, beside those of every imported network.

    Args:
        translate: moves all images right and down, as shares of their width and height.
        rotate: turns all images counter-clockwise, in degrees; made for configuration R.
    """

    translate: tuple[float, float] = (0.0, 0.0)
    rotate: float = Field(default=0.0, ge=-360, le=360)


class StyleGAN3(StyleCodes):
    """A StyleGAN3 network, configuration T or R, in plain PyTorch.

        z → mapping network → w → L rows of W+ → an affine each → styles → images

    Row 0 of W+ turns and moves the input's sinusoids, each further row is one layer's; S holds the
    input's four numbers and then the styles of all layers, RGB layer last. There is no noise.

    Written from the paper. Checked by test: the layers' names, sizes, rates, cutoffs and feature
    maps are those that the published 1024-pixel networks of both configurations have; filters
    against scipy's design, and their frequency response; a layer against a direct computation in
    64 bits; images move with the input's translation, and turn with it by quarters in configuration
    R; a network without amplification keeps its signals' magnitude. Not checked: equality with
    images of the published implementation, of which no reference is at hand. All layers run in 32
    bits; the published code runs its largest ones in 16 bits on a GPU, so that its images differ
    there.

    Karras et al., "Alias-free generative adversarial networks", NeurIPS 2021 (arXiv 2106.12423).
    """

    Options: ClassVar[type[StyleGAN3Options]] = StyleGAN3Options
    NAME: ClassVar[str] = "stylegan3"
    DESCRIBED: ClassVar[type[AliasFreeManifest]] = AliasFreeManifest
    options: StyleGAN3Options
    architecture: AliasFreeArchitecture

    def _networks_on(self, device: torch.device) -> tuple[MappingNetwork, AliasFreeSynthesis]:
        weights = {name: tensor.to(device) for name, tensor in self._host.items()}
        return MappingNetwork(self.architecture, weights), self._synthesis(weights)

    def _synthesis(self, weights: dict[str, Tensor]) -> AliasFreeSynthesis:
        own = weights["synthesis.input.transform"]
        placed = own @ _placement(self.options).to(own.device)
        moved = {**weights, "synthesis.input.transform": placed}
        return AliasFreeSynthesis(self.architecture, moved)

    def tunable(self) -> Tunable:
        """The synthesis network's weights; there is no noise."""
        names = [name for name in self._host if name.startswith("synthesis.")]
        learnt = {name: self._host[name].clone() for name in names if not name.endswith(FIXED)}
        return Tunable(weights=learnt, noise={})

    def synthesize_with(
        self, tensors: Mapping[str, Tensor], codes: Tensor, space: str = "w"
    ) -> Tensor:
        """(N, \\*shape) codes → (N, 3, R, R), not clipped; differentiable in codes and tensors."""
        if not tensors:
            return self.unclipped(codes, space)
        network = self._synthesis(self._replaced(tensors, codes.device))
        return network(network.styles(self.convert(codes, space, "w+")))

    def tuned(self, tensors: Mapping[str, Tensor]) -> StyleGAN3:
        changed = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
        weights = self._replaced(changed, torch.device("cpu"))
        return StyleGAN3.from_weights(self.architecture, weights, self.options)

    def style_weights(self) -> list[Tensor]:
        """L affines (D_l, w_dim): the input's, with 4 rows, then each layer's; runtime gain
        included."""
        return [affine.clone() for affine in self._networks(torch.device("cpu"))[1].affines()]

    def style_rows(self) -> Tensor:
        """(ΣD,) the row of W+ that each style is made from."""
        widths = [FOURIER_STYLES, *(layer.inputs for layer in self.architecture.layers())]
        return torch.arange(len(widths)).repeat_interleave(torch.tensor(widths))


def _placement(options: StyleGAN3Options) -> Tensor:
    """(3, 3) map from a position in the moved image to the one whose content stands there."""
    angle, (right, down) = math.radians(options.rotate), options.translate
    cosine, sine = math.cos(angle), math.sin(angle)
    move = torch.tensor([[1.0, 0.0, -right], [0.0, 1.0, -down], [0.0, 0.0, 1.0]])
    turn = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return turn @ move
