"""Time and memory of the summary of a large run.

    python benchmarks/summary.py --faces 50000

A small suite of five linear editors and two tasks is run in the rendered world. Its cells are then
enlarged: every face is repeated, with a little noise of its own. `summarise` reads them in a new
process that does nothing else. The figures are its processor time, its wall time, and its
largest memory, all of Python and torch included.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from interleaved import peak_memory
from torch import Tensor

from latentedit import LatentBank, write_json
from latentedit.benchmark.cells.store import Cell, CellStore, Outcome
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite

FACES = 31
"""Of the small run: no other dimension of an array has this length."""
EDITORS = ("regression", "mean-difference", "min-norm", "conditional-mean", "logistic")
SUITE: dict[str, Any] = {
    "name": "summary",
    "bank": {
        "generator": {"plugin": "synthface"},
        "labeller": "synthface-labeller",
        "n_fit": 300,
        "n_test": FACES,
        "seed": 0,
    },
    "judge": "synthface-judge",
    "identity": ["synthface-identity-contrastive", "synthface-identity-regression"],
    "editors": {name: {"plugin": name} for name in EDITORS},
    "controls": [],
    "tasks": [{"attribute": "yaw", "change": 15}, {"attribute": "age", "change": 20}],
    "strengths": [0.5, 1.0, 2.0],
    "effects": [0.8],
    "show_images": 2,
    "seeds": [0],
}


class Silent:
    """An observer without output."""

    def progressed(self, cell_id: str, fraction: float, message: str) -> None:
        pass

    def finished(self, cell_id: str, status: str, error: str) -> None:
        pass


def enlarged(array: Tensor, faces: int, rng: torch.Generator) -> Tensor:
    """`array` with its dimension of `FACES` repeated to `faces`, and noise of a hundredth."""
    if FACES not in array.shape:
        return array
    dim = array.shape.index(FACES)
    large = array.index_select(dim, torch.arange(faces) % FACES)
    if large.is_floating_point():
        noise = torch.randn(large.shape, generator=rng)
        large = (large + 0.01 * array.nan_to_num(0).float().std() * noise).to(array)
    return large.contiguous()


def enlarge(folder: Path, faces: int) -> None:
    """Replace the cells and the test faces of the small run by those of `faces` faces."""
    small = LatentBank.open(folder / "bank")
    test = small.split("test").take(torch.arange(faces) % FACES)
    splits = {"fit": small.split("fit"), "test": test}
    LatentBank.write(folder / "large", splits, small.generator, small.labeller, small.sampling)
    shutil.rmtree(folder / "bank")
    (folder / "large").rename(folder / "bank")
    store, rng = CellStore(folder), torch.Generator().manual_seed(0)
    for cell_id in list(store.planned):
        kind, *rest = cell_id.split("--")
        if kind == "fit":
            continue
        key, timings = store.key(cell_id), store.timings(cell_id)
        arrays = {name: enlarged(a, faces, rng) for name, a in store.arrays(cell_id).items()}
        if kind == "edit":
            arrays["faces"] = torch.arange(faces)
            cell = Cell("edit", key, rest[0], int(rest[1].removeprefix("seed")), rest[2])
        else:
            cell = Cell("faces", key)
        store.commit(cell, Outcome("ok", 1.0, arrays=arrays, timings=timings))


def measured(folder: Path) -> dict[str, float]:
    """Of the summary, in this process."""
    processor, wall = time.process_time(), time.perf_counter()
    summarise(folder)
    return {
        "processor seconds": time.process_time() - processor,
        "wall seconds": time.perf_counter() - wall,
        "largest memory, MiB": peak_memory(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--faces", type=int, nargs="+", default=[5_000, 50_000])
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.run is not None:
        print(json.dumps(measured(arguments.run)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made, "run")
        run_suite(Suite.model_validate(SUITE), folder, Silent(), workers=1)
        for faces in arguments.faces:
            large = Path(made, f"of-{faces}")
            shutil.copytree(folder, large)
            enlarge(large, faces)
            command = [sys.executable, __file__, "--run", str(large)]
            done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
            found = json.loads(done.stdout) | {"load": os.getloadavg()[0]}
            rows.append({"faces": faces, "editors": len(EDITORS), "tasks": 2, **found})
            print(rows[-1])
    if arguments.json:
        write_json(arguments.json, rows)


if __name__ == "__main__":
    main()
