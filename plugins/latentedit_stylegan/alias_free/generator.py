"""The `stylegan3` generator."""

from __future__ import annotations

import math
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
    UnknownName,
    Unsupported,
    fingerprint,
    read_tensors,
)
from latentedit import Options as PluginOptions
from latentedit_stylegan.alias_free.architecture import FOURIER_STYLES, AliasFreeArchitecture
from latentedit_stylegan.alias_free.synthesis import AliasFreeSynthesis
from latentedit_stylegan.fitting import check_weights
from latentedit_stylegan.manifest import MANIFEST, WEIGHTS, AliasFreeManifest, read_manifest
from latentedit_stylegan.mapping import MappingNetwork


class StyleGAN3Options(PluginOptions):
    """Options of `stylegan3`.

    Args:
        path: the folder that ``latentedit import FILE --out FOLDER`` wrote.
        truncation_cutoff: how many leading rows of W+ truncation moves; all of them if not given.
            With a cutoff, sample W+ codes.
        class_index: the class whose images a conditional network makes.
        translate: moves all images right and down, as shares of their width and height.
        rotate: turns all images counter-clockwise, in degrees; made for configuration R.
    """

    path: Path
    truncation_cutoff: int | None = Field(default=None, ge=0)
    class_index: int | None = Field(default=None, ge=0)
    translate: tuple[float, float] = (0.0, 0.0)
    rotate: float = Field(default=0.0, ge=-360, le=360)


class StyleGAN3(Generator):
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
    has_styles: ClassVar[bool] = True

    def __init__(self, options: StyleGAN3Options | None = None) -> None:
        if options is None:
            raise InputError(
                "stylegan3 needs a network: give the option path, the folder that "
                "`latentedit import FILE --out FOLDER` wrote"
            )
        manifest = read_manifest(options.path / MANIFEST, AliasFreeManifest)
        self._load(manifest.architecture, read_tensors(options.path / WEIGHTS), options)

    @classmethod
    def from_weights(
        cls,
        architecture: AliasFreeArchitecture,
        weights: Mapping[str, Tensor],
        options: StyleGAN3Options | None = None,
    ) -> StyleGAN3:
        """A generator whose weights are in memory, named as `AliasFreeArchitecture.shapes` does."""
        generator = cls.__new__(cls)
        generator._load(architecture, weights, options or StyleGAN3Options(path=Path()))
        return generator

    def _load(
        self,
        architecture: AliasFreeArchitecture,
        weights: Mapping[str, Tensor],
        options: StyleGAN3Options,
    ) -> None:
        check_weights(architecture.shapes(), weights, options.path)
        _check_options(architecture, options)
        self.options, self.architecture = options, architecture
        self.resolution = architecture.resolution
        self._host = {name: tensor.float() for name, tensor in weights.items()}
        self.fingerprint = fingerprint(
            {
                "generator": "stylegan3",
                "architecture": architecture.model_dump(mode="json"),
                **options.model_dump(mode="json", exclude={"path"}),
            },
            self._host,
        )
        styles = FOURIER_STYLES + sum(layer.inputs for layer in architecture.layers())
        self.spaces: Mapping[str, tuple[int, ...]] = MappingProxyType(
            {
                "z": (architecture.z_dim,),
                "w": (architecture.w_dim,),
                "w+": (architecture.num_ws, architecture.w_dim),
                "s": (styles,),
            }
        )
        self._networks = lru_cache(maxsize=2)(self._networks_on)

    def _networks_on(self, device: torch.device) -> tuple[MappingNetwork, AliasFreeSynthesis]:
        weights = {name: tensor.to(device) for name, tensor in self._host.items()}
        moved = weights["synthesis.input.transform"] @ _placement(self.options).to(device)
        weights["synthesis.input.transform"] = moved
        return (
            MappingNetwork(self.architecture, weights),
            AliasFreeSynthesis(self.architecture, weights),
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
                f"stylegan3 maps z → w → w+ → s and not back, received {source} → {target}; "
                f"keep the {target} code that the {source} code was made from"
            )
        mapping, synthesis = self._networks(codes.device)
        for space in order[order.index(source) : order.index(target)]:
            if space == "z":
                codes = mapping(codes, self.options.class_index)
            elif space == "w":
                codes = codes[:, None].repeat(1, self.architecture.num_ws, 1)
            else:
                codes = synthesis.styles(codes)
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

    def style_weights(self) -> list[Tensor]:
        """L affines (D_l, w_dim): the input's, with 4 rows, then each layer's; runtime gain
        included."""
        return [affine.clone() for affine in self._networks(torch.device("cpu"))[1].affines()]

    def style_rows(self) -> Tensor:
        """(ΣD,) the row of W+ that each style is made from."""
        widths = [FOURIER_STYLES, *(layer.inputs for layer in self.architecture.layers())]
        return torch.arange(len(widths)).repeat_interleave(torch.tensor(widths))

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "architecture": self.architecture.model_dump(mode="json")}

    def _shape(self, space: str) -> tuple[int, ...]:
        if space not in self.spaces:
            raise UnknownName("space", space, self.spaces, "of stylegan3")
        return self.spaces[space]

    def _check(self, codes: Tensor, space: str) -> None:
        shape = self._shape(space)
        if codes.ndim != 1 + len(shape) or tuple(codes.shape[1:]) != shape:
            raise InputError(
                f"{space} codes of stylegan3 have shape (N, {', '.join(map(str, shape))}), "
                f"received {tuple(codes.shape)}"
            )


def _check_options(architecture: AliasFreeArchitecture, options: StyleGAN3Options) -> None:
    chosen, classes = options.class_index, architecture.c_dim
    if classes and (chosen is None or chosen >= classes):
        raise InputError(
            f"this network is conditional: set class_index to 0 … {classes - 1}, received {chosen}"
        )
    if not classes and chosen is not None:
        raise InputError("this network has no classes: leave class_index out")
    cutoff = options.truncation_cutoff
    if cutoff is not None and cutoff > architecture.num_ws:
        raise OutOfRange(
            f"truncation_cutoff counts rows of W+, 0 to {architecture.num_ws}, received {cutoff}"
        )


def _placement(options: StyleGAN3Options) -> Tensor:
    """(3, 3) map from a position in the moved image to the one whose content stands there."""
    angle, (right, down) = math.radians(options.rotate), options.translate
    cosine, sine = math.cos(angle), math.sin(angle)
    move = torch.tensor([[1.0, 0.0, -right], [0.0, 1.0, -down], [0.0, 0.0, 1.0]])
    turn = torch.tensor([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return turn @ move
