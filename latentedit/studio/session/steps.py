"""One edit by one editor: at the requested strength, or at the strength that matches an effect."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from latentedit.benchmark.cells.extending import extended
from latentedit.editing.fitted import FittedEditor
from latentedit.editing.generators import codes_for
from latentedit.editing.layers import space_after
from latentedit.errors import LatentEditError
from latentedit.measures.metrics import achieved_change, match_effect
from latentedit.studio.session.faces import Face
from latentedit.studio.session.history import Edit
from latentedit.studio.session.workbench import Workbench

STRENGTHS = torch.tensor([0.25, 0.5, 0.75, 1.0, 1.5, 2.0])
"""Shares of the request at which an effect is measured first."""
STRENGTH_LIMIT = 16.0
"""Largest share of the request that is tried for an effect."""


@dataclass(frozen=True)
class Step:
    """What an editor has made of a face so far.

    Args:
        codes: (1, \\*shape) in `space`.
        values: (1, A) the attributes that it was asked for; the source of the next edit.
        refused: why the last edit was not made; empty if it was.
        strength: share of the last request that was asked for, found for an effect or given.
        seconds: of the last edit, the search for its strength included.
        unusable: the editor cannot take this face at all.
    """

    codes: Tensor
    space: str
    values: Tensor
    refused: str = ""
    strength: float = 1.0
    seconds: float = 0.0
    unusable: bool = False


def first_step(bench: Workbench, fitted: FittedEditor, face: Face) -> Step:
    """The unedited face, in the space that the editor takes; unusable if it has no code there."""
    try:
        codes, space = codes_for(fitted.space, face.codes, face.space, bench.generator)
    except LatentEditError as error:
        return Step(face.codes, face.space, face.values, refused=str(error), unusable=True)
    return Step(codes, space, face.values)


def next_step(
    bench: Workbench, fitted: FittedEditor, before: Step, edit: Edit, effect: float | None
) -> Step:
    """`before` with one more edit. A face that the editor refuses stays as it was.

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
    """An edit that is asked of one face, at any share of its change."""

    def __init__(self, bench: Workbench, fitted: FittedEditor, before: Step, edit: Edit) -> None:
        self.bench, self.fitted, self.before, self.edit = bench, fitted, before, edit
        self.schema = bench.bank.schema
        self.change = edit.target(self.schema, before.values) - before.values
        self.space = space_after(bench.generator, before.space, edit.layers)

    def made(self, share: float = 1.0) -> Step:
        """The edit at `share` times its change."""
        target = self.before.values + share * self.change
        if share == 1:
            target = self.edit.target(self.schema, self.before.values)
        edited = self.fitted.edit(
            self.before.codes,
            self.before.values,
            target,
            layers=self.edit.layers,
            extrapolate=True,
        )
        if not bool(edited.served[0]):
            return replace(self.before, refused=edited.reason or "this face cannot be edited so")
        return Step(edited.codes, self.space, target, strength=self.edit.strength * share)

    def matched(self, effect: float) -> Step:
        """The edit at the share of its change at which the judge sees the share `effect` of it.

        A change of several numbers has no single effect; it is made as requested.
        """
        (column, *others) = self.change[0].nonzero()[:, 0].tolist() or [0]
        if others or not bool(self.change.any()):
            return self.made()
        change = self.change[:, column]
        judged = self._judged(self.before.codes, self.before.space)[:, column]

        def effect_at(shares: Tensor, rows: Tensor) -> Tensor:
            seen = self._judged(*self._at(shares))[:, column]
            return achieved_change(judged, seen, change)

        one = torch.zeros(1, dtype=torch.long)
        effects = effect_at(STRENGTHS, one)[:, None]
        tried = extended(effect_at, STRENGTHS, effects, effect, STRENGTH_LIMIT)
        share = float(match_effect(effect_at, *tried, effect))
        if math.isnan(share):
            best = float(tried[1].max())
            return replace(
                self.before,
                refused=f"does not reach {effect:.0%} of the change; at most {best:.0%}",
            )
        # The next edit starts from what the judge was to see, as it does for every editor.
        return replace(self.made(share), values=self.before.values + effect * self.change)

    def _at(self, shares: Tensor) -> tuple[Tensor, str]:
        """Codes (M, \\*shape) of the face edited at each of `shares` (M,), and their space."""
        n = len(shares)
        source = self.before.values.expand(n, -1)
        codes = self.before.codes.expand(n, *self.before.codes.shape[1:]).contiguous()
        target = source + shares[:, None] * self.change
        edited = self.fitted.edit(codes, source, target, layers=self.edit.layers, extrapolate=True)
        return edited.codes, self.space

    def _judged(self, codes: Tensor, space: str) -> Tensor:
        return self.bench.judge.estimate(self.bench.renderer.synthesize(codes, space))
