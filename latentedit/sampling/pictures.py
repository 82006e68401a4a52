"""Image files of a bank, for people to look at and label."""

from __future__ import annotations

from pathlib import Path

import torch

from latentedit.data.bank import LatentBank
from latentedit.data.images import pictures
from latentedit.editing.generators import build_renderer
from latentedit.errors import InputError
from latentedit.files.artefacts import new_folder
from latentedit.interfaces.runtime import Progress, silent
from latentedit.registry import Registry
from latentedit.sampling.make import BATCH


@torch.no_grad()
def write_images(
    registry: Registry,
    bank: LatentBank,
    folder: str | Path,
    *,
    split: str = "fit",
    count: int | None = None,
    progress: Progress = silent,
) -> int:
    """Write the first `count` images of a split as ``fit-00000.png``, …; return their number.

    Raises:
        InputError: `count` is below 1, or `folder` exists already.
        FingerprintMismatch: the installed generator is not the one of the bank.
    """
    part, generator = bank.split(split), build_renderer(registry, bank)
    total = len(part) if count is None else min(count, len(part))
    if total < 1:
        raise InputError(f"count is at least 1, received {count}")
    codes = part.codes[:total]
    with new_folder(Path(folder)) as temporary:
        for start in range(0, total, BATCH):
            images = generator.synthesize(codes[start : start + BATCH], part.space)
            for i, picture in enumerate(pictures(images)):
                picture.save(temporary / f"{split}-{start + i:05d}.png")
            progress(min(start + BATCH, total) / total, f"drawing {split} images")
    return total
