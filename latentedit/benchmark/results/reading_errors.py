"""Errors of judges and recognisers against ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from latentedit.data.attributes import Attribute, AttributeSchema


@dataclass(frozen=True)
class ReadingError:
    """How far readings of one attribute are from the truth; of a vector, means over its columns.

    Args:
        r2: share of the variance that is explained.
        mae, mae_sigma: mean absolute error in natural units and in σ.
        slope: of the readings on the truth; with 0.8, four fifths of a change are seen.
        auc: of a binary attribute; None for others, and where all images are alike.
        unit: the natural one.
    """

    r2: float
    mae: float
    mae_sigma: float
    slope: float
    auc: float | None
    unit: str


def reading_errors(
    values: Tensor, truth: Tensor, sigma: Tensor, schema: AttributeSchema
) -> dict[str, ReadingError]:
    """By attribute, how far readings (N, A) are from the truth (N, A)."""
    residual, spread = values - truth, truth - truth.mean(0)
    squares = spread.square().sum(0).clamp_min(1e-12)
    r2 = 1 - residual.square().sum(0) / squares
    slope = ((values - values.mean(0)) * spread).sum(0) / squares
    found = {}
    for attribute in schema:
        columns = schema.columns(attribute.name)
        found[attribute.name] = ReadingError(
            r2=float(r2[columns].mean()),
            mae=float(residual[:, columns].abs().mean()),
            mae_sigma=float((residual.abs() / sigma)[:, columns].mean()),
            slope=float(slope[columns].mean()),
            auc=_auc(attribute, values[:, columns.start], truth[:, columns.start]),
            unit=attribute.unit,
        )
    return found


def _auc(attribute: Attribute, values: Tensor, truth: Tensor) -> float | None:
    from sklearn.metrics import roc_auc_score

    present = (truth > (attribute.low + attribute.high) / 2).numpy()
    if attribute.kind != "binary" or present.all() or not present.any():
        return None
    return float(roc_auc_score(present, values.numpy()))


def identity_agreement(embeddings: Tensor, identity: Tensor) -> float | None:
    """Spearman's rank correlation over all pairs of images of a recogniser's cosine distance with
    the distance of true identities: embeddings (N, D), identity (N, F).

    None where true identities are not known, or nothing differs.
    """
    import numpy as np
    from scipy import stats

    if identity.shape[1] == 0 or len(identity) < 3:
        return None
    pairs = np.triu_indices(min(len(identity), 500), 1)
    unit = embeddings[:500].double().numpy()
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True).clip(1e-12)
    true = identity[:500].double().numpy()
    apart = np.linalg.norm(true[:, None] - true[None], axis=2)[pairs]
    found = float(stats.spearmanr(1 - (unit @ unit.T)[pairs], apart).statistic)
    return None if np.isnan(found) else found
