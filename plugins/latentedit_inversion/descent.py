"""Gradient descent with the schedule of StyleGAN2's projection."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_RAMP_UP, _RAMP_DOWN = 0.05, 0.25


def learning_rate(done: float, peak: float) -> float:
    """Linear warm-up, constant, then half a cosine down to 0 (Karras et al. 2020, app. D).

    >>> [round(learning_rate(t, 1.0), 2) for t in (0.0, 0.05, 0.5, 1.0)]
    [0.0, 1.0, 1.0, 0.0]
    """
    down = min(1.0, (1 - done) / _RAMP_DOWN)
    return peak * min(1.0, done / _RAMP_UP) * (0.5 - 0.5 * math.cos(math.pi * down))


def descend(
    variables: Sequence[Tensor],
    objective: Callable[[], tuple[Tensor, Tensor]],
    *,
    steps: int,
    rate: float,
    progress: Callable[[float], None],
    after: Callable[[], None] | None = None,
) -> tuple[list[Tensor], Tensor]:
    """Minimise `objective` with Adam, and keep the best step of each photo.

    Args:
        variables: tensors (N, ...) with one row per photo, changed in place.
        objective: the loss to minimise (N,), and the value that decides the best step (N,).
        after: called after every step.

    Returns:
        The variables at each photo's best step, and (N,) the value there.
    """
    for variable in variables:
        variable.requires_grad_(True)
    optimiser = torch.optim.Adam(variables, betas=(0.9, 0.999))
    best = [variable.detach().clone() for variable in variables]
    least = torch.full((len(variables[0]),), float("inf"), device=variables[0].device)
    for step in range(steps + 1):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(min(1.0, (step + 1) / steps), rate) if steps else 0.0
        with torch.enable_grad():
            descended, chosen = objective()
        better = chosen.detach() < least
        least = torch.where(better, chosen.detach(), least)
        for kept, variable in zip(best, variables, strict=True):
            kept[better] = variable.detach()[better]
        if step < steps:
            optimiser.zero_grad()
            # Photos are independent, so the sum's gradient is each photo's own gradient.
            descended.sum().backward()
            optimiser.step()
            if after is not None:
                after()
        progress(step / max(1, steps))
    return best, least
