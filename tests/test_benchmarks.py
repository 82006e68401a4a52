"""What the benchmark scripts claim about their baselines."""

from __future__ import annotations

import importlib.util
import re
import runpy
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from flat_results import summarise
from test_tuning import SUITE, carry_out
from torch import Tensor

from latentedit_styleflow.flow import ContinuousFlow
from latentedit_styleflow.objectives import Likelihood
from latentedit_styleflow.solver import Solver

SCRIPTS = [
    path
    for path in sorted((Path(__file__).parents[1] / "benchmarks").glob("*.py"))
    if "__main__" in path.read_text()
]


def script(name: str) -> ModuleType:
    path = next(path for path in SCRIPTS if path.stem == name)
    spec = importlib.util.spec_from_file_location(f"benchmarks_{name}", path)
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


PAGE = """Words.
<!-- {table} of tuned -->
old
<!-- end -->
<!-- reach of another -->
stays
<!-- end -->
"""


def cells_of(table: str) -> dict[str, list[str]]:
    """The rows of a table in Markdown, by their first cell."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    return {row[0]: row[1:] for row in rows if row}


def test_the_tables_of_the_field_say_what_the_run_found(tmp_path: Path) -> None:
    """A leak of 0.3 makes 0.8 · 0.3 σ of one of the three other attributes; an editor without leak
    is found by tuning."""
    editors = {name: SUITE["editors"][name] for name in ("adjustable", "leaking")}
    carry_out(tmp_path / "run", editors=editors)
    results = summarise(tmp_path / "run")
    module = script("field")
    field = module.Field(tmp_path / "run", ours="adjustable")

    def table(name: str) -> dict[str, list[str]]:
        page = module.filled(PAGE.format(table=name), {"tuned": field})
        assert "old" not in page
        assert page.startswith("Words.")
        assert page.endswith("<!-- reach of another -->\nstays\n<!-- end -->\n")
        assert module.filled(page, {"tuned": field}) == page
        return cells_of(page)

    measured = next(
        m["mean"]
        for m in results["measures"]
        if (m["editor"], m["metric"], m["task"]) == ("leaking", "true leakage", "all tasks")
    )
    assert measured == pytest.approx(0.08, abs=0.01)
    at = [head.split(",")[0] for head in table("measures")["editor"]].index("true leakage")
    assert table("measures")["leaking"][at].startswith(f"{measured:.3f} (")
    assert table("paired")["leaking"][at].startswith(f"-{measured:.3f} (")
    assert table("paired")["leaking"][at].endswith("), undecided")
    assert table("reach")["no-edit"] == ["0%"]
    assert table("asked")["adjustable"] == ["1.00"]
    assert table("tuning")["adjustable"][2] == "leak 0.0 **1.000**"
    with pytest.raises(SystemExit, match="asks for 'nonsense'; there are facts"):
        table("nonsense")


def test_the_page_of_the_field_is_filled() -> None:
    page = (SCRIPTS[0].parents[1] / "docs" / "field.md").read_text()
    blocks = script("field").BLOCK.finditer(page)
    tables = {match[2]: match[0].splitlines()[1:-1] for match in blocks if match[3] == "field"}
    assert set(tables) == set(script("field").TABLES)
    for name, lines in tables.items():
        assert lines, name
        assert len({len(re.findall(r"\|", line)) for line in lines}) == 1, name
