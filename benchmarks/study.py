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
from dataclasses import dataclass
from pathlib import Path

from latentedit.benchmark.plugin_use import ModelUse, PluginUse
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite, load_suite

RENDERED, TRAINED = "synthface", "synthface-net"
SEEDED = ("styleflow",)
"""Plugins whose fits depend on the seed."""


@dataclass(frozen=True)
class Setting:
    """A world and the seed of a bank.

    Args:
        world: name of the generator.
        world_seed: of the rendered world; the trained one has 0 alone.
    """

    world: str
    world_seed: int
    bank_seed: int

    @property
    def name(self) -> str:
        return f"{self.world}-{self.world_seed}-bank-{self.bank_seed}"

    def suite(self, of: Suite) -> Suite:
        """`of`, which names the rendered world, in this setting."""
        models = of.bank.model_dump() | {"seed": self.bank_seed}
        judge = of.judge
        if self.world == RENDERED:
            options = of.bank.generator.options | {"world_seed": self.world_seed}
            models["generator"] = PluginUse(plugin=RENDERED, options=options)
        else:
            models["generator"] = PluginUse(plugin=TRAINED)
            models["labeller"] = ModelUse(plugin=f"{TRAINED}-labeller")
            judge = ModelUse(plugin=f"{TRAINED}-judge")
        bank = type(of.bank).model_validate(models)
        changes = {"name": f"{of.name}-{self.name}", "bank": bank, "judge": judge}
        return of.model_copy(update=changes)


def settings(worlds: int = 3, banks: int = 3) -> list[Setting]:
    """Both worlds in turn, so that the first few are of both."""
    rendered = [Setting(RENDERED, world, bank) for bank in range(banks) for world in range(worlds)]
    trained = [Setting(TRAINED, 0, bank) for bank in range(worlds * banks)]
    return [setting for both in zip(rendered, trained, strict=True) for setting in both]


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
    seeded = {name: use for name, use in suite.editors.items() if use.plugin in SEEDED}
    if len(suite.seeds) > 1 and seeded:
        yield [suite.model_copy(update={"editors": seeded, "controls": []}), once]


def run(suite: Suite, out: Path, of: Sequence[Setting], workers: int | None) -> None:
    for stage, suites in enumerate(stages(suite), 1):
        for i, setting in enumerate(of, 1):
            for part in suites:
                done = run_suite(setting.suite(part), out / setting.name, Lines(), workers=workers)
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
    parser.add_argument("--workers", type=int, default=None, help="cells at a time")
    given = parser.parse_args()
    run(load_suite(given.suite), given.out, settings(given.worlds, given.banks), given.workers)


if __name__ == "__main__":
    main()
