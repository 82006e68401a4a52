"""Other plugins on a node, and a lost head: a run on Ray ends with one line, without a cluster."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from socket import socket
from typing import Any

import harness_plugins
import pytest
from fake_ray import FakeRay, listening
from test_run_keys import PLUGINS, SUITE, Changed, placed
from test_run_keys import bank as bank  # noqa: PLC0414  (a fixture)

from latentedit import Ended, EnvironmentFault, Job, LatentBank
from latentedit.benchmark.run import plan
from latentedit.benchmark.suite import Suite
from latentedit_ray import executor
from latentedit_ray.executor import RayExecutor, RayOptions


@pytest.fixture
def head() -> Iterator[tuple[str, socket]]:
    with listening() as found:
        yield found


def cluster(
    monkeypatch: pytest.MonkeyPatch, address: str, nodes: int = 3, **more: Any
) -> tuple[FakeRay, RayExecutor]:
    ray = FakeRay(nodes, address, **more)
    monkeypatch.setitem(sys.modules, "ray", ray)  # type: ignore[arg-type]
    monkeypatch.setattr(executor, "LOOK_SECONDS", 0)
    return ray, RayExecutor(RayOptions(address=address))


def jobs_of(bank: LatentBank) -> list[Job]:
    suite = Suite.model_validate(SUITE)
    jobs = plan(suite, bank.folder.parent, bank, harness_plugins.registry(), Changed)
    return [replace(job, run_folder=placed(bank)) for job in jobs]


@pytest.mark.parametrize("what", ["version", "source"])
@pytest.mark.parametrize("plugin", PLUGINS)
def test_one_of_three_nodes_with_another_plugin_ends_the_run(
    monkeypatch: pytest.MonkeyPatch,
    head: tuple[str, socket],
    bank: LatentBank,
    what: str,
    plugin: str,
) -> None:
    """The third node is the odd one: the first two compute, and no cell of the third is kept."""

    def odd(worker: Any, number: int) -> None:
        def compute(job: Job) -> Ended | str:
            if number == 2:
                real: Ended | str = type(worker).compute(
                    worker, replace(job, registry=partial(Changed, what, plugin))
                )
                return real
            return Ended(job.cell.id, "ok", 0.0, staged="there")

        worker.compute = compute

    ray, on_ray = cluster(monkeypatch, head[0], prepare=odd)
    assert on_ray.events(0) == []
    assert on_ray.free() == 3
    given = jobs_of(bank)[:3]
    for job in given:
        on_ray.start(job)
    told = f"node .* has another {plugin} than the run: {what} is"
    with pytest.raises(EnvironmentFault, match=told) as caught:
        on_ray.events(0)
    assert "\n" not in str(caught.value)
    on_ray.close()
    assert len(ray.killed) == 3
    assert ray.closed == 1


def test_nodes_with_the_same_plugins_compute(
    monkeypatch: pytest.MonkeyPatch, head: tuple[str, socket], bank: LatentBank, tmp_path: Path
) -> None:
    class Warm:
        alive = True

        def __init__(self, job: Job, side_by_side: int) -> None:
            self.job = job

        def start(self, job: Job) -> None:
            self.job = job

        def events(self, seconds: float) -> list[Ended]:
            return [Ended(self.job.cell.id, "ok", 0.0, staged="there")]

    monkeypatch.setattr("latentedit_ray.worker.WarmProcess", Warm)
    _, on_ray = cluster(monkeypatch, head[0])
    on_ray.events(0)
    given = jobs_of(bank)[:3]
    for job in given:
        on_ray.start(job)
    ended = on_ray.events(0)
    assert {event.cell_id for event in ended} == {job.cell.id for job in given}
    assert on_ray.free() == 3
    elsewhere = replace(given[0], run_folder=tmp_path / "nowhere")
    on_ray.start(elsewhere)
    (event,) = on_ray.events(0)
    assert isinstance(event, Ended)
    assert "does not see" in event.error


def test_a_lost_head_ends_the_run_with_one_line(
    monkeypatch: pytest.MonkeyPatch, head: tuple[str, socket], bank: LatentBank
) -> None:
    address, server = head
    ray, on_ray = cluster(monkeypatch, address)
    on_ray.events(0)
    on_ray.start(jobs_of(bank)[0])
    server.close()
    with pytest.raises(EnvironmentFault, match=r"head of the Ray cluster at .* was lost") as caught:
        on_ray.events(0)
    assert caught.value.exit_code == 3
    assert "\n" not in str(caught.value)
    on_ray.close()
    assert (ray.killed, ray.closed) == ([], 0)
