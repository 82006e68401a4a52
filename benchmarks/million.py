"""A suite in shards on three Ray nodes of this machine, one of which is killed half-way.

    python benchmarks/million.py FOLDER --faces 1000000     # writes docs/results/million.json

The generator is the linear world of `latentedit.testing`, which costs little. So the figures are
those of shards, executor and statistics. The script prints and keeps: how many cells have no
result, the memory of a cell early and late in the run, time and memory of the summary, and how far
the figures of 2,000 images lie apart in one shard and in eight.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from latentedit import LatentBank, Registry, evaluate, make_bank
from latentedit.benchmark.results.records import Results, ResultsRecord
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite
from latentedit.files.artefacts import write_json
from latentedit.plugin import PluginSpec, hookimpl

RESULT = Path(__file__).resolve().parents[1] / "docs" / "results" / "million.json"
EDITORS = ("conditional-mean", "min-norm", "mean-difference")
FIT, SHARD, NODES = 2_000, 8_192, 3
SMALL, FEW, MANY = 2_000, 2_000, 250
"""Images of the comparison of one shard with eight, and of a shard of each."""
STORE_BYTES = 80 * 2**20
WATCH_SECONDS = 0.5
PATIENCE = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_raylet_start_wait_time_s": "900",
    "RAY_worker_register_timeout_seconds": "900",
    "RAY_health_check_initial_delay_ms": "60000",
    "RAY_health_check_period_ms": "5000",
    "RAY_health_check_timeout_ms": "60000",
}
"""Of Ray: a machine that is busy with other work starts nodes slowly."""


@dataclass(frozen=True)
class Million:
    """What a run came to; times in seconds of the wall clock, memory in MiB.

    Args:
        killed: nodes that were lost half-way.
        early, late: memory of the largest cell of its own, files apart, in the first and in the
            last third of the run.
        summary_seconds, summary_mib: of reading the figures, in a process of its own.
        apart: the largest difference of a figure between one shard and eight.
        figures: how many were compared.
        load: processes that waited for the machine's two cores beside the run, at its start.
    """

    images: int
    editors: int
    shards: int
    nodes: int
    cells: int
    failed: int
    killed: int
    seconds: float
    early: float
    late: float
    summary_seconds: float
    summary_mib: float
    small: int
    figures: int
    apart: float
    load: float


class _Toy:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        world = "latentedit.testing.world"
        return [
            PluginSpec("generator", "toy", f"{world}:ToyGenerator", "a linear world"),
            PluginSpec("estimator", "toy-labeller", f"{world}:ToyEstimator", "exact attributes"),
            PluginSpec("estimator", "toy-judge", "million:Judge", "exact attributes, again"),
            PluginSpec("identity", "toy-identity", f"{world}:ToyIdentity", "exact identity"),
        ]


def registry() -> Registry:
    found = Registry.discover()
    found.add(_Toy(), "toy")
    return found


def __getattr__(name: str) -> Any:
    """The judge, which is made on first use: the world imports torch."""
    if name != "Judge":
        raise AttributeError(name)
    from latentedit import fingerprint
    from latentedit.testing.world import ToyEstimator

    return type("Judge", (ToyEstimator,), {"fingerprint": fingerprint({"estimator": "judge"})})


def suite(images: int, shard: int) -> Suite:
    return Suite.model_validate(
        {
            "name": "million",
            "bank": {
                "generator": "toy",
                "labeller": "toy-labeller",
                "n_fit": FIT,
                "n_test": images,
            },
            "judge": "toy-judge",
            "identity": ["toy-identity"],
            "editors": {name: {"plugin": name} for name in EDITORS},
            "controls": [],
            "tasks": [{"attribute": "age", "change": 10}],
            "strengths": [0.5, 1.0],
            "keep_codes": False,
            "show_images": 2,
            "shard": shard,
        }
    )


class Watch:
    """Counts the cells that end, kills a node half-way, and looks at the memory of cells."""

    def __init__(self, cluster: Any, cells: int) -> None:
        self.cluster, self.cells, self.ended, self.killed = cluster, cells, 0, False
        self.seen: list[tuple[int, float]] = []
        self.over = threading.Event()

    def progressed(self, cell_id: str, fraction: float, message: str) -> None: ...

    def finished(self, cell_id: str, status: str, error: str) -> None:
        self.ended += cell_id != "bank"
        if error:
            print(cell_id, status, error[-500:], flush=True)
        if self.ended % 20 == 0:
            print(time.strftime("%H:%M:%S"), f"{self.ended} of {self.cells} cells", flush=True)
        if not self.killed and self.ended >= self.cells // 2:
            self.killed = True
            doomed = self.cluster.list_all_nodes()[-1]
            self.cluster.remove_node(doomed, allow_graceful=False)
            print("killed a node", flush=True)

    def look(self) -> None:
        while not self.over.wait(WATCH_SECONDS):
            sizes = [own_memory(pid) for pid in descendants(os.getpid())]
            if sizes:
                self.seen.append((self.ended, max(sizes)))

    def largest(self, first: float, last: float) -> float:
        """Of the cells that ran between two shares of the run."""
        found = [size for ended, size in self.seen if first <= ended / self.cells <= last]
        return max(found, default=float("nan"))


def descendants(root: int) -> Iterator[int]:
    """The processes of cells: forked from a warm process, in a session of their own."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            pid, rest = path.read_text().split(" ", 1)
        except OSError:
            continue
        _, ppid, _, session, *_ = rest.rpartition(")")[2].split()
        parents[int(pid)] = int(ppid), int(session)
    for pid, (parent, session) in parents.items():
        line = parent
        while line in parents and line != root:
            line = parents[line][0]
        if line == root and session == pid:
            yield pid


def own_memory(pid: int) -> float:
    """MiB of a cell that no file backs."""
    try:
        text = Path(f"/proc/{pid}/status").read_text()
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return 0.0
    if b"forkserver" not in command:  # of this project; Ray has others
        return 0.0
    found = [line.split()[1] for line in text.splitlines() if line.startswith("RssAnon")]
    return int(found[0]) / 1024 if found else 0.0


def carry_out(folder: Path, images: int) -> tuple[Watch, Any, float]:
    """The suite on a cluster; what was seen, the outcome, and seconds."""
    os.environ.update(PATIENCE)  # before Ray reads it
    from ray.cluster_utils import Cluster

    os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
    head = {"num_cpus": 0, "object_store_memory": STORE_BYTES, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    for _ in range(NODES):
        cluster.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
    asked = suite(images, SHARD)
    watch = Watch(cluster, asked.cell_count)
    looking = threading.Thread(target=watch.look, daemon=True)
    looking.start()
    started = time.monotonic()
    try:
        outcome = run_suite(
            asked, folder / "run", watch, registry=worker_registry(), executor="ray",
            executor_options={"address": cluster.address},
        )  # fmt: skip
    finally:
        watch.over.set()
        seconds = time.monotonic() - started
        looking.join()
        cluster.shutdown()
    return watch, outcome, seconds


def worker_registry() -> Any:
    """`registry` under a module name that workers can import."""
    import million

    return million.registry


def summary(folder: Path) -> tuple[float, float]:
    """Seconds and peak MiB of `summarise`, in a process of its own."""
    started = time.monotonic()
    command = [sys.executable, __file__, str(folder), "--summarise"]
    found = subprocess.run(command, check=True, capture_output=True, text=True)
    return time.monotonic() - started, float(found.stdout)


def apart(folder: Path) -> tuple[int, float]:
    """How many figures `SMALL` images have, and how far one shard and eight are apart at most."""
    plugins = registry()
    bank = make_bank(
        plugins, folder / "small", generator="toy", labeller="toy-labeller", n_fit=FIT, n_test=SMALL
    )
    one, eight = (dict(numbers(figures(bank, plugins, shard))) for shard in (FEW, MANY))
    assert one.keys() == eight.keys()
    return len(one), max(abs(one[place] - eight[place]) for place in one)


def figures(bank: LatentBank, plugins: Registry, shard: int) -> Results:
    return evaluate(
        bank, list(EDITORS), {"age": 10}, judge="toy-judge", identity=["toy-identity"],
        registry=plugins, controls=[], strengths=[0.5, 1.0], shard=shard,
    )  # fmt: skip


def numbers(results: Results) -> Iterator[tuple[str, float]]:
    written = ResultsRecord(results).model_dump(mode="json")
    names = [entry.name for entry in fields(Results) if entry.name not in ("suite", "cells")]

    def walk(value: Any, place: str) -> Iterator[tuple[str, float]]:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list | tuple):
            for i, part in enumerate(value):
                yield from walk(part, f"{place}.{i}")
        elif isinstance(value, float | int):
            yield place, float(value)

    for name in names:
        yield from walk(written[name], name)


def measured(folder: Path, images: int) -> Million:
    load = os.getloadavg()[0]
    count, gap = apart(folder)
    print(f"{count} figures of {SMALL} images, at most {gap:.2e} apart", flush=True)
    watch, outcome, seconds = carry_out(folder, images)
    print(f"{outcome.computed} cells in {seconds:.0f} s, {len(outcome.failed)} failed", flush=True)
    spent, mib = summary(folder / "run")
    return Million(
        images=images, editors=len(EDITORS), shards=len(suite(images, SHARD).shards), nodes=NODES,
        cells=outcome.computed, failed=len(outcome.failed), killed=int(watch.killed),
        seconds=seconds, early=watch.largest(0, 1 / 3), late=watch.largest(2 / 3, 1),
        summary_seconds=spent, summary_mib=mib, small=SMALL, figures=count, apart=gap, load=load,
    )  # fmt: skip


def table(path: Path = RESULT) -> str:
    """Markdown, from the kept result."""
    found = Million(**json.loads(path.read_text()))
    rows = {
        "test images × editors × tasks": f"{found.images:,} × {found.editors} × 1",
        "shards; cells": f"{found.shards}; {found.cells}",
        "nodes; killed half-way": f"{found.nodes}; {found.killed}",
        "cells without a result": f"{found.failed}",
        f"time, beside a load of {found.load:.0f} on two cores": f"{found.seconds / 60:.0f} min",
        "memory of the largest cell: unedited images and fits → edits": (
            f"{found.early:.0f} → {found.late:.0f} MiB"
        ),
        "all figures, read at the end": (
            f"{found.summary_seconds:.0f} s, {found.summary_mib:.0f} MiB at most"
        ),
        f"{found.figures:,} figures of {found.small:,} images, one shard against eight": (
            f"at most {found.apart:.0e} apart"
        ),
    }
    lines = ["| what | measured |", "|---|---|"]
    return "\n".join(lines + [f"| {what} | {value} |" for what, value in rows.items()])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--faces", type=int, default=1_000_000)
    parser.add_argument("--summarise", action="store_true", help="only read FOLDER's figures")
    given = parser.parse_args()
    if given.summarise:
        summarise(given.folder)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    given.folder.mkdir(parents=True)
    write_json(RESULT, asdict(measured(given.folder, given.faces)))
    print(table())


if __name__ == "__main__":
    main()
