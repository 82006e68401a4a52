"""What the benchmark scripts claim about their baselines."""

from __future__ import annotations

import importlib.util
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from latentedit_styleflow.flow import ContinuousFlow
from latentedit_styleflow.objectives import Likelihood
from latentedit_styleflow.solver import Solver

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SCRIPTS = [path for path in sorted(BENCHMARKS.glob("*.py")) if "__main__" in path.read_text()]


def script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", BENCHMARKS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_every_script_says_how_to_run_it(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(path), "--help"])
    monkeypatch.setattr(sys, "path", [str(path.parent), *sys.path])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path), run_name="__main__")
    assert ended.value.code == 0
    assert f"python benchmarks/{path.name}" in capsys.readouterr().out


def gradient(flow: ContinuousFlow, loss: Tensor) -> Tensor:
    flow.zero_grad()
    loss.backward()
    return torch.cat([p.grad.flatten() for p in flow.blocks.parameters() if p.grad is not None])


def test_the_releases_step_and_ours_have_the_same_gradient_in_expectation() -> None:
    release_loss = script("styleflow").release_loss
    with torch.random.fork_rng():
        torch.manual_seed(0)
        flow = ContinuousFlow(4, 2, (8,), 1, Solver("rk4", 3)).double()
    for p in flow.blocks.parameters():
        p.data.mul_(1.5)
    rng = torch.Generator().manual_seed(1)
    w = torch.randn(3, 4, dtype=torch.float64, generator=rng)
    a = torch.randn(3, 2, dtype=torch.float64, generator=rng)
    rows, conditions = w.repeat_interleave(3, 0), a.repeat_interleave(3, 0)
    ours = gradient(flow, Likelihood("exact").loss(flow, w, a, torch.Generator()))
    theirs = torch.stack(
        [gradient(flow, release_loss(flow, rows, conditions, rng)) for _ in range(60)]
    )
    error = theirs.std(0) / len(theirs) ** 0.5
    assert ((theirs.mean(0) - ours).abs() < 5 * error + 1e-3 * ours.norm()).all()
    assert torch.cosine_similarity(theirs.mean(0), ours, dim=0) > 0.95
