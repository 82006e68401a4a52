"""An initial code for inversion, by regression on the generator's own images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d

from latentedit import InversionRuntime
from latentedit_inversion.prior import CodePrior

COARSE = 64
"""Side of the regression's images in pixels; larger images are averaged to it."""
COORDINATES = 8_192
"""Number of random features: enough to separate images, few enough for memory."""
_BATCH = 32
_EVERY = 8
"""Step between the coordinates on which the ridge is chosen; all of them would take longer."""
_RIDGES = torch.logspace(-6, 2, 17, dtype=torch.float64)


@dataclass(frozen=True)
class CodeRegression:
    """Ridge regression of coordinates u on features f: û = ū + (f − f̄) B.

    Args:
        features: (M, F) of sampled pictures, centred.
        centre: (F,) their mean.
        dual: (M, D) so that B = featuresᵀ dual.
        chosen: (F,) indices of the used features of the loss.
        mean: (D,) ū.
    """

    features: Tensor
    centre: Tensor
    dual: Tensor
    chosen: Tensor
    mean: Tensor

    @classmethod
    @torch.no_grad()
    def learned(cls, runtime: InversionRuntime, prior: CodePrior, pictures: int) -> CodeRegression:
        """Fit on `pictures` sampled codes, with the ridge of least leave-one-out error."""
        codes = runtime.generator.sample(pictures, runtime.seed + 1, prior.home).to(runtime.device)
        parts, chosen = [], torch.zeros(0, dtype=torch.long)
        for start in range(0, pictures, _BATCH):
            batch = runtime.generator.synthesize(codes[start : start + _BATCH], prior.home)
            found = coarse_features(runtime, batch)
            if start == 0:
                order = torch.randperm(found.shape[1], generator=runtime.rng(1))
                chosen = order[:COORDINATES].to(found.device)
            parts.append(found[:, chosen])
            runtime.progress(0.2 * start / pictures, "pictures to begin from")
        features, u = torch.cat(parts), prior.coordinates(codes)
        centre, mean = features.mean(0), u.mean(0)
        features = features - centre
        return cls(features, centre, _ridge(features, u - mean), chosen, mean)

    def __call__(self, features: Tensor) -> Tensor:
        """(N, F) features of pictures → (N, D) coordinates."""
        return self.mean + self.step(features[:, self.chosen] - self.centre)

    def step(self, difference: Tensor) -> Tensor:
        """(N, F') difference of chosen features → (N, D) difference of coordinates."""
        return (difference @ self.features.T) @ self.dual


def coarse_features(runtime: InversionRuntime, images: Tensor) -> Tensor:
    """(N, 3, R, R) → (N, F) of the pictures, averaged to at most 64 pixels."""
    if images.shape[2] > COARSE:
        images = adaptive_avg_pool2d(images, COARSE)
    return runtime.loss.features(images)


def _ridge(features: Tensor, targets: Tensor) -> Tensor:
    """(M, D) dual weights (K + λ I)⁻¹ y with K = F Fᵀ, and λ by leave-one-out."""
    # The dual solves M equations instead of F, since there are fewer pictures than features. One
    # eigendecomposition serves all λ; the leave-one-out residual is (y − ŷ)_i / (1 − H_ii).
    kernel = features.double() @ features.double().T
    values, vectors = torch.linalg.eigh(kernel)
    rotated, errors = vectors.T @ targets.double(), []
    for ridge in _RIDGES * values.max().item():
        shrunk = ridge / (values.clamp_min(0) + ridge)  # eigenvalues of 1 − H
        residual = vectors @ (shrunk[:, None] * rotated[:, ::_EVERY])
        leverage = (vectors.square() * shrunk).sum(1)  # 1 − H_ii
        errors.append((residual / leverage[:, None]).square().mean())
    best = _RIDGES[int(torch.stack(errors).argmin())] * values.max().item()
    dual: Tensor = vectors @ (rotated / (values.clamp_min(0) + best)[:, None])
    return dual.float()
