"""A small convolutional network, trained on a user's own pictures."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

SIDE = 64
CHANNELS = (24, 48, 64, 96)
BATCH, RATE, DECAY = 32, 2e-3, 0.02


def small_net(outputs: int) -> nn.Sequential:
    """A network (N, 3, 64, 64) → (N, outputs) that halves the size four times.

    A linear layer follows over all 4 × 4 places, without pooling: positions can matter.
    """
    layers: list[nn.Module] = []
    for inputs, channels in zip((3, *CHANNELS), CHANNELS, strict=False):
        layers += [
            nn.Conv2d(inputs, channels, 3, stride=2, padding=1),
            nn.GroupNorm(8, channels),
            nn.GELU(),
        ]
    places = (SIDE // 2 ** len(CHANNELS)) ** 2
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(CHANNELS[-1] * places, outputs))


def fit_small_net(
    images: Tensor,
    targets: Tensor,
    *,
    epochs: int,
    seed: int,
    progress: Callable[[float, str], None],
) -> nn.Sequential:
    """Least squares on (N, A) standardised targets; NaN entries take no part.

    AdamW with a one-cycle rate; deterministic for a seed and a number of threads.
    """
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = small_net(targets.shape[1])
    rng = torch.Generator().manual_seed(seed)
    steps = epochs * -(-len(images) // BATCH)
    optimizer = torch.optim.AdamW(net.parameters(), RATE, weight_decay=DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps)
    known, wanted = ~targets.isnan(), targets.nan_to_num()
    for epoch in range(epochs):
        for rows in torch.randperm(len(images), generator=rng).split(BATCH):
            error = ((net(images[rows]) - wanted[rows]) * known[rows]).square().sum()
            optimizer.zero_grad()
            (error / known[rows].sum().clamp_min(1)).backward()
            optimizer.step()
            schedule.step()
        progress((epoch + 1) / epochs, f"epoch {epoch + 1} of {epochs}")
    return net.eval().requires_grad_(False)
