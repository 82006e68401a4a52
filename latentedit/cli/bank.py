"""``latentedit bank``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
from rich.table import Table

from latentedit.cli.choices import example, labeller_of, subject_of
from latentedit.cli.console import err, out, print_json, progress_bar, say
from latentedit.cli.drawing import draw
from latentedit.cli.fit import parse_pairs
from latentedit.cli.options import (
    PATH,
    Finite,
    with_device,
    with_json,
    with_new_folder,
    with_seed,
    with_settings,
)
from latentedit.registry import Registry

if TYPE_CHECKING:
    from latentedit.data.bank import LatentBank


@click.group()
def bank() -> None:
    """Make, inspect and verify banks of shared latents."""


bank.add_command(draw)


@bank.command()
@click.option("--generator", required=True, help="Plugin that samples and renders.")
@click.option(
    "--labeller",
    help="Attribute estimator that labels the images; the generator's own by default.",
)
@with_settings("the labeller", "--labeller-option", "labeller_options")
@click.option(
    "--n",
    "n_fit",
    default=4000,
    show_default=True,
    type=click.IntRange(10),
    help="Images to fit editors on.",
)
@click.option(
    "--test",
    "n_test",
    default=200,
    show_default=True,
    type=click.IntRange(2),
    help="Images to edit, from another seed.",
)
@with_settings("the generator", "--generator-option")
@with_seed
@click.option("--space", help="Space to sample in; the generator's home space by default.")
@click.option("--truncation-psi", default=1.0, show_default=True, type=Finite(0, 1, min_open=True))
@click.option(
    "--unstored", is_flag=True, help="Keep of the images to edit only the seeds; see bank draw."
)
@with_new_folder
@with_device
def make(
    generator: str,
    labeller: str | None,
    labeller_options: tuple[str, ...],
    n_fit: int,
    n_test: int,
    options: tuple[str, ...],
    seed: int,
    space: str | None,
    truncation_psi: float,
    unstored: bool,
    folder: Path,
    device: str,
) -> None:
    """Sample codes, estimate the attributes of their images, and write both as a bank.

    The fit split is for fitting editors; the test split holds the images that are edited.

    \b
    Example:
      latentedit bank make --generator GENERATOR --n 4000 --seed 0 --out B
    """
    import torch

    from latentedit.sampling.make import make_bank

    torch.set_num_threads(1)
    registry = Registry.discover()
    labeller = labeller_of(registry, generator, labeller)
    with progress_bar("bank") as progress:
        made = make_bank(
            registry,
            folder,
            generator=generator,
            labeller=labeller,
            labeller_options=parse_pairs(labeller_options),
            n_fit=n_fit,
            n_test=n_test,
            seed=seed,
            space=space,
            generator_options=parse_pairs(options),
            truncation_psi=truncation_psi,
            unstored=unstored,
            progress=progress,
        )
    say(
        f"{folder}: {_sizes(registry, made)}\nhash {made.hash}",
        next_step=f"latentedit fit {example(registry, 'editor')} --bank {folder} --out E",
    )


@bank.command("import")
@click.argument("source", metavar="FOLDER", type=PATH)
@click.option("--generator", required=True, help="Plugin whose codes these are.")
@with_settings("the generator", "--generator-option")
@click.option(
    "--as",
    "importer",
    metavar="NAME",
    help="Bank importer; required if more than one is installed.",
)
@click.option(
    "--test",
    "n_test",
    default=200,
    show_default=True,
    type=click.IntRange(2),
    help="Images to edit, drawn at random.",
)
@with_seed
@with_new_folder
def import_(
    source: Path,
    generator: str,
    options: tuple[str, ...],
    importer: str | None,
    n_test: int,
    seed: int,
    folder: Path,
) -> None:
    """Import codes and attributes of another project from FOLDER as a bank.

    `latentedit plugins list` shows the installed bank importers and their file layouts. Attributes
    are imported unchanged. The codes must belong to the named generator. The files do not record
    it, so look at some images with `latentedit bank images`.

    \b
    Example:
      latentedit bank import data --as NAME --generator GENERATOR --out B
    """
    from latentedit.sampling.importing import import_bank

    registry = Registry.discover()
    importer = importer or registry.only("bank-importer", "--as")
    with err.status(f"reading {source}"):
        made = import_bank(
            registry,
            importer,
            source,
            folder,
            generator=generator,
            options=parse_pairs(options),
            n_test=n_test,
            seed=seed,
        )
    say(
        f"{folder}: {_sizes(registry, made)}, in {made.space.upper()}\nhash {made.hash}",
        next_step=f"latentedit bank images {folder} --count 8 --out images, then: "
        f"latentedit fit {example(registry, 'editor')} --bank {folder} --out E",
    )


@bank.command()
@click.argument("source", metavar="BANK", type=PATH)
@click.option("--labeller", required=True, help="Attribute estimator that labels the images.")
@with_settings("the labeller", "--labeller-option")
@with_new_folder
def label(source: Path, labeller: str, options: tuple[str, ...], folder: Path) -> None:
    """Copy BANK to a new bank, with attributes from another estimator.

    \b
    Example:
      latentedit bank label B --labeller ESTIMATOR --labeller-option file=labels.csv --out C
    """
    import torch

    from latentedit.data.bank import LatentBank
    from latentedit.sampling.relabel import relabel_bank

    torch.set_num_threads(1)
    registry = Registry.discover()
    with progress_bar("bank") as progress:
        made = relabel_bank(
            registry,
            LatentBank.open(source),
            folder,
            labeller=labeller,
            labeller_options=parse_pairs(options),
            progress=progress,
        )
    shown = subject_of(registry, made.generator.name)
    say(
        f"{folder}: {', '.join(made.schema.names)} of the {shown.many} of {source}\n"
        f"hash {made.hash}",
        next_step=f"latentedit bank show {folder}",
    )


@bank.command()
@click.argument("source", metavar="BANK", type=PATH)
@click.option("--split", default="fit", show_default=True, help="fit or test.")
@click.option(
    "--count", type=click.IntRange(1), help="Number of images, from the first one; all by default."
)
@with_new_folder
def images(source: Path, split: str, count: int | None, folder: Path) -> None:
    """Write images of BANK as PNG files: fit-00000.png, fit-00001.png, …

    A CSV file with labels for these pictures can train an estimator: see `latentedit train`.

    \b
    Example:
      latentedit bank images B --split fit --count 300 --out images
    """
    import torch

    from latentedit.data.bank import LatentBank
    from latentedit.sampling.pictures import write_images

    torch.set_num_threads(1)
    registry, bank = Registry.discover(), LatentBank.open(source)
    with progress_bar("images") as progress:
        written = write_images(
            registry,
            bank,
            folder,
            split=split,
            count=count,
            progress=progress,
        )
    say(
        f"{folder}: {subject_of(registry, bank.generator.name).counted(written)}",
        next_step=f"label them in a CSV, then: latentedit train TRAINER --images {folder} "
        f"--labels labels.csv --out E. Trainers: {', '.join(registry.names('trainer'))}",
    )


@bank.command()
@click.argument("folder", type=PATH)
def verify(folder: Path) -> None:
    """Check every file of a bank against its recorded SHA-256, and print the bank's hash.

    \b
    Example:
      latentedit bank verify B
    """
    from latentedit.data.bank import LatentBank

    found = LatentBank.open(folder)
    found.verify()
    say(f"{folder}: every file is as recorded\nhash {found.hash}")


@bank.command()
@click.argument("folder", type=PATH)
@with_json
def show(folder: Path, as_json: bool) -> None:
    """Show a bank's origin, its sizes, and the distribution of each attribute.

    \b
    Example:
      latentedit bank show B
    """
    from latentedit.data.bank import LatentBank

    found = LatentBank.open(folder)
    values = found.split("fit" if "fit" in found.splits else "test").attributes
    rows = [
        {
            "attribute": name,
            "mean": float(values[:, i].mean()),
            "sd": float(values[:, i].std()),
            "low": float(values[:, i].min()),
            "high": float(values[:, i].max()),
        }
        for i, name in enumerate(found.schema.column_names)
    ]
    if as_json:
        print_json(
            {
                "hash": found.hash,
                "generator": str(found.generator),
                "attributes": rows,
                "labeller": str(found.labeller),
                "sampling": dict(found.sampling),
            }
        )
        return
    say(
        f"{folder}: {_sizes(Registry.discover(), found)}\nhash {found.hash}\n"
        f"generator {found.generator}\nlabeller {found.labeller}\n"
    )
    table = Table(box=None, pad_edge=False)
    for column in ("attribute", "mean", "sd", "low", "high"):
        table.add_column(column, justify="left" if column == "attribute" else "right")
    for row in rows:
        table.add_row(
            str(row["attribute"]), *(f"{row[c]:.3g}" for c in ("mean", "sd", "low", "high"))
        )
    out.print(table)


def _sizes(registry: Registry, made: LatentBank) -> str:
    """How many images a bank has in each split, in words."""
    shown = subject_of(registry, made.generator.name)
    return f"{shown.counted(made.sampling['fit'])} to fit on, {made.sampling['test']} to edit"
