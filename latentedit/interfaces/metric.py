"""The metric interface: figures of edits beside those that every run has."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pydantic import BaseModel
from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.interfaces.editor import Options


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
    """

    before: Seen
    after: Seen
    target: Tensor
    schema: AttributeSchema
    sigma: Tensor
    attribute: str
    seed: int


class EditMetric(ABC):
    """A figure of edits that suites name under ``metrics``.

    It is measured at each matched effect. A run keeps its values, and shows their means in tables,
    reports and leaderboards.

    Class attributes:
        Options: the pydantic model of its options.
        unit: its unit; ``"share of images"`` for a figure that is 0 or 1.
        higher_is_better: the direction of improvement.
        formula: text of the report's footnote.
        smallest_difference: the smallest difference of means that matters, in `unit`.
        of: ``"image"``: one number for each image. ``"set"``: one number for all images that
            reached the effect, without an interval.

    Attributes:
        fingerprint: sha256 of weights and configuration. Results with another one are computed
            again.
    """

    Options: ClassVar[type[Options]] = Options
    unit: ClassVar[str]
    higher_is_better: ClassVar[bool]
    formula: ClassVar[str]
    smallest_difference: ClassVar[float]
    of: ClassVar[Literal["image", "set"]] = "image"
    fingerprint: str

    def __init__(self, options: BaseModel | None = None) -> None:
        self.options: Any = self.Options() if options is None else options

    @abstractmethod
    def measure(self, edits: EditsSeen) -> Tensor:
        """(N,) one number an image, or () one number for the set. Pure.

        NaN means that there is no number. Infinity is refused.
        """
