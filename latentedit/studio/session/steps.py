"""One edit by one editor: at the requested strength, or at the strength that matches an effect."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from latentedit.benchmark.cells.asked import Asked, StrengthSearch
from latentedit.benchmark.cells.bench import judged
from latentedit.benchmark.suite import STRENGTHS
from latentedit.editing.fitted import FittedEditor
from latentedit.editing.generators import codes_for
from latentedit.editing.layers import space_after
from latentedit.errors import LatentEditError
from latentedit.interfaces.editor import Edited
from latentedit.studio.session.faces import Face
from latentedit.studio.session.history import Edit
from latentedit.studio.session.workbench import Workbench

STRENGTH_LIMIT = 16.0
"""Largest share of the request that is tried for an effect."""


@dataclass(frozen=True)
class Step:
    """What an editor has made of an image so far.

    Args:
        codes: (1, \\*shape) in `space`.
        values: (1, A) the attributes that it was asked for; the source of the next edit.
        refused: why the last edit was not made; empty if it was.
        strength: share of the last request that was asked for, found for an effect or given.
        seconds: of the last edit, the search for its strength included.
        unusable: the editor cannot take this image at all.
    """

    codes: Tensor
    space: str
    values: Tensor
    refused: str = ""
    strength: float = 1.0
    seconds: float = 0.0
    unusable: bool = False


def first_step(bench: Workbench, fitted: FittedEditor, face: Face) -> Step:
    """The unedited image, in the space that the editor takes; unusable if it has no code there."""
    try:
        codes, space = codes_for(fitted.space, face.codes, face.space, bench.generator)
    except LatentEditError as error:
        return Step(face.codes, face.space, face.values, refused=str(error), unusable=True)
    return Step(codes, space, face.values)


def next_step(
    bench: Workbench, fitted: FittedEditor, before: Step, edit: Edit, effect: float | None
) -> Step:
    """`before` with one more edit. An image that the editor refuses stays as it was.

    Args:
        effect: share of the requested change that the judge is to see; None asks for the change
            as it is, whatever comes of it.
    """
    if before.unusable:
        return before
    started = time.perf_counter()
    request = _Request(bench, fitted, before, edit)
    try:
        found = request.made() if effect is None else request.matched(effect)
    except LatentEditError as error:
        found = replace(before, refused=str(error))
    return replace(found, seconds=time.perf_counter() - started)


class _Request:
    """An edit that is asked of one image, at any share of its change."""

    def __init__(self, bench: Workbench, fitted: FittedEditor, before: Step, edit: Edit) -> None:
        self.bench, self.fitted, self.before, self.edit = bench, fitted, before, edit
        self.schema = bench.bank.schema
        self.change = edit.target(self.schema, before.values) - before.values
        self.space = space_after(bench.generator, before.space, edit.layers)

    def made(self) -> Step:
        """The edit as requested."""
        target = self.edit.target(self.schema, self.before.values)
        edited = self._edited(target, torch.zeros(1, dtype=torch.long))
        if not bool(edited.served[0]):
            return replace(self.before, refused=edited.reason or "this image cannot be edited so")
        return Step(edited.codes, self.space, target, strength=self.edit.strength)

    def matched(self, effect: float) -> Step:
        """The edit at the share of its change at which the judge sees the share `effect` of it.

        A change of several numbers has no single effect; it is made as requested.
        """
        columns = self.change[0].nonzero()[:, 0].tolist()
        if len(columns) != 1:
            return self.made()
        before = self.before
        asked = Asked(
            before.values,
            judged(self.bench.judge, self.bench.renderer, before.codes, before.space),
            self.change[:, columns[0]],
            columns[0],
        )
        search = StrengthSearch(asked, self._edited, self._judged, STRENGTHS, STRENGTH_LIMIT)
        rows = torch.zeros(len(STRENGTHS), dtype=torch.long)  # one image, at all of them at once
        effects = search.effect_at(torch.tensor(STRENGTHS), rows)
        tried = search.extended(effects[:, None], effect)
        edited, at = search.matching(effect, *tried)
        if bool(at.isnan()):
            best = float(tried[1].max())
            why = edited.reason or (
                f"does not reach {effect:.0%} of the change; at most {best:.0%}"
            )
            return replace(before, refused=why)
        # The next edit starts from what the judge was to see, as it does for every editor.
        asked_for = before.values + effect * self.change
        strength = self.edit.strength * float(at)
        return Step(edited.codes, self.space, asked_for, strength=strength)

    def _edited(self, target: Tensor, rows: Tensor) -> Edited:
        codes = self.before.codes.expand(len(rows), *self.before.codes.shape[1:])
        source = self.before.values.expand(len(rows), -1)
        layers = self.edit.layers
        return self.fitted.edit(codes.contiguous(), source, target, layers=layers, extrapolate=True)

    def _judged(self, codes: Tensor) -> Tensor:
        return judged(self.bench.judge, self.bench.renderer, codes, self.space)
