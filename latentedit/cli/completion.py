"""Completion of commands and names in shells: ``latentedit completion``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

PROGRAM, VARIABLE = "latentedit", "_LATENTEDIT_COMPLETE"
FILES = {
    "bash": "~/.local/share/bash-completion/completions/latentedit",
    "zsh": "~/.zfunc/_latentedit",
    "fish": "~/.config/fish/completions/latentedit.fish",
}
"""Where each shell looks for scripts of its user."""


@click.command()
@click.argument("shell", type=click.Choice(sorted(FILES)))
def completion(shell: str) -> None:
    """Print the completion script of SHELL.

    It completes commands, options, and the names of suites, editors and attributes.

    \b
    Examples:
      latentedit completion bash > ~/.local/share/bash-completion/completions/latentedit
      latentedit completion zsh > ~/.zfunc/_latentedit
      latentedit completion fish > ~/.config/fish/completions/latentedit.fish
    """
    from click.shell_completion import BashComplete, FishComplete, ZshComplete

    from latentedit.cli.main import cli

    kinds = {"bash": BashComplete, "fish": FishComplete, "zsh": ZshComplete}
    click.echo(kinds[shell](cli, {}, PROGRAM, VARIABLE).source())
    click.echo(f"save this as {FILES[shell]}, and start a new shell", err=True)


def suites(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Shipped suites that begin with `typed`, and YAML files beside it."""
    from latentedit.files.suites import suite_names

    folder = Path(typed).parent
    here = [str(path) for path in sorted(folder.glob("*.yaml"))] if folder.is_dir() else []
    return [name for name in (*suite_names(), *here) if name.startswith(typed)]


def editors(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    from latentedit.registry import Registry

    return [name for name in Registry.discover().names("editor") if name.startswith(typed)]


def attributes(context: click.Context, parameter: click.Parameter, typed: str) -> list[str]:
    """Attributes of the bank that the line names so far, as ``NAME=``."""
    bank = context.params.get("bank_folder")
    names = _schema(Path(bank)) if bank else []
    return [f"{name}=" for name in names if name.startswith(typed)]


def _schema(bank: Path) -> list[str]:
    """Completion says nothing where the record cannot be read; commands say what is wrong."""
    try:
        record: Any = json.loads((bank / "bank.json").read_text("utf-8"))
        return [str(entry["name"]) for entry in record["schema"]]
    except (OSError, ValueError, KeyError, TypeError):
        return []
