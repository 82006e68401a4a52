"""Banks of imported codes and attributes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from latentedit.data.bank import LatentBank, ModelReference
from latentedit.data.split import Split
from latentedit.editing.generators import model_reference
from latentedit.errors import InputError, PluginFault
from latentedit.files.artefacts import fingerprint
from latentedit.interfaces.generator import Generator
from latentedit.interfaces.importers import BankImporter, ImportedCodes
from latentedit.registry import Registry


def import_bank(
    registry: Registry,
    importer: str,
    source: str | Path,
    folder: str | Path,
    *,
    generator: str,
    options: Mapping[str, Any] | None = None,
    n_test: int = 200,
    seed: int = 0,
) -> LatentBank:
    """Write codes and attributes of another project as a bank.

    The bank records the importer as its labeller. An importer cannot label other images; use
    ``latentedit bank label`` to replace the attributes by those of an estimator.

    Args:
        importer: the bank importer that reads `source`.
        folder: where to write; must not exist yet.
        generator, options: the plugin of the codes' generator, for instance imported weights.
        n_test: number of random images to edit; editors are fitted on the others.

    Raises:
        CorruptArtefact: a file of `source` is damaged.
        InputError: the codes have another shape than the generator's, or are too few.
        PluginFault: the importer returned something else than codes with their attributes.
    """
    reader: BankImporter = registry.build("bank-importer", importer)
    found = _checked(importer, reader.read(Path(source)))
    codes, attributes, schema = found.codes, found.attributes, found.schema
    if not 0 < n_test < len(codes):
        raise InputError(
            f"{source} has {len(codes)} images; the number to edit must be at least 1 and leave at "
            f"least 1 to fit on, received {n_test}"
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
        generator=model_reference(
            registry, "generator", generator, dict(options or {}), model.fingerprint
        ),
        labeller=ModelReference(
            importer, {}, fingerprint({"data": importer}, {"attributes": attributes})
        ),
        sampling={"seed": seed, "fit": len(codes) - n_test, "test": n_test, "origin": importer},
    )


def _checked(importer: str, found: ImportedCodes) -> ImportedCodes:
    if not isinstance(found, ImportedCodes):
        raise PluginFault(importer, f"read returned {type(found).__name__}, not ImportedCodes")
    if len(found.codes) != len(found.attributes):
        raise PluginFault(
            importer,
            f"read returned {len(found.codes)} codes and {len(found.attributes)} rows of "
            "attributes",
        )
    found.schema.check(found.attributes)
    return found


def _space(generator: Generator, name: str, shape: tuple[int, ...]) -> str:
    for space in (generator.home, *generator.row_spaces, *generator.spaces):
        if tuple(generator.spaces.get(space, ())) == shape:
            return space
    spaces = ", ".join(f"{space} {tuple(shape)}" for space, shape in generator.spaces.items())
    raise InputError(
        f"the codes have shape {shape}, but {name} has {spaces}; give the generator that they were "
        "sampled from"
    )
