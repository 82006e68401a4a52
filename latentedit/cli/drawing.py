"""``latentedit bank draw``."""

from __future__ import annotations

from pathlib import Path

import click

from latentedit.cli.console import progress_bar, say
from latentedit.cli.options import PATH, with_device, with_new_folder
from latentedit.registry import Registry


@click.command()
@click.argument("source", metavar="BANK", type=PATH)
@with_new_folder
@with_device
def draw(source: Path, folder: Path, device: str) -> None:
    """Write a sampled bank with all its images, from its bank.json alone.

    \b
    Example:
      latentedit bank draw B --out WHOLE
    """
    import torch

    from latentedit.data.bank import LatentBank
    from latentedit.sampling.drawing import draw_bank

    torch.set_num_threads(1)
    with progress_bar("bank") as progress:
        made = draw_bank(Registry.discover(), LatentBank.open(source), folder, progress)
    say(
        f"{folder}: {len(made):,} codes\nhash {made.hash}",
        next_step=f"latentedit bank show {folder}",
    )
