"""Trains ``synthface-net``: ``python -m workshop.synthface.train_generator --data FOLDER``.

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
import csv
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, huber_loss

from latentedit import InputError, read_json, read_tensors, write_tensors
from latentedit_synthface.code_factors import CodeFactors
from latentedit_synthface.factors import AGE
from latentedit_synthface.style_network import MappingNetwork, SynthesisNetwork, architecture
from latentedit_synthface.trained_generator import NETWORK
from workshop.synthface.coded_renders import MIXED_SHARE, CodedRenders, coded_renders
from workshop.synthface.generator_figures import psnr
from workshop.synthface.image_features import ImageFeatures, trained_features
from workshop.synthface.mapping_training import trained_mapping
from workshop.synthface.optimizer import Muon
from workshop.synthface.renders import unpacked

SEED = 5
TRAINING_SEED, HELD_OUT_SEED = 11, 12
HELD_OUT_IMAGES = 2_000
_GRADIENTS, _POOLED, _TEXTURE, _MEANING, _WAVES, _DETAIL = 1.0, 0.5, 0.25, 0.3, 0.05, 1.0
_SQUARES, _CHROMA = 4.0, 80.0
"""Weights in the loss, where the plain absolute difference has 1. Irises made up 3 % of that, 8 %
of its squares and 12 % of the squares of chroma, and blue ones came out teal."""
_FOLDS = 8.0
"""Weight of a place with a fold in the loss of waves, where one with strands has 1."""
_SHOWN_FOLDS, _SHOWN_FROM = 40.0, 45.0
"""The same in the loss of detail, and the years from which folds count there: where most faces have
none, a loss that counts them all asks for none."""
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
            _load(_exported(first), mapping=mapping, reader=reader)
        write_tensors(path, _prefixed(mapping=mapping, reader=reader))
    _load(read_tensors(path), mapping=mapping, reader=reader)
    return mapping, reader


def features_stage(
    folder: Path, renders: CodedRenders, precision: torch.dtype, device: str = "cpu"
) -> ImageFeatures:
    """The networks of the feature loss: those in `folder`, or trained."""
    path = folder / "features.safetensors"
    if not path.exists():
        trained = trained_features(renders, SEED + 1, precision, device=device)
        write_tensors(path, _prefixed(features=trained))
    features = ImageFeatures().eval().requires_grad_(False)
    _load(read_tensors(path), features=features)
    return features.to(device)


def resumed(folder: Path, device: str = "cpu", first: Path | None = None) -> State:
    """The state in `folder`; or that before the first step, with the weights of another round."""
    torch.manual_seed(SEED + 2)
    synthesis, average = SynthesisNetwork(), SynthesisNetwork().requires_grad_(False)
    path = folder / "checkpoint.safetensors"
    if first is not None and not path.exists():
        _load(_exported(first), synthesis=synthesis)
    average.load_state_dict(synthesis.state_dict())
    synthesis, average = synthesis.to(device), average.to(device)
    optimizer = Muon(synthesis.parameters(), 0.0, 0.0, MATRIX_RATE)
    if not path.exists():
        return State(synthesis, average, optimizer, 0)
    tensors = read_tensors(path)
    _load(tensors, synthesis=synthesis, average=average)
    for name, parameter in synthesis.named_parameters():
        optimizer.state[parameter] = {
            key: tensors[f"optimizer.{key}.{name}"].to("cpu" if key == "step" else device)
            for key in ("step", "mean", "square")
        }
    return State(synthesis, average, optimizer, int(tensors["step"]))


def save(folder: Path, state: State) -> None:
    """Write the checkpoint, whole or not at all."""
    tensors = _prefixed(synthesis=state.synthesis, average=state.average)
    for name, parameter in state.synthesis.named_parameters():
        for key, tensor in state.optimizer.state[parameter].items():
            tensors[f"optimizer.{key}.{name}"] = tensor
    tensors["step"] = torch.tensor(state.step)
    write_tensors(folder / "checkpoint.safetensors", tensors)


@torch.no_grad()
def pictures(synthesis: SynthesisNetwork, renders: CodedRenders, device: str = "cpu") -> Tensor:
    """What the network draws of the codes of renders: (N, 3, 64, 64) in [-1, 1], on the CPU."""
    parts = torch.arange(len(renders)).split(100)
    images = [synthesis(synthesis.styles(renders.bent(part).to(device))) for part in parts]
    return torch.cat(images).clamp(-1, 1).cpu()


def image_loss(images: Tensor, wanted: Tensor) -> Tensor:
    """|x − y| of pixels, of their means over 2 × 2 and 4 × 4, and of differences of neighbours;
    and |x − y|² of pixels and of their chroma, by what channels differ from their mean, for what is
    small and far off: the rim of glasses, an iris."""
    error = images - wanted
    halves = avg_pool2d(error, 2)
    quarters = avg_pool2d(halves, 2)
    across, down = error.diff(dim=3), error.diff(dim=2)
    chroma = error - error.mean(1, keepdim=True)
    return (
        error.abs().mean()
        + _SQUARES * error.square().mean()
        + _CHROMA * chroma.square().mean()
        + _POOLED * (halves.abs().mean() + quarters.abs().mean())
        + _GRADIENTS * 0.5 * (across.abs().mean() + down.abs().mean())
    )


def wave_loss(phases: Tensor, wanted: Tensor) -> Tensor:
    """Huber's distance of phases (N, 2, 64, 64) in radians, a weighted mean over places whose
    wanted phase is a number, and a mean over waves.

    Hair has two waves at a place, and folds of the skin one; without a weight of their own folds
    would count for a tenth, and stay a radian off.
    """
    known = ~wanted.isnan()
    errors = huber_loss(
        torch.where(known, phases, 0), torch.where(known, wanted, 0), reduction="none"
    )
    hair = known.all(1, keepdim=True)
    weights = known * torch.where(hair, 1.0, _FOLDS)
    sums, total = (errors * weights).sum((0, 2, 3)), weights.sum((0, 2, 3))
    mean: Tensor = (sums / total.clamp(min=1)).mean()
    return mean


def detail_loss(images: Tensor, wanted: Tensor, phases: Tensor, age: Tensor) -> Tensor:
    """|d(x) − d(y)|, d(x) what an image adds to its own means over 3 × 3 pixels: a weighted mean
    over places with strands, or with folds of faces whose age shows them. Without it, folds were in
    their place and too faint.

    Args:
        images, wanted: (N, 3, 64, 64) in [-1, 1].
        phases: (N, 2, 64, 64), as from `wave_phases`.
        age: (N,) in years.
    """
    known = ~phases.isnan()
    folds = _SHOWN_FOLDS * (age > _SHOWN_FROM)[:, None, None]
    weights = known.any(1) * torch.where(known.all(1), 1.0, folds)
    error = images - wanted
    detail = (error - avg_pool2d(error, 3, 1, 1, count_include_pad=False)).abs().mean(1)
    loss: Tensor = (weights * detail).sum() / weights.sum().clamp(min=1)
    return loss


def drawn_and_loss(
    synthesis: SynthesisNetwork,
    renders: CodedRenders,
    index: Tensor,
    features: ImageFeatures,
    precision: torch.dtype,
    device: str = "cpu",
) -> tuple[Tensor, Tensor]:
    """Images (B, 3, 64, 64) of some codes, and how far they are from the renders of these codes:
    in pixels, in what networks see of texture and of the whole face, and in strands and folds, by
    their phases and by what is seen of them."""
    bent = renders.bent(index).to(device)
    wanted = unpacked(renders.images[index].to(device))
    wanted = wanted.contiguous(memory_format=torch.channels_last)
    with torch.autocast(device, torch.bfloat16, enabled=precision == torch.bfloat16):
        images, phases = synthesis.drawn(synthesis.styles(bent))
        texture = features.texture_distance(images, wanted)
        meaning = features.meaning_distance(images, wanted)
    loss = image_loss(images, wanted) + _TEXTURE * texture + _MEANING * meaning
    rendered = renders.phases[index].to(device).float()
    age = renders.factors[index, AGE].to(device)
    detail = detail_loss(images, wanted, rendered, age)
    return images, loss + _WAVES * wave_loss(phases, rendered) + _DETAIL * detail


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
    temporary = path.with_suffix(".tmp")
    temporary.write_text(json.dumps(asdict(schedule), indent=2) + "\n", "utf-8")
    os.replace(temporary, path)


def _prefixed(**modules: nn.Module) -> dict[str, Tensor]:
    return {
        f"{name}.{key}": tensor.cpu()
        for name, module in modules.items()
        for key, tensor in module.state_dict().items()
    }


def _load(tensors: dict[str, Tensor], **modules: nn.Module) -> None:
    for name, module in modules.items():
        start = f"{name}."
        own = {k.removeprefix(start): t for k, t in tensors.items() if k.startswith(start)}
        module.load_state_dict(own)


def log(path: Path, row: dict[str, float]) -> None:
    """Add a row to a table, with a header to a new one."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)


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
