"""Inversion of photographs: a bank of their codes, with the photographs in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentedit.data.bank import LatentBank
from latentedit.data.images import images_to_bytes
from latentedit.editing.generators import model_reference
from latentedit.errors import InputError, PluginFault
from latentedit.files.strict_yaml import read_yaml
from latentedit.interfaces.generator import Generator
from latentedit.interfaces.inverter import InversionRuntime, Inverted, Inverter, WeightedLoss
from latentedit.interfaces.runtime import Progress, silent
from latentedit.photos.align import Photograph
from latentedit.photos.reconstruction import Reconstruction
from latentedit.registry import Registry
from latentedit.sampling.make import labelled_split

PICTURE = "inversion.png"


@dataclass(frozen=True)
class InversionPlan:
    """Plugins and options of an inversion.

    Args:
        generator: plugin and options.
        labeller: plugin and options of the estimator for the photographs' attributes.
        losses: weight of each perceptual loss, by plugin.
        inverter: plugin and options.
        recognisers: plugins of the identity encoders that compare photo and reconstruction.
    """

    generator: tuple[str, Mapping[str, Any]]
    labeller: tuple[str, Mapping[str, Any]]
    losses: Mapping[str, float]
    inverter: tuple[str, Mapping[str, Any]]
    recognisers: Sequence[str] = ()
    seed: int = 0
    device: str = "cpu"


def invert_photographs(
    registry: Registry,
    photographs: Sequence[Photograph],
    folder: str | Path,
    plan: InversionPlan,
    *,
    generator: Generator | None = None,
    truth: Tensor | None = None,
    draw: Callable[[Reconstruction, Sequence[Mapping[str, Any]]], bytes] | None = None,
    progress: Progress = silent,
) -> LatentBank:
    """Find a code for each photograph, and write the codes as the test split of a bank.

    The codes belong to the unchanged generator, so editors fitted on it accept them. If the
    generator was tuned to the photographs, the bank also stores the changed weights, which make the
    images.

    Args:
        folder: where to write; must not exist yet.
        generator: the generator of `plan`, if it is built already.
        truth: (N, D) true codes of W, if the photographs are images of known codes.
        draw: function from the reconstruction and the records of each photo to ``inversion.png``.

    Raises:
        Unsupported: the generator lacks an ability that the inverter needs.
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
    found = Reconstruction.of(renderer, codes, inverted.space, images, truth)
    recognisers = {name: registry.identity(name) for name in plan.recognisers}
    records = [
        {"name": photograph.name, "crop": photograph.crop, **errors}
        for photograph, errors in zip(
            photographs, found.errors(model, loss, recognisers), strict=True
        )
    ]
    split = labelled_split("test", codes, inverted.space, renderer, estimator, lambda rows: None)
    return LatentBank.write(
        folder,
        {"test": split},
        generator=model_reference(registry, "generator", *plan.generator, model.fingerprint),
        labeller=model_reference(registry, "estimator", *plan.labeller, estimator.fingerprint),
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
            "photographs": records,
        },
        files={"photographs": {"images": images_to_bytes(images)}, "tuning": weights},
        pictures={PICTURE: draw(found, records)} if draw else None,
    )


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


def parse_losses(pairs: Sequence[str]) -> dict[str, float]:
    """``("pixels", "features=0.3")`` → ``{"pixels": 1.0, "features": 0.3}``.

    >>> parse_losses(("pixels", "features=0.3"))
    {'pixels': 1.0, 'features': 0.3}
    """
    losses = {}
    for pair in pairs:
        name, given, weight = pair.partition("=")
        value = read_yaml(weight, name) if given else 1
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not name or name in losses or not (number and 0 < value < math.inf):
            raise InputError(
                "a loss is NAME or NAME=WEIGHT with a weight above 0, each NAME once; "
                f"received {pair!r}"
            )
        losses[name] = float(value)
    return losses
