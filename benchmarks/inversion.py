"""Accuracy of inversion on held-out faces of the bundled worlds, by steps of descent.

    python benchmarks/inversion.py                         # docs/results/inversion.csv; minutes
    python benchmarks/inversion.py --of network --n 4      # one table, of fewer photos
    python benchmarks/figures.py write                     # the tables of docs/invert.md

Photos are what a generator makes of codes that no bank has, in levels of 0 to 255. Where another
generator made them, no code meets them, as with photographs. Figures are means over photos, and
seconds are processor time on one thread.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from shipped import RESULTS
from study_figures import read_rows, rounded, write_rows
from suite_sentences import paragraph
from suite_tables import table
from torch import Tensor

from latentedit import Generator, InversionRuntime, Registry, WeightedLoss
from latentedit.photos.reconstruction import Reconstruction

FIGURES = RESULTS / "inversion.csv"
SEED = 1_000_777
"""Beyond the seeds that banks draw from."""
RECOGNISERS = ("synthface-identity-contrastive", "synthface-identity-regression")
STEPS = ((0, 0), (25, 0), (100, 0), (300, 0), (150, 150))
"""Of descent in W, and in W+ after that."""
TUNING = 300
"""Steps of tuning, in a row of its own where another generator made the photos."""
FEATURES = 0.01
"""Weight of `synthface-features` in the loss."""


@dataclass(frozen=True)
class World:
    """Whose codes are wanted, and who makes the photos."""

    generator: str
    photos_of: str

    @property
    def own(self) -> bool:
        return self.generator == self.photos_of


WORLDS = {
    "network": World("synthface-net", "synthface-net"),
    "renderer": World("synthface", "synthface"),
    "other world": World("synthface-net", "synthface"),
}
"""By the name of the table."""


@dataclass(frozen=True)
class Inverted:
    """Means over photos after so many steps.

    Args:
        seconds: of one photo, those of the first guess included.
        psnr: in decibels; levels: mean difference of pixels, of 255.
        contrastive, regression: identity similarity by each recogniser.
        code_error: distance of codes, where two sampled faces have 1; None for photos of another
            generator.
        drift: of the true identity, in standard deviations; None likewise.
    """

    world: str
    photos: int
    w_steps: int
    rows_steps: int
    tuning_steps: int
    seconds: float
    psnr: float
    levels: float
    contrastive: float
    regression: float
    code_error: float | None
    drift: float | None


def photos_of(generator: Generator, n: int) -> tuple[Tensor, Tensor]:
    """Codes (n, D) and what a PNG file keeps of their images, (n, 3, R, R)."""
    codes = generator.sample(n, SEED, "w")
    levels = ((generator.synthesize(codes).clamp(-1, 1) + 1) * 127.5).round()
    return codes, levels / 127.5 - 1


def measured(name: str, n: int) -> Iterator[Inverted]:
    """A row for each number of steps in one of `WORLDS`."""
    world, registry = WORLDS[name], Registry.discover()
    generator, maker = (registry.generator(g) for g in (world.generator, world.photos_of))
    codes, photos = photos_of(maker, n)
    pyramid, features = (registry.build("perceptual", k) for k in ("pyramid", "synthface-features"))
    loss = WeightedLoss(((1.0, pyramid), (FEATURES, features)))
    encoders = {key: registry.identity(key) for key in RECOGNISERS}
    plans = [(*steps, 0) for steps in STEPS] + ([] if world.own else [(*STEPS[-1], TUNING)])
    for in_w, in_rows, tuning in plans:
        options = {"w_steps": in_w, "rows_steps": in_rows, "tuning_steps": tuning}
        inverter = registry.build("inverter", "optimisation", options)
        started = time.process_time()
        found = inverter.invert(photos, InversionRuntime(generator, loss))
        seconds = (time.process_time() - started) / n
        renderer = generator.tuned(found.weights) if found.weights else generator
        truth = codes if world.own else None
        shown = Reconstruction.of(renderer, found.codes, found.space, photos, truth)
        rows = shown.errors(generator, loss, encoders)

        def mean(column: str, rows: Sequence[dict[str, float]] = rows) -> float:
            return rounded(sum(row[column] for row in rows) / len(rows))

        yield Inverted(
            name,
            n,
            in_w,
            in_rows,
            tuning,
            rounded(seconds),
            mean("psnr"),
            mean("pixel_error"),
            *(mean(f"identity similarity · {key}") for key in RECOGNISERS),
            mean("code_error") if world.own else None,
            mean("true identity drift") if world.own else None,
        )


def tables(path: Path = FIGURES) -> dict[str, Callable[[], str]]:
    """What writes each block, by the name that a page asks for."""
    found = read_rows(path, Inverted)
    measured_in = [name for name in WORLDS if any(row.world == name for row in found)]
    return {"facts": partial(_facts, found)} | {
        name: partial(_table, [r for r in found if r.world == name]) for name in measured_in
    }


def _facts(rows: Sequence[Inverted]) -> str:
    photos = " to ".join(map(str, sorted({row.photos for row in rows})))
    return paragraph(
        f"The tables show means over {photos} faces that no bank holds, rounded to 256 levels. The "
        f"loss is `pyramid` with {FEATURES} of `synthface-features`."
    )


def _table(rows: Sequence[Inverted]) -> str:
    own, tuned = WORLDS[rows[0].world].own, any(row.tuning_steps for row in rows)
    lines = [
        [
            *map(str, [r.w_steps, r.rows_steps, *([r.tuning_steps] if tuned else [])]),
            f"{r.seconds:.1f}",
            f"{r.psnr:.1f}",
            *(f"{value:.3g}" for value in (r.levels, r.contrastive, r.regression)),
            *(f"{v:.3g}" for v in (r.code_error, r.drift) if v is not None),
        ]
        for r in rows
    ]
    heads = ["W", "W+", *(["tuning"] if tuned else []), "seconds a photo", "PSNR, dB", "levels"]
    last = ["code error", "true identity drift"] if own else []
    return table([*heads, "A", "B", *last], lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--of", nargs="+", choices=[*WORLDS], default=[*WORLDS], help="tables")
    parser.add_argument("--n", type=int, default=16, help="photos")
    parser.add_argument("--out", type=Path, default=FIGURES)
    given = parser.parse_args()
    torch.set_num_threads(1)
    before = read_rows(given.out, Inverted) if given.out.is_file() else []
    found = [row for row in before if row.world not in given.of]
    for name in given.of:
        for row in measured(name, given.n):
            print(row, flush=True)
            found.append(row)
    write_rows(given.out, found)


if __name__ == "__main__":
    main()
