"""The 41 factors of a SynthFace image and their joint distribution.

Every factor is a function of standard-normal scores. The marginals and normal-score correlations of
the 17 attribute columns are those of 1,000 faces of StyleGAN2-FFHQ (`copula.json`); the other
24 factors are independent.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from statistics import NormalDist
from typing import Any, NamedTuple

import torch
from torch import Tensor


class Factor(NamedTuple):
    """A factor's range and unit; values lie strictly between `low` and `high`."""

    name: str
    low: float
    high: float
    unit: str


_IDENTITY_NAMES = (
    *("face_width", "face_height", "jaw", "eye_distance", "eye_size", "eye_hue", "nose_width"),
    *("nose_length", "lips", "skin", "hair_lightness", "hair_redness", "brow", "mouth_width"),
)
_OTHER_NAMES = (
    *("hair_volume", "hair_length", "fringe", "parting", "background_hue"),
    *("background_saturation", "background_lightness", "clothes_hue", "clothes_lightness", "gaze"),
)

FACTORS: tuple[Factor, ...] = (
    Factor("gender", 0.0, 1.0, "1 is male"),
    Factor("glasses", 0.0, 1.0, "opacity and width of the frame"),
    Factor("yaw", -40.0, 40.0, "degrees, positive to the image's right"),
    Factor("pitch", -25.0, 25.0, "degrees, positive upwards"),
    Factor("baldness", 0.0, 1.0, ""),
    Factor("beard", 0.0, 1.0, ""),
    Factor("age", 0.0, 70.0, "years"),
    Factor("expression", 0.0, 1.0, "1 is a broad smile"),
    *(Factor(f"light_{i}", -1.0, 1.5, "spherical-harmonic coefficient") for i in range(9)),
    *(Factor(name, 0.0, 1.0, "") for name in _IDENTITY_NAMES),
    *(Factor(name, 0.0, 1.0, "") for name in _OTHER_NAMES),
)
"""Range and unit of each factor, in the order of the columns."""

NAMES: tuple[str, ...] = tuple(factor.name for factor in FACTORS)
ATTRIBUTES: tuple[str, ...] = NAMES[:17]
"""The attributes of StyleFlow: eight of the face, nine of the light."""
IDENTITY = slice(17, 31)
"""Columns of identity, which are equal for all images of one person."""

GENDER, GLASSES, YAW, PITCH, BALDNESS, BEARD, AGE, EXPRESSION = range(8)
LIGHT = slice(8, 17)

_BEARD_GIVEN_MALE = (0.0, 0.005, 0.015, 0.035, 0.08, 0.14, 0.30, 0.39, 0.49, 0.56, 0.70)
"""Quantiles of beard among men at the inner levels of `copula.json`; its plain correlation with
gender comes to that of the data."""
_BEARD_SCORE_CORRELATIONS = {"age": 0.25, "glasses": 0.1, "expr": -0.1}
_SLOW_SHARE = {"gender": 0.10, "glasses": 0.04, "expression": 0.16}
"""Share of a step-like marginal that rises over the whole range, so that its slope is never 0."""
_STEP_WIDTH = {"gender": 0.13, "glasses": 0.11, "expression": 0.30}
_EXPRESSION_SHARE = 0.745
_LEAST_RISE = 2e-3
_LOGISTIC = 1.5
"""Factor in σ(1.5 s), which is nearly uniform for standard-normal s. Its slope vanishes later than
that of Φ."""
_BEARD_GATE = (0.5, 0.08)
"""Gender value at which half of a beard shows, and the width of that rise."""


def sample_scores(n: int, seed: int) -> Tensor:
    """(n, 41) independent standard-normal scores."""
    if n < 0:
        raise ValueError(f"n, the number of rows, must be at least 0, received {n}")
    return torch.randn(n, len(NAMES), generator=torch.Generator().manual_seed(seed))


def factors_from_scores(scores: Tensor) -> Tensor:
    """Factor values in natural units; differentiable, each rising with its own score.

        s' = L s for the 17 attribute columns, L Lᵀ their score correlations
        value_i = Q_i(s'_i), a smooth monotone quantile function that saturates inside its range
        beard = Q(s'_beard) · gate(gender): men have beards from none to full, women none

    Args:
        scores: (N, 41) independent standard normals; any finite value is allowed.

    Returns:
        (N, 41), columns in the order of `NAMES`.
    """
    if scores.ndim != 2 or scores.shape[1] != len(NAMES):
        raise ValueError(f"scores have shape (N, {len(NAMES)}), received {tuple(scores.shape)}")
    cholesky = torch.linalg.cholesky(score_correlations()).to(scores)
    correlated = scores[:, :17] @ cholesky.T
    rest = torch.sigmoid(_LOGISTIC * scores[:, 17:])
    return torch.cat([attributes_from_correlated(correlated), rest], dim=1)


def attributes_from_correlated(correlated: Tensor) -> Tensor:
    """Attribute values (N, 17) from their correlated scores s' (N, 17); see above."""
    columns = [attribute_quantile(name, correlated[:, i]) for i, name in enumerate(ATTRIBUTES)]
    columns[BEARD] = columns[BEARD] * beard_gate(columns[GENDER])
    return torch.stack(columns, dim=1)


def beard_gate(gender: Tensor) -> Tensor:
    """Share of a beard that shows, by the value of gender."""
    centre, width = _BEARD_GATE
    return torch.sigmoid((gender - centre) / width)


@lru_cache(maxsize=1)
def score_correlations() -> Tensor:
    """(17, 17) float64 correlations of the attribute scores, positive definite.

    Those of `copula.json`, where beard and gender are one variable (0.97), except that beard has
    a score of its own: how much of a beard would be worn, let through by gender.
    """
    table = _copula()
    matrix = torch.tensor(table["latent_corr"], dtype=torch.float64)
    matrix[BEARD, :] = 0
    matrix[:, BEARD] = 0
    matrix[BEARD, BEARD] = 1
    for name, value in _BEARD_SCORE_CORRELATIONS.items():
        other = table["names"].index(name)
        matrix[BEARD, other] = matrix[other, BEARD] = value
    return _nearest_correlation(matrix)


def _nearest_correlation(matrix: Tensor, floor: float = 0.02) -> Tensor:
    """Eigenvalues raised to `floor`, the diagonal scaled back to one."""
    values, vectors = torch.linalg.eigh(matrix)
    positive: Tensor = (vectors * values.clamp(min=floor)) @ vectors.T
    deviations = positive.diagonal().sqrt()
    return positive / deviations[:, None] / deviations


def attribute_quantile(name: str, score: Tensor) -> Tensor:
    """Q of one attribute at its correlated scores (N,); that of beard before gender's gate."""
    table = _copula()
    if name in _STEP_WIDTH:
        return _smooth_step(name, score)
    if name == "beard":
        return _quantile(score, table["quantile_levels"][1:-1], _BEARD_GIVEN_MALE, 0.0, 1.0)
    i = NAMES.index(name)
    factor, values = FACTORS[i], table["quantiles"][table["names"][i]]
    low, high = factor.low, factor.high
    if name.startswith("light"):
        margin = 0.1 * (values[-1] - values[0])
        low, high = values[0] - margin, values[-1] + margin
    return _quantile(score, table["quantile_levels"][1:-1], values[1:-1], low, high)


def _smooth_step(name: str, score: Tensor) -> Tensor:
    """(1 − a) σ((s − s₀) / width) + a σ(s), with P(s > s₀) the share of the data."""
    shares = {
        "gender": _copula()["gender_p1"],
        "glasses": _copula()["glasses_p1"],
        "expression": _EXPRESSION_SHARE,
    }
    threshold = NormalDist().inv_cdf(1 - shares[name])
    slow = _SLOW_SHARE[name]
    step = torch.sigmoid((score - threshold) / _STEP_WIDTH[name])
    return (1 - slow) * step + slow * torch.sigmoid(score - threshold)


def _quantile(
    score: Tensor, levels: Sequence[float], values: Sequence[float], low: float, high: float
) -> Tensor:
    """Monotone cubic Hermite interpolation of value against normal score (Fritsch & Carlson 1980);
    beyond the knots an exponential approach to `low` and `high`."""
    knots = score.new_tensor([NormalDist().inv_cdf(level) for level in levels])
    heights = score.new_tensor(_strictly_rising(values, low))
    slopes = _hermite_slopes(knots, heights)
    inside = score.clamp(knots[0], knots[-1])
    left = torch.searchsorted(knots, inside.detach().contiguous()).clamp(1, len(knots) - 1) - 1
    width = knots[left + 1] - knots[left]
    t = (inside - knots[left]) / width
    rise = heights[left + 1] - heights[left]
    bend = (
        t
        * (1 - t)
        * ((width * slopes[left] - rise) * (1 - t) - (width * slopes[left + 1] - rise) * t)
    )
    value = heights[left] + t * rise + bend
    room_up, room_down = high - heights[-1], heights[0] - low
    above = room_up * -torch.expm1(-slopes[-1] / room_up * (score - knots[-1]).clamp(min=0))
    below = room_down * -torch.expm1(-slopes[0] / room_down * (knots[0] - score).clamp(min=0))
    return value + above - below


def _strictly_rising(values: Sequence[float], low: float) -> list[float]:
    """Ties of a rounded table spread apart, and clear of the lower limit."""
    rising: list[float] = []
    floor = low
    for value in values:
        floor = max(value, floor + _LEAST_RISE)
        rising.append(floor)
    return rising


def _hermite_slopes(knots: Tensor, heights: Tensor) -> Tensor:
    """Harmonic mean of neighbouring secants; the secant itself at the ends."""
    secants = heights.diff() / knots.diff()
    inner = 2 * secants[1:] * secants[:-1] / (secants[1:] + secants[:-1])
    return torch.cat([secants[:1], inner, secants[-1:]])


@lru_cache(maxsize=1)
def _copula() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(Path(__file__).with_name("copula.json").read_text())
    return loaded
