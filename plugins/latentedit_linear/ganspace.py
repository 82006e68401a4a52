"""GANSpace: principal axes of the codes."""

from __future__ import annotations

import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from latentedit import (
    ANY_FLAT,
    CorruptArtefact,
    InputError,
    Moments,
    Options,
    Runtime,
    Split,
    moments,
    parsed_array,
)
from latentedit_linear.axes import AxisEditor

MAX_ARRAY_BYTES = 1 << 28
_BROKEN = (zipfile.BadZipFile, zlib.error, ValueError, OSError, EOFError, RuntimeError)
"""Errors of `zipfile` for files that are no archives, damaged, or packed in unknown ways."""
_KEYS = ("lat_comp", "lat_mean", "lat_stdev")


@dataclass(frozen=True)
class PrincipalAxes:
    """Axes of a distribution of codes, in order of decreasing variance.

    Args:
        components: (K, D) v_i, unit norm.
        mean: (D,).
        deviations: (K,) σ_i, standard deviation of the codes along each axis.
    """

    components: Tensor
    mean: Tensor
    deviations: Tensor

    def moved(self, codes: Tensor, axis: int, sigmas: float | Tensor) -> Tensor:
        """w' = w + x σ_i v_i: codes (N, D) moved by x standard deviations along axis i.

        Args:
            sigmas: x, one number or (N, 1).
        """
        step = (self.deviations[axis] * self.components[axis]).to(codes)
        return codes + sigmas * step


def principal_axes(found: Moments, components: int) -> PrincipalAxes:
    """The first `components` eigenvectors of the covariance of codes."""
    variance, vectors = torch.linalg.eigh(found.covariance)
    variance, vectors = variance.flip(0)[:components], vectors.flip(1)[:, :components]
    return PrincipalAxes(vectors.T, found.mean, variance.clamp_min(0).sqrt())


def read_axes(path: str | Path) -> PrincipalAxes:
    """The axes in an ``.npz`` file as GANSpace publishes them.

    Args:
        path: an archive with ``lat_comp`` (K, 1, D), ``lat_mean`` (1, D) and ``lat_stdev`` (K,).

    Raises:
        InputError: there is no such file, or its arrays do not fit each other.
        CorruptArtefact: it is not an archive of plain numbers; pickled objects are refused.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            read = [_read_array(archive, key) for key in _KEYS]
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except _BROKEN as error:
        raise CorruptArtefact(f"{path} is not an .npz file of plain numbers: {error}") from None
    components, mean, deviations = read
    components, mean, deviations = components.flatten(1), mean.flatten(), deviations.flatten()
    if len(components) != len(deviations) or components.shape[1:] != mean.shape:
        shapes = ", ".join(f"{k} {tuple(a.shape)}" for k, a in zip(_KEYS, read, strict=True))
        raise InputError(
            f"{path} holds {shapes}; expected lat_comp (K, 1, D), lat_mean (1, D), lat_stdev (K,)"
        )
    norms = components.norm(dim=1)
    if not bool(((norms - 1).abs() <= 1e-3).all()):
        raise InputError(f"{path}: axes of lat_comp have norms {norms.min():g} to {norms.max():g}")
    return PrincipalAxes(components, mean, deviations)


def _read_array(archive: zipfile.ZipFile, key: str) -> Tensor:
    """One member of an archive as float64, its size checked before anything is allocated."""
    try:
        member = archive.getinfo(f"{key}.npy")
    except KeyError:
        raise ValueError(f"it has no {key}, only {', '.join(archive.namelist())}") from None
    if member.file_size > MAX_ARRAY_BYTES:
        raise ValueError(f"{key} claims {member.file_size} bytes")
    array = parsed_array(archive.read(member), f"{archive.filename}: {key}")
    if array.dtype.kind != "f" or array.ndim == 0:
        raise ValueError(f"{key} holds {array.dtype} of shape {array.shape}")
    return torch.from_numpy(array.astype(np.float64))


class GANSpaceOptions(Options):
    """Options of GANSpace.

    Args:
        components: number of axes to choose from.
        axes: a published ``.npz`` file with axes; computed if not given.
    """

    components: int = Field(default=80, ge=1)
    axes: Path | None = None


class GANSpace(AxisEditor):
    """Moves along principal axes of the codes.

        cov(w) = Σ_i σ_i² v_i v_iᵀ,    w' = w + x σ_i v_i

    It is unsupervised: attributes only assign axes and calibrate slopes. W+ rows (E(v, j–k) in the
    paper) are an option of the task, as for every editor.

    Härkönen, Hertzmann, Lehtinen, Paris: "GANSpace: discovering interpretable GAN controls",
    NeurIPS 2020.
    """

    Options: ClassVar[type[GANSpaceOptions]] = GANSpaceOptions
    candidates = ({"components": 10}, {"components": 512}, {"components": 5})
    spaces: ClassVar[tuple[str, ...]] = ("w", ANY_FLAT)
    options: GANSpaceOptions

    def find_axes(self, data: Split, runtime: Runtime) -> Tensor:
        if self.options.axes is not None:
            return read_axes(self.options.axes).components[: self.options.components]
        return principal_axes(moments(data), self.options.components).components
