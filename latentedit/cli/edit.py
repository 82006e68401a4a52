"""``latentedit edit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentedit.cli.choices import example_setting
from latentedit.cli.console import err, progress_bar, say
from latentedit.cli.options import (
    Finite,
    check_overwrite,
    with_bank,
    with_device,
    with_editor,
    with_faces,
    with_force,
    with_picture,
    with_targets,
    with_threads,
)
from latentedit.errors import InputError
from latentedit.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from latentedit.cli.targets import AttributeTarget
    from latentedit.data.split import Split
    from latentedit.interfaces.editor import Edited


@click.command()
@with_editor
@with_bank
@with_faces("0..7", "Test images: 5, or 0..7, or 1,4,9.")
@with_targets(
    "A target in natural units, or the name of a value that the bank's schema has. += and -= "
    "change the current value. May be repeated."
)
@click.option(
    "--transfer",
    "transfers",
    multiple=True,
    metavar="ATTRIBUTE=FACE",
    help="Copy the attribute's value from the test image with this index. May be repeated.",
)
@click.option(
    "--amount",
    default=1.0,
    show_default=True,
    type=Finite(0, 1),
    help="Share of the way to each target, from 0 to 1.",
)
@click.option(
    "--layers",
    default=None,
    help="W+ rows to edit, such as 0..3 or 4,5, or the name of an installed layer preset. All rows "
    "by default.",
)
@with_threads
@with_device
@with_picture
@with_force
def edit(
    editor_folder: Path,
    bank_folder: Path,
    index: str,
    settings: tuple[str, ...],
    transfers: tuple[str, ...],
    amount: float,
    layers: str | None,
    threads: int,
    device: str,
    picture: Path,
    force: bool,
) -> None:
    """Edit test images of a bank, and draw them before and after.

    Edits are applied in sequence: each one starts from the result of the edit before it. The
    picture has one column per edit. An image that the editor cannot edit is crossed out, and stays
    as it was for the next edit. The exit code is 1 if none could be edited.

    \b
    Examples:
      latentedit edit --editor E --bank B --index 0..7 --set age=65 --set glasses=1 --out grid.png
      latentedit edit --editor E --bank B --set age+=20 --set gender=female --out older.png
      latentedit edit --editor E --bank B --set lighting=left-to-right --amount 0.5 --out light.png
      latentedit edit --editor E --bank B --transfer expression=12 --out transfer.png
    """
    import torch

    from latentedit.cli.targets import parse_rows
    from latentedit.data.bank import LatentBank
    from latentedit.editing.fitted import load_editor
    from latentedit.editing.generators import build_renderer, codes_for
    from latentedit.editing.layers import space_after

    check_overwrite(picture, force)
    torch.set_num_threads(threads)
    bank = LatentBank.open(bank_folder)
    registry = Registry.discover()
    fitted = load_editor(registry, editor_folder, device=device)
    fitted.check_bank(bank)
    test = bank.split("test")
    rows = parse_rows(index, len(test), "--index")
    codes, values = test.rows(torch.tensor(rows))
    generator = fitted.runtime.generator
    if generator is None:
        raise InputError(
            f"{editor_folder} was saved without its generator, which draws the picture; "
            "fit the editor again"
        )
    shown = generator.subject
    wanted = _wanted(settings, transfers, test, shown.one)
    subset: tuple[int, ...] | str | None = layers
    if layers is not None and layers not in registry.names("layers"):
        subset = tuple(parse_rows(layers, generator.num_ws, "--layers"))
    codes, space = codes_for(fitted.space, codes, test.space, generator)
    renderer = build_renderer(registry, bank, generator)
    with progress_bar("edit") as progress, torch.no_grad():
        columns, nfe, served = [renderer.synthesize(codes, space)], 0, list[torch.Tensor]()
        for done, setting in enumerate(wanted, 1):
            target = setting.target(bank.schema, values, amount)
            edited = fitted.edit(codes, values, target, layers=subset)
            codes, nfe = edited.codes, nfe + edited.nfe
            values = torch.where(edited.served[:, None], target, values)
            served.append(edited.served)
            _say_refused(setting.title, edited, shown.many)
            space = space_after(generator, space, subset)
            columns.append(renderer.synthesize(codes, space))
            progress(done / len(wanted), setting.name)
    titles = ["before", *(setting.title for setting in wanted)]
    _draw(picture, columns, served, titles, [f"{shown.one} {row}" for row in rows])
    say(
        f"{picture}: {shown.counted(len(rows))}, {len(wanted)} edits, {nfe} function evaluations",
        next_step=f"open {picture}",
    )
    if not torch.stack(served).any():
        err.print("nothing was edited")
        raise SystemExit(1)


def _draw(
    picture: Path,
    columns: list[Tensor],
    served: list[Tensor],
    titles: list[str],
    faces: list[str],
) -> None:
    """A grid of `columns` of images, one row an image; one that was not served is crossed out."""
    from latentedit.data.images import images_to_bytes
    from latentedit.report.grid import refused, save_grid

    images = [list(images_to_bytes(column).cpu()) for column in columns]
    for column, ok in zip(images[1:], served, strict=True):
        column[:] = [image if ok[i] else refused(image) for i, image in enumerate(column)]
    rows = [[column[i] for column in images] for i in range(len(faces))]
    save_grid(picture, rows, titles, faces)


def _wanted(
    settings: tuple[str, ...], transfers: tuple[str, ...], test: Split, one: str
) -> list[AttributeTarget]:
    """What is asked for, in its order; at least one change of images that each show `one`."""
    from latentedit.cli.targets import parse_settings, parse_transfers

    schema = test.schema
    wanted = parse_settings(settings, schema)
    wanted += parse_transfers(transfers, schema, test.attributes, one)
    if not wanted:
        raise InputError(
            f"nothing to edit: add --set {example_setting(schema)}, "
            f"or --transfer {schema.names[0]}=12"
        )
    return wanted


def _say_refused(title: str, edited: Edited, things: str) -> None:
    """How many `things` an edit left as they were, and why."""
    n, missed = len(edited.served), int((~edited.served).sum())
    if missed:
        why = f": {edited.reason}" if edited.reason else ""
        told = f"{title}: {missed} of {n} {things} could not be edited{why}"
        err.print(told, soft_wrap=True, markup=False)
