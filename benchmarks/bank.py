"""Speed of reading a bank in order: its batches against the same rows by their index.

    python benchmarks/bank.py                  100,000 codes of 512 numbers, in under a minute
    python benchmarks/bank.py --codes 20000 --repeats 9

Both readings are of a memory-mapped bank of random codes, one after the other in one process. The
figure is the median of processor time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from latentedit import Attribute, AttributeSchema, LatentBank, ModelReference, Split
from latentedit.data.bank import SHARD_ROWS
from latentedit.data.split import BATCH

SCHEMA = AttributeSchema((Attribute("age", "continuous", 0, 70, "years"),))

Reading = Callable[[], Iterable[tuple[Tensor, Tensor]]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codes", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        split = written(Path(folder) / "bank", arguments.codes).split("fit")
        readings: dict[str, Reading] = {
            "rows by index": lambda: map(split.rows, torch.arange(len(split)).split(BATCH)),
            "batches in order": split.batches,
        }
        times = {name: [] for name in readings}
        for _ in range(arguments.repeats):
            for name, reading in readings.items():
                times[name].append(seconds(reading))
    slow = median(times["rows by index"])
    for name, found in times.items():
        print(
            f"{name:18} {1000 * median(found):8.1f} ms   {slow / median(found):.1f} times as fast"
        )


def written(folder: Path, codes: int) -> LatentBank:
    rng = torch.Generator().manual_seed(0)
    w, a = torch.randn(codes, 512, generator=rng), 70 * torch.rand(codes, 1, generator=rng)
    shards = tuple(zip(w.split(SHARD_ROWS), a.split(SHARD_ROWS), strict=True))
    reference = ModelReference("random", {}, "0" * 64)
    splits = {"fit": Split("w", SCHEMA, shards), "test": Split("w", SCHEMA, ((w[:2], a[:2]),))}
    return LatentBank.write(folder, splits, reference, reference, {})


def seconds(reading: Reading) -> float:
    started = time.process_time()
    for _ in reading():
        pass
    return time.process_time() - started


if __name__ == "__main__":
    main()
