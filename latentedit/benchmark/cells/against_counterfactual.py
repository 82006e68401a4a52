"""Edited images against the same images with nothing else changed."""

from __future__ import annotations

from functools import cached_property

import torch
from torch import Tensor

from latentedit.benchmark.cells.bench import BATCH, Bench
from latentedit.data.images import images_to_bytes
from latentedit.errors import Unsupported
from latentedit.measures.metrics import identity_similarity, pixel_error, pixel_error_inside
from latentedit.measures.structure import structural_similarity


class Counterfactuals:
    """The same images with one attribute changed and nothing else.

    Args:
        attribute: the one that changes.
        originals: (N, \\*shape) unedited codes of `space`.
    """

    def __init__(self, bench: Bench, attribute: str, originals: Tensor, space: str) -> None:
        self.bench, self.space = bench, space
        self._attribute, self._originals = attribute, originals

    def of(self, codes: Tensor, space: str) -> Tensor | None:
        """(N, \\*shape) unedited codes with the true value of the attribute that edited codes of
        `space` have; None where the generator has no counterfactuals of these codes."""
        generator = self.bench.generator
        try:
            before = generator.truth(self._originals, self.space)
            after = generator.truth(codes, space).attributes
            columns = before.schema.columns(self._attribute)
            wanted = before.attributes.clone()
            wanted[:, columns] = after[:, columns]
            return generator.counterfactual(self._originals, wanted, self.space)
        except Unsupported:
            return None

    def in_space(self, codes: Tensor, space: str) -> tuple[Tensor, str] | None:
        """The same, with their own space."""
        found = self.of(codes, space)
        return None if found is None else (found, self.space)

    @cached_property
    def unedited(self) -> Tensor:
        """(N, 3, H, W) the unedited images as bytes, which all effects share."""
        parts, images = self._originals.split(BATCH), self.bench.images
        return torch.cat([images_to_bytes(images(part, self.space)) for part in parts])


class AgainstCounterfactual:
    """Distances of edited images to their counterfactuals, collected batch by batch.

    A counterfactual shows what an edit by as much costs when it costs nothing. The pixels in which
    it differs from the unedited image are those that may change.

    Args:
        codes: (N, \\*shape) edited codes of `space`.
    """

    def __init__(self, counterfactuals: Counterfactuals, codes: Tensor, space: str) -> None:
        self._of, self._codes = counterfactuals, counterfactuals.of(codes, space)
        self._parts: list[dict[str, Tensor]] = []
        self._shown: list[Tensor] = []

    @torch.no_grad()
    def see(self, start: int, images: Tensor, embeddings: Tensor) -> None:
        """Compare edited images (M, 3, H, W) with embeddings (E, M, D).

        Args:
            start: number of the first of these images.
        """
        if self._codes is None:
            return
        rows, bench = slice(start, start + len(images)), self._of.bench
        batch, space = self._codes[rows], self._of.space
        others = bench.images(batch, space)
        shown = images_to_bytes(others)
        may_change = (shown != self._of.unedited[rows]).any(1)
        self._parts.append(
            {
                "pixels": pixel_error(others, images),
                "inside": pixel_error_inside(others, images, may_change),
                "outside": pixel_error_inside(others, images, ~may_change),
                "structure": structural_similarity(others, images),
                "similarity": identity_similarity(bench.embedded(batch, space), embeddings),
            }
        )
        if bench.suite.keep_images:
            self._shown.append(shown)

    @property
    def arrays(self) -> dict[str, Tensor]:
        """``counterfactual_pixels``, ``_inside``, ``_outside`` and ``_structure``, each (N,), and
        ``counterfactual_similarity`` (E, N); nothing where there are no counterfactuals. With the
        images (N, 3, H, W) where the suite keeps them."""
        found = {
            name: torch.cat([part[name] for part in self._parts], -1)
            for name in (self._parts[0] if self._parts else ())
        }
        if self._shown:
            found["pictures"] = torch.cat(self._shown)
        return {f"counterfactual_{name}": array for name, array in found.items()}
