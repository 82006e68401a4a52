"""``latentedit import``."""

from __future__ import annotations

from pathlib import Path

import click

from latentedit.cli.console import err, say
from latentedit.errors import InputError
from latentedit.interfaces.importers import WeightImporter
from latentedit.registry import Registry


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--as",
    "importer",
    metavar="NAME",
    help="Weight importer; required if more than one is installed.",
)
@click.option("--out", "folder", required=True, type=click.Path(path_type=Path), help="New folder.")
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
