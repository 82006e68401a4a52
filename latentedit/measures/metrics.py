"""Metrics of an edit's effect and of its cost, as pure functions of tensors.

Notation: A(x) attribute values before the edit, A(x') after it, k the edited attribute, Δ the
requested change of k, σ the standard deviation of each column over the fit split.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from latentedit.data.attributes import AttributeSchema


def achieved_change(before: Tensor, after: Tensor, change: Tensor) -> Tensor:
    """r = (A(x') − A(x))_k / Δ, with all arguments (…, N) → (…, N).

    >>> achieved_change(torch.tensor([30.0]), torch.tensor([46.0]), torch.tensor([20.0]))
    tensor([0.8000])
    """
    return (after - before) / change


def identity_similarity(before: Tensor, after: Tensor) -> Tensor:
    """cos(E(x), E(x')) of embeddings (N, E) → (N,)."""
    return torch.cosine_similarity(before, after, dim=-1)


def attribute_change(
    before: Tensor, after: Tensor, sigma: Tensor, schema: AttributeSchema
) -> Tensor:
    """|A(x') − A(x)| / σ per attribute, the mean over columns for a vector: (N, A) → (N, K)."""
    scaled = (after - before).abs() / sigma
    return torch.stack([scaled[..., schema.columns(name)].mean(-1) for name in schema.names], -1)


def attribute_leakage(
    before: Tensor, after: Tensor, sigma: Tensor, schema: AttributeSchema, edited: str
) -> Tensor:
    """Mean of |A(x') − A(x)| / σ over all attributes but the edited one: (N, A) → (N,)."""
    others = [i for i, name in enumerate(schema.names) if name != edited]
    return attribute_change(before, after, sigma, schema)[..., others].mean(-1)


def target_error(after: Tensor, target: Tensor, sigma: Tensor) -> Tensor:
    """|A(x') − target|_k / σ_k, all of one column: (N,) → (N,)."""
    return (after - target).abs() / sigma


def round_trip_error(codes: Tensor, back: Tensor) -> Tensor:
    """|w'' − w| / |w| of codes w and codes w'' after edit and undo, both (N, \\*shape) → (N,).

    >>> round_trip_error(torch.tensor([[3.0, 4.0]]), torch.tensor([[3.0, 4.5]]))
    tensor([0.1000])
    """
    error: Tensor = (back - codes).flatten(1).norm(dim=1) / codes.flatten(1).norm(dim=1)
    return error


def pixel_error(images: Tensor, back: Tensor) -> Tensor:
    """Mean |x'' − x| of images (N, 3, H, W) in [-1, 1], in levels of 0 to 255 → (N,)."""
    error: Tensor = 127.5 * (back - images).abs().flatten(1).mean(1)
    return error


def pixel_error_inside(images: Tensor, others: Tensor, mask: Tensor) -> Tensor:
    """`pixel_error` over the pixels of a mask (N, H, W) → (N,); NaN where it holds none.

    >>> left = torch.tensor([[[True, False]]])
    >>> pixel_error_inside(torch.zeros(1, 3, 1, 2), torch.full((1, 3, 1, 2), 0.2), left)
    tensor([25.5000])
    """
    apart = (others - images).abs().mean(1)
    return 127.5 * (apart * mask).flatten(1).sum(1) / mask.flatten(1).sum(1)


def peak_signal_to_noise(images: Tensor, others: Tensor) -> Tensor:
    """10 log₁₀ (2² / mean (x' − x)²) of images (N, 3, H, W) in [-1, 1], in decibels → (N,).

    Equal images get 100 instead of infinity.
    """
    noise = (others - images).square().flatten(1).mean(1)
    # 10 log₁₀ (4 / 4e-10) = 100
    decibels: Tensor = 10 * (4 / noise.clamp_min(4e-10)).log10()
    return decibels


def edit_consistency(orders: Tensor, sigma: Tensor, schema: AttributeSchema) -> Tensor:
    """Mean |A − A'| / σ over attributes and pairs of orders: (O, N, A) → (N,).

    Abdal et al., "StyleFlow", ACM TOG 2021, compare two orders; this is the mean over all pairs.
    """
    pairs = torch.combinations(torch.arange(len(orders)))
    first, second = orders[pairs[:, 0]], orders[pairs[:, 1]]
    return attribute_change(first, second, sigma, schema).mean(-1).mean(0)


def identity_drift(before: Tensor, after: Tensor) -> Tensor:
    """Root mean square change of true identity scores (N, F) → (N,), in standard deviations."""
    return (after - before).square().mean(-1).sqrt()


def strength_reaching(strengths: Tensor, effects: Tensor, wanted: float) -> Tensor:
    """The smallest strength at which each image's effect reaches `wanted`; NaN if it never does.

    Effects are interpolated linearly between the measured strengths, from 0 at strength 0.

    Args:
        strengths: (S,) ascending, without 0.
        effects: (S, N) achieved change r at each strength.

    >>> strength_reaching(torch.tensor([1.0, 2.0]), torch.tensor([[0.5, 0.1], [1.0, 0.2]]), 0.75)
    tensor([1.5000,    nan])
    """
    s = torch.cat([strengths.new_zeros(1), strengths])
    r = torch.cat([effects.new_zeros(1, effects.shape[1]), effects])
    reached = r >= wanted
    reached[1] |= reached[0]
    found = torch.full_like(effects[0], float("nan"))
    for i in range(len(s) - 1, 0, -1):  # much faster than to pick each image's own interval
        rise = r[i] - r[i - 1]
        share = ((wanted - r[i - 1]) / rise).clamp(0, 1).where(rise != 0, 0.0)
        found = torch.where(reached[i], s[i - 1] + share * (s[i] - s[i - 1]), found)
    return found


def along_effect(
    strengths: Tensor, effects: Tensor, values: Tensor, at: Tensor, start: Tensor | float
) -> Tensor:
    """`values` (…, S, N) interpolated at achieved effects `at`: (…, R, N), NaN where not reached.

    Args:
        at: (R,) effects.
        start: (…) the values of an unedited image, at effect 0, or one number.
    """
    s = torch.cat([strengths.new_zeros(1), strengths])
    first = torch.as_tensor(start).to(values)[..., None, None].expand_as(values[..., :1, :])
    v = torch.cat([first, values], -2)
    wanted = [strength_reaching(strengths, effects, float(r)) for r in at]
    return torch.stack([_interpolated(s, v, strength) for strength in wanted], -2)


def _interpolated(s: Tensor, values: Tensor, wanted: Tensor) -> Tensor:
    """`values` (…, S, N) at strengths `wanted` (N,), linear in between: (…, N); NaN stays NaN."""
    rows = values.unbind(-2)

    def between(i: int) -> Tensor:
        share = (wanted - s[i - 1]) / (s[i] - s[i - 1])
        return rows[i - 1] + share * (rows[i] - rows[i - 1])

    found = between(1)
    for i in range(2, len(s)):
        found = torch.where(wanted > s[i - 1], between(i), found)
    return found


AREA_EFFECTS = torch.linspace(0, 1, 21)


def edit_identity_area(strengths: Tensor, effects: Tensor, similarity: Tensor) -> Tensor:
    """Area under the curve of identity similarity over r in [0, 1]: (…, S, N) → (…, N).

    Effects that are not reached count 0.
    """
    curve = along_effect(strengths, effects, similarity, AREA_EFFECTS, start=1.0)
    return torch.trapezoid(curve.nan_to_num(0.0), AREA_EFFECTS, dim=-2)


REGULA_FALSI = 2
"""Number of tries by linear interpolation, before `match_effect` bisects."""


TOLERANCE = 0.05
"""How far a matched effect may be from the wanted one, as a share of the requested change."""


def match_effect(
    effect_at: Callable[[Tensor, Tensor], Tensor],
    strengths: Tensor,
    effects: Tensor,
    wanted: float,
    tolerance: float = TOLERANCE,
    tries: int = 8,
) -> Tensor:
    """Strength per image at which the *measured* effect is `wanted`, by regula falsi.

    It starts from the crossing on the measured grid. It edits again at the estimate, and narrows
    the bracket of each image whose effect is further than `tolerance` away. After `REGULA_FALSI`
    tries it halves the bracket, which steep or curved effects need. If an effect jumps over
    `wanted`, the image keeps the strength with the nearest effect.

    Args:
        effect_at: (strengths (M,), rows (M,)) → measured effects (M,).
        strengths: (S,) ascending, without 0.
        effects: (S, N) measured on that grid.

    Returns:
        (N,) strengths; NaN for images that never reach `wanted` on the grid.
    """
    s = torch.cat([strengths.new_zeros(1), strengths])
    r = torch.cat([effects.new_zeros(1, effects.shape[1]), effects])
    reached = r >= wanted
    first = reached.int().argmax(0).clamp(min=1)
    low_s, high_s = s[first - 1].clone(), s[first].clone()
    low_r, high_r = (r.gather(0, index[None])[0].clone() for index in (first - 1, first))
    found = strength_reaching(strengths, effects, wanted)
    best, best_gap = found.clone(), torch.full_like(found, float("inf"))
    active = reached.any(0).nonzero()[:, 0]
    for i in range(tries):
        if len(active) == 0:
            break
        measured = effect_at(found[active], active)
        gap = (measured - wanted).abs()
        closer = gap < best_gap[active]
        best[active[closer]], best_gap[active[closer]] = found[active[closer]], gap[closer]
        above = measured >= wanted
        high_s[active[above]], high_r[active[above]] = found[active[above]], measured[above]
        low_s[active[~above]], low_r[active[~above]] = found[active[~above]], measured[~above]
        active = active[gap > tolerance]
        # Clamped: near an end, regula falsi would move only one side of the bracket.
        secant = ((wanted - low_r) / (high_r - low_r)).clamp(0.1, 0.9)
        share = secant if i < REGULA_FALSI else torch.full_like(secant, 0.5)
        found[active] = (low_s + share * (high_s - low_s))[active]
    return best
