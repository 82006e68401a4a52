"""``latentedit fit``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from latentedit.cli.choices import example_setting
from latentedit.cli.completion import editors
from latentedit.cli.console import progress_bar, remark, say
from latentedit.cli.options import (
    with_bank,
    with_device,
    with_new_folder,
    with_seed,
    with_settings,
    with_trackers,
)
from latentedit.errors import CorruptArtefact, InputError
from latentedit.files.strict_yaml import read_yaml
from latentedit.registry import Registry


@click.command()
@click.argument("editor", shell_complete=editors)
@with_bank
@with_new_folder
@with_settings("the editor")
@with_seed
@with_device
@with_trackers
def fit(
    editor: str,
    bank_folder: Path,
    folder: Path,
    options: tuple[str, ...],
    seed: int,
    device: str,
    places: tuple[str, ...],
) -> None:
    """Fit EDITOR on the fit split of a bank, and save it.

    \b
    Examples:
      latentedit fit EDITOR --bank B --out E
      latentedit fit EDITOR --bank B --out S --option NAME=VALUE
      latentedit fit EDITOR --bank B --out E --log TRACKER:logs
    """
    from latentedit.cli.trackers import tracked
    from latentedit.data.bank import LatentBank
    from latentedit.editing.fitted import fit_editor

    given = parse_pairs(options)
    settings = {"editor": editor, "bank": str(bank_folder), "seed": seed, "options": given}
    with (
        tracked(places, f"fit {editor}", settings) as trackers,
        progress_bar(f"fit {editor}") as progress,
    ):
        fitted = fit_editor(
            Registry.discover(),
            editor,
            LatentBank.open(bank_folder),
            given,
            seed=seed,
            device=device,
            progress=progress,
            log=trackers.log,
            checkpoint=folder.with_name(f"{folder.name}.checkpoint"),
            notify=remark,
        )
        trackers.last(fitted.figures)
    fitted.save(folder)
    say(
        f"{folder}: {editor} fitted on {bank_folder} ({told(fitted.figures)})",
        next_step=f"latentedit edit --editor {folder} --bank {bank_folder} --index 0..7 "
        f"--set {example_setting(fitted.schema)} --out grid.png",
    )


def told(figures: Mapping[str, float]) -> str:
    """Figures of a fit in a few words; those of many attributes as their range.

    >>> told({"accuracy/age": 0.9, "accuracy/yaw": 1.0, "fit_seconds": 0.25})
    'accuracy 0.9 to 1, fit_seconds 0.25'
    """
    by_name: dict[str, list[float]] = {}
    for name, value in figures.items():
        by_name.setdefault(name.partition("/")[0], []).append(value)
    ends = {name: dict.fromkeys((min(v), max(v))) for name, v in by_name.items()}
    return ", ".join(f"{name} {' to '.join(f'{v:.4g}' for v in ends[name])}" for name in ends)


def parse_pairs(pairs: tuple[str, ...]) -> dict[str, Any]:
    """``("a=1", "b=[2, 3]")`` → ``{"a": 1, "b": [2, 3]}``.

    >>> parse_pairs(("conditional=others", "steps=4"))
    {'conditional': 'others', 'steps': 4}
    """
    parsed: dict[str, Any] = {}
    for pair in pairs:
        name, found, value = pair.partition("=")
        if not found or not name:
            raise InputError(f"write NAME=VALUE, received {pair!r}")
        if name in parsed:
            raise InputError(f"{name} is given twice, received {pair!r}; give it once")
        try:
            parsed[name] = read_yaml(value, name)
        except CorruptArtefact as error:
            raise InputError(f"cannot read {pair[:80]!r}: {error}") from None
    return parsed
