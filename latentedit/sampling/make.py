"""New banks: sampled codes, with attributes estimated from their images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.data.bank import SHARD_ROWS, LatentBank
from latentedit.data.split import Shards, Split
from latentedit.editing.generators import model_reference
from latentedit.errors import FingerprintMismatch, InputError, UnknownName
from latentedit.interfaces.estimators import AttributeEstimator
from latentedit.interfaces.generator import Generator
from latentedit.interfaces.runtime import SEEDS, Progress, silent
from latentedit.registry import Registry
from latentedit.sampling.selecting import found_codes

BATCH = 64
TEST_SEED_OFFSET = 1_000_000_007


def make_bank(
    registry: Registry,
    folder: str | Path,
    *,
    generator: str,
    labeller: str,
    n_fit: int,
    n_test: int,
    seed: int = 0,
    space: str | None = None,
    truncation_psi: float = 1.0,
    generator_options: Mapping[str, Any] | None = None,
    labeller_options: Mapping[str, Any] | None = None,
    photographs: LatentBank | None = None,
    unstored: bool = False,
    progress: Progress = silent,
) -> LatentBank:
    """Sample codes, estimate the attributes of their images, and write them as a bank.

    Args:
        folder: where to write; must not exist yet.
        generator, labeller: plugin names, with their options.
        n_fit, n_test: number of images to fit on and to edit, drawn from different seeds.
        space: where codes are sampled; the generator's home space if not given.
        truncation_psi: 1 samples the generator's whole distribution.
        photographs: a bank by ``latentedit invert``, whose images replace `n_test` sampled ones.
        unstored: keep of the images to edit only the seeds; see `drawable`.

    Raises:
        InputError: a number of images is below 1, `seed` or `truncation_psi` is out of range, or
            `folder` exists already.
        UnknownName: the generator has no such space.
        FingerprintMismatch: the photographs were inverted with another generator, or labelled by
            another estimator.
    """
    if n_fit < 1 or n_test < 1:
        raise InputError(
            f"a bank needs at least one image in each split, received {n_fit} to fit on and "
            f"{n_test} to edit"
        )
    if not (0 <= seed < SEEDS and 0 < truncation_psi <= 1):  # also refuses NaN
        raise InputError(
            f"seed is from 0 to {SEEDS - 1} and truncation_psi above 0 and up to 1, received "
            f"{seed} and {truncation_psi}"
        )
    options = dict(generator_options or {})
    model = registry.generator(generator, options)
    drawn_in = model.home if space is None else space
    if drawn_in not in model.spaces:
        raise UnknownName("space", drawn_in, model.spaces, f"of {generator}")
    labelling = dict(labeller_options or {})
    estimator = registry.estimator(labeller, labelling)
    drawn = [("fit", n_fit, seed), ("test", n_test, seed + TEST_SEED_OFFSET)]
    if photographs is not None:
        _check_photographs(photographs, model, estimator)
    undrawn = _undrawn(drawn.pop(), estimator) if unstored else []
    drawn = drawn if photographs is None else drawn[:1]
    sampling: dict[str, Any] = {
        "seed": seed, "truncation_psi": truncation_psi, "fit": n_fit, "test": n_test,
        **({} if space is None else {"space": space}),
        **({"unstored": True} if unstored else {}),
    }  # fmt: skip
    left_out = partial(_count_left_out, sampling)
    splits: dict[str, Shards] = {}
    done, total = 0, sum(n for _, n, _ in drawn)
    for name, n, split_seed in drawn:

        def report(rows: int, name: str = name, before: int = done) -> None:
            progress((before + rows) / total, f"labelling {name} images")

        shards = drawn_shards(
            name, n, split_seed, drawn_in, truncation_psi, model, estimator, report, left_out
        )
        splits[name] = _DrawnSplit(drawn_in, estimator.schema, shards)
        done += n
    if photographs is not None:
        splits["test"] = faces = photographs.split("test")
        sampling |= {"test": len(faces), "photographs": photographs.hash}
    return LatentBank.write(
        folder,
        splits,
        generator=model_reference(registry, "generator", generator, options, model.fingerprint),
        labeller=model_reference(registry, "estimator", labeller, labelling, estimator.fingerprint),
        sampling=sampling,
        inversion=None if photographs is None else photographs.inversion,
        files=None if photographs is None else photographs.files(),
        undrawn=undrawn,
    )


def _undrawn(split: tuple[str, int, int], estimator: AttributeEstimator) -> list[dict[str, Any]]:
    """The records of shards that are drawn where they are needed."""
    name, n, seed = split
    if estimator.recorded(name, n) is not None:
        raise InputError("the labeller reads its labels from a file, so that images must be stored")
    starts = range(0, n, SHARD_ROWS)
    return [
        {"split": name, "rows": min(SHARD_ROWS, n - start), "seed": shard_seed(seed, i)}
        for i, start in enumerate(starts)
    ]


def _count_left_out(sampling: dict[str, Any], images: int) -> None:
    sampling["without_face"] = sampling.get("without_face", 0) + images


def _check_photographs(
    photographs: LatentBank, generator: Generator, estimator: AttributeEstimator
) -> None:
    if photographs.inversion is None:
        raise InputError(
            f"{photographs.folder} holds no photographs; make such a bank with: latentedit invert"
        )
    for what, theirs, ours in (
        ("generator", photographs.generator, generator.fingerprint),
        ("labeller", photographs.labeller, estimator.fingerprint),
    ):
        if theirs.fingerprint != ours:
            raise FingerprintMismatch(
                what, "the suite", ours[:12], f"bank {photographs.folder}", str(theirs)
            )


@dataclass(frozen=True)
class _DrawnSplit:
    """Shards that are drawn while they are written."""

    space: str
    schema: AttributeSchema
    shards: Iterator[tuple[Tensor, Tensor]]


def shard_seed(seed: int, shard: int) -> int:
    """Of one shard of a split with the seed `seed`: its own for the first, else a hash of both.

    >>> shard_seed(7, 0), shard_seed(7, 1) == shard_seed(8, 1)
    (7, False)
    """
    if shard == 0:
        return seed
    digest = hashlib.sha256(f"{seed} {shard}".encode()).digest()
    return int.from_bytes(digest[:8], "little") % 2**63


def drawn_shards(
    name: str,
    n: int,
    seed: int,
    space: str,
    truncation_psi: float,
    generator: Generator,
    estimator: AttributeEstimator,
    report: Callable[[int], None],
    left_out: Callable[[int], None] = lambda images: None,
) -> Iterator[tuple[Tensor, Tensor]]:
    """The `n` codes and attributes of a split, drawn and labelled a shard at a time.

    Args:
        left_out: called with the number of images in which a selective labeller found nothing.
    """
    draw = partial(generator.sample, space=space, truncation_psi=truncation_psi)
    recorded = estimator.recorded(name, n)
    for shard, start in enumerate(range(0, n, SHARD_ROWS)):
        rows = min(SHARD_ROWS, n - start)
        codes, others = found_codes(
            draw, rows, shard_seed(seed, shard), space, generator, estimator
        )
        if others:
            left_out(others)
        if recorded is not None:
            attributes = recorded[start : start + rows]
        else:

            def labelled(done: int, before: int = start) -> None:
                report(before + done)

            attributes = label(codes, generator, estimator, labelled, space)
        yield Split(space, estimator.schema, ((codes, attributes),)).shards[0]


def labelled_split(
    name: str,
    codes: Tensor,
    space: str,
    generator: Generator,
    estimator: AttributeEstimator,
    report: Callable[[int], None],
) -> Split:
    """A split with attributes from the estimator's records, or else estimated from its images."""
    attributes = estimator.recorded(name, len(codes))
    if attributes is None:
        attributes = label(codes, generator, estimator, report, space)
    shards = zip(codes.split(SHARD_ROWS), attributes.split(SHARD_ROWS), strict=True)
    return Split(space, estimator.schema, tuple(shards))


@torch.no_grad()
def label(
    codes: Tensor,
    generator: Generator,
    estimator: AttributeEstimator,
    report: Callable[[int], None] = lambda rows: None,
    space: str = "w",
) -> Tensor:
    """(N, \\*shape) codes → (N, A) attribute values of their images, in batches of fixed size.

    A network's results can differ in the last bits by batch size, so it must not vary.
    """
    parts = []
    for start in range(0, len(codes), BATCH):
        parts.append(estimator.estimate(generator.synthesize(codes[start : start + BATCH], space)))
        report(min(start + BATCH, len(codes)))
    return torch.cat(parts).float().cpu()
