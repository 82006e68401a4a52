"""Speed of reading a bank in order: its batches against the same rows by their index.

    python benchmarks/bank.py                  100,000 codes of 512 numbers, in under a minute
    python benchmarks/bank.py --codes 20000 --repeats 9
    python benchmarks/bank.py --make 100000    largest memory of `bank make`, in a cheap world

Both readings are of a memory-mapped bank of random codes, one after the other in one process. The
figure is the median of processor time.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from statistics import median
from types import MappingProxyType

import torch
from interleaved import peak_memory
from torch import Tensor

from latentedit import (
    Attribute,
    AttributeEstimator,
    AttributeSchema,
    Generator,
    LatentBank,
    ModelReference,
    Registry,
    Split,
    fingerprint,
)
from latentedit.data.bank import SHARD_ROWS
from latentedit.data.split import BATCH
from latentedit.plugin import PluginSpec, hookimpl
from latentedit.sampling.make import make_bank

SCHEMA = AttributeSchema((Attribute("age", "continuous", 0, 70, "years"),))

Reading = Callable[[], Iterable[tuple[Tensor, Tensor]]]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--codes", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--make", type=int, metavar="CODES", help="make a bank of so many instead")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.make is not None:
        print(json.dumps({"codes": arguments.make, "MiB": memory_to_make(arguments.make)}))
        return
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


class Cheap(Generator):
    """A world whose images are the first numbers of a code."""

    spaces: Mapping[str, tuple[int, ...]] = MappingProxyType({"w": (512,)})
    fingerprint = fingerprint({"world": "cheap"})
    resolution = 8

    def sample(self, n: int, seed: int, space: str = "w", truncation_psi: float = 1.0) -> Tensor:
        return torch.randn(n, 512, generator=torch.Generator().manual_seed(seed))

    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        return codes

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        return codes[:, :192].reshape(-1, 3, 8, 8).clamp(-1, 1)


class Mean(AttributeEstimator):
    """Reads an age off the mean of an image."""

    schema = SCHEMA
    fingerprint = fingerprint({"estimator": "mean"})

    def estimate(self, images: Tensor) -> Tensor:
        return 35 + 100 * images.flatten(1).mean(1, keepdim=True)


class _Plugins:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            PluginSpec("generator", "cheap", f"{__name__}:Cheap", "random images"),
            PluginSpec("estimator", "mean", f"{__name__}:Mean", "their mean"),
        ]


def memory_to_make(codes: int) -> float:
    """MiB of this process at most, after it made a bank."""
    registry = Registry()
    registry.add(_Plugins(), "cheap")
    with tempfile.TemporaryDirectory() as folder:
        models = {"generator": "cheap", "labeller": "mean"}
        make_bank(registry, Path(folder) / "bank", n_fit=codes, n_test=64, **models)
    return peak_memory()


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
