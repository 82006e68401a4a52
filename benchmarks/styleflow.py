"""Speed of fitting and editing with StyleFlow, against likelihood training and the release.

    python benchmarks/styleflow.py                       everything, about 20 minutes
    python benchmarks/styleflow.py --parts step edit     two parts, under two minutes
    python benchmarks/styleflow.py --device cuda --out figures.json

Data are 10,000 codes of the rendered world with the true values of its 17 attribute columns.

fit     flow matching with the editor's defaults, and the likelihood objective in 20 times the time
step    one likelihood step at batch 5 of 18 equal rows, against the release's cost, re-created here
edit    one edit of 1 and of 64 codes on one thread, by solver, with round trip and error
memory  peak memory while fitting from a memory-mapped bank of 10,000 and of 1,000,000 codes

Ratios within one run mean something; figures of two machines do not.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, cast

import torch
from torch import Tensor, nn
from torchdiffeq import odeint_adjoint

from latentedit import LatentBank, ModelReference, Registry, Runtime, Split
from latentedit.data.bank import SHARD_ROWS
from latentedit_styleflow.editor import StyleFlow
from latentedit_styleflow.field import VectorField
from latentedit_styleflow.flow import ContinuousFlow, standard_normal_log_prob
from latentedit_styleflow.objectives import Likelihood
from latentedit_styleflow.solver import Solver
from latentedit_synthface.schema import SCHEMA

CODES, TEST = 10_000, 256
LIKELIHOOD_STEPS = 3_000
"""More do not help: held-out likelihood stops rising after about half of them."""
RELEASED_HIDDEN, RELEASED_BATCH, RELEASED_ROWS = (512,) * 5, 5, 18
RELEASED_TOLERANCE = 1e-5
PARTS = ("fit", "step", "edit", "memory")
SOLVERS = (
    Solver("rk4", 1),
    Solver("rk4", 2),
    Solver("rk4", 4),
    Solver("rk4", 8),
    Solver("midpoint", 4),
    Solver("bosh3", tolerance=1e-3),
    Solver("dopri5", tolerance=1e-3),
    Solver("dopri5", tolerance=1e-5),
)
EXACT = Solver("dopri5", tolerance=1e-6)

Row = dict[str, Any]


def main() -> None:
    arguments = _arguments()
    figures: dict[str, list[Row]] = {}
    for part in arguments.parts:
        figures[part] = globals()[part](arguments)
        print(f"\n{part}\n{table(figures[part])}", flush=True)
    if arguments.out:
        arguments.out.write_text(json.dumps(figures, indent=2) + "\n")


def fit(arguments: argparse.Namespace) -> list[Row]:
    """Held-out log-likelihood and seconds of both objectives."""
    torch.set_num_threads(arguments.threads)
    matching, seconds = fitted(arguments.device)
    budget = 20 * seconds
    options = {"objective": "likelihood", "batch": 64, "solver_steps": 2}
    _, trial = fitted(arguments.device, steps=10, evaluations=1, **options)
    steps = min(int(budget / (trial / 10)), LIKELIHOOD_STEPS)
    evaluations = max(20, steps // 50)
    likelihood, spent = fitted(
        arguments.device, steps=steps, evaluations=evaluations, patience=evaluations, **options
    )
    best = held_out(likelihood)
    return [
        {
            "objective": name,
            "seconds": round(taken, 1),
            "log-likelihood": round(found, 1),
            "behind the likelihood objective": f"{(best - found) / abs(best):.2%}",
        }
        for name, taken, found in (
            ("flow matching", seconds, held_out(matching)),
            ("likelihood", spent, best),
        )
    ]


def step(arguments: argparse.Namespace) -> list[Row]:
    """Milliseconds of one likelihood step: forward and backward."""
    torch.set_num_threads(1)
    data = world()
    w, a = data.rows(torch.arange(RELEASED_BATCH))
    a = (a - data.attributes.mean(0)) / data.attributes.std(0)
    torch.manual_seed(0)
    ours = ContinuousFlow(w.shape[1], a.shape[1], RELEASED_HIDDEN, 1, Solver("rk4", 2), whiten=True)
    mean, covariance = data.codes.mean(0), data.codes.T.cov()
    ours.links()[0].take(mean, covariance)
    theirs = ContinuousFlow(w.shape[1], a.shape[1], RELEASED_HIDDEN, 1, EXACT)
    theirs.links()[0].take(mean, covariance)
    rows = w[:, None].expand(-1, RELEASED_ROWS, -1).flatten(0, 1)
    conditions = a.repeat_interleave(RELEASED_ROWS, 0)
    rng = torch.Generator().manual_seed(0)
    slow = milliseconds(lambda: release_loss(theirs, rows, conditions, rng).backward(), 3)
    fast = milliseconds(lambda: Likelihood().loss(ours, w, a, rng).backward(), 15)
    return [
        {"likelihood step": "release, re-created", "rows": len(rows), "ms": slow, "faster": 1.0},
        {"likelihood step": "latentedit", "rows": len(w), "ms": fast, "faster": slow / fast},
    ]


def release_loss(flow: ContinuousFlow, w: Tensor, a: Tensor, rng: torch.Generator) -> Tensor:
    """−log p(w | a) per dimension at the release's cost, on every row.

    dopri5 at 1e-5 with the adjoint method, over a state of codes, log-density and attributes that
    all decide the step size; Hutchinson's estimate by a second backward pass at every evaluation.
    """
    first, links = flow.links()
    noise = torch.randn(w.shape, generator=rng, dtype=w.dtype)
    z, change = first.encode(w), w.new_zeros(len(w), 1)
    for block, norm in links:
        dynamics = _ReleasedDynamics(block.field, noise)
        z, moved, _ = (
            states[-1]
            for states in odeint_adjoint(
                dynamics,
                (z, torch.zeros_like(change), a),
                torch.stack(block.times),
                atol=RELEASED_TOLERANCE,
                rtol=RELEASED_TOLERANCE,
                method="dopri5",
            )
        )
        z, change = norm.encode(z), change + moved + norm.log_scale.sum()
    log_prob = standard_normal_log_prob(z) + change[:, 0] + first.log_scale.sum()
    return -log_prob.mean() / flow.dim


class _ReleasedDynamics(nn.Module):
    def __init__(self, field: VectorField, noise: Tensor) -> None:
        super().__init__()
        self.field, self.noise = field, noise

    def forward(self, t: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        with torch.enable_grad():
            z, a = (part.clone().requires_grad_(True) for part in (state[0], state[2]))
            velocity = self.field(t, z, a)
            (product,) = torch.autograd.grad(velocity, z, self.noise, create_graph=True)
            trace = (product * self.noise).sum(1, keepdim=True)
        return velocity, trace, torch.zeros_like(a)


def edit(arguments: argparse.Namespace) -> list[Row]:
    """One edit, encode and decode, of age by 20 years; by norm, solver and batch."""
    torch.set_num_threads(arguments.threads)
    rows = []
    for whiten in (True, False):
        editor, _ = fitted(arguments.device, whiten=whiten)
        torch.set_num_threads(1)
        rows += [edit_row(editor, solver, whiten, arguments) for solver in SOLVERS]
        torch.set_num_threads(arguments.threads)
    return rows


def edit_row(editor: StyleFlow, solver: Solver, whiten: bool, arguments: argparse.Namespace) -> Row:
    flow = cast(ContinuousFlow, editor.flow)
    device = arguments.device
    w, a = (part.to(device) for part in test_faces(64))
    age = world().schema.columns("age")
    target = a.clone()
    target[:, age] = torch.where(a[:, age] < 45, a[:, age] + 20, a[:, age] - 20)
    runtime = Runtime(device=device)
    flow.solver = EXACT
    wanted = editor.edit(w, a, target, runtime).codes
    flow.solver = solver
    edited = editor.edit(w, a, target, runtime)
    base = editor.encode(w, a).codes
    back = editor.decode(base, a).codes
    trip = (back - w).norm(dim=1) / w.norm(dim=1)
    error = (edited.codes - wanted).norm(dim=1) / (wanted - w).norm(dim=1)
    alone = milliseconds(lambda: editor.edit(w[:1], a[:1], target[:1], runtime), 60, device)
    together = milliseconds(lambda: editor.edit(w, a, target, runtime), 15, device)
    how = f"{solver.steps} steps" if solver.method in ("rk4", "midpoint") else solver.tolerance
    return {
        "norm": "whitening" if whiten else "release's",
        "solver": f"{solver.method}, {how}",
        "evaluations": edited.nfe,
        "ms alone": alone,
        "ms a face in 64": together / 64,
        "round trip, median": float(trip.median()),
        "largest": float(trip.max()),
        "edit error, median": float(error.median()),
        "largest edit error": float(error.max()),
    }


def memory(arguments: argparse.Namespace) -> list[Row]:
    """Peak resident memory of a process that fits from a bank on disk."""
    rows = []
    for codes in (10_000, 1_000_000):
        with tempfile.TemporaryDirectory() as folder:
            for task in ("write", "fit"):
                command = [sys.executable, __file__, "--child", task, folder, str(codes)]
                found = subprocess.run(command, check=True, capture_output=True, text=True)
        rows.append({"codes": codes, "peak MiB": float(found.stdout.split()[-1])})
    for row in rows:
        row["against 10,000"] = f"{row['peak MiB'] / rows[0]['peak MiB'] - 1:+.1%}"
    return rows


def child(task: str, folder: str, codes: str) -> None:
    """Write a bank of random codes, or fit from it and print this process's peak memory."""
    torch.set_num_threads(2)
    bank = Path(folder) / "bank"
    if task == "write":
        rng = torch.Generator().manual_seed(0)
        w = torch.randn(int(codes), 512, generator=rng)
        a = torch.randn(int(codes), SCHEMA.width, generator=rng)
        shards = tuple(zip(w.split(SHARD_ROWS), a.split(SHARD_ROWS), strict=True))
        reference = ModelReference("synthface", {}, "0" * 64)
        splits = {
            "fit": Split("w", SCHEMA, shards),
            "test": Split("w", SCHEMA, ((w[:10], a[:10]),)),
        }
        LatentBank.write(bank, splits, reference, reference, {})
        return
    editor = StyleFlow(StyleFlow.Options(steps=100, evaluations=2))
    editor.fit(LatentBank.open(bank).split("fit"), Runtime())
    print(peak_memory())


def peak_memory() -> float:
    """MiB; the kernel's own mark, since rusage starts from the size of the parent process."""
    status = Path("/proc/self/status").read_text()
    return float(status.split("VmHWM:")[1].split()[0]) / 1024


_WORLDS: dict[int, Split] = {}


def world(codes: int = CODES + TEST) -> Split:
    """Codes of the rendered world with the true values of its attributes."""
    if codes not in _WORLDS:
        generator = Registry.discover().generator("synthface", {})
        w = generator.sample(codes, seed=0)
        truth = generator.truth(w)
        _WORLDS[codes] = Split("w", SCHEMA, ((w, truth.attributes),))
    return _WORLDS[codes]


def test_faces(count: int) -> tuple[Tensor, Tensor]:
    return world().rows(torch.arange(CODES, CODES + count))


def fitted(device: str, **options: Any) -> tuple[StyleFlow, float]:
    """StyleFlow on the world's first 10,000 codes, and the seconds that it took."""
    data = world().take(torch.arange(CODES))
    editor = StyleFlow(StyleFlow.Options(**options))
    started = time.perf_counter()
    editor.fit(data, Runtime(device=device))
    return editor, time.perf_counter() - started


def held_out(editor: StyleFlow) -> float:
    """Mean log p(w | a) in nats of codes that no fit saw, by an accurate solver."""
    cast(ContinuousFlow, editor.flow).solver = Solver("rk4", 8)
    w, a = test_faces(TEST)
    device = next(editor.flow.parameters()).device
    found = editor.log_prob(w.to(device), a.to(device), Runtime(device=str(device)), probes=16)
    return float(found.mean())


def milliseconds(work: Callable[[], object], repeats: int, device: str = "cpu") -> float:
    """Median wall time of `work`."""
    times = []
    for i in range(repeats + 2):
        started = time.perf_counter()
        work()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        if i >= 2:
            times.append(1000 * (time.perf_counter() - started))
    return median(times)


def table(rows: list[Row]) -> str:
    cells = [list(rows[0]), *[[_shown(value) for value in row.values()] for row in rows]]
    widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )


def _shown(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=PARTS, default=PARTS)
    parser.add_argument("--threads", type=int, default=2, help="while fitting (default 2)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda")
    parser.add_argument("--out", type=Path, help="write the figures as JSON")
    return parser.parse_args()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:])
    else:
        main()
