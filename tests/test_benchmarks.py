"""What the benchmark scripts claim about their baselines."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from latentedit_styleflow.flow import ContinuousFlow
from latentedit_styleflow.objectives import Likelihood
from latentedit_styleflow.solver import Solver

SCRIPTS = sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))


def script(name: str) -> ModuleType:
    path = next(path for path in SCRIPTS if path.stem == name)
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_says_how_to_run_it(path: Path) -> None:
    found = subprocess.run([sys.executable, path, "--help"], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    assert f"python benchmarks/{path.name}" in found.stdout


def gradient(flow: ContinuousFlow, loss: Tensor) -> Tensor:
    flow.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in flow.blocks.parameters() if p.grad is not None])


def test_the_releases_step_and_ours_have_the_same_gradient_in_expectation() -> None:
    release_loss = script("styleflow").release_loss
    torch.manual_seed(0)
    flow = ContinuousFlow(4, 2, (8,), 1, Solver("rk4", 8)).double()
    for p in flow.blocks.parameters():
        p.data.mul_(1.5)
    w, a = torch.randn(3, 4, dtype=torch.float64), torch.randn(3, 2, dtype=torch.float64)
    rows, conditions = w.repeat_interleave(3, 0), a.repeat_interleave(3, 0)
    ours = gradient(flow, Likelihood("exact").loss(flow, w, a, torch.Generator()))
    rng = torch.Generator().manual_seed(1)
    theirs = torch.stack(
        [gradient(flow, release_loss(flow, rows, conditions, rng)) for _ in range(60)]
    )
    error = theirs.std(0) / len(theirs) ** 0.5
    assert ((theirs.mean(0) - ours).abs() < 5 * error + 1e-3 * ours.norm()).all()
    assert torch.cosine_similarity(theirs.mean(0), ours, dim=0) > 0.95
