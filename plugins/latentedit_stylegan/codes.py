"""Codes of both generators: sampling, truncation, conversion and rendering."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, Self

import torch
from pydantic import Field
from torch import Tensor

from latentedit import (
    CodeSpaces,
    Generator,
    InputError,
    OutOfRange,
    UnknownName,
    Unsupported,
    check_digest,
    fingerprint,
    read_tensors,
)
from latentedit import Options as PluginOptions
from latentedit_stylegan.alias_free_architecture import AnyArchitecture
from latentedit_stylegan.fitting import check_weights
from latentedit_stylegan.manifest import MANIFEST, WEIGHTS, read_manifest
from latentedit_stylegan.mapping import MappingNetwork


class NetworkOptions(PluginOptions):
    """Options of every imported network.

    Args:
        path: the folder that ``latentedit import FILE --out FOLDER`` wrote.
        truncation_cutoff: number of leading rows of W+ that are truncated; all by default. With a
            cutoff, sample in W+.
        class_index: the class of a conditional network's images.
    """

    path: Path
    truncation_cutoff: int | None = Field(default=None, ge=0)
    class_index: int | None = Field(default=None, ge=0)


class Synthesis(Protocol):
    """A synthesis network on one device."""

    def styles(self, rows: Tensor) -> Tensor:
        """(N, L, w_dim) → (N, ΣD)."""

    def __call__(self, styles: Tensor) -> Tensor:
        """(N, ΣD) → (N, 3, R, R), not clipped."""

    def affines(self) -> list[Tensor]:
        """(D_l, w_dim) of everything that reads a row of W+, in the order of its styles."""


class StyleCodes(Generator):
    """A network that maps z → w → L rows of W+ → styles S → images.

    Class attributes:
        NAME: of its plugin.
        DESCRIBED: the class of its manifest.
    """

    NAME: ClassVar[str]
    DESCRIBED: ClassVar[type[Any]]
    Options: ClassVar[type[NetworkOptions]] = NetworkOptions
    has_styles: ClassVar[bool] = True
    options: Any
    architecture: Any

    def __init__(self, options: NetworkOptions | None = None) -> None:
        if options is None:
            raise InputError(
                f"{self.NAME} needs a network: give the option path, the folder that "
                "`latentedit import FILE --out FOLDER` wrote"
            )
        self.options = options
        manifest = read_manifest(options.path / MANIFEST, self.DESCRIBED)
        weights = options.path / WEIGHTS
        check_digest(weights, manifest.weights_sha256, MANIFEST, "Import the network again.")
        self._adopt(manifest.architecture, read_tensors(weights))

    @classmethod
    def from_weights(
        cls,
        architecture: AnyArchitecture,
        weights: Mapping[str, Tensor],
        options: NetworkOptions | None = None,
    ) -> Self:
        """A generator whose weights are in memory, named as in `architecture.shapes`."""
        generator = cls.__new__(cls)
        generator.options = options or cls.Options(path=Path())
        generator._adopt(architecture, weights)
        return generator

    def _adopt(self, architecture: AnyArchitecture, weights: Mapping[str, Tensor]) -> None:
        """Take over weights, once they are those that the architecture has."""
        check_weights(architecture.shapes(), weights, self.options.path)
        self.architecture = architecture
        _check_options(self.options, architecture.c_dim, architecture.num_ws)
        self.resolution = architecture.resolution
        self._z_dim, self._num_ws = architecture.z_dim, architecture.num_ws
        self._host = {name: tensor.float() for name, tensor in weights.items()}
        self._described = architecture.model_dump(mode="json")
        self.fingerprint = fingerprint(
            {
                "generator": self.NAME,
                "architecture": self._described,
                **self.options.model_dump(mode="json", exclude={"path"}),
            },
            self._host,
        )
        self.spaces: Mapping[str, tuple[int, ...]] = MappingProxyType(
            {
                "z": (architecture.z_dim,),
                "w": (architecture.w_dim,),
                "w+": (architecture.num_ws, architecture.w_dim),
                "s": (architecture.num_styles,),
            }
        )
        self._in = CodeSpaces(self.NAME, self.spaces)
        self._networks = lru_cache(maxsize=2)(self._networks_on)

    @abstractmethod
    def _networks_on(self, device: torch.device) -> tuple[MappingNetwork, Synthesis]:
        """Both networks, their weights on a device."""

    def sample(self, n: int, seed: int, space: str = "w", truncation_psi: float = 1.0) -> Tensor:
        """(n, \\*shape) codes; truncation moves w towards its mean: w_avg + ψ (w − w_avg)."""
        z = self._in.draw(n, seed, space, truncation_psi)
        if space == "z":
            return z
        return self.truncated(self.convert(z, "z", "w"), truncation_psi, space)

    def truncated(self, w: Tensor, truncation_psi: float, space: str = "w") -> Tensor:
        """(N, w_dim) codes → (N, \\*shape) codes of `space`, moved towards the mean of w.

        With a cutoff only the leading rows of W+ move, so the result is not a code of W.
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
        steps = (self._w_of_z, self._rows_of_w, self._styles_of_rows)
        return self._in.walk(codes, source, target, steps)

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        """(N, \\*shape) codes → (N, 3, R, R) images; differentiable.

        The network's last layer is linear: saturated colours exceed [-1, 1] and are clipped here.
        """
        return self.unclipped(codes, space).clamp(-1, 1)

    def unclipped(self, codes: Tensor, space: str = "w") -> Tensor:
        """(N, \\*shape) codes → (N, 3, R, R) outputs of the last layer, without clipping."""
        styles = self.convert(codes, space, "s")
        return self._networks(codes.device)[1](styles)

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), "architecture": self._described}

    def _w_of_z(self, z: Tensor) -> Tensor:
        return self._networks(z.device)[0](z, self.options.class_index)

    def _rows_of_w(self, w: Tensor) -> Tensor:
        return w[:, None].repeat(1, self._num_ws, 1)

    def _styles_of_rows(self, rows: Tensor) -> Tensor:
        return self._networks(rows.device)[1].styles(rows)

    def _replaced(self, tensors: Mapping[str, Tensor], device: torch.device) -> dict[str, Tensor]:
        """The weights with some of the synthesis network's replaced."""
        known = {name for name in self._host if name.startswith("synthesis.")}
        if unknown := sorted(set(tensors) - known):
            raise UnknownName("tensor", unknown[0], sorted(known), "of this network")
        return {name: tensor.to(device) for name, tensor in self._host.items()} | dict(tensors)


def _check_options(options: NetworkOptions, classes: int, num_ws: int) -> None:
    chosen, cutoff = options.class_index, options.truncation_cutoff
    if classes and (chosen is None or chosen >= classes):
        raise InputError(
            f"this network is conditional: set class_index to 0 … {classes - 1}, received {chosen}"
        )
    if not classes and chosen is not None:
        raise InputError("this network has no classes: leave class_index out")
    if cutoff is not None and cutoff > num_ws:
        raise OutOfRange(f"truncation_cutoff counts rows of W+, 0 to {num_ws}, received {cutoff}")
