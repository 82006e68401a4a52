"""``latentedit fetch``."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from latentedit.cli.console import out, print_json, progress_bar, say
from latentedit.cli.options import PATH, with_json
from latentedit.errors import InputError
from latentedit.registry import Registry

if TYPE_CHECKING:
    from latentedit.downloads.catalogue import PublishedNetwork


@click.command()
@click.argument("name", required=False)
@click.option("--yes", is_flag=True, help="Accept size and licence without a question.")
@click.option(
    "--out",
    "folder",
    default=None,
    type=PATH,
    help="Instead of the cache folder.",
)
@with_json
def fetch(name: str | None, yes: bool, folder: Path | None, as_json: bool) -> None:
    """Download the published network NAME; without NAME, list all published networks.

    Size and licence are shown before the download starts. If a download is interrupted, the same
    command continues it.

    \b
    Examples:
      latentedit fetch
      latentedit fetch NAME
      latentedit fetch NAME --yes --out weights
    """
    from latentedit.downloads.cache import fetch as fetch_network
    from latentedit.downloads.catalogue import published_networks
    from latentedit.files.remote import cache_folder

    registry = Registry.discover()
    if name is None:
        _list(published_networks(registry), as_json)
        return
    network: PublishedNetwork = registry.load("network", name)
    home = cache_folder() if folder is None else folder
    click.echo(_terms(name, network, home), err=True)
    if not yes and not (home / name / network.file).is_file():
        _ask()
    with progress_bar(name) as progress:
        fetched = fetch_network(name, network, folder, progress)
    if as_json:
        print_json(
            {
                "path": str(fetched.path),
                "sha256": fetched.sha256,
                "checked_against": fetched.basis,
                "downloaded": fetched.downloaded,
            }
        )
        return
    verb = "downloaded" if fetched.downloaded else "was there already"
    say(
        f"{fetched.path}: {verb}\nsha256 {fetched.sha256}\nchecked against {fetched.basis}",
        next_step=f"latentedit import {fetched.path} --as {network.importer} --out G",
    )


def _list(networks: Mapping[str, PublishedNetwork], as_json: bool) -> None:
    if as_json:
        print_json({name: _facts(network) for name, network in networks.items()})
        return
    table = Table(box=None, pad_edge=False)
    for column in ("name", "MB", "what", "SHA-256 published", "licence"):
        table.add_column(column, justify="right" if column == "MB" else "left")
    for name, network in networks.items():
        known = "yes" if network.sha256 else "no"
        table.add_row(name, str(network.megabytes), network.summary, known, network.licence)
    out.print(table)
    say("", next_step=f"latentedit fetch {next(iter(networks), 'NAME')}")


def _facts(network: PublishedNetwork) -> dict[str, object]:
    return {
        "url": network.url,
        "megabytes": network.megabytes,
        "size": network.size,
        "sha256": network.sha256,
        "licence": network.licence,
        "summary": network.summary,
    }


def _terms(name: str, network: PublishedNetwork, home: Path) -> str:
    size = f"{network.size:,} bytes" if network.size else f"about {network.megabytes} MB"
    sha256 = (
        f"{network.sha256} ({network.source})"
        if network.sha256
        else "none is published; that of your first download is recorded and shown"
    )
    return (
        f"{name}: {network.summary}\n"
        f"  from     {network.url}\n"
        f"  size     {size}\n"
        f"  sha256   {sha256}\n"
        f"  licence  {network.licence}\n"
        f"  to       {home / name / network.file}"
    )


def _ask() -> None:
    if not sys.stdin.isatty():
        raise InputError("size and licence need an answer, and this is no terminal; add --yes")
    click.confirm("download it?", abort=True, err=True)
