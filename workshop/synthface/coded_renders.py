"""Renders for codes of ``synthface-net``, stored as arrays of bytes."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from latentedit import fingerprint
from latentedit_synthface.code_factors import GROUPS, CodeFactors
from latentedit_synthface.factors import AGE, BALDNESS, BEARD, GLASSES, YAW, factors_from_scores
from latentedit_synthface.generator import WORLD
from latentedit_synthface.renderer import render, wave_phases
from latentedit_synthface.style_network import NUM_WS, W_DIM, MappingNetwork
from workshop.synthface.renders import packed

SHARD = 4_000
MIXED_SHARE = 0.15
"""Share of training codes whose coarse, middle and fine rows come from three faces."""
_TURNED, OLD = 20.0, 50.0
"""Degrees and years beyond which a face counts as rare; folds of the skin show from about there."""


@dataclass(frozen=True)
class CodedRenders:
    """Images of codes: row i of W+ shows, in each group of rows, one of the codes of W.

    Args:
        images: (N, 3, 64, 64) uint8.
        phases: (N, 2, 64, 64) float16, as from `wave_phases`.
        codes: (N, 512) codes of W.
        coordinates: (N, 48) what `CodeFactors.bent` makes of each code.
        sources: (N, 3) which code the coarse, middle and fine rows of an image hold.
        factors: (N, 41) natural units.
    """

    images: Tensor
    phases: Tensor
    codes: Tensor
    coordinates: Tensor
    sources: Tensor
    factors: Tensor

    def __len__(self) -> int:
        return len(self.images)

    def bent(self, index: Tensor) -> Tensor:
        """(B,) → (B, 10, 48), the bent rows of these images."""
        return rows_of(self.coordinates, self.sources[index])

    def rare(self) -> Tensor:
        """(N,) bool: glasses, bald, bearded, old or turned."""
        f = self.factors
        attributes = (f[:, [GLASSES, BALDNESS, BEARD]] > 0.5).any(1)
        return attributes | (f[:, AGE] > OLD) | (f[:, YAW].abs() > _TURNED)


def rows_of(codes: Tensor, sources: Tensor) -> Tensor:
    """Codes (M, D) and sources (B, 3) → rows (B, 10, D)."""
    repeats = torch.tensor([len(range(*group.indices(NUM_WS))) for group in GROUPS])
    return codes[sources.repeat_interleave(repeats, dim=1)]


@torch.no_grad()
def coded_renders(
    folder: Path,
    n: int,
    seed: int,
    mapping: MappingNetwork,
    reader: CodeFactors,
    mixed: float = 0.0,
    report: Callable[[str], None] = lambda message: None,
) -> CodedRenders:
    """Read the renders of n sampled codes from `folder`, first making those that are not there.

    Their files are named after what they show: `seed`, n, and a digest of mapping, reader, `mixed`
    and the renderer's world.

    Args:
        seed: of the codes.
        mixed: share of codes whose groups of rows come from three faces; the last of the set.
    """
    rng = torch.Generator().manual_seed(seed)
    z = torch.randn(n, W_DIM, generator=rng)
    codes = torch.cat([mapping(part) for part in z.split(SHARD)])
    sources = torch.arange(n)[:, None].repeat(1, len(GROUPS))
    start = n - round(mixed * n)
    sources[start:, 1:] = torch.randint(n, (n - start, 2), generator=rng)
    scores = [reader(rows_of(codes, shard)) for shard in sources.split(SHARD)]
    factors = factors_from_scores(torch.cat(scores))
    shown = {"world": WORLD, "mixed": mixed}
    digest = fingerprint(shown, {**mapping.state_dict(), **reader.state_dict()})[:8]
    images, phases = [], []
    for i, part in enumerate(factors.split(SHARD)):
        stem = f"{digest}-{seed}-{n}-{i:03d}.npy"
        done = f"of {i * SHARD + len(part)} of {n} codes into {folder}"
        if not (path := folder / f"codes-{stem}").exists():
            _write(path, packed(render(part)).numpy())
            report(f"wrote renders {done}")
        images.append(torch.from_numpy(np.load(path, allow_pickle=False)))
        if not (path := folder / f"waves-{stem}").exists():
            _write(path, wave_phases(part).half().numpy())
            report(f"wrote waves {done}")
        phases.append(torch.from_numpy(np.load(path, allow_pickle=False)))
    coordinates = torch.cat([reader.bent(part[:, None])[:, 0] for part in codes.split(SHARD)])
    joined = torch.cat(images), torch.cat(phases)
    return CodedRenders(*joined, codes, coordinates, sources, factors)


def _write(path: Path, array: np.ndarray) -> None:
    temporary = path.with_suffix(".tmp")
    with temporary.open("wb") as file:
        np.save(file, array)
    os.replace(temporary, path)
