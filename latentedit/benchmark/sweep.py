"""One attribute swept over values: the same images under several editors, frame by frame."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit.benchmark.at_effect import edit_at_effect
from latentedit.benchmark.cells.bench import BATCH, check_reads
from latentedit.data.bank import LatentBank
from latentedit.data.images import images_to_bytes
from latentedit.editing.fitted import FittedEditor
from latentedit.editing.generators import build_generator, build_renderer, codes_for
from latentedit.editing.layers import space_after
from latentedit.errors import InputError
from latentedit.interfaces.estimators import AttributeEstimator, IdentityEncoder
from latentedit.interfaces.generator import Generator
from latentedit.interfaces.runtime import Progress, silent

STILL = 1e-3
"""A frame that asks less of an image than this share of the attribute's range shows it unedited."""


STRENGTH_LIMIT = 16.0
"""Largest multiple of a change that is tried to match it."""


@dataclass(frozen=True)
class SweepFrames:
    """N images of one editor in F frames.

    Args:
        images: (F, N, 3, H, W) uint8.
        served: (F, N) whether the editor did what was asked, where effects are matched whether the
            judge sees it; other images are shown as far as they came.
        judged: (F, N) the attribute by the judge.
        identity: (F, N) similarity to the unedited image; NaN without a recogniser.
    """

    images: Tensor
    served: Tensor
    judged: Tensor
    identity: Tensor


@dataclass(frozen=True)
class Observers:
    """Who says what a frame shows.

    Args:
        recogniser: None leaves identity out.
    """

    judge: AttributeEstimator
    recogniser: IdentityEncoder | None


@torch.no_grad()
def sweep(
    editor: FittedEditor,
    bank: LatentBank,
    observers: Observers,
    attribute: str,
    values: Sequence[float],
    rows: Sequence[int],
    *,
    match_effect: bool = False,
    layers: tuple[int, ...] | str | None = None,
    progress: Progress = silent,
) -> SweepFrames:
    """Edit `rows` of the test split to each of `values` of one attribute.

    Args:
        values: (F,) targets in natural units.
        match_effect: edit each image at the strength where the judge sees the whole change, as
            `edit_at_effect` does, and not at the strength that the editor takes for it.

    Raises:
        InputError: the attribute is a vector, or the judge reads other attributes than the bank.
        OutOfRange: a value is outside the attribute's range.
    """
    if bank.schema[attribute].kind == "vector":
        raise InputError(f"--sweep takes an attribute of one number; {attribute!r} is a vector")
    check_reads(observers.judge, type(observers.judge).__name__, bank)
    bank.schema[attribute].check(torch.tensor(values))
    renderer = build_renderer(
        bank=bank, registry=editor.registry, generator=_generator(editor, bank)
    )
    every = torch.tensor(rows).repeat(len(values))
    targets = torch.tensor(values).repeat_interleave(len(rows))
    if match_effect:
        edits = _matched(editor, bank, observers.judge, attribute, targets, every, layers)
    else:
        edits = _asked(editor, bank, attribute, targets, every, layers)
    codes, space, served = edits
    progress(0.5, f"{len(values)} frames")
    frames = _seen(observers, renderer, codes, space, bank.schema.columns(attribute).start)
    test = bank.split("test")
    before = test.take(torch.tensor(rows))
    unedited = _seen(observers, renderer, before.codes, before.space, 0)
    images, judged, embeddings = frames
    shape = (len(values), len(rows))
    own = unedited[2].repeat(len(values), 1)
    identity = (embeddings * own).sum(1) if own.shape[1] else torch.full_like(judged, torch.nan)
    progress(1.0, f"{len(values)} frames")
    return SweepFrames(
        images.unflatten(0, shape),
        served.unflatten(0, shape),
        judged.unflatten(0, shape),
        identity.unflatten(0, shape),
    )


def _generator(editor: FittedEditor, bank: LatentBank) -> Generator:
    return editor.runtime.generator or build_generator(editor.registry, bank.generator)


Edits = tuple[Tensor, str, Tensor]
r"""Codes (F × N, \*shape), their space, and (F × N,) which were served."""


def _asked(
    editor: FittedEditor,
    bank: LatentBank,
    attribute: str,
    targets: Tensor,
    rows: Tensor,
    layers: tuple[int, ...] | str | None,
) -> Edits:
    """Each image of `rows` at the strength that the editor takes for its own of `targets`."""
    generator, given = _generator(editor, bank), bank.split("test").take(rows)
    codes, home = codes_for(editor.space, given.codes, given.space, generator)
    target = bank.schema.changed(given.attributes, **{attribute: targets})
    edited = editor.edit(codes, given.attributes, target, layers=layers)
    return edited.codes, space_after(generator, home, layers), edited.served


def _matched(
    editor: FittedEditor,
    bank: LatentBank,
    judge: AttributeEstimator,
    attribute: str,
    targets: Tensor,
    rows: Tensor,
    layers: tuple[int, ...] | str | None,
) -> Edits:
    """Each image of `rows` at the strength where the judge sees the whole change."""
    entry, column = bank.schema[attribute], bank.schema.columns(attribute).start
    change = targets - bank.split("test").take(rows).attributes[:, column]
    least = STILL * (entry.high - entry.low)
    still = change.abs() < least
    found = edit_at_effect(
        editor,
        bank,
        judge,
        attribute,
        torch.where(still, least, change),
        1.0,
        rows=rows,
        layers=layers,
        strength_limit=STRENGTH_LIMIT,
        until_reached=True,
    )
    return found.codes, found.space, found.reached | still


def _seen(
    observers: Observers, renderer: Generator, codes: Tensor, space: str, column: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Images (N, 3, H, W) as bytes, the attribute (N,) by the judge, and embeddings (N, E)."""
    images, values, embeddings = [], [], []
    for batch in codes.split(BATCH):
        shown = renderer.synthesize(batch, space)
        images.append(images_to_bytes(shown).cpu())
        values.append(observers.judge.estimate(shown)[:, column].cpu())
        known = (
            observers.recogniser.embed(shown)
            if observers.recogniser
            else shown.new_zeros(len(shown), 0)
        )
        embeddings.append(known.cpu())
    return torch.cat(images), torch.cat(values), torch.cat(embeddings)
