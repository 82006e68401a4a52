"""``latentedit bench new``, ``keys`` and ``suites``."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from latentedit.cli.bench import FOLDER, bench
from latentedit.cli.choices import companions_of
from latentedit.cli.console import say
from latentedit.cli.options import check_overwrite, with_force
from latentedit.errors import InputError, LatentEditError

if TYPE_CHECKING:
    from latentedit.registry import Registry


@bench.command("new")
@click.argument("name")
@click.option("--generator", default=None, metavar="NAME", help="Whose images are edited.")
@click.option(
    "--editor", "editors", multiple=True, metavar="NAME", help="One to compare; may be repeated."
)
@click.option("--out", "path", default=None, type=FOLDER, help="The file; NAME.yaml if not given.")
@with_force
def new_suite_file(
    name: str, generator: str | None, editors: tuple[str, ...], path: Path | None, force: bool
) -> None:
    """Write a commented suite that runs as it is.

    \b
    Examples:
      latentedit bench new mine
      latentedit bench new mine --generator my-cars --editor my-editor --out suites/mine.yaml
    """
    from latentedit.benchmark.suite_keys import new_suite
    from latentedit.files.artefacts import write_bytes
    from latentedit.registry import Registry

    registry = Registry.discover()
    path = Path(f"{name}.yaml") if path is None else path
    check_overwrite(path, force)
    chosen = generator or _first_generator(registry)
    write_bytes(path, new_suite(registry, name, chosen, editors).encode())
    say(f"{path}", next_step=f"latentedit bench run {path} --out runs/{name}")


@bench.command("keys")
def keys() -> None:
    """Print every key of a suite as Markdown."""
    from latentedit.benchmark.suite_keys import key_page

    click.echo(key_page(), nl=False)


@bench.command("suites")
def list_suites() -> None:
    """List the shipped suites."""
    from latentedit.benchmark.suite import load_suite
    from latentedit.files.suites import suite_names

    for name in suite_names():
        say(f"{name:14} {load_suite(name).summary}")


def _first_generator(registry: Registry) -> str:
    """The first generator that recommends a labeller and a judge."""
    for name in registry.specs("generator"):
        with suppress(LatentEditError):  # one that cannot be imported serves no suite
            if companions_of(registry, name) is not None:
                return name
    raise InputError("no installed generator recommends a labeller and a judge; give --generator")
