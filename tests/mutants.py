"""Valid weight files with a few bytes changed, read by the million.

    python tests/mutants.py --count 1000000

Every mutant is read to its end or gives one of the project's own errors: no other exception,
nothing slower than five seconds of processor time, and no more memory than `OVER_START` above what
the process began with. Prints how many were read and how many refused; ends with 1 at the first
that is neither, which it keeps.
"""

from __future__ import annotations

import argparse
import contextlib
import random
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pickles
import torch

from latentedit import LatentEditError, read_network, read_tensors, write_tensors
from latentedit_stylegan.alias_free.synthesis import filters
from latentedit_stylegan.alias_free_architecture import AliasFreeArchitecture
from latentedit_stylegan.reading import find_generator

SECONDS_EACH = 5.0
OVER_START = 1 << 30
"""Address space, in bytes, that reading may take beyond what the interpreter had at its start."""


class TooSlow(Exception):
    """One mutant kept the reader busy for longer than `SECONDS_EACH` of processor time."""


def originals() -> dict[str, bytes]:
    """Small valid files of every format that the reader knows."""
    weights = pickles.random_network(resolution=8, z_dim=2, w_dim=2, widths=(2, 2))
    rosinality, genforce = pickles.rosinality_tree(weights), pickles.genforce_tree(weights)
    return {
        "nvidia": pickles.nvidia_pickle(weights),
        "a part of nvidia": pickles.nvidia_pickle(
            {k: v for k, v in weights.items() if k.startswith("mapping.w")}
            | {"mapping.fc0.weight": weights["mapping.fc0.weight"]}
        ),
        "zip": pickles.pytorch_zip(rosinality),
        "legacy": pickles.pytorch_legacy(genforce),
        "stylegan3": stylegan3(),
        "tensorflow": pickles.tensorflow_pickle(pickles.tensorflow_arrays(weights)),
        "tensor": pickles.tensor_file(),
    }


def stylegan3() -> bytes:
    """The smallest .pkl of its kind."""
    settings = {"num_layers": 2, "num_critical": 1, "channel_max": 1, "margin_size": 0}
    shape = {"z_dim": 1, "w_dim": 1, "mapping_layers": 1, "resolution": 16}
    of = AliasFreeArchitecture.model_validate({**shape, **settings})
    weights = {name: np.ones(shape, "<f4") for name, shape in of.shapes().items()}
    weights |= {name: kernel.numpy() for name, kernel in filters(of).items()}
    return pickles.nvidia_pickle(weights, resolution=16, settings=settings)


def safetensors() -> bytes:
    """One small valid file of the format that everything else in the project reads."""
    tensors = {"a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(1, dtype=torch.int64)}
    with tempfile.TemporaryDirectory() as folder:
        write_tensors(Path(folder) / "a", tensors)
        return (Path(folder) / "a").read_bytes()


def mutant(data: bytes, other: bytes, rng: random.Random) -> bytes:
    """`data` with one to four places changed, cut, repeated, or replaced by a part of `other`."""
    changed = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(changed) + 1)
        length = rng.choice((1, 1, 1, 2, 4, 8, 40))
        match rng.randrange(6):
            case 0:
                changed[at : at + 1] = bytes([rng.randrange(256)])
            case 1 if at < len(changed):
                changed[at] ^= 1 << rng.randrange(8)
            case 2:
                changed[at : at + length] = b""
            case 3:
                changed[at:at] = changed[at : at + length]
            case 4:
                start = rng.randrange(len(other))
                changed[at : at + length] = other[start : start + length]
            case _:
                changed[at : at + length] = rng.choice((b"\xff", b"\0")) * length
    return bytes(changed)


def mutants(files: Sequence[bytes], seed: int) -> Iterator[bytes]:
    """Mutants without end, each file's in turn; small files, of which more places matter, come
    three times as often."""
    often = [data for data in files for _ in range(1 if len(data) > 10_000 else 3)]
    rng = random.Random(seed)
    while True:
        for data in often:
            yield mutant(data, rng.choice(often), rng)


def read_pickled(file: Path) -> None:
    find_generator(read_network(file))


def read_safetensors(file: Path) -> None:
    read_tensors(file)


def is_read(read: Callable[[Path], None], file: Path) -> bool:
    """Whether a file is read; False where it is refused as one whose content is bad.

    Raises:
        Exception: whatever else reading it raised.
    """
    try:
        read(file)
    except LatentEditError as error:
        if error.exit_code != 2:
            raise
        return False
    return True


FORMATS: dict[str, Callable[[Path], None]] = {
    "pickled": read_pickled,
    "safetensors": read_safetensors,
}


@contextlib.contextmanager
def within_bounds() -> Iterator[None]:
    """Limits the process's address space, and lets `signal.setitimer` interrupt it."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    limit = pages * resource.getpagesize() + OVER_START
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    signal.signal(signal.SIGPROF, _too_slow)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        resource.setrlimit(resource.RLIMIT_AS, before)


def _too_slow(*_: object) -> None:
    raise TooSlow


def run(kind: str, count: int, seed: int, every: int, keep: Path) -> int:
    """Reads `count` mutants; the number of the first that broke the rule, or -1."""
    read = FORMATS[kind]
    files = [safetensors()] if kind == "safetensors" else list(originals().values())
    start, good = time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder, within_bounds():
        file = Path(folder) / "file"
        for i, data in zip(range(1, count + 1), mutants(files, seed), strict=False):
            file.write_bytes(data)
            signal.setitimer(signal.ITIMER_PROF, SECONDS_EACH)
            try:
                good += is_read(read, file)
            except Exception as error:
                keep.write_bytes(data)
                print(f"{kind}: mutant {i} of seed {seed} raised {error!r}; kept as {keep}")
                return i
            signal.setitimer(signal.ITIMER_PROF, 0)
            if i % every == 0 or i == count:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
                print(
                    f"{kind}: {i:,} mutants, {good:,} read, {i - good:,} refused, none else; "
                    f"{time.monotonic() - start:.0f} s, at most {peak} MiB",
                    flush=True,
                )
    return -1


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=int, default=50_000, help="mutants between two lines")
    parser.add_argument("--keep", type=Path, default=Path("mutant.bin"), help="the first failure")
    parser.add_argument("--format", choices=list(FORMATS), nargs="+", default=list(FORMATS))
    asked = parser.parse_args()
    for kind in asked.format:
        if run(kind, asked.count, asked.seed, asked.every, asked.keep) >= 0:
            sys.exit(1)


if __name__ == "__main__":
    main()
