"""Structural similarity as a metric that a suite can add."""

from __future__ import annotations

from typing import ClassVar

from torch import Tensor

from latentedit.files.artefacts import fingerprint
from latentedit.interfaces.metric import EditMetric, EditsSeen
from latentedit.measures.structure import structural_similarity


class StructuralSimilarity(EditMetric):
    """How much of an image's structure an edit keeps; see `structural_similarity`."""

    unit: ClassVar[str] = "share"
    higher_is_better: ClassVar[bool] = True
    formula: ClassVar[str] = "mean structural similarity of x and x', windows of 7 × 7 pixels"
    smallest_difference: ClassVar[float] = 0.01
    needs: ClassVar[frozenset[str]] = frozenset({"images"})
    fingerprint = fingerprint({"metric": "structural-similarity-2"})

    def measure(self, edits: EditsSeen) -> Tensor:
        return structural_similarity(edits.before.images, edits.after.images)
