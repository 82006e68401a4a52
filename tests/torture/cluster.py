"""Breaks a real Ray cluster of three nodes with one CPU each, and looks at what a run makes of it.

    python tests/torture/cluster.py

Every fault has a cluster and a run of its own. After the loss of a worker, a node or the driver,
results must have the bytes of an undisturbed run on this machine. Another plugin on one node, or a
lost head, ends the run with exit status 3 and one line. At last one field of the suite after the
other is changed: exactly the cells whose key differs are computed again. Prints one line of JSON a
fault; ends with 1 if one was not answered so.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from cluster_world import VERSION, registry
from processes_of import family
from test_torture import content, finished

from latentedit import LatentBank
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.run import plan, run_suite
from latentedit.benchmark.suite import Suite

SUITE: dict[str, Any] = {
    "name": "cluster",
    "bank": {"generator": "toy", "labeller": "toy-labeller", "n_fit": 60, "n_test": 8},
    "judge": "toy-judge",
    "identity": ["toy-identity"],
    "editors": {"exact": {"plugin": "exact"}, "moves": {"plugin": "moves"}},
    "controls": [],
    "tasks": [{"attribute": "age", "change": 10}, {"attribute": "glasses", "change": "flip"}],
    "sequences": [{"name": "both", "edits": ["age", "glasses"]}],
    "show_images": 2,
}
CHANGES: dict[str, dict[str, Any]] = {
    "strengths": {"strengths": [0.5, 1.0]},
    "effects": {"effects": [0.4]},
    "keep_codes": {"keep_codes": "float32"},
    "keep_images": {"keep_images": True},
    "metrics": {"metrics": ["move"]},
    "task": {"tasks": [SUITE["tasks"][0] | {"change": 9}, SUITE["tasks"][1]]},
    "editors": {"editors": SUITE["editors"] | {"moves": {"plugin": "leaky"}}},
    "name": {"name": "other"},
}
"""By field of the suite: what it is changed to."""
EDITOR = """
import time
from toy_editors import Exact

class Moves(Exact):
    # {remark}
    def fit(self, data, runtime):
        time.sleep(1)
        return super().fit(data, runtime)
"""
STORE_BYTES = 80 << 20
PATIENCE = 600
"""Seconds that a run may take."""
RUN = "import sys; sys.argv[0] = 'latentedit'; import cluster; cluster.drive(*sys.argv[1:])"


def drive(folder: str, suite: str, address: str) -> None:
    """Carry out a suite on a cluster, as the command line does."""
    from latentedit import Registry
    from latentedit.cli import main

    Registry.discover = staticmethod(registry)  # type: ignore[method-assign]
    ray = ("--executor", "ray", "--executor-option", f"address={address}")
    sys.argv = ["latentedit", "bench", "run", suite, "--out", folder, *ray]
    main.main()


@contextmanager
def cluster(home: Path, odd: dict[str, str] | None = None) -> Iterator[Any]:
    """A head and two nodes, one CPU each.

    Args:
        odd: variables of the environment of the last node.
    """
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    made = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    try:
        made.add_node(**node)
        made.add_node(**node, env_vars=odd or {})
        yield made
    finally:
        made.shutdown()


def started(folder: Path, suite: Path, address: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", RUN, str(folder), str(suite), address]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Exit status, and the lines of the standard error that tell of an error."""
    _, said = process.communicate(timeout=PATIENCE)
    return process.returncode, [line for line in said.splitlines() if "error:" in line.lower()]


def wait_for_cells(folder: Path, count: int) -> None:
    limit = time.monotonic() + PATIENCE
    while len(finished(folder)) < count and time.monotonic() < limit:
        time.sleep(0.05)


def nodes(made: Any) -> list[int]:
    """Ids of the raylets, the head's first."""
    return [node.all_processes["raylet"][0].process.pid for node in made.list_all_nodes()]


def of_node(raylet: int) -> list[int]:
    return family(raylet)


def worker_of(raylet: int) -> int:
    """The process of a node that computes."""
    for pid in of_node(raylet):
        if "Worker" in Path(f"/proc/{pid}/cmdline").read_text():
            return pid
    raise SystemExit(f"no worker of node {raylet}")


def kill_worker(made: Any, process: subprocess.Popen[str]) -> None:
    os.kill(worker_of(nodes(made)[-1]), signal.SIGKILL)


def kill_node(made: Any, process: subprocess.Popen[str]) -> None:
    made.remove_node(made.list_all_nodes()[-1], allow_graceful=False)


def freeze_node(made: Any, process: subprocess.Popen[str]) -> None:
    for pid in of_node(nodes(made)[-1]):
        os.kill(pid, signal.SIGSTOP)


def kill_driver(made: Any, process: subprocess.Popen[str]) -> None:
    process.kill()


def kill_head(made: Any, process: subprocess.Popen[str]) -> None:
    for kind in ("gcs_server", "raylet"):
        for held in made.head_node.all_processes[kind]:
            held.process.kill()


FAULTS: dict[str, tuple[Callable[[Any, subprocess.Popen[str]], None], int]] = {
    "worker killed": (kill_worker, 0),
    "node killed": (kill_node, 0),
    "node frozen": (freeze_node, 0),
    "driver killed": (kill_driver, -signal.SIGKILL),
    "head killed": (kill_head, 3),
}
"""By name: what is done to a cluster, and the exit status of the run."""


def break_one(name: str, home: Path, whole: dict[str, bytes]) -> dict[str, Any]:
    """Do one thing to a cluster that computes."""
    act, expected = FAULTS[name]
    folder, suite = home / name.replace(" ", "-"), home / "suite.yaml"
    with cluster(home) as made:
        process = started(folder, suite, made.address)
        wait_for_cells(folder, 2)
        before = finished(folder)
        frozen = of_node(nodes(made)[-1]) if name == "node frozen" else []
        act(made, process)
        began = time.monotonic()
        status, told = ended(process)
        took = time.monotonic() - began
        for pid in frozen:
            _end(pid)
        if name == "driver killed":
            after = ended(started(folder, suite, made.address))
            told += [] if after[0] == 0 else [f"again: {after}"]
    found = {"fault": name, "status": status, "told": told, "seconds": round(took, 1)}
    kept = finished(folder)
    found["kept"] = {cell: kept.get(cell) for cell in before} == before
    same = expected == 3 or content(folder) == whole
    lines = 1 if expected == 3 else 0
    found["good"] = status == expected and len(told) == lines and same and found["kept"]
    return found


def _end(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def mix(name: str, home: Path, odd: dict[str, str], told: str) -> dict[str, Any]:
    """Another plugin on the last node only."""
    with cluster(home, odd) as made:
        status, said = ended(started(home / f"other-{name}", home / "suite.yaml", made.address))
    good = (
        status == 3 and len(said) == 1 and f"another editor moves than the run: {told}" in said[0]
    )
    return {"fault": f"another {name} on one node", "status": status, "told": said, "good": good}


def change(home: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Change one field after the other, and look at which cells are written again."""
    with cluster(home) as made:
        for name, changes in {"nothing": {}, **CHANGES}.items():
            before, expected = finished(folder), _keys(folder, SUITE | changes)
            now = _keys(folder, json.loads((folder / "suite.json").read_text()))
            wanted = {cell for cell, key in expected.items() if now.get(cell) != key}
            (home / "changed.yaml").write_text(json.dumps(SUITE | changes))
            status, told = ended(started(folder, home / "changed.yaml", made.address))
            after = finished(folder)
            anew = {cell for cell in after if before.get(cell) != after[cell]}
            good = status == 0 and anew == wanted
            yield {"changed": name, "status": status, "told": told, "anew": len(anew), "good": good}


def _keys(folder: Path, suite: dict[str, Any]) -> dict[str, str]:
    bank = LatentBank.open(folder / "bank")
    jobs = plan(Suite.model_validate(suite), folder, bank, registry(), registry)
    return {job.cell.id: job.cell.key_hash for job in jobs}


class Silent:
    def progressed(self, cell_id: str, fraction: float, message: str) -> None: ...

    def finished(self, cell_id: str, status: str, error: str) -> None: ...


def undisturbed(home: Path) -> dict[str, bytes]:
    """What the suite comes to on this machine."""
    run_suite(Suite.model_validate(SUITE), home / "local", Silent(), registry=registry, workers=1)
    summarise(home / "local")
    return content(home / "local")


def answers(home: Path, asked: list[str]) -> Iterator[dict[str, Any]]:
    path = os.environ["PYTHONPATH"]
    whole = undisturbed(home)
    for name in FAULTS:
        if name in asked:
            yield break_one(name, home, whole)
    if "version" in asked:
        yield mix("version", home, {VERSION: "2"}, "version is node 2 there and node 1")
    if "source" in asked:
        yield mix("source", home, {"PYTHONPATH": f"{home / 'other'}{os.pathsep}{path}"}, "source")
    if "fields" in asked:
        yield from change(home, home / "local")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    every = [*FAULTS, "version", "source", "fields"]
    parser.add_argument("--what", choices=every, nargs="+", default=every)
    given, good = parser.parse_args(), True
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for place, remark in (("here", "one"), ("other", "two")):
            (home / place).mkdir()
            (home / place / "node_editor.py").write_text(EDITOR.format(remark=remark))
        (home / "suite.yaml").write_text(json.dumps(SUITE))
        sys.path.insert(0, str(home / "here"))
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, sys.path))
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        for answer in answers(home, given.what):
            good &= answer["good"]
            print(json.dumps(answer), flush=True)
    sys.exit(0 if good else 1)


if __name__ == "__main__":
    main()
