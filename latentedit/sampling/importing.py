"""Banks from codes that others sampled and labelled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from latentedit.data.bank import LatentBank, ModelReference, Split
from latentedit.data.styleflow_data import read_styleflow_data
from latentedit.errors import InputError
from latentedit.files.artefacts import fingerprint
from latentedit.interfaces.generator import Generator
from latentedit.registry import Registry

LABELLER = "styleflow-data"
"""Stands in a bank for whoever measured the attributes: no plugin, so that nothing can be labelled
by it; ``latentedit bank label`` puts an estimator in its place."""


def import_styleflow_data(
    registry: Registry,
    source: str | Path,
    folder: str | Path,
    *,
    generator: str,
    options: Mapping[str, Any] | None = None,
    n_test: int = 200,
    seed: int = 0,
) -> LatentBank:
    """Write the codes and attributes of a folder in StyleFlow's layout as a bank.

    Args:
        source: holds ``latents.npy``, ``attributes.npy`` and ``lighting.npy``.
        folder: where to write; must not exist yet.
        generator, options: the plugin whose codes these are, for instance imported weights.
        n_test: faces drawn at random to be edited; the others are to fit on.

    Raises:
        CorruptArtefact: a file of `source` is not what it should be.
        InputError: the codes have another shape than the generator's, or are too few.
    """
    codes, attributes, schema = read_styleflow_data(source)
    if not 0 < n_test < len(codes):
        raise InputError(
            f"{source} has {len(codes)} faces; {n_test} to edit leave none to fit on, or are none"
        )
    model = registry.generator(generator, options)
    space = _space(model, generator, tuple(codes.shape[1:]))
    order = torch.randperm(len(codes), generator=torch.Generator().manual_seed(seed))
    parts = {"fit": order[n_test:], "test": order[:n_test]}
    return LatentBank.write(
        folder,
        {
            name: Split(space, schema, ((codes[rows], attributes[rows]),))
            for name, rows in parts.items()
        },
        generator=ModelReference(generator, dict(options or {}), model.fingerprint),
        labeller=ModelReference(
            LABELLER, {}, fingerprint({"data": LABELLER}, {"attributes": attributes})
        ),
        sampling={"seed": seed, "fit": len(codes) - n_test, "test": n_test, "origin": LABELLER},
    )


def _space(generator: Generator, name: str, shape: tuple[int, ...]) -> str:
    for space in ("w", "w+"):
        if tuple(generator.spaces.get(space, ())) == shape:
            return space
    spaces = ", ".join(f"{space} {tuple(shape)}" for space, shape in generator.spaces.items())
    raise InputError(
        f"latents.npy has codes of shape {shape}, but {name} has {spaces}; give the generator that "
        "they were sampled from"
    )
