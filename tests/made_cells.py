"""Finished cells written by hand: every face its own numbers, every picture its own colour."""

from __future__ import annotations

import torch
from made_world import (
    CONTROLS,
    EDITORS,
    EFFECTS,
    FACES,
    RECOGNISERS,
    SCHEMA,
    SHOWN,
    SUITE,
    TASKS,
    N,
)
from torch import Tensor


def colour(
    entrant: str, task: str, place: int, kind: str = "edited", number: int = 0
) -> tuple[int, int, int]:
    """The colour of the picture of the face at `place` of a task, in run `number`."""
    row = (*EDITORS, *CONTROLS, "omega").index(entrant) if kind != "unedited" else 7
    effect = {"unedited": 0, "edited": 0, "second": 20}[kind]
    return (20 + 30 * row, 30 + 70 * TASKS.index(task) + effect, 40 + 60 * place + 25 * number)


def _flat(colours: list[tuple[int, int, int]]) -> Tensor:
    return torch.tensor(colours, dtype=torch.uint8)[:, :, None, None].repeat(1, 1, 4, 4)


def edit_arrays(entrant: str, task: str, number: int = 0) -> dict[str, Tensor]:
    """A finished edit: every face its own numbers. Nobody reaches the second shown face at the
    first effect, nor the third at the second; gamma does not reach the first one with glasses.

    In the first run alpha is far more similar by rec-zeta, beta by rec-eta, and gamma leaks least.
    """
    index = (*EDITORS, *CONTROLS, "omega").index(entrant)
    rng = torch.Generator().manual_seed(100 * number + 10 * index + TASKS.index(task))
    rows, k, e = torch.tensor(FACES[task]), len(EFFECTS), len(RECOGNISERS)
    m, a = len(rows), SCHEMA.width

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng)

    strength = 0.5 + drawn(k, m)
    strength[0, 1] = strength[1, 2] = float("nan")
    if (entrant, task) == ("gamma", "glasses"):
        strength[0, 0] = float("nan")
    column = SCHEMA.columns(SUITE["tasks"][TASKS.index(task)]["attribute"]).start
    base = unedited()["judged"][rows]
    moved = base + 5 * drawn(k, m, a) + (0 if (entrant, number) == ("gamma", 0) else 7)
    similarity = drawn(k, e, m)
    if number == 0 and entrant in ("alpha", "beta"):
        similarity[0, index] += 1.5
    return {
        "faces": rows,
        "source": base[:, column].clone(),
        "change": 5.0 + 10 * drawn(m),
        "judged": base + drawn(3, m, a),
        "effect": drawn(3, m),
        "similarity": drawn(3, e, m),
        "round_trip": drawn(m),
        "round_trip_pixels": drawn(m),
        "round_trip_identity": drawn(e, m),
        "matched_strength": strength,
        "matched_effect": drawn(k, m),
        "matched_judged": moved,
        "matched_similarity": similarity,
        "matched_kernel": drawn(k, m),
        "matched_likelihood": drawn(k, m),
        "matched_mahalanobis": drawn(k, m),
        "images": _flat([colour(entrant, task, i, "unedited", number) for i in range(SHOWN)]),
        "matched_images": torch.stack(
            [
                _flat([colour(entrant, task, i, kind, number) for i in range(SHOWN)])
                for kind in ("edited", "second")
            ]
        ),
    }


def unedited() -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(99)
    judged = torch.rand(N, SCHEMA.width, generator=rng) * torch.tensor([60.0, 1.0, 30.0])
    return {"judged": judged, "identity": torch.zeros(N, 0)}


def fit_attributes() -> Tensor:
    rng = torch.Generator().manual_seed(98)
    return torch.randn(N, SCHEMA.width, generator=rng) * torch.tensor([9.0, 0.3, 7.0])
