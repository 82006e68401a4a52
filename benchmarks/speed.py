"""All measurements of speed, and the page of them.

    python benchmarks/speed.py                      about ten minutes; writes docs/speed.csv and .md
    python benchmarks/speed.py --parts render peers --turns 5
    python benchmarks/speed.py --write              writes the page from docs/speed.csv alone

Every ratio is of processor time, of variants that ran in turns in one process on one thread, and is
the median over turns. Parts that were not measured keep the lines that they had.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import peers
import torch
from interleaved import Figure, in_turns, load

from latentedit import Registry
from latentedit_synthface import compiled
from latentedit_synthface.generator import SynthFace

ROOT = Path(__file__).parent.parent
TABLE, PAGE = ROOT / "docs" / "speed.csv", ROOT / "docs" / "speed.md"
GPU = ROOT / "docs" / "results" / "gpu.json"
FACES = 64
COLUMNS = ("part", *Figure._fields, "load", "machine", "date")
TEXT = """# Speed

`make bench` measures the figures of this page, and writes it. A ratio compares processor times of
variants that ran in turns in one process on one thread. It is the median over turns, and below 1 is
faster. The load is the number of processes that wanted to run in the last minute.

{table}

The compiled renderer and torch give the same images, bit for bit, so no figure of a benchmark
depends on which one drew. `benchmarks/peers.py` says what exactly is compared with other packages.
"""


def render(turns: int) -> list[Figure]:
    """Compiled march and paint against torch alone."""
    library = compiled.library(compiled.FOLDER)
    if library is None:
        note = "skipped: there is no compiled renderer; make synthface-kernel builds it"
        return [Figure("rendered face", None, "", "torch alone", None, note)]
    registry = Registry.discover({"LATENTEDIT_LOAD_PLUGINS": "synthface"})
    judge = registry.estimator("synthface-judge")
    names = ("synthface-identity-contrastive", "synthface-identity-regression")
    encoders = [registry.identity(name) for name in names]
    world = SynthFace()
    codes = world.sample(FACES, 0)

    def drawn(plain: bool) -> torch.Tensor:
        os.environ.update({compiled.SWITCH: "1"} if plain else {})
        try:
            return world.synthesize(codes)
        finally:
            os.environ.pop(compiled.SWITCH, None)

    def judged(plain: bool) -> None:
        images = drawn(plain)
        judge.estimate(images)
        for encoder in encoders:
            encoder.embed(images)

    variants: dict[str, Callable[[], Any]] = {
        "drawn": lambda: drawn(False),
        "drawn plainly": lambda: drawn(True),
        "judged": lambda: judged(False),
        "judged plainly": lambda: judged(True),
    }
    with torch.no_grad():
        found = in_turns(variants, turns)
    return [
        Figure(
            f"{name} face",
            found.ratio(ours, f"{ours} plainly"),
            "×",
            "torch alone",
            bar,
            f"{found.milliseconds(ours) / FACES:.2f} ms a face of 64 pixels",
        )
        for name, ours, bar in (("rendered", "drawn", None), ("judged", "judged", 0.6))
    ]


def memory(turns: int) -> list[Figure]:
    """Largest memory of `bank make`, 100,000 codes against 10,000."""
    found = {n: json.loads(_python("bank.py", "--make", str(n)))["MiB"] for n in (10_000, 100_000)}
    small, large = found.values()
    note = f"{small:.0f} and {large:.0f} MiB, Python and torch included; codes of 512 numbers"
    return [Figure("memory of bank make", large / small, "×", "a tenth of the codes", 1.1, note)]


def summary(turns: int) -> list[Figure]:
    """The summary of a run of 50,000 faces × 5 editors × 2 tasks."""
    with tempfile.TemporaryDirectory() as folder:
        written = Path(folder, "figures.json")
        _python("summary.py", "--faces", "50000", "--json", str(written))
        (row,) = json.loads(written.read_text())
    note = "50,000 faces × 5 editors × 2 tasks, in a new process"
    return [
        Figure("summary of a large run", row["processor seconds"], "s", "", 5.0, note),
        Figure("its largest memory", row["largest memory, MiB"], "MiB", "", 600.0, note),
    ]


def start(turns: int) -> list[Figure]:
    """Processor time of `--help` from the shell."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, "-m", "latentedit.cli.main", "bench", "list", "--help"]
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    return [Figure("latentedit bench list --help", sorted(seconds)[1], "s", "", 0.3, "")]


PARTS: dict[str, Callable[[int], list[Figure]]] = {
    "render": render,
    "peers": peers.figures,
    "memory": memory,
    "summary": summary,
    "start": start,
}


def _python(script: str, *arguments: str) -> str:
    """The output of another benchmark."""
    command = [sys.executable, str(Path(__file__).with_name(script)), *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def measured(part: str, turns: int) -> list[dict[str, str]]:
    """Lines of the table."""
    torch.set_num_threads(1)
    machine = f"{os.cpu_count()} cores, {platform.machine()}, torch {torch.__version__}"
    about = {"machine": machine, "date": datetime.date.today().isoformat()}
    rows = []
    for figure in PARTS[part](turns):
        values = {name: _written(value) for name, value in figure._asdict().items()}
        rows.append({"part": part, **values, "load": f"{load():.1f}", **about})
        print("  ".join(rows[-1][name] for name in COLUMNS[:-2]), flush=True)
    return rows


def _written(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def page(rows: Iterable[dict[str, str]]) -> str:
    """The page, from lines of the table."""
    heading = ["figure", "measured", "wanted", "against", "load", "how"]
    lines = [" | ".join(heading), " | ".join(["---"] * len(heading))]
    for row in rows:
        value = f"{row['value']} {row['unit']}".strip() or "–"
        bar = f"≤ {row['bar']} {row['unit']}" if row["bar"] else "–"
        cells = [row["name"], value, bar, row["against"] or "–", row["load"], row["note"] or "–"]
        lines.append(" | ".join(cells))
    found = list(rows)
    if found:
        made = ", ".join(sorted({f"{row['machine']}, {row['date']}" for row in found}))
        lines += ["", f"Measured on: {made}."]
    table = "\n".join(f"| {line} |" if " | " in line else line for line in lines)
    return TEXT.format(table=table) + gpu()


def gpu() -> str:
    """The part of the page about a GPU; "" where none was measured."""
    if not GPU.is_file():
        return ""
    found = json.loads(GPU.read_text())
    agreement, edits, images = found["agreement"], found["edits"], found["images"]
    lines = [
        ("fit of the flow of the paper's size", f"{found['fit']['seconds']:.1f} s"),
        *(
            (
                f"edits a second, {int(size):,} at a time",
                f"{edits[f'edits a second at {size}']:,.0f}, "
                f"{edits[f'of the limit at {size}']:.2%} of what its products allow",
            )
            for size in ("1", "64", "4096")
        ),
        (
            f"images a second of StyleGAN2 at {images['pixels']:,} pixels",
            f"{images['images a second']:.0f}",
        ),
        ("edits, GPU against CPU, of their length", f"{agreement['edit, of its length']:.1e}"),
        ("images, GPU against CPU, on average", f"{agreement['image, mean']:.1e}"),
        (
            "judge's readings, GPU against CPU, at most",
            f"{agreement['judge, in standard deviations']:.1e} σ",
        ),
    ]
    if suite := found.get("suite"):
        lines += [
            (
                "figures of the quickstart, GPU against CPU",
                f"{suite['median']:.4f} half widths of an interval at the median of "
                f"{suite['figures']:,}, {suite['largest']:.2f} at most",
            )
        ]
    rows = "\n".join(f"| {name} | {value} |" for name, value in lines)
    return f"""
## On a GPU

`--device cuda` moves models and editors of `fit`, `edit`, `sample`, `studio`, `bank make` and
`bench run` to a GPU. `benchmarks/gpu.py` measured these figures on one {found["device"]}, with
torch {found["torch"]} in single precision.

| figure | measured |
| --- | --- |
{rows}

A suite of small images gains little: its cells start one process each, and wait for the GPU in
turns. A round-trip error is rounding alone, so it is not among the figures that are compared.
"""


def table() -> list[dict[str, str]]:
    """The lines that there are."""
    if not TABLE.is_file():
        return []
    with TABLE.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=list(PARTS))
    parser.add_argument("--turns", type=int, default=9, help="the median of so many")
    parser.add_argument("--write", action="store_true", help="write the page, and measure nothing")
    arguments = parser.parse_args()
    rows = table()
    for part in () if arguments.write else arguments.parts:
        rows = [row for row in rows if row["part"] != part] + measured(part, arguments.turns)
    rows.sort(key=lambda row: list(PARTS).index(row["part"]))
    with TABLE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    PAGE.write_text(page(rows), encoding="utf-8")


if __name__ == "__main__":
    main()
