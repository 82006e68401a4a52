"""One suite on a Ray cluster of several nodes, one of which is killed, and on this machine."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toy_editors
from test_benchmark import SUITE, Silent

import latentedit_ray
from latentedit import EnvironmentFault, InputError, Registry
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite

ray = pytest.importorskip("ray", reason="Ray is not installed: pip install 'latentedit[ray]'")

STORE_BYTES = 80 * 1024 * 1024


def registry() -> Registry:
    found = toy_editors.registry()
    found.add(latentedit_ray, "ray")
    return found


@pytest.fixture(scope="module")
def note(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("note") / "lingers"


@pytest.fixture(scope="module")
def cluster(note: Path) -> Iterator[Any]:
    """A head without room for work, and two nodes with one worker each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
        patch.setenv(toy_editors.NOTE, str(note))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        made = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "object_store_memory": STORE_BYTES,
                "include_dashboard": False,
            },
        )
        for _ in range(2):
            made.add_node(num_cpus=1, object_store_memory=STORE_BYTES)
        yield made
        made.shutdown()


def kill_where_it_lingers(cluster: Any, note: Path) -> None:
    deadline = time.monotonic() + 600
    while not note.exists():
        if time.monotonic() > deadline:
            return  # the run ended otherwise, and says why
        time.sleep(0.05)
    raylet = int(note.read_text())
    doomed = next(
        node
        for node in cluster.list_all_nodes()
        if node.all_processes["raylet"][0].process.pid == raylet
    )
    cluster.remove_node(doomed, allow_graceful=False)


# Takes 20 s: every node starts workers with torch, and the cluster has to miss the killed one.
def test_a_killed_nodes_cells_are_computed_again_and_results_are_the_same(
    cluster: Any, note: Path, tmp_path: Path
) -> None:
    suite = Suite.model_validate(
        SUITE | {"editors": SUITE["editors"] | {"lingers": {"plugin": "lingers"}}, "shard": 20}
    )
    killer = threading.Thread(target=kill_where_it_lingers, args=(cluster, note), daemon=True)
    killer.start()
    far = run_suite(
        suite,
        tmp_path / "ray",
        Silent(),
        registry=registry,
        executor="ray",
        executor_options={"address": cluster.address},
    )
    assert note.exists()
    killer.join()
    near = run_suite(suite, tmp_path / "local", Silent(), registry=registry)
    assert not far.failed
    assert not near.failed
    assert far.computed == near.computed == 2 + 5 * (1 + 3 * 2)  # two shards
    for folder in (tmp_path / "ray", tmp_path / "local"):
        summarise(folder)
    tensors = (f"**/{name}.safetensors" for name in ("arrays", "codes", "model"))
    for kind in ("results.json", *tensors):
        found = {
            name: [(tmp_path / name / f).read_bytes() for f in files]
            for name, files in (
                (name, sorted(p.relative_to(tmp_path / name) for p in (tmp_path / name).glob(kind)))
                for name in ("ray", "local")
            )
        }
        assert found["ray"] == found["local"]
        assert found["ray"]
    assert not list((tmp_path / "ray").glob("**/.*"))


def test_without_a_cluster_the_error_says_how_to_start_one(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFault, match="ray start --head"):
        registry().build("executor", "ray", {"address": "127.0.0.1:1"})


def test_more_than_a_node_has_is_refused(cluster: Any, tmp_path: Path) -> None:
    options = {"address": cluster.address, "gpus": 1, "start_seconds": 0.5}
    with pytest.raises(EnvironmentFault, match="1 GPUs could start"):
        run_suite(
            Suite.model_validate(SUITE),
            tmp_path / "run",
            Silent(),
            registry=registry,
            executor="ray",
            executor_options=options,
        )


def test_an_option_that_ray_does_not_have_computes_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="did you mean 'address'"):
        run_suite(
            Suite.model_validate(SUITE),
            tmp_path / "run",
            Silent(),
            registry=registry,
            executor="ray",
            executor_options={"adress": "auto"},
        )
    assert not (tmp_path / "run").exists()
