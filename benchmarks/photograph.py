"""One photograph in several generators: its table and picture in docs/faces.md.

    python benchmarks/photograph.py runs/photo/dcgan-ffhq runs/photo/dcgan runs/photo/synthface

keeps the errors that `latentedit invert` measured, and draws its pictures below each other.
`benchmarks/figures.py write` then writes the table.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import torch
from shipped import RESULTS, ROOT
from suite_tables import table
from torch.nn.functional import interpolate

from latentedit import LatentBank, images_to_bytes
from latentedit.editing.generators import build_renderer
from latentedit.files.artefacts import write_bytes
from latentedit.files.tables import csv_text
from latentedit.registry import Registry
from latentedit.report.grid import save_grid

KEPT = RESULTS / "photograph.csv"
PICTURE = ROOT / "docs" / "photograph.png"
COLUMNS = ("generator", "crop", "levels", "decibels")
SIDE = 192
"""Pixels of an image in the picture."""
SIMILARITY = "identity similarity · "


def rows(folders: Iterable[Path]) -> list[dict[str, str]]:
    """The errors of the first photograph of each folder."""
    found = []
    for folder in folders:
        bank = LatentBank.open(folder)
        record = (bank.inversion or {})["photographs"][0]
        similar = {
            name.removeprefix(SIMILARITY): f"{value:.3f}"
            for name, value in record.items()
            if name.startswith(SIMILARITY)
        }
        errors = {"levels": f"{record['pixel_error']:.1f}", "decibels": f"{record['psnr']:.1f}"}
        found.append(
            {"generator": bank.generator.name, "crop": record["crop"], **errors, **similar}
        )
    return found


def keep(folders: Sequence[Path]) -> None:
    found = rows(folders)
    columns = [*dict.fromkeys(name for row in found for name in row)]
    lines: list[list[object]] = [list(columns)]
    lines += [[row.get(column, "") for column in columns] for row in found]
    write_bytes(KEPT, csv_text(lines).encode())


@torch.no_grad()
def draw(folders: Sequence[Path]) -> None:
    """Photograph and reconstruction, a row a folder."""
    registry, shown, titles = Registry.discover(), [], []
    for folder in folders:
        bank = LatentBank.open(folder)
        split, renderer = bank.split("test"), build_renderer(registry, bank)
        image = renderer.synthesize(split.codes[:1], split.space)
        pair = torch.cat([bank.photographs[:1], image])
        shown.append(list(images_to_bytes(interpolate(pair, SIDE, mode="nearest"))))
        titles.append(bank.generator.name)
    save_grid(PICTURE, shown, ["photograph", "reconstruction"], titles, scale=1)


def inversions(kept: Path = KEPT) -> str:
    """A row an inversion."""
    with kept.open(encoding="utf-8", newline="") as file:
        found: list[Mapping[str, str]] = list(csv.DictReader(file))
    recognisers = [name for name in found[0] if name not in COLUMNS]
    heads = ["generator", "crop", "levels of 255", "dB", *(f"`{name}`" for name in recognisers)]
    lines = [
        [
            f"`{row['generator']}`",
            *(row[c] for c in COLUMNS[1:]),
            *(row[r] or "–" for r in recognisers),
        ]
        for row in found
    ]
    return table(heads, lines)


def tables() -> dict[str, Callable[[], str]]:
    return {"inversions": inversions}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+", help="that latentedit invert wrote")
    given = parser.parse_args()
    keep(given.folders)
    draw(given.folders)


if __name__ == "__main__":
    main()
