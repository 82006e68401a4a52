"""Reconstruction errors: distances between photographs and the images of their codes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit.data.bank import LatentBank
from latentedit.errors import FingerprintMismatch, InputError, Unsupported
from latentedit.interfaces.estimators import IdentityEncoder
from latentedit.interfaces.generator import Generator
from latentedit.interfaces.inverter import WeightedLoss
from latentedit.measures.metrics import (
    identity_drift,
    identity_similarity,
    peak_signal_to_noise,
    pixel_error,
)

_BATCH = 32
_PAIRS, _PAIRS_SEED = 1_000, 8_191
_OF_A_BANK = re.compile(r"(fit|test)-(\d{5,9})\.png")
"""File names of pictures by ``latentedit bank images``."""


@dataclass(frozen=True)
class Reconstruction:
    """Photographs and the images of their codes.

    Args:
        photographs: (N, 3, R, R) in [-1, 1].
        images: (N, 3, R, R) in [-1, 1], of the codes, by the tuned generator if it was tuned.
        codes: (N, \\*shape) of `space`.
        truth: (N, \\*shape) true codes of the home space, if the photographs are images of known
            codes.
    """

    photographs: Tensor
    images: Tensor
    codes: Tensor
    space: str
    truth: Tensor | None = None

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        renderer: Generator,
        codes: Tensor,
        space: str,
        photographs: Tensor,
        truth: Tensor | None = None,
    ) -> Reconstruction:
        """Render `codes` with `renderer`, for comparison with the photographs."""
        parts = [renderer.synthesize(part, space) for part in codes.split(_BATCH)]
        return cls(photographs, torch.cat(parts).clamp(-1, 1), codes, space, truth)

    @torch.no_grad()
    def errors(
        self,
        generator: Generator,
        loss: WeightedLoss,
        recognisers: Mapping[str, IdentityEncoder] | None = None,
    ) -> list[dict[str, float]]:
        """Reconstruction errors of each photograph.

        Returns:
            ``pixel_error`` in levels of 0 to 255, ``psnr`` in decibels, the perceptual
            ``distance``, and ``identity similarity · NAME`` by each recogniser. If true codes are
            known, also ``code_error``, and ``true identity drift`` if the generator knows truths.
        """
        gap = _in_parts(loss.features, self.images) - _in_parts(loss.features, self.photographs)
        columns: dict[str, Tensor] = {
            "pixel_error": pixel_error(self.photographs, self.images),
            "psnr": peak_signal_to_noise(self.photographs, self.images),
            "distance": gap.square().sum(1),
        }
        for name, encoder in (recognisers or {}).items():
            pair = (_in_parts(encoder.embed, x)[None] for x in (self.photographs, self.images))
            columns[f"identity similarity · {name}"] = identity_similarity(*pair)[0]
        if self.truth is not None:
            columns |= self._against(self.truth, generator)
        return [
            dict(zip(columns, row, strict=True))
            for row in torch.stack(list(columns.values()), 1).tolist()
        ]

    def _against(self, truth: Tensor, generator: Generator) -> dict[str, Tensor]:
        found = {"code_error": code_error(self.codes, truth, generator)}
        try:
            ours = generator.truth(self.codes, self.space)
            theirs = generator.truth(truth, generator.home)
        except Unsupported:
            return found
        return found | {"true identity drift": identity_drift(theirs.identity, ours.identity)}


def _in_parts(function: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return torch.cat([function(part) for part in images.split(_BATCH)])


def code_error(codes: Tensor, truth: Tensor, generator: Generator) -> Tensor:
    """(N,) distances of codes from true codes, in units of the RMS distance of two sampled codes.

        ( mean_l ‖w_l − w‖² / E ‖w_a − w_b‖² )^(1/2)

    Args:
        codes: (N, \\*shape) of the generator's home space, such as W, or (N, L, \\*shape) of W+.
        truth: (N, \\*shape) of the home space.
    """
    rows = codes[:, None] if codes.shape == truth.shape else codes
    squared = (rows - truth[:, None]).square().flatten(2).sum(2).mean(1)
    first, second = generator.sample(2 * _PAIRS, _PAIRS_SEED, generator.home).chunk(2)
    usual = (first - second).square().flatten(1).sum(1).mean()
    return (squared / usual).sqrt()


def true_codes(bank: LatentBank, names: Sequence[str], generator: Generator) -> Tensor:
    """(N, \\*shape) codes of the pictures that ``latentedit bank images`` wrote under these names,
    in the generator's home space.

    Raises:
        InputError: a name is not of that form, or names no image of `bank`.
        FingerprintMismatch: `bank` belongs to another generator.
    """
    if bank.generator.fingerprint != generator.fingerprint:
        raise FingerprintMismatch(
            "generator",
            "the inversion",
            generator.fingerprint[:12],
            f"bank {bank.folder}",
            str(bank.generator),
        )
    return torch.stack([_true_code(bank, name, generator.home) for name in names])


def _true_code(bank: LatentBank, name: str, home: str) -> Tensor:
    found = _OF_A_BANK.fullmatch(name)
    if found is None:
        raise InputError(
            f"{name} does not name an image of {bank.folder}; true codes are known only for "
            "pictures that latentedit bank images wrote, such as test-00003.png"
        )
    split, row = bank.split(found[1]), int(found[2])
    if split.space != home or row >= len(split):
        raise InputError(
            f"{name} is not in {bank.folder}: its {found[1]} split has {len(split)} codes of "
            f"{split.space.upper()}, and image {row} in {home.upper()} is needed"
        )
    return split.rows(torch.tensor([row]))[0][0]
