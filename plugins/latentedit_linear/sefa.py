"""SeFa: closed-form factorisation of the style weights."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import ANY_FLAT, InputError, Options, Runtime, Split, Unsupported
from latentedit_linear.axes import AxisEditor
from latentedit_linear.directions import unit


def factorise(weights: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Directions along which styles change most.

        AᵀA n_i = λ_i n_i,    A: the affine weights of all layers, stacked

    Args:
        weights: (D_l, D) affine weights of each layer.

    Returns:
        (D, D) unit eigenvectors and (D,) eigenvalues, falling.
    """
    stacked = torch.cat(weights).double()
    values, vectors = torch.linalg.eigh(stacked.T @ stacked)
    return vectors.flip(1).T, values.flip(0)


class SeFaOptions(Options):
    """Options of SeFa.

    Args:
        components: number of axes to choose from; all by default.
        rows: the W+ rows whose weights are used; all by default.
        normalize_styles: scale each style's weights to unit norm first, as in the authors' code but
            not in the paper.
    """

    components: int | None = Field(default=None, ge=1)
    rows: tuple[int, ...] | None = None
    normalize_styles: bool = False


class SeFa(AxisEditor):
    """Moves along eigenvectors of the generator's style weights.

        N = argmax Σ_i ‖A n_i‖²  with n_iᵀn_i = 1   ⇒   AᵀA n_i = λ_i n_i

    In a generator without W, the first layer that reads the code takes the place of the styles.
    It is unsupervised: the axes come from the generator alone. Attributes only assign axes and
    calibrate slopes.

    Shen, Zhou: "Closed-form factorization of latent semantics in GANs", CVPR 2021.
    """

    Options: ClassVar[type[SeFaOptions]] = SeFaOptions
    candidates = ({"normalize_styles": True}, {"components": 10}, {"components": 20})
    needs = frozenset({"attributes", "generator"})
    spaces: ClassVar[tuple[str, ...]] = ("w", ANY_FLAT)
    options: SeFaOptions

    def find_axes(self, data: Split, runtime: Runtime) -> Tensor:
        if runtime.generator is None:
            raise Unsupported("sefa factorises the generator's style weights: give a generator")
        weights = self._chosen(runtime.generator.style_weights())
        if self.options.normalize_styles:
            weights = [unit(weight) for weight in weights]
        return factorise(weights)[0][: self.options.components]

    def _chosen(self, weights: list[Tensor]) -> list[Tensor]:
        rows = range(len(weights)) if self.options.rows is None else self.options.rows
        if bad := [row for row in rows if not 0 <= row < len(weights)]:
            raise InputError(f"style weights have rows 0 to {len(weights) - 1}, received {bad[0]}")
        return [weights[row] for row in rows]
