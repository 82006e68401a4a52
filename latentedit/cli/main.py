"""The entry point. It imports a command group on first use, so that ``--help`` is fast."""

from __future__ import annotations

# ruff: noqa: E402  (a signal is answered before anything that takes time is imported)
from latentedit.cli import interrupts

_IS_PROGRAM = interrupts.begin(is_program=__name__ == "__main__")

import importlib
import keyword
import os
import sys
from contextlib import suppress
from typing import Any, NoReturn

import click

from latentedit import __version__
from latentedit.cli.last_resort import check_addresses, explain, flush, leave, open_streams, say
from latentedit.errors import LatentEditError, UnknownName

_COMMANDS = {
    "bank": ("latentedit.cli.bank", "Make, inspect and verify banks of shared latents."),
    "bench": ("latentedit.cli.bench_commands", "Run benchmark suites and compare editors."),
    "completion": ("latentedit.cli.completion", "Print a completion script for a shell."),
    "doctor": ("latentedit.cli.doctor", "Check that this installation works."),
    "edit": ("latentedit.cli.edit", "Edit images of a bank with a fitted editor; draw a picture."),
    "fetch": ("latentedit.cli.fetch", "Download published networks."),
    "fit": ("latentedit.cli.fit", "Fit an editor on a bank."),
    "import": ("latentedit.cli.importing", "Convert published weights to safetensors."),
    "push": ("latentedit.cli.push", "Share a fitted editor on a hub."),
    "sample": ("latentedit.cli.sample", "Sample new images with given attributes."),
    "studio": ("latentedit.cli.studio", "Compare editors on one image, live in a browser."),
    "train": ("latentedit.cli.train", "Train an attribute estimator on labelled pictures."),
    "invert": ("latentedit.cli.invert", "Find codes for photographs."),
    "plugins": ("latentedit.cli.plugins", "List plugins, check an editor, or start a new one."),
}


class _Lazy(click.Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in _COMMANDS:
            return None
        module, _ = _COMMANDS[name]
        attribute = f"{name}_" if keyword.iskeyword(name) else name
        with interrupts.importing():
            command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in _COMMANDS:
            raise UnknownName("command", args[0], sorted(_COMMANDS))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, summary) for name, (_, summary) in sorted(_COMMANDS.items())]
            )


@click.group(
    cls=_Lazy,
    epilog="Start with: latentedit bench run quickstart --out runs/quickstart",
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="latentedit")
@click.option("--no-plugins", is_flag=True, help="Load no plugin, for instance if one is broken.")
def cli(no_plugins: bool) -> None:
    """Edit images in a generator's latent space, and compare editing methods."""
    if no_plugins:
        os.environ["LATENTEDIT_LOAD_PLUGINS"] = ""


def main() -> None:
    """Run the command line and exit.

    Exit codes: 0 success, 1 failed cells, broken rules or nothing done, 2 invalid input,
    3 environment or plugin, 4 a bug in latentedit, 130 after Ctrl-C, 143 after SIGTERM.
    """
    if not _IS_PROGRAM:
        _run()
    # Records are read by the same rules on every machine, and faster without a search for plugins.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        _run()
    except SystemExit as end:
        leave(end.code)


def _run() -> None:
    open_streams()
    try:
        check_addresses()
        with interrupts.interruptible():
            code = cli.main(prog_name="latentedit", standalone_mode=False)
            flush()
            sys.exit(code if isinstance(code, int) else 0)
    except LatentEditError as error:
        say(str(error))
        sys.exit(error.exit_code)
    except click.exceptions.Abort as error:
        _stop(error.__cause__)
    except KeyboardInterrupt as error:
        _stop(error)
    except click.ClickException as error:
        with suppress(OSError):  # the exit code is the same where it cannot be printed
            error.show()
        sys.exit(2)
    except Exception as error:
        sys.exit(explain(error))


def _stop(error: BaseException | None) -> NoReturn:
    """Say what stopped a command, and exit."""
    if isinstance(error, EOFError):  # click takes every EOFError for the end of the user's input
        say("a process or a stream ended early; run the same command again")
        sys.exit(3)
    word, code = interrupts.told(error)
    with suppress(OSError):
        click.echo(f"{word}; run the same command again to continue", err=True)
    sys.exit(code)


if __name__ == "__main__":
    main()
