"""``latentedit invert``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from latentedit.cli.choices import companions_of, example_setting, labeller_of
from latentedit.cli.console import look_at, print_json, progress_bar, say
from latentedit.cli.fit import parse_pairs
from latentedit.cli.options import (
    PATH,
    with_device,
    with_json,
    with_new_folder,
    with_seed,
    with_settings,
    with_threads,
)
from latentedit.errors import InputError
from latentedit.registry import Registry

if TYPE_CHECKING:
    from latentedit.data.bank import LatentBank
    from latentedit.interfaces.generator import Generator
    from latentedit.photos.frames import Frame
    from latentedit.photos.landmarks import LandmarkFinder
    from latentedit.photos.reconstruction import Reconstruction


@click.command()
@click.argument("files", metavar="PHOTO...", nargs=-1, required=True, type=PATH)
@click.option("--generator", required=True, help="Plugin whose codes are wanted.")
@with_settings("the generator", "--generator-option", "generator_options")
@click.option(
    "--labeller",
    help="Attribute estimator for the photos; the generator's default one if not given.",
)
@with_settings("the labeller", "--labeller-option", "labeller_options")
@click.option(
    "--loss",
    "losses",
    multiple=True,
    metavar="NAME=WEIGHT",
    help="A perceptual loss and its weight. May be repeated; the losses are added. The inverter's "
    "default losses if not given.",
)
@click.option("--inverter", help="Inverter; required if more than one is installed.")
@with_settings("the inverter")
@click.option("--tune", type=click.IntRange(1), help="Tune the generator to the photos, in steps.")
@click.option(
    "--landmarks",
    metavar="FILE.json|NAME",
    help="Align photos by landmarks: a JSON file with positions, or a landmark detector. Without "
    "it, the central square of each photo is used.",
)
@with_settings("the landmark detector", "--landmarks-option", "landmark_options")
@click.option(
    "--frame",
    type=click.Choice(["standard", "generator"]),
    default="standard",
    show_default=True,
    help="Where an aligned photo has its face: as generators of aligned faces have it, or as in "
    "the generator's own images, which the landmark detector measures.",
)
@click.option(
    "--identity",
    "recognisers",
    multiple=True,
    metavar="NAME",
    help="Identity encoder that compares photo and reconstruction. May be repeated. With the "
    "generator's default labeller, the generator's default encoders.",
)
@click.option(
    "--truth",
    type=PATH,
    help="Bank from which `latentedit bank images` wrote these pictures. The codes found are then "
    "compared with the bank's codes.",
)
@with_seed
@with_threads
@with_device
@with_new_folder
@with_json
def invert(
    files: tuple[Path, ...],
    generator: str,
    generator_options: tuple[str, ...],
    labeller: str | None,
    labeller_options: tuple[str, ...],
    losses: tuple[str, ...],
    inverter: str | None,
    options: tuple[str, ...],
    tune: int | None,
    landmarks: str | None,
    landmark_options: tuple[str, ...],
    frame: str,
    recognisers: tuple[str, ...],
    truth: Path | None,
    seed: int,
    threads: int,
    device: str,
    folder: Path,
    as_json: bool,
) -> None:
    """Find codes for photographs, and write them as a bank. A PHOTO is a file or a folder.

    `latentedit edit` and `latentedit bench run --photos` accept the new folder. The error of each
    reconstruction is printed. OUT/inversion.png shows photo, reconstruction and difference.

    \b
    Examples:
      latentedit invert photo.jpg --generator GENERATOR --out code
      latentedit invert photos/ --generator GENERATOR --generator-option path=G \\
          --labeller ESTIMATOR --labeller-option file=words.yaml --tune 300 --out code
    """
    import torch

    from latentedit.data.bank import LatentBank
    from latentedit.editing.checks import check_device
    from latentedit.photos.align import find_photographs, read_photograph
    from latentedit.photos.frames import STANDARD
    from latentedit.photos.invert import InversionPlan, invert_photographs, parse_losses
    from latentedit.photos.landmarks import landmark_finder
    from latentedit.photos.reconstruction import true_codes

    check_device(device)
    torch.set_num_threads(threads)
    registry, chosen = Registry.discover(), parse_pairs(options)
    if tune is not None:
        chosen["tuning_steps"] = tune
    labeller = labeller_of(registry, generator, labeller)
    inverter = inverter or registry.only("inverter", "--inverter")
    plan = InversionPlan(
        generator=(generator, parse_pairs(generator_options)),
        labeller=(labeller, parse_pairs(labeller_options)),
        losses=parse_losses(losses) or _own_losses(registry, inverter),
        inverter=(inverter, chosen),
        recognisers=recognisers or _own_recognisers(registry, generator, labeller),
        seed=seed,
        device=device,
    )
    model = registry.generator(*plan.generator)
    finder, square = None, STANDARD
    if landmarks is not None:
        finder = landmark_finder(registry, landmarks, parse_pairs(landmark_options))
    if frame == "generator":
        square = _own_frame(model, finder, landmarks)
    photos = [read_photograph(p, model.resolution, finder, square) for p in find_photographs(files)]
    codes = None
    if truth is not None:
        codes = true_codes(LatentBank.open(truth), [photo.name for photo in photos], model)
    with progress_bar("invert") as progress:
        bank = invert_photographs(
            registry,
            photos,
            folder,
            plan,
            generator=model,
            truth=codes,
            draw=_picture,
            progress=progress,
        )
    _report(bank, folder, as_json)


def _own_losses(registry: Registry, inverter: str) -> Mapping[str, float]:
    own: Mapping[str, float] = registry.load("inverter", inverter).losses
    if not own:
        raise InputError(
            f"{inverter} has no default perceptual loss; choose one with --loss. "
            f"Installed: {', '.join(registry.names('perceptual')) or '(none is installed)'}"
        )
    return own


def _own_frame(model: Generator, finder: LandmarkFinder | None, source: str | None) -> Frame:
    from latentedit.photos.frames import frame_of

    if finder is None or source is None or source.endswith(".json"):
        raise InputError(
            "--frame generator looks for faces in images of the generator, and needs a landmark "
            f"detector: --landmarks NAME, received --landmarks {source}"
        )
    return frame_of(model, finder)


def _own_recognisers(registry: Registry, generator: str, labeller: str) -> tuple[str, ...]:
    own = companions_of(registry, generator)
    return () if own is None or labeller != own.labeller else own.identity


def _report(bank: LatentBank, folder: Path, as_json: bool) -> None:
    """Print the reconstruction error of each photo, and a command that uses the bank."""
    from latentedit.photos.invert import PICTURE

    rows = (bank.inversion or {})["photographs"]
    if as_json:
        print_json({"hash": bank.hash, "photographs": rows})
        return
    for row in rows:
        say(f"{row['name']}: {_errors(row)}; crop: {row['crop']}")
    tuned = ", with a generator tuned to them" if (bank.inversion or {})["tuned"] else ""
    say(
        f"{folder}: {len(rows)} photos in {bank.split('test').space.upper()}{tuned}\n"
        f"hash {bank.hash}",
        next_step=f"{look_at(folder / PICTURE)}, then: latentedit edit --editor E --bank {folder} "
        f"--index 0 --set {example_setting(bank.schema)} --out grid.png",
    )


def _errors(row: Mapping[str, Any]) -> str:
    parts = [f"{row['pixel_error']:.1f} of 255 levels ({row['psnr']:.1f} dB)"]
    parts += [f"{key} {value:.3f}" for key, value in row.items() if "identity" in key]
    if "code_error" in row:
        parts.append(f"code error {row['code_error']:.3f}")
    return ", ".join(parts)


def _picture(found: Reconstruction, rows: Sequence[Mapping[str, Any]]) -> bytes:
    """A picture with one row per photo: photo, reconstruction and their difference around grey."""
    from latentedit.data.images import images_to_bytes, png
    from latentedit.report.grid import draw_grid

    photos, images = found.photographs, found.images
    columns = [list(images_to_bytes(part).cpu()) for part in (photos, images, photos - images)]
    return png(
        draw_grid(
            [list(row) for row in zip(*columns, strict=True)],
            ["photo", "reconstruction", "difference"],
            [str(row["name"]) for row in rows],
            [["", f"{row['pixel_error']:.1f} levels", ""] for row in rows],
            scale=max(1, 192 // photos.shape[2]),
        )
    )
