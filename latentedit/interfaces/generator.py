"""The generator interface: codes in, images out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar

from latentedit.data.attributes import AttributeSchema
from latentedit.errors import InputError, Unsupported

if TYPE_CHECKING:
    from torch import Tensor

Space = str
"""``"z"``, ``"w"``, ``"w+"``, ``"s"``, or another space of the generator."""


@dataclass(frozen=True)
class Truth:
    """Exact facts about codes, from a generator whose images have known attributes.

    Args:
        attributes: (N, A) exact attribute values in natural units, columns as in `schema`.
        identity: (N, F) exact identity factors, in standard-normal scores.
        schema: the columns of `attributes`.
    """

    attributes: Tensor
    identity: Tensor
    schema: AttributeSchema


@dataclass(frozen=True)
class Tunable:
    """The tensors of a generator that may be tuned to given pictures.

    Args:
        weights: tensors of its synthesis network, by name.
        noise: its fixed noise maps (H, W) of unit variance, by name; empty if it adds no noise.
    """

    weights: Mapping[str, Tensor]
    noise: Mapping[str, Tensor]


@dataclass(frozen=True)
class Companions:
    """Default plugins for the images of a generator, by name.

    Args:
        labeller: the estimator that labels banks.
        judge: another estimator, which judges edits.
        identity: identity encoders.
    """

    labeller: str
    judge: str
    identity: tuple[str, ...]


@dataclass(frozen=True)
class Subject:
    """What the images of a generator show, for messages and reports.

    Args:
        one, many: a noun such as ``"car"``, and its plural.
    """

    one: str
    many: str

    def __post_init__(self) -> None:
        for noun in (self.one, self.many):
            if not noun.isprintable() or not noun.strip():
                raise InputError(f"a subject has a noun and its plural, received {noun!r}")

    def counted(self, n: int) -> str:
        """The number with its noun.

        >>> Subject("car", "cars").counted(1), Subject("car", "cars").counted(1200)
        ('1 car', '1,200 cars')
        """
        return f"{n:,} {self.one if n == 1 else self.many}"


IMAGES = Subject("image", "images")


class Generator(ABC):
    """Maps codes to images, always with fixed noise.

    Attributes:
        spaces: shape of one code in each space, for instance
            ``{"z": (512,), "w": (512,), "w+": (10, 512)}``.
        resolution: height of an image, in pixels; also its width, unless `image_size` differs.
        fingerprint: sha256 of weights and configuration; equal fingerprints make equal images.

    Class attributes:
        has_styles: it has a space S, ``"s"``: the concatenated styles of all layers, (N, ΣD).
            `convert` maps W+ to S, `synthesize` renders S, and `style_rows` assigns its channels to
            rows of W+.
        home_space: the space in which banks are sampled if no other is asked for. If empty, it is
            ``"w"`` where there is one, and otherwise the first of `spaces`.
        row_spaces: for each space whose codes are rows, (L, \\*shape), the space of one row. An
            editor of that space edits the rows one by one. A space that is not named here is never
            taken apart, whatever its shape.
        has_counterfactuals: it knows its world well enough to change one attribute of an image and
            nothing else; see `counterfactual`.
        companions: default plugins of commands that use this generator.
        subject: what its images show, in messages and reports.
    """

    has_styles: ClassVar[bool] = False
    home_space: ClassVar[Space] = ""
    row_spaces: ClassVar[Mapping[Space, Space]] = MappingProxyType({"w+": "w"})
    has_counterfactuals: ClassVar[bool] = False
    companions: ClassVar[Companions | None] = None
    subject: ClassVar[Subject] = IMAGES
    spaces: Mapping[Space, tuple[int, ...]]
    resolution: int
    fingerprint: str

    @abstractmethod
    def sample(self, n: int, seed: int, space: Space = "w", truncation_psi: float = 1.0) -> Tensor:
        """(n, \\*shape) codes from the generator's prior; equal seeds give equal codes."""

    @abstractmethod
    def convert(self, codes: Tensor, source: Space, target: Space) -> Tensor:
        """Codes of `source` as codes of `target` (z → w → w+ → s).

        Raises:
            Unsupported: there is no such map, for instance w → z.
        """

    @abstractmethod
    def synthesize(self, codes: Tensor, space: Space = "w") -> Tensor:
        """(N, \\*shape) codes → (N, 3, H, W) images in [-1, 1]. Pure."""

    @property
    def home(self) -> Space:
        """The space in which banks are sampled if no other is asked for; see `home_space`."""
        return self.home_space or ("w" if "w" in self.spaces else next(iter(self.spaces)))

    @property
    def image_size(self) -> tuple[int, int]:
        """Height and width of an image, in pixels; override it where images are not square."""
        return self.resolution, self.resolution

    @property
    def row_space(self) -> Space:
        """The space of codes that are rows, such as ``"w+"``; raises `Unsupported`."""
        for space in self.row_spaces:
            if space in self.spaces:
                return space
        raise Unsupported(
            f"{type(self).__name__} has no W+ space; it has {list(self.spaces)}. A generator names "
            "the space whose codes are rows in row_spaces"
        )

    @property
    def num_ws(self) -> int:
        """L, the number of rows of a W+ code."""
        return self.spaces[self.row_space][0]

    def holds_rows(self, codes: Tensor) -> bool:
        """Whether codes (N, \\*shape) have the shape of the space whose codes are rows."""
        return any(
            tuple(codes.shape[1:]) == self.spaces[space]
            for space in self.row_spaces
            if space in self.spaces
        )

    def style_weights(self) -> list[Tensor]:
        """Affine weights (D_l, w_dim) from row l of W+ to its styles, for closed-form editors."""
        raise Unsupported(f"{type(self).__name__} has no style weights")

    def tunable(self) -> Tunable:
        """The tensors that `synthesize_with` and `tuned` can replace."""
        raise Unsupported(f"{type(self).__name__} has no weights that can be tuned")

    def synthesize_with(
        self, tensors: Mapping[str, Tensor], codes: Tensor, space: Space = "w"
    ) -> Tensor:
        """Images (N, 3, H, W) with some tensors replaced, as from `synthesize` but not clipped.

        Clipping to [-1, 1] would make gradients vanish in saturated pixels.
        """
        raise Unsupported(f"{type(self).__name__} has no weights that can be tuned")

    def tuned(self, tensors: Mapping[str, Tensor]) -> Generator:
        """This generator with some tensors replaced, and a new fingerprint."""
        raise Unsupported(f"{type(self).__name__} has no weights that can be tuned")

    def style_rows(self) -> Tensor:
        """(ΣD,) the row of W+ from which each channel of an S code is computed."""
        raise Unsupported(f"{type(self).__name__} has no styles")

    def truth(self, codes: Tensor, space: Space = "w") -> Truth:
        """Exact attributes and identity of the images of `codes`."""
        raise Unsupported(f"{type(self).__name__} does not know the truth about its images")

    def counterfactual(self, codes: Tensor, attributes: Tensor, space: Space = "w") -> Tensor:
        """Codes of the same images with exactly these attributes, everything else as it was.

        Args:
            codes: (N, \\*shape) of `space`.
            attributes: (N, A) in natural units, columns as in ``truth(codes).schema``. Columns that
                equal the image's own stay. A value that no image of this world has becomes the
                nearest one that some image has.

        Returns:
            (N, \\*shape) codes of `space`, moved as little as possible; those of images of which
            nothing is asked are unchanged.

        Raises:
            Unsupported: the generator has no counterfactuals, or none in `space`.
        """
        raise Unsupported(
            f"{type(self).__name__} cannot change one attribute of an image and nothing else"
        )

    def describe(self) -> dict[str, Any]:
        """Facts for reports and model cards, as plain data."""
        return {
            "resolution": self.resolution,
            "spaces": {k: list(v) for k, v in self.spaces.items()},
        }
