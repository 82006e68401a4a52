"""Accuracy of inversion on held-out faces of the bundled worlds, by steps of descent.

    python benchmarks/inversion.py --generator synthface
    python benchmarks/inversion.py --generator synthface-net
    python benchmarks/inversion.py --generator synthface-net --photos-of synthface --tune 300

Photos are what a generator makes of codes that no bank has, in levels of 0 to 255. Where another
generator made them, no code meets them, as with photographs. Prints a table in Markdown: means over
photos, seconds on one thread.
"""

from __future__ import annotations

import argparse
import time

import torch
from torch import Tensor

from latentedit import Generator, InversionRuntime, Registry, WeightedLoss
from latentedit.photos.reconstruction import Reconstruction

SEED = 1_000_777
"""Beyond the seeds that banks draw from."""
RECOGNISERS = ("synthface-identity-contrastive", "synthface-identity-regression")
STEPS = ((0, 0), (25, 0), (100, 0), (300, 0), (150, 150))
"""Of descent in W, and in W+ after that."""
COLUMNS = (
    "psnr",
    "pixel_error",
    *(f"identity similarity · {name}" for name in RECOGNISERS),
    "code_error",
    "true identity drift",
)


def photos_of(generator: Generator, n: int) -> tuple[Tensor, Tensor]:
    """Codes (n, D) and what a PNG file keeps of their images, (n, 3, R, R)."""
    codes = generator.sample(n, SEED, "w")
    levels = ((generator.synthesize(codes).clamp(-1, 1) + 1) * 127.5).round()
    return codes, levels / 127.5 - 1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--generator", default="synthface", help="whose codes are wanted")
    parser.add_argument("--photos-of", help="the generator that makes the photos, if another")
    parser.add_argument("--n", type=int, default=16, help="photos")
    parser.add_argument("--features", type=float, default=0.01, help="weight of the features")
    parser.add_argument("--tune", type=int, default=0, help="steps of tuning, in a row of its own")
    given = parser.parse_args()
    torch.set_num_threads(1)
    registry = Registry.discover()
    generator = registry.generator(given.generator)
    maker = registry.generator(given.photos_of or given.generator)
    codes, photos = photos_of(maker, given.n)
    weights = {"pyramid": 1.0} | ({"synthface-features": given.features} if given.features else {})
    loss = WeightedLoss(
        tuple((weight, registry.build("perceptual", name)) for name, weight in weights.items())
    )
    encoders = {name: registry.identity(name) for name in RECOGNISERS}
    truth = codes if maker.fingerprint == generator.fingerprint else None
    columns = COLUMNS if truth is not None else COLUMNS[:-2]
    print("| W | W+ | tuning | seconds a photo |", " | ".join(columns), "|")
    print("|" + "---:|" * (4 + len(columns)))
    plans = [(*steps, 0) for steps in STEPS]
    if given.tune:
        plans.append((*STEPS[-1], given.tune))
    for in_w, in_rows, tuning in plans:
        options = {"w_steps": in_w, "rows_steps": in_rows, "tuning_steps": tuning}
        inverter = registry.build("inverter", "optimisation", options)
        started = time.perf_counter()
        found = inverter.invert(photos, InversionRuntime(generator, loss))
        seconds = (time.perf_counter() - started) / len(photos)
        renderer = generator.tuned(found.weights) if found.weights else generator
        shown = Reconstruction.of(renderer, found.codes, found.space, photos, truth)
        rows = shown.errors(generator, loss, encoders)
        means = [sum(row[column] for row in rows) / len(rows) for column in columns]
        told = " | ".join(f"{mean:.3g}" for mean in means)
        print(f"| {in_w} | {in_rows} | {tuning} | {seconds:.1f} | {told} |", flush=True)


if __name__ == "__main__":
    main()
