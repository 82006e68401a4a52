"""One comparison in seven worlds, and the worlds in which each finding holds.

    python benchmarks/worlds.py run --out runs/worlds       # hours; the same command goes on
    python benchmarks/worlds.py table --out runs/worlds     # the table of what is there so far
    python benchmarks/worlds.py table --out runs/worlds --brief    # and only over all tasks

The protocol is the suite `worlds`, which names `synthface-net`, with a labeller and a judge that
know its pictures; the rendered worlds replace the three: `linear`, `default` and `curved`, each
with two seeds of the world. Each world has a run folder of its own, with its own report.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from latentedit.benchmark.plugin_use import PluginUse
from latentedit.benchmark.results.comparison import Comparison
from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.paired import ALL_TASKS
from latentedit.benchmark.results.records import RESULTS, Results, read_results
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite, load_suite
from latentedit.report.findings import primary
from latentedit.report.page import write_report

CURVATURES = ("linear", "default", "curved")
WORLD_SEEDS = (0, 1)
TRAINED = "net"


class Lines:
    """Prints a line for every cell that ends."""

    def progressed(self, cell_id: str, fraction: float, message: str) -> None:
        """Parts of cells are not printed."""

    def finished(self, cell_id: str, status: str, error: str) -> None:
        print(f"  {cell_id} {status} {error}".rstrip(), flush=True)


def rendered_worlds() -> dict[str, PluginUse]:
    """The generator of each rendered world, by the name of its run folder."""
    return {
        f"{curvature}-{seed}": PluginUse(
            plugin="synthface", options={"curvature": curvature, "world_seed": seed}
        )
        for curvature in CURVATURES
        for seed in WORLD_SEEDS
    }


WORLDS = [*rendered_worlds(), TRAINED]


def suite_of(world: str, suite: Suite) -> Suite:
    """The suite as it is for the trained world, or with a rendered world's generator, labeller and
    judge."""
    suite = suite.model_copy(update={"name": f"{suite.name}-{world}"})
    if world == TRAINED:
        return suite
    models = {
        "generator": rendered_worlds()[world],
        "labeller": PluginUse(plugin="synthface-labeller"),
    }
    bank = suite.bank.model_copy(update=models)
    return suite.model_copy(update={"bank": bank, "judge": PluginUse(plugin="synthface-judge")})


def run(suite: Suite, out: Path, names: list[str], workers: int | None) -> None:
    for world in names:
        print(f"world {world}", flush=True)
        folder = out / world
        run_suite(suite_of(world, suite), folder, Lines(), workers=workers)
        summarise(folder)
        write_report(folder)


def table(out: Path, brief: bool = False) -> str:
    """Findings by world, as Markdown: who is better, and by how much.

    Args:
        brief: leave out the rows of single tasks.
    """
    results = {
        world: read_results(out / world) for world in WORLDS if (out / world / RESULTS).is_file()
    }
    if not results:
        raise SystemExit(f"{out} has no finished run; start with: worlds.py run --out {out}")
    lines = ["| finding | " + " | ".join(results) + " | holds |", "|---" * (len(results) + 2) + "|"]
    for finding in _findings(next(iter(results.values()))):
        if brief and finding[3] != ALL_TASKS:
            continue
        rows = [_row(one, finding) for one in results.values()]
        lines.append(
            f"| {_title(finding)} | " + " | ".join(map(_cell, rows)) + f" | {_where(rows)} |"
        )
    return "\n".join(lines)


Finding = tuple[str, str, MetricKey, str, float]
"""Pair, metric, task and effect."""


def _findings(results: Results) -> list[Finding]:
    """What the report says about editors."""
    first = next(iter(results.suite.editors))
    rows = [
        row
        for row in results.comparisons
        if row.first == first and row.second not in results.controls and results.at_effect(row)
    ]
    metrics = {row.metric for row in primary(rows)}
    return [_key(row) for row in rows if row.metric in metrics]


def _key(row: Comparison) -> Finding:
    return row.first, row.second, row.metric, row.task, row.effect


def _row(results: Results, finding: Finding) -> Comparison | None:
    return next((row for row in results.comparisons if _key(row) == finding), None)


def _title(finding: Finding) -> str:
    first, second, metric, task, _ = finding
    mark = "**" if task == ALL_TASKS else ""
    return f"{mark}{first} − {second}, {metric}, {task}{mark}"


def _cell(row: Comparison | None) -> str:
    if row is None:
        return "–"
    return f"{row.verdict} {row.difference:+.3f}"


def _where(rows: list[Comparison | None]) -> str:
    """In how many worlds each editor is better or ahead."""
    winners = [row.leader for row in rows if row is not None and row.leader]
    counts = {name: winners.count(name) for name in dict.fromkeys(winners)}
    if not counts:
        return "nowhere decided"
    return ", ".join(f"{name} in {n} of {len(rows)}" for name, n in counts.items())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=["run", "table"])
    parser.add_argument("--out", type=Path, required=True, help="folder of the run folders")
    parser.add_argument("--suite", default="worlds", help="name or path of the protocol")
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=WORLDS)
    parser.add_argument("--brief", action="store_true", help="only the rows over all tasks")
    parser.add_argument("--workers", type=int, default=None, help="cells at a time")
    given = parser.parse_args()
    if given.what == "run":
        run(load_suite(given.suite), given.out, given.worlds, given.workers)
    print(table(given.out, given.brief))


if __name__ == "__main__":
    main()
