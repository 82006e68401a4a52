"""The `stylegan2` generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from latentedit import Tunable
from latentedit_stylegan.architecture import Architecture
from latentedit_stylegan.codes import NetworkOptions, StyleCodes
from latentedit_stylegan.manifest import Manifest
from latentedit_stylegan.mapping import MappingNetwork
from latentedit_stylegan.synthesis import SynthesisNetwork


class StyleGAN2Options(NetworkOptions):
    """Options of `stylegan2`, beside those of every imported network.

    Args:
        noise: add the network's fixed noise.
    """

    noise: bool = True


class StyleGAN2(StyleCodes):
    """A StyleGAN2 network with skip connections, in plain PyTorch.

        z → mapping network → w → L equal rows of W+ → an affine each → styles → images

    The L rows of W+ are ``2·log2(resolution) − 2``; S holds the styles of all layers in the order
    in which they run, RGB layers included, as the affines give them. Noise is fixed.

    Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020; Karras et
    al., "Training generative adversarial networks with limited data", NeurIPS 2020, for the layout.
    """

    Options: ClassVar[type[StyleGAN2Options]] = StyleGAN2Options
    NAME: ClassVar[str] = "stylegan2"
    DESCRIBED: ClassVar[type[Manifest]] = Manifest
    options: StyleGAN2Options
    architecture: Architecture

    def _networks_on(self, device: torch.device) -> tuple[MappingNetwork, SynthesisNetwork]:
        weights = {name: tensor.to(device) for name, tensor in self._host.items()}
        return (
            MappingNetwork(self.architecture, weights),
            SynthesisNetwork(self.architecture, weights, self.options.noise),
        )

    def tunable(self) -> Tunable:
        """The synthesis network's weights; noise maps where they are added."""
        names = [name for name in self._host if name.startswith("synthesis.")]
        layers = [name.removesuffix(".noise_const") for name in names if "noise_const" in name]
        noisy = {
            f"{layer}.noise_const"
            for layer in layers
            if self.options.noise and bool(self._host[f"{layer}.noise_strength"] != 0)
        }
        return Tunable(
            weights={n: self._host[n].clone() for n in names if not n.endswith("noise_const")},
            noise={name: self._host[name].clone() for name in names if name in noisy},
        )

    def synthesize_with(
        self, tensors: Mapping[str, Tensor], codes: Tensor, space: str = "w"
    ) -> Tensor:
        """(N, \\*shape) codes → (N, 3, R, R), not clipped; differentiable in codes and tensors."""
        if not tensors:
            return self.unclipped(codes, space)
        weights = self._replaced(tensors, codes.device)
        network = SynthesisNetwork(self.architecture, weights, self.options.noise)
        return network(network.styles(self.convert(codes, space, "w+")), together=True)

    def tuned(self, tensors: Mapping[str, Tensor]) -> StyleGAN2:
        changed = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
        weights = self._replaced(changed, torch.device("cpu"))
        return StyleGAN2.from_weights(self.architecture, weights, self.options)

    def style_weights(self) -> list[Tensor]:
        """L affines (D_l, w_dim): the convolution's that reads row l, and the last RGB layer's for
        the last row; runtime gain included."""
        layers = self.architecture.layers()
        affines = self._networks(torch.device("cpu"))[1].affines()
        pairs = list(zip(layers, affines, strict=True))
        convolutions = [affine.clone() for layer, affine in pairs if not layer.to_rgb]
        return [*convolutions, pairs[-1][1].clone()]

    def style_rows(self) -> Tensor:
        layers = self.architecture.layers()
        rows = torch.tensor([layer.row for layer in layers])
        return rows.repeat_interleave(torch.tensor([layer.inputs for layer in layers]))
