"""Relabelling: a bank's images with attributes from another estimator."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from latentedit.data.bank import LatentBank
from latentedit.editing.generators import build_generator, build_renderer, model_reference
from latentedit.interfaces.runtime import Progress, silent
from latentedit.registry import Registry
from latentedit.sampling.make import labelled_split


def relabel_bank(
    registry: Registry,
    bank: LatentBank,
    folder: str | Path,
    *,
    labeller: str,
    labeller_options: Mapping[str, Any] | None = None,
    progress: Progress = silent,
) -> LatentBank:
    """Copy `bank` to a new folder, with attributes from another estimator.

    Raises:
        FingerprintMismatch: the installed generator is not the one of the bank.
    """
    labelling = dict(labeller_options or {})
    estimator = registry.estimator(labeller, labelling)
    generator = build_generator(registry, bank.generator)
    splits, done = {}, 0
    renderers = {"fit": generator, "test": build_renderer(registry, bank, generator)}
    parts = {name: bank.split(name) for name in bank.splits}
    total = sum(len(part) for part in parts.values())
    for name, part in parts.items():

        def report(rows: int, name: str = name, before: int = done) -> None:
            progress((before + rows) / total, f"labelling {name} images")

        splits[name] = labelled_split(
            name, part.codes, part.space, renderers[name], estimator, report
        )
        done += len(part)
    return LatentBank.write(
        folder,
        splits,
        generator=bank.generator,
        labeller=model_reference(registry, "estimator", labeller, labelling, estimator.fingerprint),
        sampling=bank.sampling,
        inversion=bank.inversion,
        files=bank.files(),
    )
