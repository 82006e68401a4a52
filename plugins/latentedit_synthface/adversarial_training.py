"""Last stage of training ``synthface-net``: a discriminator sharpens what distillation blurs.

``python -m latentedit_synthface.adversarial_training --data FOLDER --steps N`` goes on from the
finished distillation in FOLDER with the non-saturating loss and lazy R1 regularisation (Karras et
al. 2020, section 3.1) beside the distillation loss, which keeps the picture on its code. It writes
``adversarial.safetensors``, a checkpoint that it resumes from and that the export can take, and
reports the Fréchet distance, by which the stage is kept or left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, softplus

from latentedit import read_tensors, write_tensors
from latentedit_synthface.coded_renders import MIXED_SHARE, CodedRenders, coded_renders
from latentedit_synthface.generator_figures import frechet_figures
from latentedit_synthface.image_features import ImageFeatures
from latentedit_synthface.renders import unpacked
from latentedit_synthface.style_network import SynthesisNetwork
from latentedit_synthface.train_generator import (
    HELD_OUT_IMAGES,
    HELD_OUT_SEED,
    SEED,
    TRAINING_SEED,
    features_stage,
    follow,
    image_loss,
    mapping_stage,
    psnr,
    resumed,
)

_WIDTHS = (3, 32, 64, 96, 128)
_RATE, _BETAS = 1e-3, (0.0, 0.99)
_WEIGHT = 0.02
"""Of the adversarial loss beside the distillation loss."""
_R1, _EVERY = 1.0, 16
_FEATURES, _AVERAGE = 0.25, 0.998


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
    """

    def __init__(self, folder: Path) -> None:
        state = resumed(folder)
        self.synthesis, self.average, self.step = state.synthesis, state.average, 0
        torch.manual_seed(SEED + 3)
        self.discriminator = Discriminator()
        self.optimizers = [
            torch.optim.Adam(network.parameters(), _RATE, _BETAS)
            for network in (self.synthesis, self.discriminator)
        ]
        self._path = folder / "adversarial.safetensors"
        if self._path.exists():
            self._read()
        else:
            self.synthesis.load_state_dict(self.average.state_dict())

    def save(self) -> None:
        tensors = {"step": torch.tensor(self.step)}
        for name, network in self._networks():
            tensors |= {f"{name}.{key}": t for key, t in network.state_dict().items()}
        for (name, network), optimizer in zip(self._networks(), self.optimizers, strict=False):
            for key, parameter in network.named_parameters():
                for moment, tensor in optimizer.state[parameter].items():
                    tensors[f"optimizer.{moment}.{name}.{key}"] = tensor
        write_tensors(self._path, tensors)

    def _networks(self) -> list[tuple[str, nn.Module]]:
        return [
            ("synthesis", self.synthesis),
            ("discriminator", self.discriminator),
            ("average", self.average),
        ]

    def _read(self) -> None:
        tensors = read_tensors(self._path)
        self.step = int(tensors["step"])
        for name, network in self._networks():
            start = f"{name}."
            network.load_state_dict(
                {k.removeprefix(start): t for k, t in tensors.items() if k.startswith(start)}
            )
        for (name, network), optimizer in zip(self._networks(), self.optimizers, strict=False):
            for key, parameter in network.named_parameters():
                optimizer.state[parameter] = {
                    moment: tensors[f"optimizer.{moment}.{name}.{key}"]
                    for moment in ("step", "exp_avg", "exp_avg_sq")
                }


def sharpen(
    folder: Path,
    images: int,
    steps: int,
    batch: int = 16,
    report_every: int = 500,
    held_out_images: int = HELD_OUT_IMAGES,
    say: Callable[[str], None] = print,
) -> Adversaries:
    """Train adversarially up to `steps`; figures before, between and after."""
    mapping, reader = mapping_stage(folder)
    renders = coded_renders(folder, images, TRAINING_SEED, mapping, reader, MIXED_SHARE, say)
    held_out = coded_renders(folder, held_out_images, HELD_OUT_SEED, mapping, reader, report=say)
    features = features_stage(folder, renders, torch.bfloat16)
    both = Adversaries(folder)
    say(json.dumps(_figures(both.average, held_out, both.step)))
    while both.step < steps:
        rng = torch.Generator().manual_seed(SEED * 1_000_033 + both.step)
        index, other = torch.randint(len(renders), (2, batch), generator=rng)
        _step(both, renders, index, other, features)
        if both.step % report_every == 0 or both.step == steps:
            both.save()
            say(json.dumps(_figures(both.average, held_out, both.step)))
    return both


def _step(
    both: Adversaries,
    renders: CodedRenders,
    index: Tensor,
    other: Tensor,
    features: ImageFeatures,
) -> None:
    wanted = unpacked(renders.images[index])
    generator, discriminator = both.optimizers
    with torch.autocast("cpu", torch.bfloat16):
        images = both.synthesis(both.synthesis.styles(renders.bent(index))).float()
        judged = both.discriminator(images)
        distance = features.distance(images, wanted)
    loss = image_loss(images, wanted) + _FEATURES * distance
    loss = loss + _WEIGHT * softplus(-judged.float()).mean()
    generator.zero_grad()
    loss.backward()
    generator.step()
    real = unpacked(renders.images[other])
    with torch.autocast("cpu", torch.bfloat16):
        fake, true = both.discriminator(images.detach()), both.discriminator(real)
    doubt = softplus(fake.float()).mean() + softplus(-true.float()).mean()
    if both.step % _EVERY == 0:
        doubt = doubt + _EVERY * _R1 / 2 * _steepness(both.discriminator, real)
    discriminator.zero_grad()
    doubt.backward()
    discriminator.step()
    both.step += 1
    follow(both.average, both.synthesis, _AVERAGE)


def _steepness(discriminator: Discriminator, real: Tensor) -> Tensor:
    """R1 of Mescheder et al. 2018: the mean squared length of the gradient at renders."""
    real = real.requires_grad_()
    (gradient,) = torch.autograd.grad(discriminator(real).sum(), real, create_graph=True)
    out: Tensor = gradient.square().sum((1, 2, 3)).mean()
    return out


@torch.no_grad()
def _figures(synthesis: SynthesisNetwork, held_out: CodedRenders, step: int) -> dict[str, float]:
    parts = torch.arange(len(held_out)).split(100)
    images = [synthesis(synthesis.styles(held_out.bent(part))).clamp(-1, 1) for part in parts]
    figures = frechet_figures(torch.cat(images), held_out)
    return {"step": step, "psnr": round(psnr(synthesis, held_out), 3), **figures}


def main() -> None:
    parser = argparse.ArgumentParser(
        "latentedit_synthface.adversarial_training", description=__doc__
    )
    parser.add_argument("--data", type=Path, required=True, help="folder of the distillation")
    parser.add_argument("--images", type=int, default=96_000, help="renders, as in distillation")
    parser.add_argument("--steps", type=int, default=2_000)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    sharpen(given.data, given.images, given.steps)


if __name__ == "__main__":
    main()
