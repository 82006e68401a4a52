"""Speed of the SynthFace renderer on one thread, in all and by stage.

python benchmarks/renderer.py --resolutions 64 128 --batches 1 16 64 --repeats 7
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from latentedit_synthface import renderer
from latentedit_synthface.factors import LIGHT, factors_from_scores, sample_scores
from latentedit_synthface.glasses import draw_glasses
from latentedit_synthface.head import shape_of
from latentedit_synthface.painting import background, palette_of

NAIVE_STEPS = 24


def median_seconds(function: Callable[[], Any], repeats: int) -> float:
    """Median wall-clock time of a call, after one call to warm up."""
    function()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def stages(factors: torch.Tensor, resolution: int, repeats: int) -> dict[str, float]:
    """Share of the time of one chunk in each stage."""
    size = 2 * resolution
    shape, palette = shape_of(factors), palette_of(factors)
    pixels, samples = renderer.trace(shape, resolution, 2)
    canvas = background(palette, size)
    calls: dict[str, Callable[[], Any]] = {
        "measures and palette": lambda: (shape_of(factors), palette_of(factors)),
        "tracing": lambda: renderer.trace(shape, resolution, 2),
        "light and paint": lambda: renderer.shade(
            shape, palette, factors[:, LIGHT], pixels, samples, (resolution, 2)
        ),
        "background": lambda: background(palette, size),
        "glasses": lambda: draw_glasses(canvas, shape, factors, renderer.EXTENT, renderer.CENTRE),
    }
    seconds = {name: median_seconds(call, repeats) for name, call in calls.items()}
    total = sum(seconds.values())
    return {name: value / total for name, value in seconds.items()}


def naive_tracing(factors: torch.Tensor, resolution: int) -> None:
    """Every sample of the supersampled image marched by itself."""
    shape, size = shape_of(factors), 2 * resolution
    renderer.march(
        shape, renderer.all_blocks(shape, size), 2 * renderer.EXTENT / size, 0.0, NAIVE_STEPS
    )


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
parser.add_argument("--resolutions", type=int, nargs="+", default=[64, 128], metavar="PIXELS")
parser.add_argument("--batches", type=int, nargs="+", default=[1, 16, 64], metavar="IMAGES")
parser.add_argument("--repeats", type=int, default=5, help="the median of so many runs")
parser.add_argument("--threads", type=int, default=1)
parser.add_argument("--seed", type=int, default=0, help="of the faces drawn")
parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
arguments = parser.parse_args()

torch.set_num_threads(arguments.threads)
torch.set_grad_enabled(False)
figures: dict[str, Any] = {
    "torch": torch.__version__,
    "threads": arguments.threads,
    "repeats": arguments.repeats,
    "supersampling": 2,
    "images_per_second": [],
    "stages": {},
    "naive_tracing_ratio": {},
}

print(f"{'pixels':>8}{'batch':>8}{'images/s':>12}{'ms/image':>12}")
for resolution in arguments.resolutions:
    for batch in arguments.batches:
        faces = factors_from_scores(sample_scores(batch, arguments.seed))
        seconds = median_seconds(lambda: renderer.render(faces, resolution), arguments.repeats)  # noqa: B023
        rate = batch / seconds
        figures["images_per_second"].append(
            {"resolution": resolution, "batch": batch, "images_per_second": rate}
        )
        print(f"{resolution:>8}{batch:>8}{rate:>12.1f}{1e3 / rate:>12.2f}")

for resolution in arguments.resolutions:
    chunk = max(1, 16 * 64**2 // resolution**2)
    faces = factors_from_scores(sample_scores(chunk, arguments.seed))
    shares = stages(faces, resolution, arguments.repeats)
    figures["stages"][resolution] = shares
    print(f"\nShare of the time at {resolution} pixels, {chunk} images")
    for name, share in shares.items():
        print(f"  {name:<22}{share:>7.1%}")
    few = faces[: max(1, chunk // 4)]
    shape = shape_of(few)
    naive = median_seconds(lambda: naive_tracing(few, resolution), 3)  # noqa: B023
    ours = median_seconds(lambda: renderer.trace(shape, resolution, 2), 3)  # noqa: B023
    figures["naive_tracing_ratio"][resolution] = naive / ours
    print(f"  naive tracing of every sample takes {naive / ours:.1f} times as long as tracing")

if arguments.json:
    arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
