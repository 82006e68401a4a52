"""Training of ``synthface-net``: ``python -m workshop.synthface.train_generator --data FOLDER``.

Four stages, each skipped where its result is in FOLDER: a mapping network, trained and frozen;
renders of the faces that its codes stand for; small networks for the feature loss; and the
distillation of the renders into the synthesis network. FOLDER gets ``checkpoint.safetensors`` and
``log.csv``; the same command again goes on from the checkpoint. The learning rate follows the step,
not the clock. With ``--again`` both networks are at first those in the package, or those that
``export_generator`` wrote into a folder. ``adversarial_training`` goes on from here, and
``export_generator`` turns a checkpoint into the weights in the wheel.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from latentedit import InputError, read_json, read_tensors, write_json, write_tensors
from latentedit_synthface.code_factors import CodeFactors
from latentedit_synthface.style_network import MappingNetwork, SynthesisNetwork, architecture
from latentedit_synthface.trained_generator import NETWORK
from workshop.synthface.coded_renders import MIXED_SHARE, CodedRenders, coded_renders
from workshop.synthface.distillation_loss import drawn_and_loss
from workshop.synthface.generator_figures import psnr
from workshop.synthface.image_features import ImageFeatures, trained_features
from workshop.synthface.mapping_training import trained_mapping
from workshop.synthface.optimizer import Muon
from workshop.synthface.renders import unpacked
from workshop.synthface.training_files import load, load_optimizer, log, optimizer_state, prefixed

SEED = 5
TRAINING_SEED, HELD_OUT_SEED = 11, 12
HELD_OUT_IMAGES = 2_000
_AVERAGE = 0.998
MATRIX_RATE = 0.5
"""Step of a convolution's orthogonal update, in learning rates. In 600 steps of 16 images this
reached 18.4 dB on held-out codes, and Adam 17.7 dB."""
_MADE = ("sha256", "schedule", "steps_done", "refinement_steps", "notes")
"""What a schedule repeats of the card of the network that the round begins with."""
_CONSTANT = 1 / 3
"""Share of the run at the full rate, before it falls as a cosine."""


@dataclass(frozen=True)
class Distillation:
    """Steps, batch, images and how they are used; part of the card."""

    steps: int
    batch: int
    images: int
    learning_rate: float
    precision: str
    again: dict[str, Any] | None = None
    """How the network was made that this round begins with."""

    def rate(self, step: int) -> float:
        """Constant after a warm-up of 200 steps for a third of the run, then a cosine to zero."""
        done = max(0.0, (step / self.steps - _CONSTANT) / (1 - _CONSTANT))
        warm = min(1.0, (step + 1) / 200)
        return self.learning_rate * warm * 0.5 * (1 + math.cos(math.pi * done))

    @property
    def dtype(self) -> torch.dtype:
        return torch.bfloat16 if self.precision == "bf16" else torch.float32


@dataclass
class State:
    """What a checkpoint holds."""

    synthesis: SynthesisNetwork
    average: SynthesisNetwork
    optimizer: Muon
    step: int


def distil(
    folder: Path,
    schedule: Distillation,
    device: str = "cpu",
    stop: int | None = None,
    checkpoint_every: int = 1000,
    held_out_images: int = HELD_OUT_IMAGES,
    say: Callable[[str], None] = print,
    first: Path | None = None,
) -> State:
    """Train up to step `stop` of the schedule, from the checkpoint in `folder` if there is one.

    Args:
        first: folder of an exported network to begin with; where `folder` has begun already, it
            goes on with what it began with.
    """
    if first is not None:
        schedule = replace(schedule, again=_begun_with(first, folder))
    _pin_schedule(folder / "schedule.json", schedule)
    mapping, reader = mapping_stage(folder, first)
    renders = coded_renders(
        folder, schedule.images, TRAINING_SEED, mapping, reader, MIXED_SHARE, say
    )
    held_out = coded_renders(folder, held_out_images, HELD_OUT_SEED, mapping, reader, report=say)
    features = features_stage(folder, renders, schedule.dtype, device)
    state = resumed(folder, device, first)
    order, end = rare_twice(renders), schedule.steps if stop is None else stop
    started, began, losses = time.monotonic(), state.step, []
    while state.step < end:
        index = _batch(order, schedule.batch, state.step)
        losses.append(_step(state, schedule, renders, index, features, device))
        if state.step % checkpoint_every == 0 or state.step == end:
            rate = (state.step - began) * schedule.batch / (time.monotonic() - started)
            save(folder, state)
            shown = pictures(state.average, held_out, device)
            row = {
                "step": state.step,
                "loss": round(torch.stack(losses).mean().item(), 5),
                "psnr": round(psnr(shown, unpacked(held_out.images)), 3),
                "images_per_second": round(rate),
            }
            losses.clear()
            log(folder / "log.csv", row)
            say(json.dumps(row))
    return state


def mapping_stage(folder: Path, first: Path | None = None) -> tuple[MappingNetwork, CodeFactors]:
    """The frozen mapping network and what its codes stand for: those in `folder`; else those of the
    exported network in `first`, or trained, which `folder` is given."""
    path = folder / "mapping.safetensors"
    mapping, reader = MappingNetwork().requires_grad_(False), CodeFactors()
    if not path.exists():
        if first is None:
            mapping, reader = trained_mapping(SEED)
        else:
            load(_exported(first), mapping=mapping, reader=reader)
        write_tensors(path, prefixed(mapping=mapping, reader=reader))
    load(read_tensors(path), mapping=mapping, reader=reader)
    return mapping, reader


def features_stage(
    folder: Path, renders: CodedRenders, precision: torch.dtype, device: str = "cpu"
) -> ImageFeatures:
    """The networks of the feature loss: those in `folder`, or trained."""
    path = folder / "features.safetensors"
    if not path.exists():
        trained = trained_features(renders, SEED + 1, precision, device=device)
        write_tensors(path, prefixed(features=trained))
    features = ImageFeatures().eval().requires_grad_(False)
    load(read_tensors(path), features=features)
    return features.to(device)


def resumed(folder: Path, device: str = "cpu", first: Path | None = None) -> State:
    """The state in `folder`; or that before the first step, with the weights of another round."""
    torch.manual_seed(SEED + 2)
    synthesis, average = SynthesisNetwork(), SynthesisNetwork().requires_grad_(False)
    path = folder / "checkpoint.safetensors"
    if first is not None and not path.exists():
        load(_exported(first), synthesis=synthesis)
    average.load_state_dict(synthesis.state_dict())
    synthesis, average = synthesis.to(device), average.to(device)
    optimizer = Muon(synthesis.parameters(), 0.0, 0.0, MATRIX_RATE)
    if not path.exists():
        return State(synthesis, average, optimizer, 0)
    tensors = read_tensors(path)
    load(tensors, synthesis=synthesis, average=average)
    load_optimizer(tensors, optimizer, synthesis)
    return State(synthesis, average, optimizer, int(tensors["step"]))


def save(folder: Path, state: State) -> None:
    """Write the checkpoint, whole or not at all."""
    tensors = prefixed(synthesis=state.synthesis, average=state.average)
    tensors |= optimizer_state(state.optimizer, state.synthesis)
    tensors["step"] = torch.tensor(state.step)
    write_tensors(folder / "checkpoint.safetensors", tensors)


@torch.no_grad()
def pictures(synthesis: SynthesisNetwork, renders: CodedRenders, device: str = "cpu") -> Tensor:
    """What the network draws of the codes of renders: (N, 3, 64, 64) in [-1, 1], on the CPU."""
    parts = torch.arange(len(renders)).split(100)
    images = [synthesis(synthesis.styles(renders.bent(part).to(device))) for part in parts]
    return torch.cat(images).clamp(-1, 1).cpu()


def _step(
    state: State,
    schedule: Distillation,
    renders: CodedRenders,
    index: Tensor,
    features: ImageFeatures,
    device: str,
) -> Tensor:
    for group in state.optimizer.param_groups:
        group["lr"] = schedule.rate(state.step)
    _, loss = drawn_and_loss(state.synthesis, renders, index, features, schedule.dtype, device)
    state.optimizer.zero_grad()
    loss.backward()
    state.optimizer.step()
    state.step += 1
    follow(state.average, state.synthesis, min(_AVERAGE, (1 + state.step) / (10 + state.step)))
    return loss.detach()


@torch.no_grad()
def follow(average: nn.Module, network: nn.Module, share: float) -> None:
    """average ← share · average + (1 − share) · network."""
    torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), 1 - share)


def rare_twice(renders: CodedRenders) -> Tensor:
    """Rows of one epoch: all images, the rare ones twice."""
    rows = torch.arange(len(renders))
    return torch.cat([rows, rows[renders.rare()]])


def _batch(order: Tensor, batch: int, step: int) -> Tensor:
    """A function of step alone, so that resuming changes nothing."""
    epoch, place = divmod(step, len(order) // batch)
    rng = torch.Generator().manual_seed(SEED * 1_000_003 + epoch)
    shuffled = order[torch.randperm(len(order), generator=rng)]
    return shuffled[place * batch : (place + 1) * batch]


def _begun_with(first: Path, folder: Path) -> dict[str, Any]:
    """What the schedule says of the network in `first`, or that `folder` has gone on from."""
    card = read_json(first / "generator.json")
    if (folder / "checkpoint.safetensors").exists():
        card = read_json(folder / "schedule.json")["again"]
    if card is None:
        raise InputError(
            f"{folder} holds a run that began with no other; name another folder with --data"
        )
    return {key: card[key] for key in _MADE}


def _exported(folder: Path) -> dict[str, Tensor]:
    made = read_json(folder / "generator.json")["architecture"]
    if made != architecture():
        raise InputError(
            f"a further round begins with a network of the same architecture, {architecture()}; "
            f"that in {folder} is {made}"
        )
    tensors = read_tensors(folder / "generator.safetensors")
    return {name: tensor.float() for name, tensor in tensors.items()}


def _pin_schedule(path: Path, schedule: Distillation) -> None:
    if path.exists() and json.loads(path.read_text("utf-8")) != asdict(schedule):
        raise InputError(
            f"{path.parent} holds a run of another schedule, {path.read_text('utf-8').strip()}; "
            f"repeat its options, or name an empty folder"
        )
    write_json(path, asdict(schedule))


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("workshop.synthface.train_generator", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="renders, checkpoint and log")
    parser.add_argument("--steps", type=int, default=40_000)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--images", type=int, default=96_000, help="renders to train on")
    parser.add_argument("--learning-rate", type=float, default=1e-2)
    parser.add_argument("--precision", choices=["bf16", "float32"], default="bf16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--again",
        type=Path,
        nargs="?",
        const=NETWORK,
        metavar="FOLDER",
        help="begin with the network in the package, or with one exported to FOLDER",
    )
    return parser


def main() -> None:
    given = _arguments().parse_args()
    torch.set_num_threads(given.threads)
    given.data.mkdir(parents=True, exist_ok=True)
    schedule = Distillation(
        given.steps, given.batch, given.images, given.learning_rate, given.precision
    )
    distil(given.data, schedule, given.device, first=given.again)


if __name__ == "__main__":
    main()
