"""How well an edit separates its attribute from the others, for editors with or without labels."""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from latentedit import EditMetric, EditsSeen, InputError, Options, fingerprint


class Disentanglement(EditMetric):
    """Disentanglement of DCI, of the move of an edit.

        D = 1 − H(P) / log K,   P_k = |A(x') − A(x)|_k / σ_k, over its sum

    1 where one attribute alone moved, 0 where all K moved alike. Eastwood and Williams, "A
    Framework for the Quantitative Evaluation of Disentangled Representations", ICLR 2018, take P
    from the weights of a regressor on one coordinate; here it is the measured response to a move.
    """

    unit: ClassVar[str] = "share"
    higher_is_better: ClassVar[bool] = True
    formula: ClassVar[str] = "1 − H(P) / log K, P the shares of |A(x') − A(x)|_k / σ_k"
    smallest_difference: ClassVar[float] = 0.02
    needs: ClassVar[frozenset[str]] = frozenset({"attributes"})
    fingerprint = fingerprint({"metric": "dci-disentanglement-1"})

    def measure(self, edits: EditsSeen) -> Tensor:
        if len(edits.schema) < 2:
            raise InputError("disentanglement needs at least two attributes, the schema has one")
        change = (edits.after.attributes - edits.before.attributes).abs() / edits.sigma
        names = edits.schema.names
        moved = torch.stack([change[:, edits.schema.columns(n)].mean(1) for n in names], 1)
        shares = moved / moved.sum(1, keepdim=True)  # NaN where nothing moved: no number
        entropy: Tensor = torch.special.entr(shares).sum(1)
        return 1 - entropy / math.log(len(names))


class GapOptions(Options):
    """Options of `mutual-information-gap`.

    Args:
        bins: of the histograms, of equal counts. There is a number from twice as many images on;
            few images overstate what codes tell.
    """

    bins: int = Field(default=4, ge=2, le=50)


class InformationGap(EditMetric):
    """Whether codes along the edit tell of its attribute and of no other.

        (I(t; a_k) − max over j ≠ k of I(t; a_j)) / log B,   t = ⟨w, d⟩, d the mean move

    of the unedited codes w and the judge's readings a, in B bins of equal counts. It is the gap of
    Chen et al., "Isolating Sources of Disentanglement in VAEs", NeurIPS 2018, taken over attributes
    for one direction, as Li et al. (2020) do under the name MIG-sup.
    """

    Options: ClassVar[type[GapOptions]] = GapOptions
    unit: ClassVar[str] = "share"
    higher_is_better: ClassVar[bool] = True
    formula: ClassVar[str] = "(I(t; a_k) − max I(t; a_j)) / log B, t the code along the mean move"
    smallest_difference: ClassVar[float] = 0.02
    needs: ClassVar[frozenset[str]] = frozenset({"codes", "attributes"})
    of: ClassVar[Literal["image", "set"]] = "set"

    def __init__(self, options: GapOptions | None = None) -> None:
        super().__init__(options)
        self.fingerprint = fingerprint({"metric": "gap-1", "bins": self.options.bins})

    def measure(self, edits: EditsSeen) -> Tensor:
        codes, bins = edits.before.codes.flatten(1), self.options.bins
        move = (edits.after.codes.flatten(1) - codes).mean(0)
        if len(codes) < 2 * bins or float(move.norm()) == 0:
            return codes.new_tensor(float("nan"))  # too few to count, or no direction
        along = _binned(codes @ move, bins)
        told = {
            name: max(
                _information(along, _binned(column, bins), bins)
                for column in edits.before.attributes[:, edits.schema.columns(name)].T
            )
            for name in edits.schema.names
        }
        own = told.pop(edits.attribute)
        return codes.new_tensor((own - max(told.values(), default=0.0)) / math.log(bins))


def _binned(values: Tensor, bins: int) -> Tensor:
    """(N,) numbers as (N,) bins of equal counts, by rank; equal numbers share the lowest one."""
    ordered = values.sort().values
    return torch.searchsorted(ordered, values.contiguous()) * bins // len(values)


def _information(first: Tensor, second: Tensor, bins: int) -> float:
    """Mutual information in nats of two (N,) bins."""
    joint = torch.bincount(first * bins + second, minlength=bins * bins).double()
    joint = joint.view(bins, bins) / len(first)
    apart = torch.special.entr(joint.sum(0)).sum() + torch.special.entr(joint.sum(1)).sum()
    return float(apart - torch.special.entr(joint).sum())
