"""The metric interface: figures of edits, those of every run and those that suites add."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from pydantic import BaseModel
from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.interfaces.editor import Options

At = Literal["effect", "request", "sequence"]
"""When a metric is measured: at each matched effect; at strength 1, as a suite asks; or after a
sequence of edits."""
Axis = Literal["recogniser", "edits"]
"""What a number of an image may belong to besides: an identity encoder, or a number of edits."""

SEEN = frozenset({"images", "codes", "attributes", "embeddings"})
"""What a metric may need of `Seen`. Only for metrics that need images are they made again."""
RECORDED: Mapping[At, Mapping[str, str]] = MappingProxyType(
    {
        "effect": {
            "strength": "N",
            "change": "N",
            "similarity": "EN",
            "photo_similarity": "EN",
            "threshold": "E",
            "truth": "NA",
            "truth_before": "NA",
            "drift": "N",
            "kernel": "N",
            "likelihood": "N",
            "mahalanobis": "N",
            "counterfactual_pixels": "N",
            "counterfactual_inside": "N",
            "counterfactual_outside": "N",
            "counterfactual_structure": "N",
            "counterfactual_similarity": "EN",
            "may_change": "NHW",
        },
        "request": {
            "source": "N",
            "change": "N",
            "round_trip": "N",
            "round_trip_pixels": "N",
            "round_trip_identity": "EN",
            "strengths": "S",
            "effect": "SN",
            "similarity": "SEN",
        },
        "sequence": {"consistency": "N", "drift": "ON", "drift_identity": "OEN"},
    }
)
"""What a run knows of its edits besides, by when and by name, with its axes: images N, identity
encoders E, attributes A, pixels H and W, strengths S, numbers of edits O.

A strength is NaN where the effect is not reached. A change is that of strength 1, in natural units,
from the value `source`. A similarity is a cosine to the unedited image, the photograph or the
counterfactual. ``may_change`` is True for pixels in which the counterfactual differs from the
unedited image; it is made for metrics that need it. What a run does not know, such as the truth, is
not there.
"""


@dataclass(frozen=True)
class Seen:
    """What is known of N images.

    Args:
        images: (N, 3, H, W) in [-1, 1].
        codes: (N, \\*shape) in the space of the edited codes.
        attributes: (N, A) by the judge, natural units.
        embeddings: (N, E) by identity encoder; empty where a suite names none.
    """

    images: Tensor
    codes: Tensor
    attributes: Tensor
    embeddings: Mapping[str, Tensor]


@dataclass(frozen=True)
class EditsSeen:
    """N images before and after an edit, the same one at the same place.

    Args:
        target: (N, A) attributes that were asked for, natural units.
        schema: the columns of attributes.
        sigma: (A,) standard deviation of each column over the fit split.
        attribute: the attribute that was edited.
        seed: of the fit, for a metric that draws numbers.
        effect: the matched share of the change; 0 where effects are not matched.
        at: when these edits are measured.
        recorded: what the run recorded of them; see `RECORDED`.
        axes: the names along each axis: of the identity encoders, and numbers of edits.
    """

    before: Seen
    after: Seen
    target: Tensor
    schema: AttributeSchema
    sigma: Tensor
    attribute: str
    seed: int
    effect: float = 0.0
    at: At = "effect"
    recorded: Mapping[str, Tensor] = field(default_factory=dict)
    axes: Mapping[Axis, tuple[Any, ...]] = field(default_factory=dict)

    @property
    def column(self) -> int:
        """The first column of the attribute that was edited."""
        first: int = self.schema.columns(self.attribute).start
        return first

    def take(self, rows: Tensor) -> EditsSeen:
        """The edits of the images `rows` (M,)."""
        axes = RECORDED[self.at]
        return replace(
            self,
            before=_take(self.before, rows),
            after=_take(self.after, rows),
            target=self.target[rows],
            recorded={
                name: array.index_select(axes[name].index("N"), rows)
                if "N" in axes[name]
                else array
                for name, array in self.recorded.items()
            },
        )

    def only(self, needs: frozenset[str]) -> EditsSeen:
        """The same with nothing else than a metric with these `needs` is shown."""
        return replace(
            self,
            before=_only(self.before, needs),
            after=_only(self.after, needs),
            recorded={name: self.recorded[name] for name in needs & self.recorded.keys()},
        )


def _take(seen: Seen, rows: Tensor) -> Seen:
    embedded = {name: values[rows] for name, values in seen.embeddings.items()}
    return Seen(seen.images[rows], seen.codes[rows], seen.attributes[rows], embedded)


def _only(seen: Seen, needs: frozenset[str]) -> Seen:
    return Seen(
        seen.images if "images" in needs else seen.images[..., :0],
        seen.codes if "codes" in needs else seen.codes[..., :0],
        seen.attributes if "attributes" in needs else seen.attributes[..., :0],
        seen.embeddings if "embeddings" in needs else {},
    )


class EditMetric(ABC):
    """A figure of edits: one of every run, or one that suites name under ``metrics``.

    A run keeps its values, and shows their means in tables, reports and leaderboards. Those that
    suites name are measured at each matched effect.

    Class attributes:
        Options: the pydantic model of its options.
        unit: its unit; ``"share of images"`` for a figure that is 0 or 1.
        higher_is_better: the direction of improvement; None for a figure that only describes.
        formula: text of the report's footnote.
        smallest_difference: the smallest difference of means that matters, in `unit`; None for a
            figure that only describes.
        of: ``"image"``: one number for each image. ``"set"``: one number for all images that
            reached the effect, without an interval.
        needs: what `measure` reads, of `SEEN` and of `RECORDED`; nothing else is shown to it. It is
            not measured where a run does not record it.
        at: when it is measured.
        by: what a number belongs to besides the image: nothing, or an identity encoder.

    Attributes:
        fingerprint: sha256 of weights and configuration. Results with another one are computed
            again.
    """

    Options: ClassVar[type[Options]] = Options
    unit: ClassVar[str]
    higher_is_better: ClassVar[bool | None]
    formula: ClassVar[str]
    smallest_difference: ClassVar[float | None]
    of: ClassVar[Literal["image", "set"]] = "image"
    needs: ClassVar[frozenset[str]] = SEEN
    at: ClassVar[At] = "effect"
    by: ClassVar[tuple[Axis, ...]] = ()
    fingerprint: str

    def __init__(self, options: BaseModel | None = None) -> None:
        self.options: Any = self.Options() if options is None else options

    @abstractmethod
    def measure(self, edits: EditsSeen) -> Tensor:
        """(N,) one number an image, or () one number for the set. Pure.

        With an axis more for each of `by`, in the order of `axes`, such as (E, N) for one number an
        identity encoder and image. NaN means that there is no number. Infinity is refused.
        """
