"""``latentedit sample``."""

from __future__ import annotations

from pathlib import Path

import click

from latentedit.cli.console import look_at, progress_bar, say
from latentedit.cli.options import (
    check_overwrite,
    with_bank,
    with_device,
    with_editor,
    with_faces,
    with_force,
    with_picture,
    with_seed,
    with_targets,
)
from latentedit.errors import InputError
from latentedit.registry import Registry


@click.command()
@with_editor
@with_bank
@with_faces("0..3", "Test faces whose attributes the new faces have: 5, or 0..7, or 1,4,9.")
@with_targets("An attribute that is to differ, in natural units; may be repeated.")
@click.option("--count", default=6, show_default=True, type=click.IntRange(1, 64))
@with_seed
@with_device
@with_picture
@with_force
def sample(
    editor_folder: Path,
    bank_folder: Path,
    index: str,
    settings: tuple[str, ...],
    count: int,
    seed: int,
    device: str,
    picture: Path,
    force: bool,
) -> None:
    """Sample new faces with given attributes.

    The picture has one row per chosen face of the bank. It shows that face, then COUNT new faces
    with its attributes, except for those that --set changes.

    \b
    Example:
      latentedit sample --editor E --bank B --index 0..3 --set glasses=1 --count 6 --out faces.png
    """
    import torch

    from latentedit.cli.targets import parse_rows, parse_settings
    from latentedit.data.bank import LatentBank
    from latentedit.data.images import images_to_bytes
    from latentedit.editing.fitted import load_editor
    from latentedit.report.grid import save_grid

    check_overwrite(picture, force)
    bank = LatentBank.open(bank_folder)
    fitted = load_editor(Registry.discover(), editor_folder, device=device)
    fitted.check_bank(bank)
    test, generator = bank.split("test"), fitted.runtime.generator
    if generator is None:
        raise InputError(
            f"{editor_folder} was saved without its generator, which draws the picture; "
            "fit the editor again"
        )
    rows = parse_rows(index, len(test), "--index")
    codes, values = test.rows(torch.tensor(rows))
    for setting in parse_settings(settings, bank.schema):
        values = setting.target(bank.schema, values, 1.0)
    with progress_bar("sample") as progress, torch.no_grad():
        drawn = fitted.sample(values.repeat_interleave(count, 0), seed)
        progress(0.5, "draw")
        faces = list(images_to_bytes(generator.synthesize(drawn, fitted.space)).cpu())
        given = list(images_to_bytes(generator.synthesize(codes, test.space)).cpu())
        progress(1.0, "images")
    titles = ["face of the bank", *(f"sample {i}" for i in range(count))]
    save_grid(
        picture,
        [[given[i], *faces[i * count : (i + 1) * count]] for i in range(len(rows))],
        titles,
        [f"like face {row}" for row in rows],
    )
    say(f"{picture}: {len(faces)} new faces", next_step=look_at(picture))
