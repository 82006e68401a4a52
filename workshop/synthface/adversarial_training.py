"""Last stage of training ``synthface-net``: adversarial sharpening after distillation.

``python -m workshop.synthface.adversarial_training --data FOLDER`` goes on from the finished
distillation in FOLDER. To its loss it adds the non-saturating loss of a discriminator with lazy R1
regularisation (Karras et al. 2020, section 3.1). FOLDER gets ``adversarial.safetensors``, a
checkpoint that it resumes from and that the export takes, and ``adversarial-log.csv``.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, softplus

from latentedit import InputError, read_json, read_tensors, write_tensors
from workshop.synthface.coded_renders import MIXED_SHARE, CodedRenders, coded_renders
from workshop.synthface.distillation_loss import drawn_and_loss
from workshop.synthface.generator_figures import frechet_figures, psnr
from workshop.synthface.image_features import ImageFeatures
from workshop.synthface.optimizer import Muon
from workshop.synthface.renders import unpacked
from workshop.synthface.train_generator import (
    HELD_OUT_IMAGES,
    HELD_OUT_SEED,
    MATRIX_RATE,
    SEED,
    TRAINING_SEED,
    features_stage,
    follow,
    mapping_stage,
    pictures,
    rare_twice,
    resumed,
)
from workshop.synthface.training_files import beginning, log

CHECKPOINT, LOG = "adversarial.safetensors", "adversarial-log.csv"
STEPS, BATCH = 1_500, 32
_WIDTHS = (3, 32, 64, 96, 128)
_RATE, _WARM = 3e-3, 50
_DISCRIMINATOR_RATE, _BETAS = 4e-4, (0.0, 0.99)
ADVERSARIAL = 0.05
"""Weight beside the distillation loss."""
_R1, _EVERY = 0.3, 16
_AVERAGE = 0.998


class Discriminator(nn.Module):
    """Strided convolutions and one dense layer: (N, 3, 64, 64) → (N,)."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Conv2d(a, b, 4, 2, 1) for a, b in pairwise(_WIDTHS))
        self.head = nn.Linear(_WIDTHS[-1] * 4 * 4, 1)

    def forward(self, images: Tensor) -> Tensor:
        x = images
        for layer in self.layers:
            x = leaky_relu(layer(x), 0.2)
        out: Tensor = self.head(x.flatten(1))[:, 0]
        return out


class Adversaries:
    """Generator, its running average, discriminator and their optimizers.

    Args:
        folder: of the distillation, or of this stage begun.
        steps: of the whole stage, which its learning rate follows.
    """

    def __init__(self, folder: Path, steps: int, device: str = "cpu") -> None:
        state = resumed(folder, device)
        self.synthesis, self.average = state.synthesis, state.average
        self.step, self.steps, self.device = 0, steps, device
        torch.manual_seed(SEED + 3)
        self.discriminator = Discriminator().to(device)
        self.generator_optimizer = Muon(self.synthesis.parameters(), 0.0, 0.0, MATRIX_RATE)
        self.discriminator_optimizer = torch.optim.Adam(
            self.discriminator.parameters(), _DISCRIMINATOR_RATE, _BETAS
        )
        self._path = folder / CHECKPOINT
        if self._path.exists():
            self._read()
        else:
            self.synthesis.load_state_dict(self.average.state_dict())

    def rate(self) -> float:
        """Of the generator: a warm-up, and a cosine to zero."""
        warm = min(1.0, (self.step + 1) / _WARM)
        return _RATE * warm * 0.5 * (1 + math.cos(math.pi * self.step / self.steps))

    def save(self) -> None:
        """Write the checkpoint, whole or not at all."""
        tensors = {"step": torch.tensor(self.step), "steps": torch.tensor(self.steps)}
        for name, network in self._networks():
            tensors |= {f"{name}.{key}": t for key, t in network.state_dict().items()}
        for start, moments in self._moments():
            tensors |= {f"{start}{moment}": tensor for moment, tensor in moments.items()}
        write_tensors(self._path, tensors)

    def _networks(self) -> list[tuple[str, nn.Module]]:
        return [
            ("synthesis", self.synthesis),
            ("discriminator", self.discriminator),
            ("average", self.average),
        ]

    def _moments(self) -> list[tuple[str, dict[str, Tensor]]]:
        """The optimizers' state of every parameter, with its names' beginning in the checkpoint."""
        pairs = [
            ("synthesis", self.synthesis, self.generator_optimizer),
            ("discriminator", self.discriminator, self.discriminator_optimizer),
        ]
        return [
            (f"optimizer.{name}.{key}.", optimizer.state[parameter])
            for name, network, optimizer in pairs
            for key, parameter in network.named_parameters()
        ]

    def _read(self) -> None:
        tensors = read_tensors(self._path)
        self.step, steps = int(tensors["step"]), int(tensors["steps"])
        if steps != self.steps:
            raise InputError(
                f"{self._path} was begun with --steps {steps}, received {self.steps}; repeat that, "
                f"or remove the file to begin anew"
            )
        for name, network in self._networks():
            network.load_state_dict(beginning(tensors, f"{name}."))
        for start, moments in self._moments():
            own = beginning(tensors, start)
            moments.update({k: t if k == "step" else t.to(self.device) for k, t in own.items()})


def sharpen(
    folder: Path,
    steps: int = STEPS,
    stop: int | None = None,
    batch: int = BATCH,
    report_every: int = 500,
    held_out_images: int = HELD_OUT_IMAGES,
    say: Callable[[str], None] = print,
    device: str = "cpu",
) -> Adversaries:
    """Train up to step `stop` of `steps`; figures before, between and after."""
    images = _distilled(folder)
    mapping, reader = mapping_stage(folder)
    renders = coded_renders(folder, images, TRAINING_SEED, mapping, reader, MIXED_SHARE, say)
    held_out = coded_renders(folder, held_out_images, HELD_OUT_SEED, mapping, reader, report=say)
    features = features_stage(folder, renders, torch.bfloat16, device)
    both, rows = Adversaries(folder, steps, device), rare_twice(renders)
    end = steps if stop is None else stop
    if both.step == 0:
        _report(folder, both, held_out, say)
    while both.step < end:
        rng = torch.Generator().manual_seed(SEED * 1_000_033 + both.step)
        index, other = rows[torch.randint(len(rows), (2, batch), generator=rng)]
        _step(both, renders, index, other, features)
        if both.step % report_every == 0 or both.step == end:
            both.save()
            _report(folder, both, held_out, say)
    return both


def _distilled(folder: Path) -> int:
    """How many images the finished distillation in `folder` learned from."""
    if not (folder / "checkpoint.safetensors").exists():
        raise InputError(f"{folder} holds no distillation; begin with train_generator --data")
    schedule, done = read_json(folder / "schedule.json"), resumed(folder).step
    if done != schedule["steps"]:
        raise InputError(
            f"the distillation in {folder} has done {done} of {schedule['steps']} steps; finish it "
            f"with train_generator --data {folder}"
        )
    return int(schedule["images"])


def _step(
    both: Adversaries,
    renders: CodedRenders,
    index: Tensor,
    other: Tensor,
    features: ImageFeatures,
) -> None:
    for group in both.generator_optimizer.param_groups:
        group["lr"] = both.rate()
    images, loss = drawn_and_loss(
        both.synthesis, renders, index, features, torch.bfloat16, both.device
    )
    with torch.autocast(both.device, torch.bfloat16):
        judged = both.discriminator(images)
    loss = loss + ADVERSARIAL * softplus(-judged.float()).mean()
    both.generator_optimizer.zero_grad()
    loss.backward()
    both.generator_optimizer.step()
    real = unpacked(renders.images[other].to(both.device))
    with torch.autocast(both.device, torch.bfloat16):
        fake, true = both.discriminator(images.detach()), both.discriminator(real)
    doubt = softplus(fake.float()).mean() + softplus(-true.float()).mean()
    if both.step % _EVERY == 0:
        doubt = doubt + _EVERY * _R1 / 2 * _steepness(both.discriminator, real)
    both.discriminator_optimizer.zero_grad()
    doubt.backward()
    both.discriminator_optimizer.step()
    both.step += 1
    follow(both.average, both.synthesis, _AVERAGE)


def _steepness(discriminator: Discriminator, real: Tensor) -> Tensor:
    """R1 of Mescheder et al. 2018: the mean squared length of the gradient at renders."""
    real = real.requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    out: Tensor = gradient.square().sum((1, 2, 3)).mean()
    return out


@torch.no_grad()
def _report(
    folder: Path, both: Adversaries, held_out: CodedRenders, say: Callable[[str], None]
) -> None:
    images = pictures(both.average, held_out, both.device)
    row = {
        "step": both.step,
        "psnr": round(psnr(images, unpacked(held_out.images)), 3),
        **frechet_figures(images, held_out),
    }
    log(folder / LOG, row)
    say(json.dumps(row))


def main() -> None:
    parser = argparse.ArgumentParser("workshop.synthface.adversarial_training", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the distillation")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    sharpen(given.data, given.steps, device=given.device)


if __name__ == "__main__":
    main()
