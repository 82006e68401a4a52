"""``latentedit import``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentedit.cli.console import err, say
from latentedit.cli.options import PATH, new_folder_option
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
@new_folder_option(required=False, meaning="New folder; in the cache if the importer allows it.")
def import_(file: Path, importer: str | None, folder: Path | None) -> None:
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
    if terms := reader.terms(file):
        click.echo(terms, err=True)
    home = _home(importer, reader) if folder is None else folder
    if folder is None and home.exists():
        say(
            f"{home}: was there already; remove it to import again",
            next_step="latentedit plugins list",
        )
        return
    with err.status(f"reading {file}"):
        imported = reader.read(file, home)
    say(str(imported), next_step=imported.next_step)


def _home(name: str, reader: WeightImporter) -> Path:
    """The importer's own folder in the cache; raises `InputError` where it has none."""
    from latentedit.files.remote import cache_folder

    if not reader.home:
        raise InputError(f"{name} needs the option --out, a new folder")
    return cache_folder() / reader.home
