"""How wrong judges and recognisers are, where the world knows better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score
from torch import Tensor

from latentedit.data.attributes import Attribute, AttributeSchema


def reading_errors(
    values: Tensor, truth: Tensor, sigma: Tensor, schema: AttributeSchema
) -> dict[str, dict[str, Any]]:
    """By attribute, how far readings (N, A) are from the truth (N, A).

    ``r2``; ``mae`` in natural units and ``mae_sigma`` in σ; ``slope`` of the readings on the truth
    (a judge with slope 0.8 sees four fifths of a change); ``auc`` of binary attributes. Vectors
    hold means over their columns.
    """
    residual, spread = values - truth, truth - truth.mean(0)
    squares = spread.square().sum(0).clamp_min(1e-12)
    r2 = 1 - residual.square().sum(0) / squares
    slope = ((values - values.mean(0)) * spread).sum(0) / squares
    found = {}
    for attribute in schema:
        columns = schema.columns(attribute.name)
        found[attribute.name] = {
            "r2": float(r2[columns].mean()),
            "mae": float(residual[:, columns].abs().mean()),
            "mae_sigma": float((residual.abs() / sigma)[:, columns].mean()),
            "slope": float(slope[columns].mean()),
            "auc": _auc(attribute, values[:, columns.start], truth[:, columns.start]),
            "unit": attribute.unit,
        }
    return found


def _auc(attribute: Attribute, values: Tensor, truth: Tensor) -> float | None:
    present = (truth > (attribute.low + attribute.high) / 2).numpy()
    if attribute.kind != "binary" or present.all() or not present.any():
        return None
    return float(roc_auc_score(present, values.numpy()))


def identity_agreement(embeddings: Tensor, identity: Tensor) -> float | None:
    """Spearman's rank correlation over all pairs of faces of a recogniser's cosine distance with
    the distance of true identities: embeddings (N, D), identity (N, F).

    None where the world does not tell, or nothing differs.
    """
    if identity.shape[1] == 0 or len(identity) < 3:
        return None
    pairs = np.triu_indices(min(len(identity), 500), 1)
    unit = embeddings[:500].double().numpy()
    unit = unit / np.linalg.norm(unit, axis=1, keepdims=True).clip(1e-12)
    true = identity[:500].double().numpy()
    apart = np.linalg.norm(true[:, None] - true[None], axis=2)[pairs]
    found = float(stats.spearmanr(1 - (unit @ unit.T)[pairs], apart).statistic)
    return None if np.isnan(found) else found


def noise(
    errors: Mapping[str, Any], recognisers: Sequence[Mapping[str, Any]]
) -> dict[str, dict[str, Any]]:
    """By metric, the error of what it is read off: a ``value`` in the metric's unit where there is
    one, and a ``text``.

    Args:
        errors: as `reading_errors` gives for the judge; empty where the truth is not known.
        recognisers: name and ``card`` with the figures of each.
    """
    found: dict[str, dict[str, Any]] = {}
    if errors:
        mean = float(np.mean([entry["mae_sigma"] for entry in errors.values()]))
        text = f"judge errs by {mean:.2f} σ on one face"
        for metric in ("attribute leakage", "target error", "edit consistency"):
            found[metric] = {"value": mean, "text": text}
        found["reach"] = {"value": None, "text": text}
        for metric in ("true leakage", "true identity drift"):
            found[metric] = {"value": 0.0, "text": "exact"}
    for one in recognisers:
        text = _verification(one)
        for metric in ("identity similarity", "identity accuracy", "edit–identity area"):
            if text:
                found[f"{metric} · {one['name']}"] = {"value": None, "text": text}
    return found


def _verification(recogniser: Mapping[str, Any]) -> str:
    """What one knows of a recogniser, in a few words."""
    card, parts = recogniser["card"], []
    if "true_accept_rate" in card:
        parts.append(f"knows {card['true_accept_rate']:.0%} of people again")
    if "auc" in card:
        parts.append(f"AUC {card['auc']:.3f}")
    if recogniser.get("agreement") is not None:
        parts.append(f"rank correlation with the truth {recogniser['agreement']:.2f}")
    return ", ".join(parts)
