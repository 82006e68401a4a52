"""Figures of ``synthface-net``: its images against renders of the same codes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from latentedit_synthface.factors import AGE, IDENTITY, factors_from_scores, sample_scores
from latentedit_synthface.pretrained import Pretrained
from latentedit_synthface.renderer import render
from latentedit_synthface.trained_generator import SynthFaceNet
from workshop.synthface.coded_renders import OLD, CodedRenders
from workshop.synthface.renders import VIEWS, Renders, packed, unpacked
from workshop.synthface.scorecard import attribute_figures, identity_figures

PEOPLE = 500
_SEED = 77
_BATCH = 250


@torch.no_grad()
def held_out_figures(generator: SynthFaceNet, held_out: CodedRenders) -> dict[str, Any]:
    """Fidelity, Fréchet distance, and errors of judges and recognisers on generated images.

    Args:
        held_out: codes that no training saw, with renders of what they stand for.
    """
    images = generated(generator, held_out.codes)
    natural = unpacked(held_out.images)
    shown = Renders(images, held_out.factors, torch.empty(0), torch.empty(0))
    people = people_of(generator)
    figures: dict[str, Any] = {
        "n": len(held_out),
        "psnr": round(psnr(images, natural), 3),
        "frechet": frechet_figures(images, held_out),
        "detail": detail_figures(images, natural, held_out.phases, held_out.factors[:, AGE] > OLD),
    }
    for name in ("judge", "labeller"):
        network = Pretrained(name)
        read = network(images)
        figures[name] = attribute_figures(read, shown)["columns"]
        straight = calibrated_r2(read, shown.attributes)
        for column, r2 in zip(figures[name].values(), straight.tolist(), strict=True):
            column["r2_calibrated"] = round(r2, 5)
        figures[f"{name}_on_renders"] = attribute_figures(network(natural), shown)["columns"]
    for name in ("identity-contrastive", "identity-regression"):
        network = Pretrained(name)
        embedded, shipped = network(unpacked(people.images)), network.card["held_out"]["threshold"]
        figures[name] = identity_figures(embedded, people)
        figures[name]["at_shipped_threshold"] = identity_figures(embedded, people, shipped)
    return figures


def calibrated_r2(estimate: Tensor, truth: Tensor) -> Tensor:
    """R² that a straight line through the estimates of each column would reach: the squared
    correlation; (N, A), (N, A) → (A,)."""
    a, b = estimate - estimate.mean(0), truth - truth.mean(0)
    return (a * b).sum(0).square() / (a.square().sum(0) * b.square().sum(0))


@torch.no_grad()
def generated(generator: SynthFaceNet, codes: Tensor) -> Tensor:
    """Images of codes of W, in [-1, 1]."""
    return torch.cat([generator.synthesize(part, "w") for part in codes.split(_BATCH)])


def psnr(images: Tensor, others: Tensor) -> float:
    """10 log₁₀(4 / MSE) over all images together, in dB."""
    return float(10 * torch.log10(4 / (images - others).square().double().mean()))


def detail_figures(
    images: Tensor, renders: Tensor, phases: Tensor, old: Tensor
) -> dict[str, dict[str, float]]:
    """How much of the fine detail of renders their pictures have, where strands and folds are.

        d(x) = x − its mean over 3 × 3 pixels, or as many as there are at the border
        share = ⟨d(image), d(render)⟩ / |d(render)|²,  strength = |d(image)|² / |d(render)|²

    A picture with all detail in its place has a share of 1, one with none 0, and one with as much
    elsewhere a share of 0 and a strength of 1.

    Args:
        images, renders: (N, 3, 64, 64) of the same codes.
        phases: (N, 2, 64, 64) of these, as from `wave_phases`.
        old: (N,) bool, whose folds show.

    Returns:
        For ``strands`` and ``folds``, their ``share`` and ``strength``.
    """
    known = ~phases.isnan()
    folds = known.any(1) & ~known.all(1) & old[:, None, None]
    places = {"strands": known.all(1), "folds": folds}
    a, b = (
        (x - avg_pool2d(x, 3, 1, 1, count_include_pad=False)).movedim(1, 3)
        for x in (images, renders)
    )
    figures = {}
    for name, there in places.items():
        drawn, rendered = a[there], b[there]
        whole = rendered.square().sum()
        share, strength = (drawn * rendered).sum() / whole, drawn.square().sum() / whole
        figures[name] = {"share": round(share.item(), 4), "strength": round(strength.item(), 4)}
    return figures


def frechet_figures(images: Tensor, held_out: CodedRenders) -> dict[str, float]:
    """Fréchet distance in the judge's last features, of generated images to renders of other
    faces, and of renders to renders.

    Three sets of n faces are involved: pictures and renders of the same codes, and renders of
    others. Distance and reference have the same bias, since both have n faces on each side.
    """
    judge = Pretrained("judge")
    others = render_features(judge, len(images), _SEED)
    own = judge.features(unpacked(held_out.images))
    distance = frechet_distance(judge.features(images), others)
    reference = frechet_distance(own, others)
    return {
        "generated_to_renders": round(distance, 4),
        "renders_to_renders": round(reference, 4),
        "ratio": round(distance / reference, 3),
    }


def render_features(judge: Pretrained, n: int, seed: int) -> Tensor:
    """Features of n faces drawn from the natural joint distribution, as bytes."""
    factors = factors_from_scores(sample_scores(n, seed))
    parts = [unpacked(packed(render(part))) for part in factors.split(_BATCH)]
    return judge.features(torch.cat(parts))


def frechet_distance(features: Tensor, others: Tensor) -> float:
    """|μ₁ − μ₂|² + tr(C₁ + C₂ − 2 (C₁ C₂)^(1/2)), Heusel et al. 2017; (N, F), (M, F)."""
    a, b = features.double(), others.double()
    cov_a, cov_b = torch.cov(a.T), torch.cov(b.T)
    values, vectors = torch.linalg.eigh(cov_a)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    overlap = torch.linalg.eigvalsh(root @ cov_b @ root).clamp(min=0).sqrt().sum()
    gap = (a.mean(0) - b.mean(0)).square().sum()
    return float(gap + cov_a.trace() + cov_b.trace() - 2 * overlap)


def people_of(generator: SynthFaceNet, n: int | None = None) -> Renders:
    """Generated images of n people, four of each: equal identity factors, the rest drawn anew."""
    n = PEOPLE if n is None else n
    scores = sample_scores(n * VIEWS, _SEED)
    scores[:, IDENTITY] = sample_scores(n, _SEED + 1)[:, IDENTITY].repeat_interleave(VIEWS, dim=0)
    codes = generator.codes_with(scores, generator.sample(len(scores), _SEED))
    person = torch.arange(len(scores)) // VIEWS
    images = packed(generated(generator, codes))
    return Renders(images, factors_from_scores(scores), scores[:, IDENTITY], person)
