"""Findings over worlds, banks, fits, recognisers and effects, and the share in which each holds.

    python benchmarks/study.py run --out runs/study         # the same command goes on
    python benchmarks/study.py figures --out runs/study     # docs/study/*.csv from the runs
    python benchmarks/figures.py write                      # docs/study.md from the figures

A setting is a world and the seed of a bank: three seeds of the rendered world with three banks
each, and the trained world, of which there is one, with nine. Both worlds are measured in turn, so
that an unfinished study is a smaller study. `--suite` gives one with other faces, tasks or fits.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import torch
from study_figures import Difference, Finished, Mean, read_rows, write_rows
from study_measure import EDITS, measure_setting
from study_page import Study
from study_settings import RENDERED, TRAINED, Setting, settings

from latentedit import Registry
from latentedit.benchmark.execution.worker import THREADS
from latentedit.benchmark.suite import Suite, load_suite

ROOT = Path(__file__).parents[1]
MEANS, DIFFERENCES = "means.csv", "differences.csv"


def run(suite: Suite, out: Path, of: Sequence[Setting], workers: int) -> None:
    """Measure the settings that are not there yet, `workers` at a time."""
    with ProcessPoolExecutor(workers, get_context("spawn"), _one_thread) as pool:
        jobs = {pool.submit(_measure, s.suite(suite), out / s.name): s.name for s in of}
        for i, job in enumerate(as_completed(jobs), 1):
            job.result()
            print(f"{i} of {len(jobs)}: {jobs[job]}", flush=True)


def _one_thread() -> None:
    torch.set_num_threads(THREADS)  # sums depend on it


def _measure(suite: Suite, folder: Path) -> None:
    measure_setting(suite, folder, Registry.discover())


def finished(suite: Suite, out: Path, of: Sequence[Setting]) -> Iterator[Finished]:
    """Every setting that was measured; prints which were not yet."""
    registry = Registry.discover()
    thresholds = {
        str(use): registry.identity(use.plugin, use.options).same_person_threshold
        for use in suite.identity
    }
    for setting in of:
        if (out / setting.name / EDITS).is_file():
            yield Finished(out / setting.name, setting, thresholds)
        else:
            print(f"{setting.name} is not there yet")


def figures(suite: Suite, out: Path, of: Sequence[Setting]) -> Study:
    means, differences = list[Mean](), list[Difference]()
    for setting in finished(suite, out, of):
        means += setting.means()
        differences += setting.differences()
    return Study(means, differences)


def write_figures(study: Study, folder: Path) -> None:
    write_rows(folder / MEANS, study.means)
    write_rows(folder / DIFFERENCES, study.differences)


def read_figures(folder: Path) -> Study:
    return Study(read_rows(folder / MEANS, Mean), read_rows(folder / DIFFERENCES, Difference))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run", "figures"])
    parser.add_argument("--out", type=Path, default=Path("runs/study"), help="of the run folders")
    parser.add_argument("--suite", default="study", help="name or path of the protocol")
    parser.add_argument("--worlds", type=int, default=3, help="seeds of the rendered world")
    parser.add_argument("--banks", type=int, default=3, help="banks of each")
    parser.add_argument("--only", choices=[RENDERED, TRAINED], help="settings of one world alone")
    parser.add_argument("--workers", type=int, default=2, help="settings at a time")
    parser.add_argument("--figures", type=Path, default=ROOT / "docs" / "study", help="CSV files")
    given = parser.parse_args()
    of = [s for s in settings(given.worlds, given.banks) if given.only in (None, s.world)]
    if given.what == "run":
        run(load_suite(given.suite), given.out, of, given.workers)
    else:
        write_figures(figures(load_suite(given.suite), given.out, of), given.figures)


if __name__ == "__main__":
    main()
