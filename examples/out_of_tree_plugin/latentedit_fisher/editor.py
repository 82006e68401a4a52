"""Fisher's linear discriminant as an editor."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from latentedit import Edited, Editor, FitStats, Options, Runtime, Split, moments


class FisherOptions(Options):
    """Options of the discriminant.

    Args:
        ridge: added to the diagonal of the covariance, as a share of its mean.
    """

    ridge: float = Field(default=0.1, gt=0)


class Fisher(Editor):
    """Moves along the whitened difference of mean codes.

        d_k ∝ (Σ + λ I)⁻¹ (mean(w | a_k high) − mean(w | a_k low)),    λ = ridge · tr Σ / D
        w' = w + Σ_k (target_k − source_k) / slope_k · d_k

    Fisher: "The use of multiple measurements in taxonomic problems", 1936.
    """

    Options: ClassVar[type[FisherOptions]] = FisherOptions
    fitted = ("directions", "slopes")

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        """Learn from codes (N, D) and attributes (N, A); high is above an attribute's mean."""
        choosing, held_out = data.hold_out()
        codes, attributes = choosing.codes, choosing.attributes
        high = (attributes > attributes.mean(0)).float()
        low = 1 - high
        means = [part.T @ codes / part.sum(0).clamp_min(1)[:, None] for part in (high, low)]
        centred = codes - codes.mean(0)
        covariance = centred.T @ centred / len(codes)
        ridge = self.options.ridge * covariance.diagonal().mean()
        whitened = torch.linalg.solve(
            covariance + ridge * torch.eye(len(covariance)), (means[0] - means[1]).T
        )
        self.directions = normalize(whitened.T, dim=1)
        self.slopes = moments(held_out).slopes(self.directions)
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        """Move codes (N, D) by what the slopes ask for to get from source to target (N, A)."""
        directions, slope = (tensor.to(codes) for tensor in self.state().values())
        change, known = target - source, slope != 0  # unknown: no relation to codes was found
        strength = torch.where(known, change / slope, 0.0)
        return Edited(codes + strength @ directions, ok=(known | (change == 0)).all(1))
