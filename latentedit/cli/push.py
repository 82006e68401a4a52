"""``latentedit push``."""

from __future__ import annotations

from pathlib import Path

import click

from latentedit.cli.console import err, say
from latentedit.cli.options import PATH
from latentedit.registry import Registry


@click.command()
@click.argument("editor_folder", metavar="EDITOR", type=PATH)
@click.argument("where", metavar="HUB:NAME")
def push(editor_folder: Path, where: str) -> None:
    """Share the fitted EDITOR on a hub: its record, its tensors and its model card.

    HUB is an installed plugin; `latentedit plugins list` names them. Who has the plugin loads the
    editor by the same HUB:NAME in place of a folder.

    \b
    Examples:
      latentedit push E HUB:owner/name
      latentedit edit --editor HUB:owner/name --bank B --index 0..7 --set age=60 --out grid.png
    """
    from latentedit.editing.sharing import push_editor

    with err.status(f"pushing {editor_folder}"):
        place = push_editor(Registry.discover(), editor_folder, where)
    say(f"{editor_folder} is at {place}", next_step=f"latentedit edit --editor {where} --help")
