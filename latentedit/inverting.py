"""Inverts photographs: a bank of codes that stand for them, with the photographs beside them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor

from latentedit.bank import LatentBank, ModelReference
from latentedit.errors import InputError, PluginFault
from latentedit.generator import Generator
from latentedit.inversion import InversionRuntime, Inverted, Inverter, WeightedLoss
from latentedit.metrics import pixel_error
from latentedit.photographs import Photograph
from latentedit.registry import Registry
from latentedit.sampling import BATCH, labelled_split


@dataclass(frozen=True)
class InversionPlan:
    """How to invert.

    Args:
        generator: plugin and options.
        labeller: plugin and options of what says which attributes the faces have now.
        losses: weight of each perceptual loss, by plugin.
        inverter: plugin and options.
    """

    generator: tuple[str, Mapping[str, Any]]
    labeller: tuple[str, Mapping[str, Any]]
    losses: Mapping[str, float] = field(default_factory=lambda: {"pyramid": 1.0})
    inverter: tuple[str, Mapping[str, Any]] = ("optimisation", MappingProxyType({}))
    seed: int = 0
    device: str = "cpu"


def invert_photographs(
    registry: Registry,
    photographs: Sequence[Photograph],
    folder: str | Path,
    plan: InversionPlan,
    *,
    generator: Generator | None = None,
    progress: Callable[[float, str], None] = lambda fraction, message: None,
) -> LatentBank:
    """Find a code for each photograph, and write all as a bank whose test split they are.

    The codes belong to the generator as it is, so that editors fitted on it take them; where it was
    tuned to the photographs, the changed weights lie beside the codes and make their images.

    Args:
        folder: where to write; must not exist yet.
        generator: that of `plan`, where it is built already.

    Raises:
        Unsupported: the generator cannot do what the inverter needs.
        PluginFault: the inverter returned something else than finite codes.
    """
    model = generator or registry.generator(*plan.generator)
    estimator = registry.estimator(*plan.labeller)
    name, options = plan.inverter
    inverter: Inverter = registry.build("inverter", name, options)
    losses = {loss: registry.build("perceptual", loss) for loss in plan.losses}
    loss = WeightedLoss(tuple((weight, losses[loss]) for loss, weight in plan.losses.items()))
    images = torch.stack([photograph.image for photograph in photographs])
    runtime = InversionRuntime(model, loss, plan.device, plan.seed, progress)
    inverted = _checked(name, inverter.invert(images.to(plan.device), runtime), model, len(images))
    codes, weights = inverted.codes.cpu(), dict(inverted.weights)
    renderer = model.tuned(weights) if weights else model
    errors, distances = inversion_errors(renderer, codes, inverted.space, images, loss)
    split = labelled_split("test", codes, inverted.space, renderer, estimator, lambda rows: None)
    return LatentBank.write(
        folder,
        {"test": split},
        generator=ModelReference(*plan.generator, model.fingerprint),
        labeller=ModelReference(*plan.labeller, estimator.fingerprint),
        sampling={"fit": 0, "test": len(images)},
        inversion={
            "inverter": {"name": name, "options": inverter.options.model_dump(mode="json")},
            "losses": [
                {"name": loss, "weight": weight, "fingerprint": losses[loss].fingerprint}
                for loss, weight in plan.losses.items()
            ],
            "seed": plan.seed,
            "tuned": renderer.fingerprint if weights else None,
            "figures": {k: v for k, v in inverted.figures.items() if k != "seconds"},
            "photographs": [
                {
                    "name": photograph.name,
                    "crop": photograph.crop,
                    "pixel_error": error,
                    "distance": distance,
                }
                for photograph, error, distance in zip(photographs, errors, distances, strict=True)
            ],
        },
        files={"photographs": {"images": _bytes(images)}, "tuning": weights},
    )


@torch.no_grad()
def inversion_errors(
    renderer: Generator, codes: Tensor, space: str, photographs: Tensor, loss: WeightedLoss
) -> tuple[list[float], list[float]]:
    """Of each photograph and its reconstruction, the mean difference in levels of 0 to 255, and the
    perceptual distance."""
    errors, distances = [], []
    pairs = zip(codes.split(BATCH), photographs.split(BATCH), strict=True)
    for part, wanted in pairs:
        images = renderer.synthesize(part, space)
        gap = loss.features(images) - loss.features(wanted)
        errors += pixel_error(wanted, images).tolist()
        distances += gap.square().sum(1).tolist()
    return errors, distances


def _checked(name: str, inverted: Inverted, generator: Generator, n: int) -> Inverted:
    if not isinstance(inverted, Inverted):
        raise PluginFault(name, f"invert returned {type(inverted).__name__}, not Inverted")
    if inverted.space not in generator.spaces:
        raise PluginFault(name, f"invert returned codes of {inverted.space!r}")
    shape = (n, *generator.spaces[inverted.space])
    if tuple(inverted.codes.shape) != shape:
        raise PluginFault(
            name, f"invert returned codes of shape {tuple(inverted.codes.shape)}, not {shape}"
        )
    for what, tensor in {"codes": inverted.codes, **inverted.weights}.items():
        if not bool(tensor.isfinite().all()):
            raise PluginFault(name, f"invert left NaN or infinity in {what}; lower its rates")
    return inverted


def _bytes(images: Tensor) -> Tensor:
    return ((images.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


def parse_losses(pairs: Sequence[str]) -> dict[str, float]:
    """``("pyramid", "synthface-features=0.3")`` → ``{"pyramid": 1.0, "synthface-features": 0.3}``.

    >>> parse_losses(("pyramid", "synthface-features=0.3"))
    {'pyramid': 1.0, 'synthface-features': 0.3}
    """
    losses = {}
    for pair in pairs:
        name, _, weight = pair.partition("=")
        try:
            losses[name] = float(weight or 1)
        except ValueError:
            raise InputError(f"a loss is NAME or NAME=WEIGHT, received {pair!r}") from None
    return losses
