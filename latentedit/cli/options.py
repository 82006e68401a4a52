"""Options that several commands have, each with one meaning."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from latentedit.errors import InputError

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

PATH = click.Path(path_type=Path)


def _png(context: click.Context, parameter: click.Parameter, path: Path) -> Path:
    if path.suffix.lower() != ".png":
        raise InputError(f"--out takes the name of a .png file, received {path}")
    return path


with_new_folder = click.option("--out", "folder", required=True, type=PATH, help="New folder.")
with_picture = click.option(
    "--out", "picture", required=True, type=PATH, callback=_png, help="A PNG file."
)
with_bank = click.option(
    "--bank", "bank_folder", required=True, type=PATH, help="Folder with a bank."
)
with_editor = click.option(
    "--editor",
    "editor_folder",
    required=True,
    type=PATH,
    help="Folder written by latentedit fit.",
)
with_seed = click.option("--seed", default=0, show_default=True)
with_device = click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")
with_threads = click.option(
    "--threads",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="CPU threads. More are faster, but results differ slightly.",
)
with_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def with_settings(owner: str, option: str = "--option", name: str = "options") -> Decorator:
    """``--option NAME=VALUE``, any number of times: options of a plugin.

    Args:
        owner: of the options, for the help.
        option, name: of the command line, and of the command's argument.
    """
    return click.option(
        option,
        name,
        multiple=True,
        metavar="NAME=VALUE",
        help=f"An option of {owner}; VALUE is read as YAML. May be repeated.",
    )


def with_faces(default: str, meaning: str) -> Decorator:
    """``--index``: some test faces of a bank."""
    return click.option("--index", default=default, show_default=True, help=meaning)


def with_targets(meaning: str) -> Decorator:
    """``--set ATTRIBUTE=VALUE``, any number of times."""
    return click.option("--set", "settings", multiple=True, metavar="ATTRIBUTE=VALUE", help=meaning)
