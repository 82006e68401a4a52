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
    folder = folder or _home(importer, reader)
    with err.status(f"reading {file}"):
        imported = reader.read(file, folder)
    say(str(imported), next_step=imported.next_step)


def _home(name: str, reader: WeightImporter) -> Path:
    """The importer's own folder in the cache, which does not exist yet.

    Raises:
        InputError: it has none, or it is there already.
    """
    from latentedit.downloads.cache import cache_folder

    if not reader.home:
        raise InputError(f"{name} needs the option --out, a new folder")
    folder = cache_folder() / reader.home
    if folder.exists():
        raise InputError(f"{folder} exists already: this was imported. Remove it to import again")
    return folder
