"""``latentedit import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentedit.cli.console import err, say
from latentedit.cli.options import PATH, with_new_folder
from latentedit.errors import InputError
from latentedit.registry import Registry

if TYPE_CHECKING:
    from latentedit.interfaces.importers import WeightImporter


@click.command("import")
@click.argument("file", type=PATH)
@click.option(
    "--as",
    "importer",
    metavar="NAME",
    help="Weight importer; required if more than one is installed.",
)
@with_new_folder
def import_(file: Path, importer: str | None, folder: Path) -> None:
    """Convert the weight file FILE to safetensors with a manifest. No code in FILE is executed.

    `latentedit plugins list` shows the installed weight importers and the files that they read.

    \b
    Example:
      latentedit import network.pkl --as NAME --out G
    """
    if not file.is_file():
        raise InputError(f"there is no file {file}")
    registry = Registry.discover()
    importer = importer or registry.only("weight-importer", "--as")
    reader: WeightImporter = registry.build("weight-importer", importer)
    with err.status(f"reading {file}"):
        imported = reader.read(file, folder)
    say(str(imported), next_step=imported.next_step)
