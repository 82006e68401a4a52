"""``latentedit doctor``."""

from __future__ import annotations

import platform
import sys

import click
from rich.markup import escape

from latentedit import __version__
from latentedit.cli.console import out, say
from latentedit.registry import Registry


@click.command()
def doctor() -> None:
    """Check that this installation works: packages, plugins, devices.

    \b
    Example:
      latentedit doctor
    """
    import torch

    out.print(
        f"latentedit {__version__}, Python {platform.python_version()}, torch {torch.__version__}"
    )
    out.print(f"CPU threads: {torch.get_num_threads()}")
    cuda = (
        torch.cuda.get_device_name()
        if torch.cuda.is_available()
        else "none (everything runs on the CPU)"
    )
    out.print(f"CUDA: {escape(cuda)}")
    broken = [o for o in Registry.discover().origins if o.status not in ("ok", "disabled")]
    for origin in broken:
        out.print(
            f"[red]plugin {escape(origin.name)} is {origin.status}[/red]: {escape(origin.detail)}"
        )
    if broken:
        say("some plugins do not load", next_step="pip install --upgrade or uninstall them")
        sys.exit(3)
    say("all plugins load", next_step="latentedit bench run quickstart --out runs/quickstart")
