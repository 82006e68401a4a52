"""``latentedit edit``."""

from __future__ import annotations

import re
from pathlib import Path

import click
import torch
from torch import Tensor

from latentedit.attributes import AttributeSchema
from latentedit.bank import LatentBank
from latentedit.cli.console import progress_bar, say
from latentedit.cli.fit import parse_pairs
from latentedit.editing import load_editor
from latentedit.errors import InputError
from latentedit.registry import Registry


@click.command()
@click.option(
    "--editor",
    "editor_folder",
    required=True,
    type=click.Path(path_type=Path),
    help="Folder written by latentedit fit.",
)
@click.option("--bank", "bank_folder", required=True, type=click.Path(path_type=Path))
@click.option(
    "--index", default="0..7", show_default=True, help="Test faces: 5, or 0..7, or 1,4,9."
)
@click.option(
    "--set",
    "settings",
    multiple=True,
    required=True,
    metavar="ATTRIBUTE=VALUE",
    help="A target in natural units; may be repeated. A vector takes a list.",
)
@click.option("--layers", default=None, help="W+ rows that take the edit: 0..3 or 4,5.")
@click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
@click.option(
    "--out", "picture", required=True, type=click.Path(path_type=Path), help="A PNG file."
)
def edit(
    editor_folder: Path,
    bank_folder: Path,
    index: str,
    settings: tuple[str, ...],
    layers: str | None,
    device: str,
    picture: Path,
) -> None:
    """Edit faces of a bank; draw them before and after.

    Settings are made one after the other, and the picture has a column for each: the last target
    is the next source, as in sequential editing.

    \b
    Example:
      latentedit edit --editor E --bank B --index 0..7 --set age=65 --set glasses=1 --out grid.png
    """
    from latentedit.report.grid import save_grid

    if picture.suffix.lower() != ".png":
        raise InputError(f"--out is a .png file, received {picture}")
    bank = LatentBank.open(bank_folder)
    fitted = load_editor(Registry.discover(), editor_folder, device=device)
    fitted.check_bank(bank)
    test = bank.split("test")
    rows = parse_rows(index, len(test), "--index")
    codes, values = test.rows(torch.tensor(rows))
    targets = parse_settings(settings, bank.schema)
    generator = fitted.runtime.generator
    if generator is None:
        raise InputError(f"{editor_folder} was saved without its generator")
    subset = None if layers is None else tuple(parse_rows(layers, generator.num_ws, "--layers"))
    if fitted.space != test.space:
        codes = generator.convert(codes, test.space, fitted.space)
    space = fitted.space
    with progress_bar("edit") as progress, torch.no_grad():
        columns, nfe = [generator.synthesize(codes, space)], 0
        for done, (name, value) in enumerate(targets.items(), 1):
            target = bank.schema.changed(values, **{name: value})
            edited = fitted.edit(codes, values, target, layers=subset)
            codes, values, nfe = edited.codes, target, nfe + edited.nfe
            space = "w+" if codes.ndim == 3 else space
            columns.append(generator.synthesize(codes, space))
            progress(done / len(targets), name)
    titles = ["before", *(f"{name} = {_short(value)}" for name, value in targets.items())]
    images = [_bytes(column) for column in columns]
    save_grid(
        picture,
        [[image[i] for image in images] for i in range(len(rows))],
        titles,
        [f"face {row}" for row in rows],
    )
    say(
        f"{picture}: {len(rows)} faces, {len(targets)} edits, {nfe} function evaluations",
        next_step=f"open {picture}",
    )


def parse_rows(text: str, count: int, option: str) -> list[int]:
    """``"0..2,7"`` → ``[0, 1, 2, 7]``, refused unless all lie in ``[0, count)``.

    >>> parse_rows("0..2,7", 10, "--index")
    [0, 1, 2, 7]
    """
    rows: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*(\d+)(?:\.\.(\d+))?\s*", part)
        if match is None:
            raise InputError(
                f"{option} is a number, a range like 0..7 or a list like 1,4, received {text!r}"
            )
        first = int(match[1])
        last = int(match[2]) if match[2] else first
        if not first <= last < count:
            raise InputError(f"{option} goes from 0 to {count - 1}, received {part.strip()!r}")
        rows.extend(range(first, last + 1))
    return rows


def parse_settings(settings: tuple[str, ...], schema: AttributeSchema) -> dict[str, float | Tensor]:
    """Targets by attribute, refused where the schema has no such attribute or no such value."""
    targets: dict[str, float | Tensor] = {}
    for name, value in parse_pairs(settings).items():
        attribute = schema[name]
        try:
            numbers = torch.tensor(value, dtype=torch.float32).reshape(-1)
        except (TypeError, ValueError, RuntimeError):
            raise InputError(f"{name} takes a number, received {value!r}") from None
        if len(numbers) not in (1, attribute.size):
            raise InputError(f"{name} takes {attribute.size} numbers, received {len(numbers)}")
        attribute.check(numbers)
        targets[name] = float(numbers[0]) if len(numbers) == 1 else numbers
    return targets


def _short(value: float | Tensor) -> str:
    return f"{value:g}" if isinstance(value, float) else "…"


def _bytes(images: Tensor) -> list[Tensor]:
    return list(((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8).cpu())
