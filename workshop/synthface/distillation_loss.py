"""Loss of the distillation: differences between generated images and renders of the same codes."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, huber_loss

from latentedit_synthface.factors import AGE
from latentedit_synthface.style_network import SynthesisNetwork
from workshop.synthface.coded_renders import CodedRenders
from workshop.synthface.image_features import ImageFeatures
from workshop.synthface.renders import unpacked

_GRADIENTS, _POOLED, _TEXTURE, _MEANING, _WAVES, _DETAIL = 1.0, 0.5, 0.25, 0.3, 0.05, 1.0
_SQUARES, _CHROMA = 4.0, 80.0
"""Weights in the loss, where the plain absolute difference has 1. Irises made up 3 % of that, 8 %
of its squares and 12 % of the squares of chroma, and blue ones came out teal."""
_FOLDS = 8.0
"""Weight of a place with a fold in the loss of waves, where one with strands has 1."""
_SHOWN_FOLDS, _SHOWN_FROM = 40.0, 45.0
"""The same in the loss of detail, and the years from which folds count there: where most faces have
none, a loss that counts them all asks for none."""


def image_loss(images: Tensor, wanted: Tensor) -> Tensor:
    """|x − y| of pixels, of their means over 2 × 2 and 4 × 4, and of differences of neighbours;
    and |x − y|² of pixels and of their chroma, by what channels differ from their mean, for what is
    small and far off: the rim of glasses, an iris."""
    error = images - wanted
    halves = avg_pool2d(error, 2)
    quarters = avg_pool2d(halves, 2)
    across, down = error.diff(dim=3), error.diff(dim=2)
    chroma = error - error.mean(1, keepdim=True)
    return (
        error.abs().mean()
        + _SQUARES * error.square().mean()
        + _CHROMA * chroma.square().mean()
        + _POOLED * (halves.abs().mean() + quarters.abs().mean())
        + _GRADIENTS * 0.5 * (across.abs().mean() + down.abs().mean())
    )


def wave_loss(phases: Tensor, wanted: Tensor) -> Tensor:
    """Huber's distance of phases (N, 2, 64, 64) in radians, a weighted mean over places whose
    wanted phase is a number, and a mean over waves.

    Hair has two waves at a place, and folds of the skin one; without a weight of their own folds
    would count for a tenth, and stay a radian off.
    """
    known = ~wanted.isnan()
    errors = huber_loss(
        torch.where(known, phases, 0), torch.where(known, wanted, 0), reduction="none"
    )
    hair = known.all(1, keepdim=True)
    weights = known * torch.where(hair, 1.0, _FOLDS)
    sums, total = (errors * weights).sum((0, 2, 3)), weights.sum((0, 2, 3))
    mean: Tensor = (sums / total.clamp(min=1)).mean()
    return mean


def detail_loss(images: Tensor, wanted: Tensor, phases: Tensor, age: Tensor) -> Tensor:
    """|d(x) − d(y)|, d(x) what an image adds to its own means over 3 × 3 pixels: a weighted mean
    over places with strands, or with folds of faces whose age shows them. Without it, folds were in
    their place and too faint.

    Args:
        images, wanted: (N, 3, 64, 64) in [-1, 1].
        phases: (N, 2, 64, 64), as from `wave_phases`.
        age: (N,) in years.
    """
    known = ~phases.isnan()
    folds = _SHOWN_FOLDS * (age > _SHOWN_FROM)[:, None, None]
    weights = known.any(1) * torch.where(known.all(1), 1.0, folds)
    error = images - wanted
    detail = (error - avg_pool2d(error, 3, 1, 1, count_include_pad=False)).abs().mean(1)
    loss: Tensor = (weights * detail).sum() / weights.sum().clamp(min=1)
    return loss


def drawn_and_loss(
    synthesis: SynthesisNetwork,
    renders: CodedRenders,
    index: Tensor,
    features: ImageFeatures,
    precision: torch.dtype,
    device: str = "cpu",
) -> tuple[Tensor, Tensor]:
    """Images (B, 3, 64, 64) of some codes, and how far they are from the renders of these codes:
    in pixels, in what networks see of texture and of the whole face, and in strands and folds, by
    their phases and by what is seen of them."""
    bent = renders.bent(index).to(device)
    wanted = unpacked(renders.images[index].to(device))
    wanted = wanted.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device, torch.bfloat16, enabled=precision == torch.bfloat16):
        images, phases = synthesis.drawn(synthesis.styles(bent))
        texture = features.texture_distance(images, wanted)
        meaning = features.meaning_distance(images, wanted)
    loss = image_loss(images, wanted) + _TEXTURE * texture + _MEANING * meaning
    rendered = renders.phases[index].to(device).float()
    age = renders.factors[index, AGE].to(device)
    detail = detail_loss(images, wanted, rendered, age)
    return images, loss + _WAVES * wave_loss(phases, rendered) + _DETAIL * detail
