"""What judge and recognisers read on pictures, against what was requested."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.measures.metrics import attribute_change, identity_similarity
from latentedit.studio.session.workbench import Workbench


@dataclass(frozen=True)
class Change:
    """The change of one attribute, in natural units.

    Args:
        requested: by all edits together.
        achieved: as the judge sees it.
    """

    requested: float
    achieved: float


@dataclass(frozen=True)
class Reading:
    """What is read on one picture.

    Args:
        judged: (A,) attributes by the judge, natural units.
        identity: cosine to the unedited image, by recogniser.
        same_person: whether that is above the recogniser's own threshold, by recogniser.
        changes: of each edited attribute that is one number.
        leakage: change of each attribute that was not edited, in standard deviations σ.
    """

    judged: Tensor
    identity: Mapping[str, float]
    same_person: Mapping[str, bool]
    changes: Mapping[str, Change]
    leakage: Mapping[str, float]

    @property
    def mean_leakage(self) -> float:
        """Mean of `leakage`, in σ; 0 if every attribute was edited."""
        return sum(self.leakage.values()) / max(len(self.leakage), 1)


@torch.no_grad()
def read_pictures(
    bench: Workbench, images: Tensor, requested: Tensor, edited: Collection[str]
) -> list[Reading]:
    """Readings of images (N, 3, H, W) in [-1, 1], of which the first is the unedited image.

    Args:
        requested: (N, A) requested changes of all edits together, natural units.
        edited: names of the attributes that some edit set.
    """
    judged = bench.judge.estimate(images)
    embedded = {name: encoder.embed(images) for name, encoder in bench.recognisers.items()}
    similar = {
        name: identity_similarity(rows[:1].expand_as(rows), rows) for name, rows in embedded.items()
    }
    return [
        Reading(
            judged=judged[i],
            identity={name: float(cosines[i]) for name, cosines in similar.items()},
            same_person={
                name: float(cosines[i]) > bench.recognisers[name].same_person_threshold
                for name, cosines in similar.items()
            },
            changes=_changes(bench.bank.schema, requested[i], judged[i] - judged[0], edited),
            leakage=_leakage(bench, judged[:1], judged[i : i + 1], edited),
        )
        for i in range(len(images))
    ]


def _changes(
    schema: AttributeSchema, requested: Tensor, achieved: Tensor, edited: Collection[str]
) -> dict[str, Change]:
    return {
        a.name: Change(float(requested[column]), float(achieved[column]))
        for a in schema
        if a.size == 1 and a.name in edited
        for column in [schema.columns(a.name).start]
    }


def _leakage(
    bench: Workbench, before: Tensor, after: Tensor, edited: Collection[str]
) -> dict[str, float]:
    schema = bench.bank.schema
    moved = attribute_change(before, after, bench.sigma, schema)[0]
    return {name: float(moved[i]) for i, name in enumerate(schema.names) if name not in edited}
