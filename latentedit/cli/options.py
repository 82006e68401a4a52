"""Options that several commands have, each with one meaning."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from latentedit.cli.completion import attributes
from latentedit.errors import InputError
from latentedit.interfaces.runtime import SEEDS

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

PATH = click.Path(path_type=Path)


class Finite(click.FloatRange):
    """A number within bounds; NaN and infinity are refused, which `click.FloatRange` lets pass."""

    def convert(self, value: Any, param: Any, ctx: Any) -> float:
        number: float = super().convert(value, param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value!r} is not a finite number.", param, ctx)
        return number


def _png(context: click.Context, parameter: click.Parameter, path: Path) -> Path:
    if path.suffix.lower() != ".png":
        raise InputError(f"--out takes the name of a .png file, received {path}")
    return path


def _new(context: click.Context, parameter: click.Parameter, path: Path | None) -> Path | None:
    """`path`, refused before anything is computed if something is there."""
    if path is None:
        return None
    empty = not path.is_symlink() and path.is_dir() and not any(path.iterdir())
    if os.path.lexists(path) and not empty:
        raise InputError(f"{path} exists already; choose another folder or remove it first")
    return path


def check_overwrite(path: Path, force: bool) -> None:
    """Raise `InputError` if `path` exists and is not to be overwritten, or is no regular file."""
    if path.exists() and not path.is_file():
        raise InputError(f"{path} exists and is no regular file; choose another name")
    if path.exists() and not force:
        raise InputError(f"{path} exists already; choose another name, or add --force")


def new_folder_option(required: bool, meaning: str) -> Decorator:
    """``--out``: a folder that does not exist yet."""
    return click.option(
        "--out", "folder", required=required, type=PATH, callback=_new, help=meaning
    )


with_new_folder = new_folder_option(required=True, meaning="New folder.")
with_picture = click.option(
    "--out", "picture", required=True, type=PATH, callback=_png, help="A PNG file."
)
with_force = click.option("--force", is_flag=True, help="Overwrite the file if it exists.")
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
with_seed = click.option("--seed", default=0, show_default=True, type=click.IntRange(0, SEEDS - 1))
with_threads = click.option(
    "--threads",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="CPU threads. More are faster, but results differ slightly.",
)
with_trackers = click.option(
    "--log",
    "places",
    multiple=True,
    metavar="NAME:FOLDER",
    help="A tracker that keeps figures, and where; may be repeated.",
)
with_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def with_device(command: Callable[..., Any]) -> Callable[..., Any]:
    """``--device``: where editors and models compute."""

    @wraps(command)
    def on_device(*given: Any, device: str, **named: Any) -> Any:
        from latentedit.editing.checks import check_device
        from latentedit.interfaces.device import models_on

        check_device(device)
        with models_on("" if device == "cpu" else device):
            return command(*given, device=device, **named)

    return click.option("--device", default="cpu", show_default=True, help="cpu or cuda.")(
        on_device
    )


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
    """``--index``: some test images of a bank."""
    return click.option("--index", default=default, show_default=True, help=meaning)


def with_targets(meaning: str) -> Decorator:
    """``--set ATTRIBUTE=VALUE`` or ``ATTRIBUTE+=VALUE``, any number of times."""
    return click.option(
        "--set",
        "settings",
        multiple=True,
        metavar="ATTRIBUTE[+|-]=VALUE",
        help=meaning,
        shell_complete=attributes,
    )
