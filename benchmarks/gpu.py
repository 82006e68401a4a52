"""A GPU against this machine's CPU: agreement and speed, in under five minutes.

    python benchmarks/gpu.py                       on the first CUDA device
    python benchmarks/gpu.py --device cpu --tiny   the same code on a CPU, in seconds
    python benchmarks/gpu.py --json docs/results/gpu.json --runs CPU/results.json GPU/results.json
                                                   compares two runs of one suite, anywhere

agreement  edits of one flow, images of the rendered world, and readings of its judge, by both
fit        seconds to fit the paper-scale flow with the editor's defaults
edits      edits a second, and their share of what the device's matrix products allow
images     images a second of StyleGAN2 at 1,024 pixels

Without such a device the script says so, and ends with 0.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, cast

import torch
from generator import architecture, random_weights
from torch import Tensor

from latentedit import Registry, Runtime, Split
from latentedit_styleflow.editor import StyleFlow
from latentedit_styleflow.flow import ContinuousFlow
from latentedit_stylegan.synthesis import SynthesisNetwork
from latentedit_synthface.generator import SynthFace
from latentedit_synthface.schema import SCHEMA

Figures = dict[str, float]
BATCHES = (1, 64, 4_096)
TINY: dict[str, Any] = {"steps": 4, "evaluations": 1, "hidden": (16,), "blocks": 1}
MATRIX = 4_096
"""Side of the products that measure the device's arithmetic."""


class Plan:
    """What to measure, and how large.

    Args:
        device: of torch.
        tiny: sizes for a test of this script.
    """

    def __init__(self, device: str, tiny: bool) -> None:
        self.device, self.tiny = device, tiny
        self.codes, self.faces = (60, 4) if tiny else (10_000, 256)
        self.resolution, self.batch = (16, 1) if tiny else (1_024, 8)
        self.batches = (1, 4) if tiny else BATCHES
        self.matrix = 64 if tiny else MATRIX
        self.repeats = 2 if tiny else 10
        self.world = SynthFace()
        w = self.world.sample(self.codes + self.faces, seed=0)
        self.data = Split("w", SCHEMA, ((w, self.world.truth(w).attributes),))
        self.editor = StyleFlow(StyleFlow.Options(**(TINY if tiny else {})))

    def wait(self) -> None:
        if self.device.startswith("cuda"):
            torch.cuda.synchronize(self.device)

    def seconds(self, work: Callable[[], object]) -> float:
        """Median wall time of `work`, after two calls to warm up."""
        times = []
        for i in range(self.repeats + 2):
            self.wait()
            started = time.perf_counter()
            work()
            self.wait()
            if i >= 2:
                times.append(time.perf_counter() - started)
        return median(times)

    def asked(self, count: int) -> tuple[Tensor, Tensor, Tensor]:
        """Codes that no fit saw, their attributes, and targets twenty years away."""
        rows = self.codes + torch.arange(count) % self.faces
        w, a = self.data.rows(rows)
        target = a.clone()
        age = SCHEMA.columns("age").start
        target[:, age] += torch.where(a[:, age] < 45, 20.0, -20.0)
        return w, a, target


def fit(plan: Plan) -> Figures:
    started = time.perf_counter()
    plan.editor.fit(plan.data.take(torch.arange(plan.codes)), Runtime(device=plan.device))
    plan.wait()
    return {"codes": plan.codes, "seconds": time.perf_counter() - started}


def agreement(plan: Plan) -> Figures:
    """Largest differences between the device and the CPU."""
    w, a, target = plan.asked(plan.faces)
    flow = cast(ContinuousFlow, plan.editor.flow)
    found = {}
    for device in (plan.device, "cpu"):
        flow.to(device)
        on = [part.to(device) for part in (w, a, target)]
        found[device] = plan.editor.edit(*on, Runtime(device=device)).codes.cpu()
    flow.to(plan.device)
    moved = (found["cpu"] - w).norm(dim=1).clamp_min(1e-6)
    difference = (found[plan.device] - found["cpu"]).norm(dim=1) / moved
    with torch.no_grad():
        images = {d: plan.world.synthesize(w.to(d)).cpu() for d in (plan.device, "cpu")}
    apart = (images[plan.device] - images["cpu"]).abs()
    judge = Registry.discover({"LATENTEDIT_LOAD_PLUGINS": "synthface"}).estimator("synthface-judge")
    read = {d: judge.estimate(images["cpu"].to(d)).cpu() for d in (plan.device, "cpu")}
    spread = read["cpu"].std(0).clamp_min(1e-6)
    return {
        "edit, of its length": float(difference.max()),
        "image, mean": float(apart.mean()),
        "image, largest": float(apart.max()),
        "judge, in standard deviations": float(
            ((read[plan.device] - read["cpu"]).abs() / spread).max()
        ),
    }


def edits(plan: Plan) -> Figures:
    """Edits a second by batch, and against the time that their products take at full speed."""
    a, b = torch.randn(2, plan.matrix, plan.matrix, device=plan.device)
    peak = 2 * plan.matrix**3 / plan.seconds(lambda: a @ b)
    flow = cast(ContinuousFlow, plan.editor.flow)
    per_evaluation = sum(2 * p.numel() for n, p in flow.named_parameters() if ".linear.weight" in n)
    found: Figures = {"operations a second": peak}
    for count in plan.batches:
        given = [part.to(plan.device) for part in plan.asked(count)]
        runtime = Runtime(device=plan.device)
        nfe = plan.editor.edit(*given, runtime).nfe
        taken = plan.seconds(partial(plan.editor.edit, *given, runtime))
        found[f"edits a second at {count}"] = count / taken
        found[f"of the limit at {count}"] = count * nfe * per_evaluation / peak / taken
    return found


@torch.no_grad()
def images(plan: Plan) -> Figures:
    """Of a network of random weights in single precision."""
    of = architecture(plan.resolution, 512 if plan.tiny else 32_768)
    network = SynthesisNetwork(of, random_weights(of, plan.device), True)
    w = torch.randn(plan.batch, of.num_ws, of.w_dim, device=plan.device)
    taken = plan.seconds(lambda: network(network.styles(w)))
    return {"pixels": plan.resolution, "batch": plan.batch, "images a second": plan.batch / taken}


def runs(first: Path, second: Path) -> Figures:
    """How far the figures of a suite on a GPU are from those on a CPU.

    In half widths of the CPU's intervals, over every figure of every editor and task. Left out are
    controls, since some draw codes at random, and round-trip errors, which are rounding alone.
    """
    found = []
    for path in (first, second):
        results = json.loads(path.read_text())
        found.append(
            {
                (row["editor"], row["task"], *row["metric"].values(), row["effect"]): row
                for row in results["measures"]
                if row["editor"] not in results["controls"]
                and not row["metric"]["name"].startswith("round-trip")
            }
        )
    ours, theirs = found
    apart = [
        abs(row["mean"] - theirs[key]["mean"]) / max((row["high"] - row["low"]) / 2, 1e-6)
        for key, row in ours.items()
        if key in theirs and None not in (row["mean"], row["low"], theirs[key]["mean"])
    ]
    return {"figures": len(apart), "median": median(apart), "largest": max(apart)}


PARTS: dict[str, Callable[[Plan], Figures]] = {
    "fit": fit,
    "agreement": agreement,
    "edits": edits,
    "images": images,
}
"""In this order: the first fits what the others edit with."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small sizes, to test the script")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    parser.add_argument("--runs", type=Path, nargs=2, metavar="RESULTS", help="on CPU, on GPU")
    arguments = parser.parse_args()
    if arguments.runs:
        kept(arguments.json, {"suite": runs(*arguments.runs)})
        return
    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        print("skipped: torch finds no CUDA device here; --device cpu --tiny tries the script")
        return
    plan, found = Plan(arguments.device, arguments.tiny), {}
    name = "a CPU"
    if arguments.device.startswith("cuda"):
        name = torch.cuda.get_device_name(arguments.device)
    print(f"{name}, torch {torch.__version__}")
    for part, measure in PARTS.items():
        started = time.perf_counter()
        found[part] = measure(plan)
        print(f"\n{part}, {time.perf_counter() - started:.1f} s in all")
        for figure, value in found[part].items():
            print(f"  {figure:32} {value:.4g}", flush=True)
    kept(arguments.json, {"device": name, "torch": torch.__version__, **found})


def kept(path: Path | None, found: dict[str, Any]) -> None:
    """Add what was found to a file, if there is to be one."""
    if path is None:
        print(json.dumps(found, indent=2))
        return
    before = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps(before | found, indent=2) + "\n")


if __name__ == "__main__":
    main()
