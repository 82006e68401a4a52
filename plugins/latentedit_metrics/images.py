"""Metrics of images before and after an edit."""

from __future__ import annotations

from importlib.metadata import version
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import (
    EditMetric,
    EditsSeen,
    EnvironmentFault,
    InputError,
    Options,
    Registry,
    fingerprint,
)


class PerceptualOptions(Options):
    """Options of `perceptual-distance`.

    Args:
        features: the perceptual loss whose features are compared, by its plugin's name.
    """

    features: str = "pyramid"


class PerceptualDistance(EditMetric):
    """Distance of two images in the features of a network.

        d(x, x') = ‖φ(x)/‖φ(x)‖ − φ(x')/‖φ(x')‖‖²

    This is the unweighted form of Zhang et al., "The Unreasonable Effectiveness of Deep Features as
    a Perceptual Metric", CVPR 2018 (LPIPS), with φ an installed perceptual loss. The weights that
    they learned from people's answers are not part of this package.
    """

    Options: ClassVar[type[PerceptualOptions]] = PerceptualOptions
    unit: ClassVar[str] = "squared distance"
    higher_is_better: ClassVar[bool] = False
    formula: ClassVar[str] = "squared distance of the features of x and x', each of unit norm"
    smallest_difference: ClassVar[float] = 0.01
    needs: ClassVar[frozenset[str]] = frozenset({"images"})

    def __init__(self, options: PerceptualOptions | None = None) -> None:
        super().__init__(options)
        name = self.options.features
        self._network = Registry.discover().build("perceptual", name)
        self.fingerprint = fingerprint(
            {"metric": "perceptual-distance-1", "features": self._network.fingerprint}
        )

    def measure(self, edits: EditsSeen) -> Tensor:
        before, after = (
            torch.nn.functional.normalize(self._network.features(side.images).flatten(1), dim=1)
            for side in (edits.before, edits.after)
        )
        distance: Tensor = (after - before).square().sum(1)
        return distance


class SsimOptions(Options):
    """Options of `ssim`.

    Args:
        sigma: standard deviation of the Gaussian window, in pixels. The window is 7 of them wide.
    """

    sigma: float = Field(default=1.5, gt=0, le=10)


class Ssim(EditMetric):
    """Mean structural similarity with a Gaussian window.

    Wang et al., "Image quality assessment: from error visibility to structural similarity", IEEE
    TIP 2004, by torchmetrics. It needs the extra ``[metrics]``.
    """

    Options: ClassVar[type[SsimOptions]] = SsimOptions
    unit: ClassVar[str] = "SSIM"
    higher_is_better: ClassVar[bool] = True
    formula: ClassVar[str] = (
        "mean SSIM of x and x', Wang et al. 2004, Gaussian window, mirrored edges"
    )
    smallest_difference: ClassVar[float] = 0.01
    needs: ClassVar[frozenset[str]] = frozenset({"images"})

    def __init__(self, options: SsimOptions | None = None) -> None:
        super().__init__(options)
        try:
            from torchmetrics.functional.image import (  # noqa: PLC0415
                structural_similarity_index_measure,
            )
        except ImportError:
            raise EnvironmentFault(
                "ssim needs torchmetrics; install it with: pip install 'latentedit[metrics]'"
            ) from None
        self._measure = structural_similarity_index_measure
        self.fingerprint = fingerprint(
            {"ssim": version("torchmetrics"), "sigma": self.options.sigma}
        )

    def measure(self, edits: EditsSeen) -> Tensor:
        images, edited = edits.before.images, edits.after.images
        window = 2 * int(3.5 * self.options.sigma + 0.5) + 1
        if min(images.shape[2:]) < window:
            raise InputError(
                f"ssim with sigma {self.options.sigma:g} has a window of {window} pixels, and the "
                f"images have {images.shape[2]} × {images.shape[3]}; choose a smaller sigma"
            )
        # "none" gives one number an image, but () for a single one
        found = self._measure(
            edited, images, sigma=self.options.sigma, data_range=2.0, reduction="none"
        )
        return torch.as_tensor(found).reshape(len(images))
