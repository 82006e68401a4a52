"""Pictures of a session: the image, its edit by each editor, and its counterfactual."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from latentedit.data.images import bytes_to_images, images_to_bytes
from latentedit.studio.session.readings import Reading


@dataclass(frozen=True)
class Picture:
    """One picture.

    Args:
        title: of its column.
        image: (3, H, W) uint8.
        codes: (1, \\*shape) in `space`.
        reading: what judge and recognisers see.
        refused: why the editor did not make the last edit; empty if it did.
        strength: share of the last request that was asked for.
        edit_ms, image_ms: milliseconds of the last edit, and of drawing the image.
    """

    title: str
    image: Tensor
    codes: Tensor
    space: str
    reading: Reading
    refused: str = ""
    strength: float = 1.0
    edit_ms: float = 0.0
    image_ms: float = 0.0


@dataclass(frozen=True)
class View:
    """Everything that a session shows at a time.

    Args:
        original: the unedited image.
        edited: one picture a column.
        counterfactual: the same image with only the requested change; None where nobody knows it.
        judge_ms: milliseconds of all readings together.
    """

    original: Picture
    edited: tuple[Picture, ...]
    counterfactual: Picture | None
    judge_ms: float

    @property
    def pictures(self) -> tuple[Picture, ...]:
        """All of them, the unedited image first."""
        last = () if self.counterfactual is None else (self.counterfactual,)
        return (self.original, *self.edited, *last)

    def __getitem__(self, title: str) -> Picture:
        """The picture of a column."""
        return next(picture for picture in self.pictures if picture.title == title)


def difference(before: Tensor, after: Tensor) -> Tensor:
    """The difference of two images (3, H, W) uint8 around grey: 128 + (after − before), clipped."""
    return images_to_bytes(bytes_to_images(after) - bytes_to_images(before))
