"""Measurements of a world: spectrum, probes, rows, correlations and path length."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import normalize

from latentedit import Generator
from latentedit_synthface.pretrained import Pretrained
from latentedit_synthface.schema import SCHEMA

FACE = SCHEMA.width - SCHEMA["lighting"].size
"""Columns of the eight attributes of the face; those after them are lighting."""
COLUMNS = (*SCHEMA.names[:FACE], "lighting", "identity")
"""What a row of W+ may change."""
COMPONENTS = (1, 10, 50, 100, 200, 400)
CODES = 8_000
PROBED = 3 * CODES // 4
"""Codes that the probes are fitted on."""
_PAIRS, _BATCH = 150, 50
_RIDGE = 1.0
_PATH_STEP = 0.01


@dataclass(frozen=True)
class WorldFigures:
    """Measurements of one world.

    Args:
        spectrum: (512,) cumulative share of the variance of w in its principal components.
        probes: (8,) held-out R² of a ridge regression from w to attribute values.
        score_probe: the mean of the same over the 14 scores of identity.
        rows: (L, 10) share of the difference of two faces that one swapped row carries.
        correlations: (8, 8) of attribute values.
        path_length: squared distance of judge features for each squared unit of a step in w.
    """

    spectrum: Tensor
    probes: Tensor
    score_probe: float
    rows: Tensor
    correlations: Tensor
    path_length: float

    def to_json(self) -> dict[str, Any]:
        """Plain values with four decimals: tensors as lists, the spectrum at `COMPONENTS`."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        spectrum = {str(first): float(self.spectrum[first - 1]) for first in COMPONENTS}
        return {name: _plain(value) for name, value in (values | {"spectrum": spectrum}).items()}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, Tensor):
        return [_plain(part) for part in value] if value.dim() else _plain(float(value))
    return round(value, 4)


@torch.no_grad()
def measured(generator: Generator, seed: int = 123) -> WorldFigures:
    """Measure a world that knows what its codes stand for; minutes on one core."""
    codes = generator.sample(CODES, seed)
    truth = generator.truth(codes)
    return WorldFigures(
        spectrum=spectrum(codes),
        probes=probe_r2(codes, truth.attributes[:, :FACE]),
        score_probe=float(probe_r2(codes, truth.identity).mean()),
        rows=row_control(generator, codes[:_PAIRS], codes[_PAIRS : 2 * _PAIRS]),
        correlations=torch.corrcoef(truth.attributes[:, :FACE].T),
        path_length=path_length(generator, codes[: 2 * _PAIRS], seed),
    )


def spectrum(codes: Tensor) -> Tensor:
    """(N, D) → (D,) cumulative share of the variance in the leading principal components."""
    values = torch.linalg.svdvals((codes - codes.mean(0)).double()).square()
    share: Tensor = values.cumsum(0) / values.sum()
    return share.float()


def probe_r2(codes: Tensor, values: Tensor) -> Tensor:
    """R² of ridge regression, fitted on three quarters of the rows, on the rest: (N, A) → (A,)."""
    x = torch.cat([codes, torch.ones(len(codes), 1)], dim=1).double()
    y, n = values.double(), 3 * len(codes) // 4
    gram = x[:n].T @ x[:n] + _RIDGE * torch.eye(x.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(gram, x[:n].T @ y[:n])
    residual = (y[n:] - x[n:] @ weights).square().sum(0)
    missed: Tensor = residual / (y[n:] - y[n:].mean(0)).square().sum(0)
    return 1 - missed.float()


def row_control(generator: Generator, codes: Tensor, others: Tensor) -> Tensor:
    """(L, 10): how far one row of another face's W+ code moves each of `COLUMNS`.

        |a(swapped) − a(face)| / |a(other) − a(face)|, means over the pairs, as the judge sees it

    for attributes; for lighting with means over its nine columns in units of their spread, and for
    identity with 1 − cosine of the contrastive recogniser.
    """
    rows = generator.convert(codes, "w", "w+")
    given = generator.convert(others, "w", "w+")
    before, after = _seen(generator, rows), _seen(generator, given)
    spread = before[0].std(0)
    whole = _changes(before, after, spread)
    moved = []
    for row in range(generator.num_ws):
        swapped = rows.clone()
        swapped[:, row] = given[:, row]
        moved.append(_changes(before, _seen(generator, swapped), spread) / whole)
    return torch.stack(moved)


def _seen(generator: Generator, rows: Tensor) -> tuple[Tensor, Tensor]:
    """The judge's attributes and the recogniser's embeddings of W+ codes."""
    images = torch.cat([generator.synthesize(part, "w+") for part in rows.split(_BATCH)])
    return Pretrained("judge")(images), normalize(Pretrained("identity-contrastive")(images), dim=1)


def _changes(before: tuple[Tensor, Tensor], after: tuple[Tensor, Tensor], spread: Tensor) -> Tensor:
    attributes = ((after[0] - before[0]).abs() / spread).mean(0)
    identity = 1 - (before[1] * after[1]).sum(1).mean()
    return torch.cat([attributes[:FACE], attributes[FACE:].mean()[None], identity[None]])


def path_length(generator: Generator, codes: Tensor, seed: int) -> float:
    """Mean of |f(w + ε (v − w)) − f(w)|² / (ε |v − w|)² over pairs of codes, f the judge's features
    at unit length: the path length of Karras et al. 2019 with another eye, a unit of w a step."""
    rng = torch.Generator().manual_seed(seed)
    half = len(codes) // 2
    start, end = codes[:half], codes[half : 2 * half]
    place = torch.rand(half, 1, generator=rng)
    here = torch.lerp(start, end, place)
    there = torch.lerp(start, end, place + _PATH_STEP)
    judge = Pretrained("judge")
    features = [normalize(judge.features(generator.synthesize(w)), dim=1) for w in (here, there)]
    moved = (features[1] - features[0]).square().sum(1)
    return float((moved / (there - here).square().sum(1)).mean())
