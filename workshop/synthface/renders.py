"""Renders with known factors, for training and measuring the networks.

A set is a folder of safetensors shards, each with `images` (n, 3, 64, 64) uint8, `factors` (n, 41)
in natural units, `identity` (n, 14) in scores, and `person` (n,). Four images in a row show one
person: equal identity scores, everything else drawn anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from latentedit import images_to_bytes, read_tensors, write_tensors
from latentedit_synthface.factors import IDENTITY, NAMES, factors_from_scores
from latentedit_synthface.networks import RESOLUTION
from latentedit_synthface.renderer import render
from latentedit_synthface.schema import SCHEMA

VIEWS = 4
SHARD = 4_000

_ODD = ("yaw", "light_3", "light_4", "light_7")
"""Attributes that change sign in a mirror: yaw, and the coefficients of x, xy and xz."""
_RARE = {"glasses": 0.3, "baldness": 0.2, "beard": 0.25, "yaw": 0.15, "pitch": 0.15}
"""Share of broadened renders in which an attribute is drawn over its whole range."""
_ELSEWHERE = 0.1
"""The same share for the other attributes."""


@dataclass(frozen=True)
class Renders:
    """Images (N, 3, 64, 64) uint8, factors (N, 41), identity (N, 14), person (N,)."""

    images: Tensor
    factors: Tensor
    identity: Tensor
    person: Tensor

    def __len__(self) -> int:
        return len(self.images)

    @property
    def attributes(self) -> Tensor:
        """(N, 17) natural units."""
        return self.factors[:, : SCHEMA.width]

    def rows(self, index: Tensor) -> Renders:
        return Renders(*(column[index] for column in self._columns()))

    def mirrored(self, which: Tensor) -> Renders:
        """Left and right exchanged, in images and attributes, in the rows `which` (N,).

        Gaze and parting have a side too, which is left as it was: no network learns them.
        """
        signs = torch.ones(len(NAMES))
        signs[[NAMES.index(name) for name in _ODD]] = -1
        images = torch.where(which[:, None, None, None], self.images.flip(3), self.images)
        factors = torch.where(which[:, None], self.factors * signs, self.factors)
        return Renders(images, factors, self.identity, self.person)

    def _columns(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self.images, self.factors, self.identity, self.person


def rendered_set(
    folder: Path,
    n: int,
    seed: int,
    broadened: bool,
    report: Callable[[str], None] = lambda message: None,
) -> Renders:
    """Read the set in `folder`, first rendering the shards that are not there yet.

    Args:
        n: images, rounded up to whole persons.
        seed: of the whole set; each shard has its own stream.
        broadened: draw half of the images wider than people are, as edits need; otherwise all
            come from the natural joint distribution.
    """
    shards = []
    for start in range(0, n, SHARD):
        path = folder / f"{seed}-{'broad' if broadened else 'natural'}-{start:07d}.safetensors"
        if not path.exists():
            rows = -(-min(SHARD, n - start) // VIEWS) * VIEWS
            write_tensors(path, _shard(rows, start, seed, broadened))
            report(f"rendered {start + rows} of {n} images into {folder}")
        shards.append(read_tensors(path))
    joined = {key: torch.cat([shard[key] for shard in shards]) for key in shards[0]}
    return Renders(**{key: column[:n] for key, column in joined.items()})


@torch.no_grad()
def _shard(rows: int, start: int, seed: int, broadened: bool) -> dict[str, Tensor]:
    rng = torch.Generator().manual_seed(seed * 1_000_003 + start)
    scores = torch.randn(rows, len(NAMES), generator=rng)
    identity = torch.randn(rows // VIEWS, scores[:, IDENTITY].shape[1], generator=rng)
    scores[:, IDENTITY] = identity.repeat_interleave(VIEWS, dim=0)
    factors = factors_from_scores(scores)
    if broadened:
        wide = torch.rand(rows, generator=rng) < 0.5
        factors[wide] = _broadened(factors, rng)[wide]
    images = images_to_bytes(render(factors, RESOLUTION))
    person = (start + torch.arange(rows)) // VIEWS
    return {
        "images": images,
        "factors": factors,
        "identity": scores[:, IDENTITY],
        "person": person,
    }


def _broadened(factors: Tensor, rng: torch.Generator) -> Tensor:
    """Attributes drawn independently of each other, rare values more often, stronger light."""
    factors = factors.clone()
    for name in SCHEMA.names:
        columns = SCHEMA.columns(name)
        factors[:, columns] = factors[torch.randperm(len(factors), generator=rng)][:, columns]
    for attribute in SCHEMA:
        if attribute.size == 1:
            share = _RARE.get(attribute.name, _ELSEWHERE)
            chosen = torch.rand(len(factors), generator=rng) < share
            value = torch.rand(len(factors), generator=rng)
            value = attribute.low + (attribute.high - attribute.low) * value
            column = SCHEMA.columns(attribute.name).start
            factors[:, column] = torch.where(chosen, value, factors[:, column])
    light = SCHEMA.columns("lighting")
    mean = factors[:, light].mean(0)
    strength = 1 + 0.5 * torch.rand(len(factors), 1, generator=rng)
    factors[:, light] = mean + strength * (factors[:, light] - mean)
    return factors
