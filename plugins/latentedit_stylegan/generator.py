"""The `stylegan2` generator."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import (
    Generator,
    InputError,
    OutOfRange,
    Tunable,
    UnknownName,
    Unsupported,
    fingerprint,
    read_tensors,
)
from latentedit import Options as PluginOptions
from latentedit_stylegan.architecture import Architecture
from latentedit_stylegan.fitting import check_weights
from latentedit_stylegan.manifest import MANIFEST, WEIGHTS, Manifest, read_manifest
from latentedit_stylegan.mapping import MappingNetwork
from latentedit_stylegan.synthesis import SynthesisNetwork


class StyleGAN2Options(PluginOptions):
    """Options of `stylegan2`.

    Args:
        path: the folder that ``latentedit import FILE --out FOLDER`` wrote.
        truncation_cutoff: how many leading rows of W+ truncation moves; all of them if not given.
            With a cutoff, sample W+ codes.
        class_index: the class whose images a conditional network makes.
        noise: add the fixed noise that came with the network.
    """

    path: Path
    truncation_cutoff: int | None = Field(default=None, ge=0)
    class_index: int | None = Field(default=None, ge=0)
    noise: bool = True


class StyleGAN2(Generator):
    """A StyleGAN2 network with skip connections, in plain PyTorch.

        z → mapping network → w → L equal rows of W+ → an affine each → styles → images

    The L rows of W+ are ``2·log2(resolution) − 2``; S holds the styles of all layers in the order
    in which they run, RGB layers included, as the affines give them. Noise is fixed.

    Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020; Karras et
    al., "Training generative adversarial networks with limited data", NeurIPS 2020, for the layout.
    """

    Options: ClassVar[type[StyleGAN2Options]] = StyleGAN2Options
    has_styles: ClassVar[bool] = True

    def __init__(self, options: StyleGAN2Options | None = None) -> None:
        if options is None:
            raise InputError(
                "stylegan2 needs a network: give the option path, the folder that "
                "`latentedit import FILE --out FOLDER` wrote"
            )
        self.options = options
        manifest = read_manifest(options.path / MANIFEST, Manifest)
        self.manifest: Manifest | None = manifest
        self._load(manifest.architecture, read_tensors(options.path / WEIGHTS))

    @classmethod
    def from_weights(
        cls,
        architecture: Architecture,
        weights: Mapping[str, Tensor],
        options: StyleGAN2Options | None = None,
    ) -> StyleGAN2:
        """A generator whose weights are in memory, named as in `Architecture.shapes`."""
        generator = cls.__new__(cls)
        generator.options = options or StyleGAN2Options(path=Path())
        generator.manifest = None
        generator._load(architecture, weights)
        return generator

    def _load(self, architecture: Architecture, weights: Mapping[str, Tensor]) -> None:
        check_weights(architecture.shapes(), weights, self.options.path)
        self._check_options(architecture)
        self.architecture = architecture
        self.resolution = architecture.resolution
        self._host = {name: tensor.float() for name, tensor in weights.items()}
        self.fingerprint = fingerprint(
            {
                "generator": "stylegan2",
                "architecture": architecture.model_dump(mode="json"),
                **self.options.model_dump(mode="json", exclude={"path"}),
            },
            self._host,
        )
        styles = sum(layer.inputs for layer in architecture.layers())
        self.spaces: Mapping[str, tuple[int, ...]] = MappingProxyType(
            {
                "z": (architecture.z_dim,),
                "w": (architecture.w_dim,),
                "w+": (architecture.num_ws, architecture.w_dim),
                "s": (styles,),
            }
        )
        self._networks = lru_cache(maxsize=2)(self._networks_on)

    def _check_options(self, architecture: Architecture) -> None:
        chosen, classes = self.options.class_index, architecture.c_dim
        if classes and (chosen is None or chosen >= classes):
            raise InputError(
                f"this network is conditional: set class_index to 0 … {classes - 1}, "
                f"received {chosen}"
            )
        if not classes and chosen is not None:
            raise InputError("this network has no classes: leave class_index out")
        cutoff = self.options.truncation_cutoff
        if cutoff is not None and cutoff > architecture.num_ws:
            raise OutOfRange(
                f"truncation_cutoff counts rows of W+, 0 to {architecture.num_ws}, "
                f"received {cutoff}"
            )

    def _networks_on(self, device: torch.device) -> tuple[MappingNetwork, SynthesisNetwork]:
        weights = {name: tensor.to(device) for name, tensor in self._host.items()}
        return (
            MappingNetwork(self.architecture, weights),
            SynthesisNetwork(self.architecture, weights, self.options.noise),
        )

    def sample(self, n: int, seed: int, space: str = "w", truncation_psi: float = 1.0) -> Tensor:
        """(n, \\*shape) codes; truncation moves w towards its mean: w_avg + ψ (w − w_avg)."""
        self._shape(space)
        if n < 0:
            raise InputError(f"n is how many codes to sample, at least 0; received {n}")
        z = torch.randn(n, self.architecture.z_dim, generator=torch.Generator().manual_seed(seed))
        if space == "z":
            if truncation_psi != 1:
                raise InputError(
                    f"truncation is defined in w, not z; received truncation_psi={truncation_psi} "
                    f"with space='z'. Sample w, w+ or s, or leave truncation_psi at 1."
                )
            return z
        return self.truncated(self.convert(z, "z", "w"), truncation_psi, space)

    def truncated(self, w: Tensor, truncation_psi: float, space: str = "w") -> Tensor:
        """(N, w_dim) codes → (N, \\*shape) codes of `space`, moved towards the mean of w.

        With a cutoff, only the leading rows of W+ move, which no code of W can say.
        """
        w_avg = self._networks(w.device)[0].w_avg
        moved, cutoff = w_avg + truncation_psi * (w - w_avg), self.options.truncation_cutoff
        if cutoff is None or truncation_psi == 1:
            return self.convert(moved if truncation_psi != 1 else w, "w", space)
        if space == "w":
            raise Unsupported(
                f"truncation_cutoff={cutoff} moves some rows of W+ and leaves others: sample w+, "
                "or build the generator without a cutoff"
            )
        rows = self.convert(w, "w", "w+")
        rows[:, :cutoff] = moved[:, None]
        return self.convert(rows, "w+", space)

    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        """z → w → w+ → s; differentiable."""
        self._check(codes, source)
        self._shape(target)
        order = list(self.spaces)
        if order.index(target) < order.index(source):
            raise Unsupported(
                f"stylegan2 maps z → w → w+ → s and not back, received {source} → {target}; "
                f"keep the {target} code that the {source} code was made from"
            )
        steps = (self._w_of_z, self._rows_of_w, self._styles_of_rows)
        for step in steps[order.index(source) : order.index(target)]:
            codes = step(codes)
        return codes

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        """(N, \\*shape) codes → (N, 3, R, R) images; differentiable.

        The network's last layer is linear: values pass −1 and 1 where its colours saturate, and
        are clipped here.
        """
        return self.unclipped(codes, space).clamp(-1, 1)

    def unclipped(self, codes: Tensor, space: str = "w") -> Tensor:
        """(N, \\*shape) codes → (N, 3, R, R), as the network's last layer gives them."""
        styles = self.convert(codes, space, "s")
        return self._networks(codes.device)[1](styles)

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
        self._check_names(tensors)
        weights = {name: tensor.to(codes.device) for name, tensor in self._host.items()}
        network = SynthesisNetwork(self.architecture, {**weights, **tensors}, self.options.noise)
        return network(network.styles(self.convert(codes, space, "w+")), together=True)

    def tuned(self, tensors: Mapping[str, Tensor]) -> StyleGAN2:
        self._check_names(tensors)
        changed = {name: tensor.detach().cpu() for name, tensor in tensors.items()}
        return StyleGAN2.from_weights(self.architecture, {**self._host, **changed}, self.options)

    def _check_names(self, tensors: Mapping[str, Tensor]) -> None:
        known = {name for name in self._host if name.startswith("synthesis.")}
        if unknown := sorted(set(tensors) - known):
            raise UnknownName("tensor", unknown[0], sorted(known), "of this network")

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

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "architecture": self.architecture.model_dump(mode="json")}

    def _w_of_z(self, z: Tensor) -> Tensor:
        return self._networks(z.device)[0](z, self.options.class_index)

    def _rows_of_w(self, w: Tensor) -> Tensor:
        return w[:, None].repeat(1, self.architecture.num_ws, 1)

    def _styles_of_rows(self, rows: Tensor) -> Tensor:
        return self._networks(rows.device)[1].styles(rows)

    def _shape(self, space: str) -> tuple[int, ...]:
        if space not in self.spaces:
            raise UnknownName("space", space, self.spaces, "of stylegan2")
        return self.spaces[space]

    def _check(self, codes: Tensor, space: str) -> None:
        shape = self._shape(space)
        if codes.ndim != 1 + len(shape) or tuple(codes.shape[1:]) != shape:
            raise InputError(
                f"{space} codes of stylegan2 have shape (N, {', '.join(map(str, shape))}), "
                f"received {tuple(codes.shape)}"
            )
