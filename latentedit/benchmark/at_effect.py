"""Edits of a few images at the strength that has a wanted effect, without a run."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor

from latentedit.benchmark.cells.asked import Asked, StrengthSearch, requested_change
from latentedit.benchmark.cells.bench import BATCH, check_reads, judged
from latentedit.benchmark.suite import STRENGTHS
from latentedit.benchmark.task import Task
from latentedit.data.bank import LatentBank
from latentedit.data.images import data_uri, pictures
from latentedit.data.split import Split
from latentedit.editing.checks import as_floats
from latentedit.editing.fitted import FittedEditor
from latentedit.editing.generators import (
    build_generator,
    build_labeller,
    build_renderer,
    codes_for,
)
from latentedit.editing.layers import space_after
from latentedit.errors import InputError, UnknownName
from latentedit.interfaces.editor import Edited
from latentedit.interfaces.estimators import AttributeEstimator
from latentedit.interfaces.generator import Generator
from latentedit.interfaces.runtime import Progress, silent

SHOWN = 8
"""Images in a notebook's view of edits."""


@dataclass(frozen=True, repr=False)
class EditsAtEffect:
    r"""N images edited each at its own strength.

    Args:
        codes: (N, \*shape) edited codes.
        space: of the codes.
        strength: (N,) multiples of `change` that were asked for; NaN for an image that does not
            reach the effect, or that the editor refuses there. Its code is edited at the largest
            strength that is tried on every image.
        effect: (N,) shares of `change` that the judge sees.
        change: (N,) Δ in natural units.
        source: (N, A) attributes of the unedited images, by the labeller.
        before, after: (N, A) by the judge.
        attribute: the name of what was changed, and
        column: where it is.
        unedited: the codes before, with their space, and
        renderer: the generator of their images.
    """

    codes: Tensor
    space: str
    strength: Tensor
    effect: Tensor
    change: Tensor
    source: Tensor
    before: Tensor
    after: Tensor
    attribute: str
    column: int
    unedited: tuple[Tensor, str]
    renderer: Generator

    def __len__(self) -> int:
        return len(self.codes)

    def __repr__(self) -> str:
        return (
            f"<EditsAtEffect: {self.attribute} of {len(self)} images, "
            f"{int(self.reached.sum())} reach the effect>"
        )

    @cached_property
    def originals(self) -> Tensor:
        """(N, 3, H, W) unedited images in [-1, 1]."""
        return _images(self.renderer, *self.unedited)

    @cached_property
    def images(self) -> Tensor:
        """(N, 3, H, W) edited images in [-1, 1]."""
        return _images(self.renderer, self.codes, self.space)

    def pictures(self) -> list[Image.Image]:
        """The edited images as pictures of PIL."""
        return pictures(self.images)

    def _repr_html_(self) -> str:
        """The first images before and after, with what the judge reads."""
        shown = slice(0, SHOWN)
        before = _images(self.renderer, self.unedited[0][shown], self.unedited[1])
        after = _images(self.renderer, self.codes[shown], self.space)
        rows = []
        for values, images in ((self.before, before), (self.after, after)):
            read = values[shown, self.column].tolist()
            cells = zip(read, pictures(images), strict=True)
            drawn = (f'<td><img src="{data_uri(one)}"><br>{value:.3g}</td>' for value, one in cells)
            rows.append(f"<tr>{''.join(drawn)}</tr>")
        return f"<table><caption>{html.escape(repr(self))}</caption>{''.join(rows)}</table>"

    @property
    def reached(self) -> Tensor:
        """(N,) whether the effect is reached."""
        return ~self.strength.isnan()


@torch.no_grad()
def _images(renderer: Generator, codes: Tensor, space: str) -> Tensor:
    return torch.cat([renderer.synthesize(batch, space) for batch in codes.split(BATCH)])


def edit_at_effect(
    editor: FittedEditor,
    bank: LatentBank,
    judge: AttributeEstimator | str,
    attribute: str,
    change: str | float | Mapping[str, float] | Sequence[float] | Tensor,
    effect: float = 0.8,
    *,
    rows: Sequence[int] | Tensor | None = None,
    codes: Any = None,
    source: Any = None,
    space: str | None = None,
    layers: tuple[int, ...] | str | None = None,
    strengths: Sequence[float] = STRENGTHS,
    strength_limit: float | None = None,
    until_reached: bool = False,
    progress: Progress = silent,
) -> EditsAtEffect:
    r"""Edit each image at the strength s where the judge sees the wanted share of the change.

        (A(G(w'(s))) − A(G(w)))_k / Δ = effect,   A the judge, k the attribute

    The strengths are those of a benchmark's cell with the same task, to the bit.

    Args:
        bank: that the editor was fitted on, or another one of the same generator.
        judge: an estimator, or its name. Another one than the bank's labeller, which the editor
            was fitted to.
        change: as in a suite's task: ``"flip"``, an amount in natural units towards the fit split's
            median, ``{"sigma": 1}`` or ``{"quantile": 0.9}``. Or (N,) signed amounts.
        effect: the share of the change, above 0 and up to 1.
        rows: (N,) row numbers of the test split; all of them if neither they nor `codes` are given.
        codes: (N, \*shape) other codes to edit.
        source: (N, A) attributes of `codes`; the labeller reads them off their images if not given.
        space: of `codes`; the bank's if not given.
        layers: W+ rows that take the edit, or the name of a preset.
        strengths: that are tried on every image, in ascending order.
        strength_limit: the largest strength that is tried; the last of `strengths` if not given.
        until_reached: leave an image out of the strengths beyond the first that reaches the effect.
            It is faster. The last digits may differ, since batches hold other images.

    Raises:
        InputError: the change cannot be asked of these images, or the judge reads other attributes.
        FingerprintMismatch: the bank is of another generator.
    """
    if not 0 < effect <= 1:
        raise InputError(f"effect is a share of the change, above 0 and up to 1, received {effect}")
    _check_strengths(strengths, strength_limit)
    editor.check_bank(bank)
    if isinstance(judge, str):
        judge = editor.registry.estimator(judge)
    check_reads(judge, type(judge).__name__, bank)
    generator = editor.runtime.generator or build_generator(editor.registry, bank.generator)
    own = codes is None
    renderer = build_renderer(editor.registry, bank, generator) if own else generator
    given = (
        _test_images(bank, rows)
        if own
        else _others(editor, bank, renderer, codes, source, space or bank.space)
    )
    edits = _Edits(editor, generator, renderer, judge, given, layers)
    asked = edits.asked(attribute, _changes(bank, attribute, change, given))
    search = StrengthSearch(
        asked, edits.edit, edits.judged, tuple(strengths), strength_limit or strengths[-1]
    )
    return _found(search, edits, attribute, effect, until_reached, progress)


def _check_strengths(strengths: Sequence[float], limit: float | None) -> None:
    positive = all(0 < strength < float("inf") for strength in strengths)
    if not strengths or not positive or sorted(set(strengths)) != list(strengths):
        raise InputError(
            f"strengths are numbers above 0 in ascending order, received {list(strengths)}"
        )
    if limit is not None and not strengths[-1] <= limit < float("inf"):
        raise InputError(
            f"strength_limit is at least the largest strength, {strengths[-1]:g}; "
            f"received {limit:g}"
        )


class _Edits:
    """Edits of given images by one editor, and the judge's readings."""

    def __init__(
        self,
        editor: FittedEditor,
        generator: Generator,
        renderer: Generator,
        judge: AttributeEstimator,
        given: Split,
        layers: tuple[int, ...] | str | None,
    ) -> None:
        self.editor, self.renderer, self.judge, self.given = editor, renderer, judge, given
        self.layers = layers
        self.codes, home = codes_for(editor.space, given.codes, given.space, generator)
        self.space = space_after(generator, home, layers)

    def asked(self, attribute: str, change: Tensor) -> Asked:
        given = self.given
        once, places = torch.unique(given.codes, dim=0, return_inverse=True)
        codes = once if len(once) < len(given) else given.codes
        before = judged(self.judge, self.renderer, codes, given.space)
        before = before[places] if len(once) < len(given) else before
        return Asked(given.attributes, before, change, given.schema.columns(attribute).start)

    def edit(self, target: Tensor, rows: Tensor) -> Edited:
        """The images `rows` (M,) edited to `target` (M, A)."""
        codes, source = self.codes[rows], self.given.attributes[rows]
        return self.editor.edit(codes, source, target, layers=self.layers, extrapolate=True)

    def judged(self, codes: Tensor) -> Tensor:
        r"""(M, A) what the judge says of edited codes (M, \*shape)."""
        return judged(self.judge, self.renderer, codes, self.space)


def _changes(
    bank: LatentBank,
    attribute: str,
    change: str | float | Mapping[str, float] | Sequence[float] | Tensor,
    given: Split,
) -> Tensor:
    """(N,) Δ in natural units that is asked of each image."""
    if isinstance(change, Tensor | list | tuple):
        if given.schema[attribute].kind == "vector":
            raise InputError(f"a change is of one number; {attribute!r} is a vector")
        amounts = torch.as_tensor(change, dtype=torch.float32)
        if amounts.shape != (len(given),) or not bool((amounts.isfinite() & (amounts != 0)).all()):
            raise InputError(
                f"change has one amount for each of the {len(given)} images, finite and not 0; "
                f"received shape {tuple(amounts.shape)}"
            )
        return amounts
    try:
        task = Task.model_validate({"attribute": attribute, "change": change})
    except ValidationError as error:
        said = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise InputError(
            f"change {said}; or a list of signed amounts, one for each image; received {change!r}"
        ) from None
    return requested_change(task, given.attributes, bank.split("fit").attributes, given.schema)


def _test_images(bank: LatentBank, rows: Sequence[int] | Tensor | None) -> Split:
    test = bank.split("test")
    chosen = torch.arange(len(test)) if rows is None else torch.as_tensor(rows)
    if chosen.ndim != 1 or chosen.is_floating_point() or len(chosen) == 0:
        raise InputError(f"rows are numbers of images of the test split, received {rows!r}")
    if outside := [row for row in chosen.tolist() if not 0 <= row < len(test)]:
        raise InputError(f"the test split has rows 0 to {len(test) - 1}, received {outside[0]}")
    return test.take(chosen)


def _others(
    editor: FittedEditor,
    bank: LatentBank,
    renderer: Generator,
    codes: Any,
    source: Any,
    space: str,
) -> Split:
    """Codes that are not of the bank, with their attributes."""
    (codes,) = as_floats(codes=codes)
    if space not in renderer.spaces:
        raise UnknownName("space", space, renderer.spaces, f"of {bank.generator.name}")
    if tuple(codes.shape[1:]) != tuple(renderer.spaces[space]):
        raise InputError(
            f"codes of {space} have shape (N, {', '.join(map(str, renderer.spaces[space]))}), "
            f"received {tuple(codes.shape)}"
        )
    if source is None:
        labeller = build_labeller(editor.registry, bank.labeller)
        source = judged(labeller, renderer, codes, space)
    return Split(space, bank.schema, ((codes, as_floats(source=source)[0]),))


def _found(
    search: StrengthSearch,
    edits: _Edits,
    attribute: str,
    effect: float,
    until_reached: bool,
    progress: Progress,
) -> EditsAtEffect:
    asked, steps = search.asked, len(search.strengths) + 1
    effects, rows = [torch.zeros_like(asked.change)], asked.every
    for i, strength in enumerate(search.strengths):
        at = effects[-1].clone()
        if len(rows):
            at[rows] = search.effect_at(at.new_full((len(rows),), strength), rows)
        effects.append(at)
        rows = rows[at[rows] < effect] if until_reached else rows
        progress((i + 1) / steps, f"strength {strength:g}")
    tried, found = search.extended(torch.stack(effects[1:]), effect)
    edited, at = search.matching(effect, tried, found)
    after = edits.judged(edited.codes)
    progress(1.0, f"effect {effect:g}")
    return EditsAtEffect(
        edited.codes,
        edits.space,
        at,
        asked.effect(after, asked.every),
        asked.change,
        asked.source,
        asked.judged,
        after,
        attribute,
        asked.column,
        (edits.given.codes, edits.given.space),
        edits.renderer,
    )
