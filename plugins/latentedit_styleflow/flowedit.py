"""FlowEdit in the space of codes: an edit along the difference of two velocities."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor

from latentedit import Runtime
from latentedit_styleflow.flow import ContinuousFlow, Mapped

_NOISE_STREAM = 6


def flow_edit(
    flow: ContinuousFlow, w: Tensor, source: Tensor, target: Tensor, noise: Tensor
) -> Mapped:
    """Move codes from one condition to another without encoding them.

        x_t = (1 − t) x + t n,    y_t = y + x_t − x,    n ~ N(0, I) at every step
        y ← y + (t_next − t) · mean over n of [v(y_t, t, a') − v(x_t, t, a)],    t from 1 to 0

    x is the normalised code, y = x at first, and v the velocity of a flow by flow matching. If the
    codes are normal under every condition, with equal covariances, the result is w + B (a' − a)
    for any noise and any number of steps. It is w if a' = a.

    Kulikov, Kleiner, Huberman-Spiegelglas, Michaeli: "FlowEdit: inversion-free text-based editing
    using pre-trained flow models", ICCV 2025, algorithm 1, without guidance and with n_max = T.

    Args:
        flow: of one block, trained by flow matching.
        w: (N, D) codes.
        source, target: (N, A) standard scores.
        noise: (steps, samples, N, D) n.

    Returns:
        Codes (N, D), and 2 · steps · samples evaluations.
    """
    norm, field = flow.matching()
    before, after = field.under(source), field.under(target)
    x = y = norm.encode(w)
    times = torch.linspace(1, 0, len(noise) + 1, dtype=x.dtype, device=x.device)
    for (t, following), draws in zip(pairwise(times), noise, strict=True):
        noised = [torch.lerp(x, n, t) for n in draws]
        velocities = [after(t, x_t + y - x) - before(t, x_t) for x_t in noised]
        y = y + (following - t) * torch.stack(velocities).mean(0)
    return Mapped(norm.decode(y), 2 * noise.shape[0] * noise.shape[1])


def face_noise(codes: Tensor, steps: int, samples: int, runtime: Runtime) -> Tensor:
    """(steps, samples, N, D) standard normal numbers, from the seed and each code (N, D) alone."""
    # One random generator for all faces would make a face's noise depend on its place in the
    # batch. Each face's seed is a hash of its floats' bits, with odd factors from the seed.
    bits = codes.float().cpu().contiguous().view(torch.int32).long()
    factors = torch.randint(1, 2**31, bits.shape[1:], generator=runtime.rng(_NOISE_STREAM)) * 2 + 1
    noise = torch.empty(steps, samples, *codes.shape)
    for face, seed in enumerate(((bits * factors).sum(1) >> 1).tolist()):
        rng = torch.Generator().manual_seed(seed)
        noise[:, :, face] = torch.randn(steps, samples, codes.shape[1], generator=rng)
    return noise.to(codes)
