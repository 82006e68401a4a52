"""``latentedit train``."""

from __future__ import annotations

from pathlib import Path

import click

from latentedit.cli.console import print_json, progress_bar, say
from latentedit.cli.fit import parse_pairs
from latentedit.cli.options import PATH, with_json, with_new_folder, with_settings
from latentedit.registry import Registry


@click.command()
@click.argument("trainer")
@click.option("--images", required=True, type=PATH, help="A folder of labelled pictures.")
@click.option(
    "--labels",
    type=PATH,
    help="CSV with a column `file` and one column per attribute. Without it, the names of the "
    "folders inside --images are the labels.",
)
@with_new_folder
@with_settings("the trainer")
@with_json
def train(
    trainer: str,
    images: Path,
    labels: Path | None,
    folder: Path,
    options: tuple[str, ...],
    as_json: bool,
) -> None:
    """Train an attribute estimator on labelled pictures, and report its error on held-out ones.

    \b
    Example:
      latentedit train TRAINER --images photos --labels labels.csv --out E
    """
    import torch

    torch.set_num_threads(1)
    with progress_bar(f"train {trainer}") as progress:
        made = Registry.discover().trainer(trainer, parse_pairs(options))
        trained = made.train(images, labels, folder, progress)
    if as_json:
        print_json(
            {
                "estimator": trained.estimator,
                "options": dict(trained.options),
                "held_out": {name: dict(row) for name, row in trained.held_out.items()},
            }
        )
        return
    for name, row in trained.held_out.items():
        figures = ", ".join(f"{key} {value:.3g}" for key, value in row.items())
        say(f"{name}: on held-out pictures {figures}")
    chosen = " ".join(
        f"--labeller-option {name}={value}" for name, value in trained.options.items()
    )
    say(
        f"{folder}: an estimator of {', '.join(trained.held_out)}",
        next_step=f"latentedit bank label B --labeller {trained.estimator} {chosen} --out C",
    )
