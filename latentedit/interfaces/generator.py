"""The generator interface: codes in, images out."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.errors import Unsupported

Space = str
"""``"z"``, ``"w"``, ``"w+"``, ``"s"``, or a name of the generator's own."""


@dataclass(frozen=True)
class Truth:
    """What a generator with a known world says about its codes.

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
    """What of a generator may be changed to suit given pictures.

    Args:
        weights: tensors of its synthesis network, by name.
        noise: its fixed noise maps (H, W) of unit variance, by name; none where it adds no noise.
    """

    weights: Mapping[str, Tensor]
    noise: Mapping[str, Tensor]


@dataclass(frozen=True)
class Companions:
    """Plugins that read the images of a generator, by name.

    Args:
        labeller: an estimator that labels banks.
        judge: another estimator, that judges edits.
        identity: identity encoders.
    """

    labeller: str
    judge: str
    identity: tuple[str, ...]


class Generator(ABC):
    """Maps codes to images, always with fixed noise.

    Attributes:
        spaces: shape of one code in each space, for instance
            ``{"z": (512,), "w": (512,), "w+": (10, 512)}``.
        resolution: height and width of an image, in pixels.
        fingerprint: sha256 of weights and configuration; equal fingerprints make equal images.

    Class attributes:
        has_styles: there is a space S, ``"s"``: the styles of all layers side by side, (N, ΣD),
            which `convert` reaches from W+, `synthesize` renders, and `style_rows` assigns.
        companions: what commands use with this generator where no other plugins are asked for.
    """

    has_styles: ClassVar[bool] = False
    companions: ClassVar[Companions | None] = None
    spaces: Mapping[Space, tuple[int, ...]]
    resolution: int
    fingerprint: str

    @abstractmethod
    def sample(self, n: int, seed: int, space: Space = "w", truncation_psi: float = 1.0) -> Tensor:
        """(n, \\*shape) codes drawn from the generator's own prior; equal seeds, equal codes."""

    @abstractmethod
    def convert(self, codes: Tensor, source: Space, target: Space) -> Tensor:
        """Codes of `source` as codes of `target` (z → w → w+ → s).

        Raises:
            Unsupported: where no such map exists (w → z, say).
        """

    @abstractmethod
    def synthesize(self, codes: Tensor, space: Space = "w") -> Tensor:
        """(N, \\*shape) codes → (N, 3, H, W) images in [-1, 1]. Pure."""

    @property
    def num_ws(self) -> int:
        """L, the rows of a W+ code."""
        if "w+" not in self.spaces:
            raise Unsupported(f"{type(self).__name__} has no W+ space; it has {list(self.spaces)}")
        return self.spaces["w+"][0]

    def style_weights(self) -> list[Tensor]:
        """The affine weights (D_l, w_dim) that turn row l of W+ into styles, for closed-form
        editors."""
        raise Unsupported(f"{type(self).__name__} has no style weights")

    def tunable(self) -> Tunable:
        """The tensors that `synthesize_with` and `tuned` can replace."""
        raise Unsupported(f"{type(self).__name__} has no weights that can be tuned")

    def synthesize_with(
        self, tensors: Mapping[str, Tensor], codes: Tensor, space: Space = "w"
    ) -> Tensor:
        """Images as by `synthesize`, with some tensors replaced, and not clipped to [-1, 1], so
        that the gradient reaches codes and tensors everywhere."""
        raise Unsupported(f"{type(self).__name__} has no weights that can be tuned")

    def tuned(self, tensors: Mapping[str, Tensor]) -> Generator:
        """This generator with some tensors replaced; it has a fingerprint of its own."""
        raise Unsupported(f"{type(self).__name__} has no weights that can be tuned")

    def style_rows(self) -> Tensor:
        """(ΣD,) the row of W+ that each channel of an S code is made from."""
        raise Unsupported(f"{type(self).__name__} has no styles")

    def truth(self, codes: Tensor, space: Space = "w") -> Truth:
        """Exact attributes and identity of the faces that `codes` stand for."""
        raise Unsupported(f"{type(self).__name__} does not know the truth about its images")

    def describe(self) -> dict[str, Any]:
        """Plain figures for reports and model cards."""
        return {
            "resolution": self.resolution,
            "spaces": {k: list(v) for k, v in self.spaces.items()},
        }
