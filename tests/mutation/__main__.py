"""Put small faults into the code, one at a time, and list those that no test notices."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from dataclasses import asdict
from pathlib import Path

from mutation.plan import read_plan
from mutation.trial import Trial

HERE = Path(__file__).parent
ROOT = HERE.parent.parent


def main() -> int:
    """0: every group reaches its bar; 1: one does not; 3: not all of the sample is tried yet."""
    parser = argparse.ArgumentParser(prog="mutants", description=__doc__)
    add = parser.add_argument
    add("--group", action="append", help="a group of areas.toml; all if not given")
    add("--count", type=int, help="how many places of each group; 0: all. areas.toml says if not")
    add("--seed", type=int, default=0, help="of the sample")
    add("--workers", type=int, default=os.cpu_count() or 1, help="side by side; one a core")
    add("--changed", metavar="COMMIT", help="only lines that are not as in this commit")
    add("--paths", nargs="+", default=[], help="only sources that are or lie below these")
    add("--minutes", type=float, help="stop after so long; the same command goes on")
    add("--out", type=Path, default=Path("runs/mutants"), help="where results are kept")
    add("--fresh", action="store_true", help="forget what was found before")
    add("--json", action="store_true", help="print the figures as JSON too")
    add("--list", action="store_true", help="print the sample and try nothing")
    said = parser.parse_args()
    plan = read_plan(HERE / "areas.toml", ROOT)
    if unknown := set(said.group or ()) - set(plan.groups):
        parser.error(f"no such group: {', '.join(unknown)}; there are {', '.join(plan.groups)}")
    until = None if said.minutes is None else time.monotonic() + 60 * said.minutes
    trial = Trial(
        ROOT,
        plan,
        said.out,
        HERE / "accepted.yaml",
        seed=said.seed,
        count=said.count,
        changed=said.changed,
        paths=said.paths,
        fresh=said.fresh,
    )
    chosen = said.group or list(plan.groups)
    if said.list:
        for name in chosen:
            for mutant in trial.sample(name):
                place = mutant.place
                print(f"{place.path}:{place.start[0]} {mutant.original} → {mutant.mutated}")
        return 0
    found = trial.run(chosen, said.workers, until)
    for figure in found:
        print(figure.line())
    print(f"survivors: {trial.out / 'survivors.md'}")
    if said.json:
        print(json.dumps([asdict(f) | {"share": f.share, "enough": f.enough} for f in found]))
    if any(figure.tried < figure.sampled for figure in found):
        return 3
    return 0 if all(figure.enough for figure in found) else 1


if __name__ == "__main__":
    sys.exit(main())
