"""Error figures of predictions on held-out pictures."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from latentedit import Attribute, InputError

Numbers = NDArray[np.float64]
LEAST = 10
"""Smallest number of labelled pictures per attribute for measuring an error."""


def figures(truth: Numbers, predicted: Numbers, attribute: Attribute) -> dict[str, float]:
    """Number of pictures, R² and mean absolute error; for binary attributes the area under the ROC.

        R² = 1 − Σ(y − ŷ)² / Σ(y − ȳ)²

    >>> y = np.array([0.0, 1.0, 0.0, 1.0])
    >>> figures(y, y, Attribute("smile", "binary", 0, 1))
    {'n': 4, 'r2': 1.0, 'mae': 0.0, 'auc': 1.0}
    """
    spread = float(((truth - truth.mean()) ** 2).sum())
    found = {
        "n": len(truth),
        "r2": 1 - float(((truth - predicted) ** 2).sum()) / spread if spread else 0.0,
        "mae": float(np.abs(truth - predicted).mean()),
    }
    classes = truth > 0.5
    if attribute.kind == "binary" and classes.any() and not classes.all():
        found["auc"] = roc_area(classes, predicted)
    return found


def roc_area(classes: NDArray[np.bool_], scores: Numbers) -> float:
    """Share of pairs of a positive and a negative in the right order; ties count half."""
    from scipy.stats import rankdata  # noqa: PLC0415  (light import)

    positive, negative = int(classes.sum()), int((~classes).sum())
    ranks = rankdata(scores)[classes].sum()
    return float((ranks - positive * (positive + 1) / 2) / (positive * negative))


def folds(n: int, count: int, seed: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Pairs of rows to fit on and rows to predict; every row is predicted once."""
    order = np.random.default_rng(seed).permutation(n)
    for held in np.array_split(order, count):
        yield np.setdiff1d(order, held), held


def check_enough(values: Numbers, attribute: Attribute) -> None:
    """Raise `InputError` unless (N,) labels are enough to fit on and to measure with."""
    if len(values) < LEAST:
        raise InputError(
            f"attribute {attribute.name!r} has {len(values)} labelled pictures; give at least "
            f"{LEAST}, better some hundreds"
        )
    if float(np.ptp(values)) == 0:
        raise InputError(
            f"every label of {attribute.name!r} is {values[0]:g}: there is nothing to learn; "
            "label pictures that differ"
        )
