"""Scores that other papers' protocols give to the edits of one editor, task and fit.

Every function takes a `Path` and returns a score for each face, NaN where a face does not count.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit.benchmark.results.values import FinishedEdits, Reference
from latentedit.measures.metrics import achieved_change, attribute_change

EFFECT = 0.8
LENIENT = 0.7
"""Threshold of the editors that a study treats as another paper's own."""
STEP = 1.0
"""Change of the edited attribute at which attribute dependency is read, in σ."""


@dataclass(frozen=True)
class Path:
    """What was measured on the way of N faces, at P strengths of each, in ascending order.

    Args:
        strength: (P, N), 0 first; NaN at the end where a face has fewer.
        effect, true_effect: (P, N) achieved shares of the change, as judged and in truth.
        change: (P, N) |ΔA_k| / σ_k as judged.
        others, true_others: (P, N) attribute leakage, as judged and in truth.
        drift: (P, N) true identity drift.
        similarity: (P, N) by one recogniser.
        once: (N,) place of strength 1.
    """

    strength: Tensor
    effect: Tensor
    true_effect: Tensor
    change: Tensor
    others: Tensor
    true_others: Tensor
    drift: Tensor
    similarity: Tensor
    once: Tensor

    def asked_once(self, values: Tensor) -> Tensor:
        """(N,) of values (P, N) where the editor was asked for the change once."""
        return values.gather(0, self.once[None])[0]


def path_of(edits: FinishedEdits, reference: Reference, recogniser: int) -> Path:
    """The path of a cell: the unedited face, the strengths of the suite, and those that match."""
    arrays, suite = edits.arrays, reference.suite
    faces, schema, column = (
        arrays["faces"],
        reference.schema,
        reference.schema.columns(edits.attribute).start,
    )
    n = len(faces)
    grid = torch.tensor(suite.strengths)[:, None].expand(-1, n)
    strength = torch.cat([torch.zeros(1, n), grid, arrays["matched_strength"]])
    order = strength.nan_to_num(float("inf")).argsort(dim=0, stable=True)

    def along(name: str, start: Tensor) -> Tensor:
        """(P, N, …) of an array whose faces are the second dimension."""
        whole = torch.cat([start[None], arrays[name], arrays[f"matched_{name}"]])
        return whole.gather(0, order.view(*order.shape, *[1] * (whole.ndim - 2)).expand_as(whole))

    judged = along("judged", reference.faces["judged"][faces])
    truth = along("truth", reference.faces["truth"][faces])
    similar = torch.cat(
        [
            torch.ones(1, n),
            arrays["similarity"][:, recogniser],
            arrays["matched_similarity"][:, recogniser],
        ]
    ).gather(0, order)
    moved, truly = (
        torch.stack([attribute_change(a[0], row, reference.sigma, schema) for row in a])
        for a in (judged, truth)
    )
    k = schema.names.index(edits.attribute)
    others = [i for i in range(len(schema.names)) if i != k]
    shares = [
        achieved_change(a[0, :, column], a[..., column], arrays["change"]) for a in (judged, truth)
    ]
    return Path(
        strength.gather(0, order),
        *shares,
        moved[..., k],
        moved[..., others].mean(-1),
        truly[..., others].mean(-1),
        along("drift", torch.zeros(n)),
        similar,
        (order == 1 + suite.strengths.index(1.0)).int().argmax(0),
    )


def at_first(values: Tensor, along: Tensor, wanted: float, strength: Tensor) -> Tensor:
    """(N,) of `values` (P, N) where `along` (P, N) first attains `wanted`, linear in between.

    NaN for faces that never do.

    >>> along = torch.tensor([[0.0], [0.5], [1.0]])
    >>> at_first(torch.tensor([[1.0], [0.8], [0.6]]), along, 0.75, torch.arange(3.0)[:, None])
    tensor([0.7000])
    """
    reached = (along >= wanted) & ~strength.isnan()
    first = reached.int().argmax(0).clamp(min=1)
    (low, high), (before, after) = (
        [t.gather(0, index[None])[0] for index in (first - 1, first)] for t in (along, values)
    )
    share = ((wanted - low) / (high - low)).clamp(0, 1).where(high != low, 0.0)
    return torch.where(reached.any(0), before + share * (after - before), float("nan"))


def unmatched_cosine(path: Path, lenient: bool) -> Tensor:
    """Similarity where every editor is asked once, in its own unit."""
    return path.asked_once(path.similarity)


def euclidean_distance(path: Path, lenient: bool) -> Tensor:
    """StyleFlow's table of identity: ‖E(x) − E(x')‖ of unit embeddings, asked once."""
    return (2 - 2 * path.asked_once(path.similarity)).clamp_min(0).sqrt()


def classifier_threshold(path: Path, lenient: bool) -> Tensor:
    """Similarity where a classifier first crosses the model's own threshold."""
    wanted = LENIENT if lenient else EFFECT
    return at_first(path.similarity, path.effect, wanted, path.strength)


def matched_cosine(path: Path, lenient: bool) -> Tensor:
    """Similarity where the judge sees one effect of all editors."""
    return at_first(path.similarity, path.effect, EFFECT, path.strength)


def rescored(path: Path, lenient: bool) -> Tensor:
    """InterFaceGAN's re-scoring: how much the others change for each σ of the edited attribute,
    asked once."""
    return path.asked_once(path.others) / path.asked_once(path.change).clamp_min(0.1)


def attribute_dependency(path: Path, lenient: bool) -> Tensor:
    """StyleSpace's: how much the others change where the edited attribute has changed by a σ."""
    return at_first(path.others, path.change, STEP, path.strength)


def matched_leakage(path: Path, lenient: bool) -> Tensor:
    """Judged leakage where the judge sees one effect of all editors."""
    return at_first(path.others, path.effect, EFFECT, path.strength)


def true_drift(path: Path, lenient: bool) -> Tensor:
    """True identity drift where all editors have one true effect."""
    return at_first(path.drift, path.true_effect, EFFECT, path.strength)


def true_leakage(path: Path, lenient: bool) -> Tensor:
    """True leakage where all editors have one true effect."""
    return at_first(path.true_others, path.true_effect, EFFECT, path.strength)


Scored = Callable[[Path, bool], Tensor]


@dataclass(frozen=True)
class Protocol:
    """A protocol of a paper.

    Args:
        truth: the score that it stands for, ``"drift"`` or ``"leakage"``.
        common: whether only faces count on which every editor succeeds.
    """

    name: str
    score: Scored
    higher_is_better: bool
    truth: str
    common: bool = False


PROTOCOLS = (
    Protocol("unmatched cosine", unmatched_cosine, True, "drift"),
    Protocol("StyleFlow's distance", euclidean_distance, False, "drift"),
    Protocol("classifier threshold by model", classifier_threshold, True, "drift", common=True),
    Protocol("matched effect, cosine", matched_cosine, True, "drift"),
    Protocol("InterFaceGAN's re-scoring", rescored, False, "leakage"),
    Protocol("attribute dependency", attribute_dependency, False, "leakage"),
    Protocol("matched effect, leakage", matched_leakage, False, "leakage"),
)
TRUTHS: dict[str, Scored] = {"drift": true_drift, "leakage": true_leakage}
