"""``latentedit bank``."""

from __future__ import annotations

from pathlib import Path

import click
import torch
from rich.table import Table

from latentedit.bank import LatentBank
from latentedit.cli.console import out, print_json, progress_bar, say
from latentedit.cli.fit import parse_pairs
from latentedit.registry import Registry
from latentedit.sampling import make_bank

FOLDER = click.Path(path_type=Path)


@click.group()
def bank() -> None:
    """Make, inspect and verify banks of shared latents."""


@bank.command()
@click.option("--generator", required=True, help="Plugin that samples and renders, e.g. synthface.")
@click.option(
    "--labeller",
    default="synthface-labeller",
    show_default=True,
    help="Attribute estimator that labels the faces.",
)
@click.option("--n", "n_fit", default=4000, show_default=True, help="Faces to fit editors on.")
@click.option(
    "--test", "n_test", default=200, show_default=True, help="Faces to edit, from another seed."
)
@click.option(
    "--generator-option",
    "options",
    multiple=True,
    metavar="NAME=VALUE",
    help="An option of the generator; VALUE is read as YAML. May be repeated.",
)
@click.option("--seed", default=0, show_default=True)
@click.option("--truncation-psi", default=1.0, show_default=True)
@click.option("--out", "folder", required=True, type=FOLDER, help="New folder.")
def make(
    generator: str,
    labeller: str,
    n_fit: int,
    n_test: int,
    options: tuple[str, ...],
    seed: int,
    truncation_psi: float,
    folder: Path,
) -> None:
    """Sample codes, label their images, and write both as a bank.

    \b
    Example:
      latentedit bank make --generator synthface --n 4000 --seed 0 --out B
    """
    torch.set_num_threads(1)
    with progress_bar("bank") as progress:
        made = make_bank(
            Registry.discover(),
            folder,
            generator=generator,
            labeller=labeller,
            n_fit=n_fit,
            n_test=n_test,
            seed=seed,
            generator_options=parse_pairs(options),
            truncation_psi=truncation_psi,
            progress=progress,
        )
    say(
        f"{folder}: {n_fit} faces to fit on, {n_test} to edit\nhash {made.hash}",
        next_step=f"latentedit fit styleflow --bank {folder} --out E",
    )


@bank.command()
@click.argument("folder", type=FOLDER)
def verify(folder: Path) -> None:
    """Check that every file of a bank is what its record says, and print its hash.

    \b
    Example:
      latentedit bank verify B
    """
    found = LatentBank.open(folder)
    found.verify()
    say(f"{folder}: whole\nhash {found.hash}")


@bank.command()
@click.argument("folder", type=FOLDER)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(folder: Path, as_json: bool) -> None:
    """Show what a bank holds: origin, sizes, and how each attribute is distributed.

    \b
    Example:
      latentedit bank show B
    """
    found = LatentBank.open(folder)
    values = found.split("fit").attributes
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
    sizes = f"{found.sampling['fit']} faces to fit on, {found.sampling['test']} to edit"
    say(
        f"{folder}: {sizes}\nhash {found.hash}\n"
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
