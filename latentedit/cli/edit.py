"""``latentedit edit``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentedit.cli.choices import drawing_generator, example_setting, layer_subset
from latentedit.cli.completion import attributes
from latentedit.cli.console import err, look_at, print_json, progress_bar, remark, say
from latentedit.cli.options import (
    PATH,
    Finite,
    check_overwrite,
    with_bank,
    with_device,
    with_faces,
    with_force,
    with_json,
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
@click.option(
    "--editor",
    "editor_folders",
    required=True,
    multiple=True,
    type=PATH,
    help="Folder written by latentedit fit. May be repeated with --sweep.",
)
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
    metavar="ATTRIBUTE=ROW",
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
    "--sweep",
    default=None,
    metavar="ATTRIBUTE=LOW..HIGH",
    shell_complete=attributes,
    help="Sweep one attribute, several editors side by side: a .gif, a .png strip or an .mp4.",
)
@click.option("--frames", default=24, show_default=True, type=click.IntRange(2, 200))
@click.option(
    "--match-effect",
    is_flag=True,
    help="Sweep to what the judge sees, not to what each editor takes for it.",
)
@click.option("--judge", default=None, metavar="NAME", help="Who judges a sweep.")
@click.option(
    "--layers",
    default=None,
    help="W+ rows to edit, such as 0..3 or 4,5, or the name of an installed layer preset. All rows "
    "by default.",
)
@with_threads
@with_device
@click.option(
    "--out", "picture", required=True, type=PATH, help="A PNG file; GIF or MP4 of sweeps."
)
@with_force
@with_json
def edit(
    editor_folders: tuple[Path, ...], bank_folder: Path, picture: Path, force: bool, **chosen: Any
) -> None:
    """Edit test images of a bank, and draw them before and after.

    Edits are applied in sequence: each one starts from the result of the edit before it. The
    picture has one column per edit. An image that the editor cannot edit is crossed out, and stays
    as it was for the next edit. The exit code is 1 if none could be edited.

    With --sweep the picture moves: a column an editor, with the attribute as the judge sees it and
    the identity similarity under each image.

    \b
    Examples:
      latentedit edit --editor E --bank B --index 0..7 --set age=65 --set glasses=1 --out grid.png
      latentedit edit --editor E --bank B --set age+=20 --set gender=female --out older.png
      latentedit edit --editor E --bank B --set lighting=left-to-right --amount 0.5 --out light.png
      latentedit edit --editor E --bank B --transfer expression=12 --out transfer.png
      latentedit edit --editor E --editor F --bank B --index 3 --sweep age=20..70 --out sweep.gif
    """
    from latentedit.cli.sweep import draw_sweep

    check_overwrite(picture, force)
    if chosen["sweep"] is not None:
        draw_sweep(editor_folders, bank_folder, picture, chosen)
        return
    if picture.suffix.lower() != ".png":
        raise InputError(f"--out takes the name of a .png file, received {picture}")
    if len(editor_folders) > 1:
        raise InputError("several editors are drawn by --sweep ATTRIBUTE=FIRST..LAST")
    if chosen["match_effect"]:
        raise InputError("--match-effect belongs to --sweep ATTRIBUTE=FIRST..LAST")
    _edit_once(editor_folders[0], bank_folder, picture, chosen)


def _edit_once(editor_folder: Path, bank_folder: Path, picture: Path, chosen: Any) -> None:
    """One editor, one picture."""
    import torch

    from latentedit.cli.targets import parse_rows
    from latentedit.data.bank import LatentBank
    from latentedit.editing.fitted import load_editor
    from latentedit.editing.generators import build_renderer, codes_for
    from latentedit.editing.layers import space_after

    torch.set_num_threads(chosen["threads"])
    bank = LatentBank.open(bank_folder)
    registry = Registry.discover()
    fitted = load_editor(registry, editor_folder, device=chosen["device"], notify=remark)
    fitted.check_bank(bank)
    test = bank.split("test")
    rows = parse_rows(chosen["index"], len(test), "--index")
    codes, values = test.rows(torch.tensor(rows))
    generator = drawing_generator(fitted, editor_folder)
    shown = generator.subject
    wanted = _wanted(chosen["settings"], chosen["transfers"], test, shown.one)
    subset = layer_subset(chosen["layers"], registry, generator)
    codes, space = codes_for(fitted.space, codes, test.space, generator)
    renderer = build_renderer(registry, bank, generator)
    with progress_bar("edit") as progress, torch.no_grad():
        columns, nfe, served = [renderer.synthesize(codes, space)], 0, list[torch.Tensor]()
        for done, setting in enumerate(wanted, 1):
            target = setting.target(bank.schema, values, chosen["amount"])
            edited = fitted.edit(codes, values, target, layers=subset)
            codes, nfe = edited.codes, nfe + edited.nfe
            values = torch.where(edited.served[:, None], target, values)
            served.append(edited.served)
            _say_refused(setting.title, edited, shown.many)
            space = space_after(generator, space, subset)
            columns.append(renderer.synthesize(codes, space))
            progress(done / len(wanted), setting.name)
    titles = [setting.title for setting in wanted]
    _draw(picture, columns, served, ["before", *titles], [f"{shown.one} {row}" for row in rows])
    if chosen["as_json"]:
        print_json(_as_json(picture, rows, titles, served, nfe))
    else:
        edits = "1 edit" if len(wanted) == 1 else f"{len(wanted)} edits"
        what = f"{shown.counted(len(rows))}, {edits}"
        told = f"{picture}: {what}, {nfe} function evaluations"
        say(told, next_step=look_at(picture))
    if not torch.stack(served).any():
        err.print("nothing was edited")
        raise SystemExit(1)


def _as_json(
    picture: Path, rows: list[int], titles: list[str], served: list[Tensor], nfe: int
) -> dict[str, Any]:
    return {
        "picture": str(picture),
        "function_evaluations": nfe,
        "images": [
            {
                "image": row,
                "edits": [
                    {"edit": title, "served": bool(done[i])}
                    for title, done in zip(titles, served, strict=True)
                ],
            }
            for i, row in enumerate(rows)
        ],
    }


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
