"""Findings over worlds, banks, fits, recognisers and effects, and the share in which each holds.

    python benchmarks/study.py run --out runs/study         # the same command goes on
    python benchmarks/study.py figures --out runs/study     # docs/study/*.csv from the runs
    python benchmarks/study.py page                         # docs/study.md from the figures

A setting is a world and the seed of a bank: three seeds of the rendered world with three banks
each, and the trained world, of which there is one, with nine. Each has a run folder of the suite
`study`. All settings get one fit of every editor before any gets more, so that an unfinished study
is a smaller study. Only editors that a seed changes are fitted again. `--suite` gives a larger one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

from study_settings import RENDERED, TRAINED, Setting, seeded, settings

from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite, load_suite


class Lines:
    """Prints a line for every cell that does not end well."""

    def progressed(self, cell_id: str, fraction: float, message: str) -> None:
        """Parts of cells are not printed."""

    def finished(self, cell_id: str, status: str, error: str) -> None:
        if status != "ok":
            print(f"  {cell_id} {status} {error}".rstrip(), flush=True)


def stages(suite: Suite) -> Iterator[list[Suite]]:
    """What every setting computes before any setting goes on: one fit of all entrants, then the
    other fits of those that a seed changes, after which the folder is again the whole suite's."""
    once = suite.model_copy(update={"seeds": suite.seeds[:1]})
    yield [once]
    if len(suite.seeds) > 1 and seeded(suite):
        yield [suite.model_copy(update={"editors": seeded(suite), "controls": []}), once]


def run(suite: Suite, out: Path, of: Sequence[Setting], workers: int | None) -> None:
    for stage, suites in enumerate(stages(suite), 1):
        for i, setting in enumerate(of, 1):
            for part in suites:
                run_suite(setting.suite(part), out / setting.name, Lines(), workers=workers)
            print(f"stage {stage}, setting {i} of {len(of)}: {setting.name}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run"])
    parser.add_argument("--out", type=Path, required=True, help="folder of the run folders")
    parser.add_argument("--suite", default="study", help="name or path of the protocol")
    parser.add_argument("--worlds", type=int, default=3, help="seeds of the rendered world")
    parser.add_argument("--banks", type=int, default=3, help="banks of each")
    parser.add_argument("--only", choices=[RENDERED, TRAINED], help="settings of one world alone")
    parser.add_argument("--workers", type=int, default=None, help="cells at a time")
    given = parser.parse_args()
    of = [s for s in settings(given.worlds, given.banks) if given.only in (None, s.world)]
    run(load_suite(given.suite), given.out, of, given.workers)


if __name__ == "__main__":
    main()
