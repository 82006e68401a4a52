"""Shards that are drawn again from their seeds: the record of a sampled bank is the bank."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache, lru_cache, partial
from pathlib import Path
from typing import Any

from torch import Tensor

from latentedit.data.bank import LatentBank
from latentedit.editing.generators import build_generator, build_labeller
from latentedit.errors import InputError
from latentedit.interfaces.estimators import AttributeEstimator
from latentedit.interfaces.generator import Generator
from latentedit.interfaces.runtime import Progress, silent
from latentedit.registry import Registry
from latentedit.sampling.make import label, make_bank
from latentedit.sampling.selecting import found_codes

SAMPLING = ("seed", "truncation_psi", "fit", "test")
"""What the record of a sampled bank says, and that of another bank does not."""


def drawable(bank: LatentBank, registry: Registry) -> LatentBank:
    """`bank`, whose shards without a file are drawn and labelled when they are read.

    The latest shard is kept. A shard equals the one that a stored bank of the same seed has, to the
    bit, where generator and labeller compute as they did.

    Raises:
        FingerprintMismatch: when a shard is read: the installed generator or labeller is not the
            one of the bank.
    """
    if all("file" in shard for shard in bank.shards):
        return bank

    @cache
    def models() -> tuple[Generator, AttributeEstimator]:
        return build_generator(registry, bank.generator), build_labeller(registry, bank.labeller)

    @lru_cache(1)
    def drawn(rows: int, seed: int) -> tuple[Tensor, Tensor]:
        generator, estimator = models()
        draw = partial(
            generator.sample, space=bank.space, truncation_psi=bank.sampling["truncation_psi"]
        )
        codes, _ = found_codes(draw, rows, seed, bank.space, generator, estimator)
        return codes, label(codes, generator, estimator, space=bank.space)

    def shard(record: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
        return drawn(record["rows"], record["seed"])

    return replace(bank, draw=shard)


def draw_bank(
    registry: Registry, bank: LatentBank, folder: str | Path, progress: Progress = silent
) -> LatentBank:
    """Write a sampled bank with all its images to a new folder, from nothing but its record.

    Raises:
        InputError: the bank was not sampled, but imported or inverted.
        FingerprintMismatch: the installed generator or labeller is not the one of the bank.
    """
    sampling = bank.sampling
    missing = [name for name in SAMPLING if name not in sampling]
    if missing or bank.inversion is not None:
        raise InputError(f"{bank.folder} was not sampled, so that its record does not give it")
    _ = build_generator(registry, bank.generator), build_labeller(registry, bank.labeller)
    return make_bank(
        registry,
        folder,
        generator=bank.generator.name,
        generator_options=bank.generator.options,
        labeller=bank.labeller.name,
        labeller_options=bank.labeller.options,
        n_fit=sampling["fit"],
        n_test=sampling["test"],
        seed=sampling["seed"],
        space=sampling.get("space"),
        truncation_psi=sampling["truncation_psi"],
        progress=progress,
    )
