"""``latentedit edit --sweep``."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentedit.cli.choices import (
    companions_of,
    drawing_generator,
    judge_of,
    layer_subset,
    subject_of,
)
from latentedit.cli.console import err, look_at, print_json, progress_bar, remark, say
from latentedit.errors import InputError
from latentedit.registry import Registry

if TYPE_CHECKING:
    from latentedit.benchmark.sweep import Observers, SweepFrames
    from latentedit.data.attributes import AttributeSchema
    from latentedit.data.bank import LatentBank
    from latentedit.editing.fitted import FittedEditor
    from latentedit.interfaces.generator import Subject


def draw_sweep(
    editor_folders: tuple[Path, ...], bank_folder: Path, picture: Path, chosen: dict[str, Any]
) -> None:
    """Sweep one attribute under every editor, and write the film.

    Args:
        chosen: the other options of the command, by name.
    """
    import torch

    from latentedit.benchmark.sweep import sweep
    from latentedit.cli.targets import parse_rows
    from latentedit.data.bank import LatentBank
    from latentedit.editing.fitted import load_editor
    from latentedit.editing.generators import build_generator
    from latentedit.report.film import write_film

    _check(picture, chosen)
    torch.set_num_threads(chosen["threads"])
    bank, registry = LatentBank.open(bank_folder), Registry.discover()
    attribute, values = parse_sweep(chosen["sweep"], bank.schema, chosen["frames"])
    rows = parse_rows(chosen["index"], len(bank.split("test")), "--index")
    built = {"device": chosen["device"], "generator": build_generator(registry, bank.generator)}
    editors = dict(
        zip(
            _names(editor_folders),
            (load_editor(registry, folder, **built, notify=remark) for folder in editor_folders),
            strict=True,
        )
    )
    observers = _observers(registry, bank, chosen["judge"])
    found: dict[str, SweepFrames] = {}
    with progress_bar("sweep") as progress:
        for i, ((name, fitted), folder) in enumerate(
            zip(editors.items(), editor_folders, strict=True)
        ):
            fitted.check_bank(bank)
            layers = layer_subset(chosen["layers"], registry, drawing_generator(fitted, folder))
            found[name] = sweep(
                fitted,
                bank,
                observers,
                attribute,
                values,
                rows,
                match_effect=chosen["match_effect"],
                layers=layers,
            )
            progress((i + 1) / len(editors), name)
    unit = bank.schema[attribute].unit
    titles = [f"{attribute} {value:.3g} {unit}".strip() for value in values]
    shown = subject_of(registry, bank.generator.name)
    unedited = _unedited(registry, bank, next(iter(editors.values())), rows)
    write_film(picture, found, unedited, titles, [f"{shown.one} {row}" for row in rows])
    _tell(picture, found, attribute, values, rows, shown, chosen["as_json"])


def parse_sweep(text: str, schema: AttributeSchema, frames: int) -> tuple[str, list[float]]:
    """``"age=20..70"`` → the attribute, and `frames` values from the first to the last number.

    >>> from latentedit import Attribute, AttributeSchema
    >>> schema = AttributeSchema((Attribute("age", "continuous", 0.0, 70.0, "years"),))
    >>> parse_sweep("age=20..70", schema, 3)
    ('age', [20.0, 45.0, 70.0])
    """
    number = r"\s*([-+]?[0-9]+(?:\.[0-9]+)?)\s*"
    match = re.fullmatch(rf"([^=]+)={number}\.\.{number}", text)
    if match is None:
        raise InputError(f"--sweep takes two numbers, as ATTRIBUTE=FIRST..LAST; received {text!r}")
    attribute = schema[match[1].strip()]
    low, high = float(match[2]), float(match[3])
    if low == high:
        raise InputError(f"--sweep takes two different numbers, received {text!r}")
    return attribute.name, [low + (high - low) * i / (frames - 1) for i in range(frames)]


def _check(picture: Path, chosen: dict[str, Any]) -> None:
    """What can be refused before anything is loaded."""
    from latentedit.report.film import KINDS, ffmpeg

    ending = picture.suffix.lower()
    if ending not in KINDS:
        raise InputError(f"--out of a sweep ends in {', '.join(KINDS)}; received {picture}")
    if ending == ".mp4":
        ffmpeg()
    if chosen["settings"] or chosen["transfers"]:
        raise InputError("--sweep stands alone; leave out --set and --transfer")


def _names(folders: tuple[Path, ...]) -> list[str]:
    """The last part of each folder; the whole path where two are equal."""
    last = [folder.name for folder in folders]
    if len(set(folders)) < len(folders):
        raise InputError("--editor names one folder twice; name each once")
    return last if len(set(last)) == len(last) else [str(folder) for folder in folders]


def _observers(registry: Registry, bank: LatentBank, judge: str | None) -> Observers:
    """The judge, and the first recogniser of the generator's companions."""
    from latentedit.benchmark.sweep import Observers

    companions = companions_of(registry, bank.generator.name)
    name = judge_of(registry, bank.generator.name, judge)
    recognisers = companions.identity if companions else ()
    known = registry.identity(recognisers[0]) if recognisers else None
    return Observers(registry.estimator(name), known)


def _unedited(
    registry: Registry, bank: LatentBank, fitted: FittedEditor, rows: list[int]
) -> list[Any]:
    import torch

    from latentedit.data.images import images_to_bytes
    from latentedit.editing.generators import build_renderer

    given = bank.split("test").take(torch.tensor(rows))
    with torch.no_grad():
        renderer = build_renderer(registry, bank, fitted.runtime.generator)
        return list(images_to_bytes(renderer.synthesize(given.codes, given.space)).cpu())


def _tell(
    picture: Path,
    found: dict[str, SweepFrames],
    attribute: str,
    values: list[float],
    rows: list[int],
    shown: Subject,
    as_json: bool,
) -> None:
    if as_json:
        print_json(
            {
                "picture": str(picture),
                "attribute": attribute,
                "cells": [
                    {
                        "editor": name,
                        "image": row,
                        "target": value,
                        "served": bool(one.served[f, n]),
                        "judged": float(one.judged[f, n]),
                        "identity": _known(float(one.identity[f, n])),
                    }
                    for name, one in found.items()
                    for f, value in enumerate(values)
                    for n, row in enumerate(rows)
                ],
            }
        )
        return
    for name, one in found.items():
        if missed := int((~one.served).sum()):
            err.print(
                f"{name}: {missed} of {one.served.numel()} pictures are crossed out: the value "
                "was not reached",
                soft_wrap=True,
                markup=False,
            )
    told = f"{picture}: {len(found)} editors, {len(values)} frames, {shown.counted(len(rows))}"
    say(told, next_step=look_at(picture))


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value
