"""``latentedit sample``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentedit.cli.choices import companions_of, drawing_generator, judge_of
from latentedit.cli.console import err, look_at, progress_bar, remark, say
from latentedit.cli.options import (
    Finite,
    check_overwrite,
    with_bank,
    with_device,
    with_editor,
    with_faces,
    with_force,
    with_picture,
    with_seed,
    with_targets,
)
from latentedit.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from latentedit.data.attributes import AttributeSchema
    from latentedit.interfaces.estimators import AttributeEstimator
    from latentedit.interfaces.generator import Subject
    from latentedit.sampling.accepted import Accepted


@click.command()
@with_editor
@with_bank
@with_faces("0..3", "Test images whose attributes the new ones have: 5, or 0..7, or 1,4,9.")
@with_targets("An attribute that is to differ, in natural units; may be repeated.")
@click.option("--count", default=6, show_default=True, type=click.IntRange(1, 64))
@click.option("--judge", default=None, metavar="NAME", help="Who reads the new images.")
@click.option(
    "--reject",
    default=None,
    type=Finite(0, min_open=True),
    metavar="SIGMA",
    help="Draw anew where the judge reads further from what was asked, in standard deviations.",
)
@with_seed
@with_device
@with_picture
@with_force
def sample(
    editor_folder: Path, bank_folder: Path, picture: Path, force: bool, **chosen: Any
) -> None:
    """Sample new images with given attributes.

    The picture has one row per chosen image of the bank. It shows that image, then COUNT new ones
    with its attributes, except for those that --set changes. Under each stands what the judge
    reads, where one is named or the generator has one.

    \b
    Examples:
      latentedit sample --editor E --bank B --index 0..3 --set glasses=1 --count 6 --out images.png
      latentedit sample --editor E --bank B --set age=60 --reject 0.5 --out sixty.png
    """
    import torch

    from latentedit.cli.targets import parse_rows, parse_settings
    from latentedit.data.bank import LatentBank
    from latentedit.editing.fitted import load_editor
    from latentedit.sampling.accepted import sample_accepted

    check_overwrite(picture, force)
    bank, registry = LatentBank.open(bank_folder), Registry.discover()
    fitted = load_editor(registry, editor_folder, device=chosen["device"], notify=remark)
    fitted.check_bank(bank)
    test, generator = bank.split("test"), drawing_generator(fitted, editor_folder)
    shown = generator.subject
    rows, count = parse_rows(chosen["index"], len(test), "--index"), chosen["count"]
    codes, values = test.rows(torch.tensor(rows))
    settings = parse_settings(chosen["settings"], bank.schema)
    for setting in settings:
        values = setting.target(bank.schema, values, 1.0)
    names = _read_names(bank.schema, [setting.name for setting in settings])
    judge = _judge(registry, bank.generator.name, chosen)
    sigma = bank.split("fit").attributes.std(0)
    with progress_bar("sample") as progress, torch.no_grad():
        found = sample_accepted(
            lambda wanted, seed: generator.synthesize(fitted.sample(wanted, seed), fitted.space),
            judge.estimate if judge else lambda images: images.new_zeros(len(images), 0),
            values.repeat_interleave(count, 0),
            [bank.schema.columns(name).start for name in names],
            None if chosen["reject"] is None else chosen["reject"] * sigma,
            chosen["seed"],
        )
        progress(0.8, "draw")
        given = generator.synthesize(codes, test.space)
        progress(1.0, "images")
    _draw(
        picture,
        given,
        found,
        names if judge else [],
        bank.schema,
        [f"{shown.one} of the bank", *(f"like {shown.one} {row}" for row in rows)],
    )
    _tell(picture, found, shown)


def _judge(registry: Registry, generator: str, chosen: dict[str, Any]) -> AttributeEstimator | None:
    """Named, or the generator's own; None where there is neither and none is needed."""
    known = chosen["judge"] or companions_of(registry, generator)
    if not known and chosen["reject"] is None:
        return None
    return registry.estimator(judge_of(registry, generator, chosen["judge"]))


def _read_names(schema: AttributeSchema, named: list[str]) -> list[str]:
    """Attributes of one number: those that are set, else the first two of the schema."""
    plain = [attribute.name for attribute in schema if attribute.kind != "vector"]
    return [name for name in dict.fromkeys(named) if name in plain] or plain[:2]


def _draw(
    picture: Path,
    given: Tensor,
    found: Accepted,
    names: list[str],
    schema: AttributeSchema,
    titles: list[str],
) -> None:
    from latentedit.data.images import images_to_bytes
    from latentedit.report.grid import refused, save_grid

    count = len(found.images) // len(given)
    shown = list(images_to_bytes(found.images).cpu())
    shown = [image if ok else refused(image) for image, ok in zip(shown, found.ok, strict=True)]
    columns = [schema.columns(name).start for name in names]
    read = [" · ".join(f"{float(row[c]):.3g}" for c in columns) for row in found.judged]
    faces = list(images_to_bytes(given).cpu())
    save_grid(
        picture,
        [[faces[i], *shown[i * count : (i + 1) * count]] for i in range(len(faces))],
        [titles[0], *(f"sample {i}" for i in range(count))],
        titles[1:],
        [[" · ".join(names), *read[i * count : (i + 1) * count]] for i in range(len(faces))]
        if names
        else None,
    )


def _tell(picture: Path, found: Accepted, shown: Subject) -> None:
    missed = int((~found.ok).sum())
    if missed:
        err.print(f"{missed} places are crossed out: the judge rejected all drawn for them")
    more = f", {found.drawn} drawn" if found.drawn > len(found.ok) else ""
    told = f"{picture}: {len(found.ok) - missed} new {shown.many}{more}"
    say(told, next_step=look_at(picture))
