"""Overhead of a run: cells, workers, memory, and the stages of one edit.

    python benchmarks/machinery.py                            docs/results/machinery.json; minutes
    python benchmarks/machinery.py --parts cells workers --repeats 5
    python benchmarks/figures.py write                        the tables of docs/scale.md

cells    a suite as cells, each a process with limits and files, against the same calls in a row in
         one process that writes nothing
workers  the same suite with two workers against one
memory   peak memory of a whole run, shared pages counted once, with a bank of 4,000 codes to fit
         and of ten times as many
judged   edits judged a second on one thread: edit, synthesize, judge, two recognisers
task     images synthesized and judged, and processor time, of one face of one task
sizes    bytes of a row of a bank and of the results of a face, and the speed of a digest

The suite is `field` with editors that fit in seconds and are not tuned, four tasks and 32 faces: a
cell has a fifteenth of the work that it has there, and the machinery fifteen times its weight.
Every ratio is of two runs one after the other, and the median of several; on a machine that does
other work too, believe the ratio of processor time, and no wall time.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import fields
from pathlib import Path
from statistics import median
from typing import Any

import torch
from shipped import RESULTS

from latentedit import LatentBank, ModelReference, Registry, Split, fit_editor
from latentedit.benchmark.cells.bench import BATCH, KEPT_BYTES, Bench
from latentedit.benchmark.cells.computing import faces_arrays
from latentedit.benchmark.cells.edits import edit_milliseconds, measure_edits
from latentedit.benchmark.cells.kept import KeptBatches
from latentedit.benchmark.cells.store import CellStore
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite, load_suite
from latentedit.files.artefacts import file_digest, read_json, write_json

PARTS = ("cells", "workers", "memory", "judged", "task", "sizes")
EDITORS = ("interfacegan", "regression", "logistic", "mean-difference", "ganspace", "sefa")
STREAMING = {"plugin": "styleflow", "options": {"steps": 20}}
"""An editor that reads the bank a batch at a time."""
FIGURES = RESULTS / "machinery.json"

_PR_SET_CHILD_SUBREAPER = 36
"""The option of prctl(2) that makes orphaned grandchildren children of this process."""

Row = dict[str, Any]


class Silent:
    """An observer without output."""

    def progressed(self, cell_id: str, fraction: float, message: str) -> None:
        """Nothing is shown."""

    def finished(self, cell_id: str, status: str, error: str) -> None:
        if status != "ok":
            raise SystemExit(f"{cell_id} {status}: {error}")


def field_like(n_fit: int, n_test: int, editors: dict[str, Any] | None = None) -> Suite:
    """The suite `field` with these numbers of faces, and editors that fit in seconds."""
    controls = Registry.discover().specs("control")
    suite = load_suite("field").with_controls(controls).model_dump(mode="json")
    chosen = editors or {name: suite["editors"][name] for name in EDITORS}
    bank = suite["bank"] | {"n_fit": n_fit, "n_test": n_test}
    tasks = suite["tasks"][:4]
    changes = {"bank": bank, "editors": chosen, "tasks": tasks, "seeds": [0]}
    changes["only_possible"] = False  # which takes a look at counterfactuals of its own
    return Suite.model_validate(suite | changes)


def place_bank(suite: Suite, folder: Path) -> None:
    """Put the bank of a suite where its run will find it, labelled with the world's true values,
    which costs no rendering."""
    registry, plan = Registry.discover(), suite.bank
    generator = registry.generator(plan.generator.plugin, plan.generator.options)
    labeller = registry.estimator(plan.labeller.plugin, plan.labeller.options)
    splits = {}
    for seed, (name, rows) in enumerate({"fit": plan.n_fit, "test": plan.n_test}.items()):
        codes = generator.sample(rows, seed, "w", plan.truncation_psi)
        truth = torch.cat([generator.truth(part, "w").attributes for part in codes.split(BATCH)])
        splits[name] = Split("w", labeller.schema, ((codes, truth),))
    sampling = {"seed": plan.seed, "truncation_psi": plan.truncation_psi}
    LatentBank.write(
        folder / "bank",
        splits,
        ModelReference(plan.generator.plugin, plan.generator.options, generator.fingerprint),
        ModelReference(plan.labeller.plugin, plan.labeller.options, labeller.fingerprint),
        sampling | {"fit": plan.n_fit, "test": plan.n_test},
    )


def on_bank(suite: Suite, folder: Path) -> Suite:
    """The suite with the bank that `place_bank` wrote."""
    bank = {"path": str(folder / "bank")}
    return Suite.model_validate(suite.model_dump(mode="json") | {"bank": bank})


def in_a_row(suite: Suite, folder: Path) -> None:
    """What the cells of a suite compute, in this process and nowhere kept."""
    torch.set_num_threads(1)
    bench = Bench(suite, LatentBank.open(folder / "bank"), Registry.discover())
    test = bench.bank.split("test")
    observed = bench.look(test.codes, test.space, features=True)
    before = {field.name: getattr(observed, field.name) for field in fields(observed)}
    for use in suite.entrants.values():
        editor = fit_editor(
            bench.registry, use.plugin, bench.bank, use.options, generator=bench.generator
        )
        edit_milliseconds(editor, bench.bank, 1)
        edit_milliseconds(editor, bench.bank, 64, repeats=3)
        for task in suite.tasks:
            measure_edits(bench, editor, task, before, lambda fraction, message: None)


def child(task: str, suite_file: str, folder: str, workers: str) -> None:
    """One measured piece of work; prints its wall and processor seconds, start-up left out."""
    suite = Suite.model_validate_json(Path(suite_file).read_text())
    started = time.perf_counter()
    if task == "in a row":
        in_a_row(suite, Path(folder))
    else:
        run_suite(suite, Path(folder), Silent(), workers=int(workers))
    wall = time.perf_counter() - started
    print(json.dumps({"wall": wall}))


def measured(task: str, suite: Suite, folder: Path, workers: int = 1) -> dict[str, float]:
    """Wall and processor seconds of `child` in a fresh process with all that it starts."""
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch) / "run" if task == "cells" else folder
        file = Path(scratch) / "suite.json"
        file.write_text(on_bank(suite, folder).model_dump_json())
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        command = [sys.executable, __file__, "--child", task, file, place, str(workers)]
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        found = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment)
        _wait_for_adopted()
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return json.loads(found.stdout) | {"processor": processor}


def _adopt_orphans() -> None:
    """Become the parent of what a child leaves, so that its time counts (Linux only)."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _wait_for_adopted() -> None:
    with suppress(ChildProcessError):
        while True:
            os.wait()


def cells(arguments: argparse.Namespace) -> list[Row]:
    """Pairs of the two ways, one after the other."""
    suite, rows = field_like(1000, arguments.faces), []
    n = 1 + len(suite.entrants) * (1 + len(suite.tasks))
    with tempfile.TemporaryDirectory() as name:
        place_bank(suite, Path(name))
        for _ in range(arguments.repeats):
            alone = measured("in a row", suite, Path(name))
            split = measured("cells", suite, Path(name))
            rows.append(
                {f"{kind} in a row, s": alone[kind] for kind in alone}
                | {f"{kind} as cells, s": split[kind] for kind in split}
                | {f"{kind} overhead": split[kind] / alone[kind] - 1 for kind in alone}
                | {f"{kind} a cell, s": (split[kind] - alone[kind]) / n for kind in alone}
                | {"cells": n}
            )
    return [_median(rows)]


def workers(arguments: argparse.Namespace) -> list[Row]:
    """Pairs of one worker and two."""
    suite, rows = field_like(1000, arguments.faces), []
    with tempfile.TemporaryDirectory() as name:
        place_bank(suite, Path(name))
        for _ in range(arguments.repeats):
            one, two = (measured("cells", suite, Path(name), count) for count in (1, 2))
            rows.append({"one, s": one["wall"], "two, s": two["wall"]})
            rows[-1]["times as fast"] = one["wall"] / two["wall"]
    return [_median(rows)]


def memory(arguments: argparse.Namespace) -> list[Row]:
    """Peak of a run's processes together, for an editor that reads batches and one that reads
    everything."""
    rows: list[Row] = []
    for name, use in (
        ("styleflow, in batches", STREAMING),
        ("regression", {"plugin": "regression"}),
    ):
        peaks = []
        for codes in (4_000, 40_000):
            suite = field_like(codes, 64, {"editor": use})
            suite = suite.model_copy(update={"controls": [], "tasks": suite.tasks[:1]})
            with tempfile.TemporaryDirectory() as folder:
                place_bank(suite, Path(folder))
                with peak_memory() as peak:
                    measured("cells", suite, Path(folder))
            peaks.append(max(peak))
        rows.append({"editor": name, "MiB": peaks[0], "MiB of ten times": peaks[1]})
    return rows


@contextmanager
def peak_memory() -> Iterator[list[float]]:
    """Watch all descendants of this process; MiB, a page that several share counted once."""
    seen, done = [0.0], threading.Event()

    def watch() -> None:
        while not done.wait(0.05):
            seen.append(sum(map(_proportional, descendants(os.getpid()))) / 1024)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield seen
    finally:
        done.set()
        watcher.join()


def descendants(pid: int) -> list[int]:
    found = [pid]
    for member in found:
        for task in Path(f"/proc/{member}/task").glob("*/children"):
            try:
                found += map(int, task.read_text().split())
            except OSError:
                continue
    return found[1:]


def _proportional(pid: int) -> int:
    """KiB of a process, of shared pages its share."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def judged(arguments: argparse.Namespace) -> list[Row]:
    """Milliseconds of processor time a face, by stage, at the batch of every suite."""
    torch.set_num_threads(1)
    suite = field_like(1000, BATCH)
    with tempfile.TemporaryDirectory() as name:
        place_bank(suite, Path(name))
        bench = Bench(suite, LatentBank.open(Path(name) / "bank"), Registry.discover())
        test = bench.bank.split("test")
        editor = fit_editor(bench.registry, "interfacegan", bench.bank, generator=bench.generator)
        codes, source = test.rows(torch.arange(BATCH))
        target = source + 0.1
        images = bench.generator.synthesize(codes, test.space)
        stages: dict[str, Callable[[], Any]] = {
            "edit (interfacegan)": lambda: editor.edit(codes, source, target, extrapolate=True),
            "synthesize": lambda: bench.generator.synthesize(codes, test.space),
            "judge": lambda: bench.judge.estimate(images),
        }
        for use, encoder in zip(suite.identity, bench.recognisers, strict=True):
            stages[str(use)] = lambda encoder=encoder: encoder.embed(images)
        stages["truth"] = lambda: bench.generator.truth(codes, test.space)
        with torch.no_grad():
            times = {
                stage: _milliseconds(work, arguments.repeats) for stage, work in stages.items()
            }
    total = sum(times.values())
    rows = [
        {"stage": stage, "ms a face": taken, "share": taken / total}
        for stage, taken in times.items()
    ]
    return [*rows, {"stage": "all", "ms a face": total, "share": 1.0}]


def task(arguments: argparse.Namespace) -> list[Row]:
    """Images and processor time of a face of a task, over two tasks of one editor."""
    torch.set_num_threads(1)
    suite, counts = field_like(1000, BATCH), {"synthesized": 0, "judged": 0}
    with tempfile.TemporaryDirectory() as name:
        place_bank(suite, Path(name))
        bench = Bench(suite, LatentBank.open(Path(name) / "bank"), Registry.discover())
        editor = fit_editor(bench.registry, "interfacegan", bench.bank, generator=bench.generator)
        before = faces_arrays(bench, lambda fraction, message: None)
        for model, method, count in (
            (bench.renderer, "synthesize", "synthesized"),
            (bench.judge, "estimate", "judged"),
        ):
            setattr(model, method, _counted(getattr(model, method), counts, count))
        asked, started = 0, time.process_time()
        for one in suite.tasks[:2]:
            # Another bench has none of the pictures of the task before.
            bench.kept_images, bench.kept_readings = (
                KeptBatches(KEPT_BYTES),
                KeptBatches(KEPT_BYTES),
            )
            arrays, _ = measure_edits(bench, editor, one, before, lambda fraction, message: None)
            asked += len(arrays["faces"])
        taken = time.process_time() - started
    row: Row = {count: found / asked for count, found in counts.items()}
    return [row | {"ms": 1000 * taken / asked, "strengths": len(suite.strengths)}]


def _counted(
    call: Callable[..., torch.Tensor], counts: dict[str, int], name: str
) -> Callable[..., torch.Tensor]:
    """`call`, which adds the length of its first argument to `counts`."""

    def counted(batch: torch.Tensor, *more: Any) -> torch.Tensor:
        counts[name] += len(batch)
        return call(batch, *more)

    return counted


def sizes(arguments: argparse.Namespace) -> list[Row]:
    """Of a bank of 8,192 codes, and of the arrays of a cell that keeps no codes."""
    suite = field_like(8_192, BATCH, {"editor": {"plugin": "regression"}})
    changes = {"controls": [], "tasks": suite.tasks[:1], "keep_codes": False, "show_images": 0}
    suite = suite.model_copy(update=changes)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        place_bank(suite, folder)
        (shard,) = (folder / "bank").glob("fit*.safetensors")
        started = time.process_time()
        file_digest(shard)
        speed = shard.stat().st_size / (time.process_time() - started)
        run = folder / "run"
        run_suite(on_bank(suite, folder), run, Silent(), workers=1)
        cells = [path.parent for path in run.glob("cells/edit*/cell.json")]
        faces = len(CellStore(run).arrays(cells[0].name)["faces"])
        kept = sum(file.stat().st_size for file in cells[0].glob("*.safetensors"))
        row = shard.stat().st_size / suite.bank.n_fit
    return [{"bytes a row": row, "bytes a second": speed, "bytes a face of a task": kept / faces}]


def _milliseconds(work: Callable[[], Any], repeats: int) -> float:
    work()
    times = []
    for _ in range(max(3, repeats)):
        started = time.process_time()
        work()
        times.append(time.process_time() - started)
    return 1000 * median(times) / BATCH


def _median(rows: list[Row]) -> Row:
    return {key: median(row[key] for row in rows) for key in rows[0]} | {"pairs": len(rows)}


def _table(rows: list[Row]) -> str:
    lines = []
    for row in rows:
        lines += [
            f"  {key:28} {value:.4g}" if isinstance(value, float) else f"  {key:28} {value}"
            for key, value in row.items()
        ] + [""]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--repeats", type=int, default=3, help="pairs of runs (default 3)")
    parser.add_argument("--faces", type=int, default=32, help="test faces (default 32)")
    parser.add_argument("--out", type=Path, default=FIGURES, help="JSON file of the figures")
    arguments = parser.parse_args()
    _adopt_orphans()
    found: dict[str, Any] = read_json(arguments.out) if arguments.out.is_file() else {}
    for part in arguments.parts:
        rows = globals()[part](arguments)
        found[part] = {"load": round(os.getloadavg()[0], 1), "rows": rows}
        print(f"{part}\n{_table(rows)}", flush=True)
        write_json(arguments.out, found)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
