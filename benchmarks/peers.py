"""Flow matching, sampling and editing beside other packages, on one network in one process.

    pip install "latentedit[peers]" && pip install --no-deps torchcfm
    python benchmarks/peers.py                     about two minutes on a quiet core
    python benchmarks/peers.py --turns 5 --json figures.json

The network is the release's: concat-squash layers 512 → 512 × 5 → 512 under 17 attributes, written
with plain torch operations for the others and as `VectorField` for us, with equal weights. Codes
are whitened before the step, as training does with up to 64 MiB of codes. Packages that are missing
are skipped. torchcfm asks for torchvision and more, which its flow matching does not use.

step      loss, backward pass and Adam of flow matching, batch 128
sampling  64 codes, rk4 with four steps; and with dopri5 at a tolerance of 1e-5
edit      encode and decode with rk4 and four steps, against the matrix products of the same
          evaluations and nothing else, one code and 64 codes
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from interleaved import Figure, Turns, in_turns, load
from torch import Tensor, nn
from torch.nn.functional import linear
from torchdiffeq import odeint

from latentedit_styleflow.field import VectorField
from latentedit_styleflow.flow import ContinuousFlow
from latentedit_styleflow.objectives import FlowMatching
from latentedit_styleflow.solver import Solver

DIM, CONDITION, HIDDEN, BATCH, FACES = 512, 17, (512,) * 5, 128, 64
STEPS, TOLERANCE = 4, 1e-5
RATE = 1e-4


class PlainField(nn.Module):
    """The network as a reader of the paper would write it.

    Args:
        of: the field whose weights it takes.
    """

    def __init__(self, of: VectorField) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.ModuleList(
                [
                    nn.Linear(inputs, outputs),
                    nn.Linear(1 + CONDITION, outputs),
                    nn.Linear(1 + CONDITION, outputs, bias=False),
                ]
            )
            for inputs, outputs in pairwise([DIM, *HIDDEN, DIM])
        )
        self.load_state_dict(dict(zip(self.state_dict(), of.state_dict().values(), strict=True)))

    def forward(self, t: Tensor, x: Tensor, a: Tensor) -> Tensor:
        c = torch.cat([t.expand(len(a)).view(-1, 1), a], 1)
        for i, (product, gate, shift) in enumerate(self.layers):
            x = product(x) * torch.sigmoid(gate(c)) + shift(c)
            if i + 1 < len(self.layers):
                x = torch.tanh(x)
        return x


class Setting:
    """Equal networks and data for all."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.flow = ContinuousFlow(DIM, CONDITION, HIDDEN, 1, Solver("rk4", STEPS), whiten=True)
        self.field = self.flow.matching()[1]
        self.plain = PlainField(self.field)
        self.codes, self.noise = torch.randn(2, BATCH, DIM)
        self.attributes = torch.randn(BATCH, CONDITION)

    def velocity(self, t: Tensor, x: Tensor) -> Tensor:
        """Of the plain network, of `FACES` codes."""
        return self.plain(t, x, self.attributes[: len(x)])


def installed(package: str) -> str:
    """Its version; "" if it is not installed."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ""


def training(network: nn.Module, loss: Callable[[], Tensor]) -> Callable[[], None]:
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        loss().backward()
        optimizer.step()

    return step


def step(turns: int) -> list[Figure]:
    """One step of flow matching."""
    at = Setting()
    rng = torch.Generator().manual_seed(0)
    ours = FlowMatching()
    white = ours.prepared(at.flow, at.codes)
    calls: dict[str, Callable[[], Any]] = {
        "latentedit": training(at.field, lambda: ours.loss(at.flow, white, at.attributes, rng))
    }
    if installed("torchcfm"):
        from torchcfm.conditional_flow_matching import ConditionalFlowMatcher

        matcher = ConditionalFlowMatcher(sigma=0.0)

        def torchcfm() -> Tensor:
            x = torch.randn_like(at.codes)
            t, here, wanted = matcher.sample_location_and_conditional_flow(at.codes, x)
            return (at.plain(t, here, at.attributes) - wanted).square().mean()

        calls["torchcfm"] = training(at.plain, torchcfm)
    if installed("flow_matching"):
        from flow_matching.path import CondOTProbPath

        path = CondOTProbPath()

        def flow_matching() -> Tensor:
            x, t = torch.randn_like(at.codes), torch.rand(BATCH)
            sample = path.sample(t=t, x_0=at.codes, x_1=x)
            found = at.plain(sample.t, sample.x_t, at.attributes)
            return (found - sample.dx_t).square().mean()

        calls["flow_matching"] = training(at.plain, flow_matching)
    return compared("flow-matching step", in_turns(calls, turns), {"torchcfm": 1.0})


@torch.no_grad()
def sampling(turns: int) -> list[Figure]:
    """64 codes from noise, with fixed and with adaptive steps."""
    at = Setting()
    z, a = at.noise[:FACES], at.attributes[:FACES]
    times, options = torch.tensor([0.0, 1.0]), {"step_size": 1 / STEPS}
    fixed: dict[str, Callable[[], Any]] = {
        "latentedit": lambda: at.flow.decode(z, a),
        "torchdiffeq": lambda: odeint(at.velocity, z, times, method="rk4", options=options),
    }
    adaptive: dict[str, Callable[[], Any]] = {
        "latentedit": lambda: tight.decode(z, a),
        "torchdiffeq": lambda: odeint(at.velocity, z, times, atol=TOLERANCE, rtol=TOLERANCE),
    }
    tight = ContinuousFlow(
        DIM, CONDITION, HIDDEN, 1, Solver("dopri5", tolerance=TOLERANCE), whiten=True
    )
    tight.load_state_dict(at.flow.state_dict())
    if installed("flow_matching"):
        from flow_matching.solver import ODESolver

        solver = ODESolver(velocity_model=lambda x, t: at.velocity(t, x))
        fixed["flow_matching"] = lambda: solver.sample(z, 1 / STEPS, method="rk4")
    if installed("zuko"):
        from zuko.utils import odeint as zuko_odeint

        def zuko() -> Tensor:
            found: Tensor = zuko_odeint(at.velocity, z, 0.0, 1.0, atol=TOLERANCE, rtol=TOLERANCE)
            return found

        adaptive["zuko"] = zuko
    return [
        *compared("sampling 64 codes, rk4", in_turns(fixed, turns), {"flow_matching": 1.0}),
        *compared("sampling 64 codes, dopri5", in_turns(adaptive, turns), {}),
    ]


@torch.no_grad()
def edit(turns: int) -> list[Figure]:
    """An edit against the matrix products of its evaluations, four a step, there and back."""
    figures = []
    for n, bar in ((1, 1.4), (FACES, 1.3)):
        at = Setting()
        w, a = at.codes[:n], at.attributes[:n]
        target = a + 1
        weights = [layer[0] for layer in at.plain.layers]

        def products(w: Tensor = w, weights: list[Any] = weights) -> None:
            for _ in range(2 * 4 * STEPS):
                for layer in weights:
                    linear(w, layer.weight, layer.bias)

        def edited(at: Setting = at, w: Tensor = w, a: Tensor = a, b: Tensor = target) -> None:
            at.flow.decode(at.flow.encode(w, a).codes, b)

        found = in_turns({"latentedit": edited, "bare products": products}, turns, 64 // n)
        name = f"edit of {n} code{'s' if n > 1 else ''}"
        figures += compared(name, found, {"bare products": bar})
    return figures


def compared(name: str, found: Turns, bars: dict[str, float]) -> list[Figure]:
    """Our time against that of each other variant."""
    ours = found.milliseconds("latentedit")
    return [
        Figure(
            name,
            found.ratio("latentedit", other),
            "×",
            " ".join([other, installed(other)]).strip(),
            bars.get(other),
            f"{ours:.2f} ms against {found.milliseconds(other):.2f} ms",
        )
        for other in found.seconds
        if other != "latentedit"
    ]


def skipped() -> list[Figure]:
    """A line for each package that is not installed."""
    return [
        Figure(name, None, "", name, None, f"skipped: {name} is not installed; pip install {name}")
        for name in ("torchcfm", "flow_matching", "zuko")
        if not installed(name)
    ]


def figures(turns: int) -> list[Figure]:
    """Everything, on one thread."""
    torch.set_num_threads(1)
    return [*step(turns), *sampling(turns), *edit(turns), *skipped()]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=15, help="the median of so many")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there as well")
    arguments = parser.parse_args()
    found = figures(arguments.turns)
    for row in found:
        value = "" if row.value is None else f"{row.value:6.2f} {row.unit}"
        print(f"{row.name:28} {value:10} {row.against:24} {row.note}")
    print(f"load {load():.1f}")
    if arguments.json:
        arguments.json.write_text(json.dumps([row._asdict() for row in found], indent=2) + "\n")


if __name__ == "__main__":
    main()
