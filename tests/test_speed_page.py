"""The page of speed is written from a table, and its parts run where they can."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
NAMES = ("interleaved", "peers", "speed", "gpu", "generator", "bank")


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[ModuleType]:
    """`speed`, imported as a script beside the others imports it."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    threads = torch.get_num_threads()
    yield importlib.import_module("speed")
    torch.set_num_threads(threads)
    for name in NAMES:
        sys.modules.pop(name, None)


def ran(*arguments: str) -> str:
    command = [sys.executable, *(str(BENCHMARKS / arguments[0]), *arguments[1:])]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


ROW = {
    "part": "peers",
    "name": "flow-matching step",
    "value": "0.96",
    "unit": "×",
    "against": "torchcfm 1.0.7",
    "bar": "1",
    "note": "19 ms against 20 ms",
    "load": "3.1",
    "machine": "2 cores",
    "date": "2026-01-02",
}


def test_a_line_of_the_page_has_every_figure_of_the_table(module: ModuleType) -> None:
    written = module.page([ROW, ROW | {"name": "zuko", "value": "", "unit": "", "bar": ""}])
    assert "| flow-matching step | 0.96 × | ≤ 1 × | torchcfm 1.0.7 | 3.1 | 19 ms" in written
    assert "| zuko | – | – |" in written
    assert "Measured on: 2 cores, 2026-01-02." in written


def test_the_page_in_the_documents_is_that_of_the_table(module: ModuleType) -> None:
    """`python benchmarks/speed.py --write` writes it anew."""
    assert module.PAGE.read_text("utf-8") == module.page(module.table())


def test_a_ratio_is_the_median_over_turns(module: ModuleType) -> None:
    from interleaved import Turns

    found = Turns({"ours": [2.0, 9.0, 6.0], "theirs": [1.0, 3.0, 1.0]})
    assert found.ratio("ours", "theirs") == 3.0
    assert found.milliseconds("theirs") == 1_000.0


def test_variants_are_called_in_turns(module: ModuleType) -> None:
    from interleaved import in_turns

    called: list[str] = []
    variants = {name: lambda name=name: called.append(name) for name in "ab"}
    found = in_turns(variants, turns=2, calls=2)
    calls = "".join(called)
    assert calls[:2] == "ab"
    assert {calls[2:6], calls[6:]} <= {"aabb", "bbaa"}
    assert {name: len(times) for name, times in found.seconds.items()} == {"a": 2, "b": 2}


def test_the_plain_network_of_the_peers_is_ours(module: ModuleType) -> None:
    from peers import BATCH, Setting

    at, t = Setting(), torch.rand(BATCH)
    with torch.no_grad():
        plain = at.plain(t, at.codes, at.attributes)
        ours = at.field(t[:, None], at.codes, at.attributes)
    assert torch.allclose(plain, ours, atol=1e-5)
    assert plain.std() > 0.01


def test_a_missing_package_is_skipped_with_its_reason(
    module: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    import peers

    monkeypatch.setattr(peers, "installed", lambda package: "")
    assert [row.name for row in peers.skipped()] == ["torchcfm", "flow_matching", "zuko"]
    assert all("is not installed" in row.note for row in peers.skipped())


def test_the_script_of_a_gpu_runs_on_a_cpu() -> None:
    found = ran("gpu.py", "--device", "cpu", "--tiny")
    for figure in ("edits a second at 4", "images a second", "image, largest", "seconds"):
        assert figure in found


def test_the_script_of_a_gpu_says_why_it_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, "CUDA_VISIBLE_DEVICES", "")
    assert "skipped: torch finds no CUDA device here" in ran("gpu.py")


def test_the_cheap_world_makes_a_bank() -> None:
    assert '"codes": 100' in ran("bank.py", "--make", "100")
