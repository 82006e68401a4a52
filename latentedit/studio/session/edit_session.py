"""A session: one image, edits of it, and the pictures that several editors make of them."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentedit.data.images import images_to_bytes
from latentedit.errors import InputError
from latentedit.interfaces.runtime import SEEDS, Progress, silent
from latentedit.studio.session.counterfactuals import counterfactual
from latentedit.studio.session.faces import (
    BankFace,
    Face,
    Origin,
    SeedFace,
    face_of,
    no_such_index,
    photograph_face,
    sampled_face,
)
from latentedit.studio.session.history import STRONGEST, Edit, Edits, History, with_edit
from latentedit.studio.session.pictures import Picture, View
from latentedit.studio.session.readings import read_pictures
from latentedit.studio.session.steps import Step, first_step, next_step
from latentedit.studio.session.workbench import MOST_COLUMNS, Workbench

ORIGINAL, COUNTERFACTUAL = "original", "counterfactual"
"""Titles of the pictures that no editor makes."""
_KEPT_STEPS = 32
"""Edits of an image that are kept, so that a moving slider repeats only the last one."""


class EditSession:
    """Edits of one image by several editors at once.

    Args:
        bench: models and images.
        columns: names of editors, one to six; the first six of `bench` if not given.
        effect: share of each requested change that the judge is to see, with a strength of its own
            for every editor; None makes every change as requested.

    Attributes:
        face: the image being edited.
        history: its edits.

    Edits are made in sequence: each one starts from the result of the edit before it, and from the
    attribute values that were asked for.
    """

    def __init__(
        self, bench: Workbench, columns: Sequence[str] | None = None, effect: float | None = None
    ) -> None:
        self.bench = bench
        self.columns: tuple[str, ...] = ()
        self.effect: float | None = None
        self._steps: OrderedDict[tuple[Any, ...], Step] = OrderedDict()
        self._original: Tensor | None = None
        self.compare(list(bench.editors)[:MOST_COLUMNS] if columns is None else columns)
        self.match(effect)
        self.choose(0)

    def compare(self, columns: Sequence[str]) -> None:
        """Choose the editors that are shown, from one to six; raises `InputError`."""
        if not 1 <= len(columns) <= MOST_COLUMNS or len(set(columns)) != len(columns):
            raise InputError(
                f"one to {MOST_COLUMNS} editors are compared, each once; received {list(columns)}"
            )
        for name in columns:
            self.bench.editor(name)
        self.columns = tuple(columns)

    def match(self, effect: float | None) -> None:
        """Match every editor to a share of each requested change, in (0, 1]; None matches none."""
        if effect is not None and not 0 < effect <= 1:
            raise InputError(f"an effect is a share above 0 and up to 1, received {effect}")
        self.effect = effect

    def choose(self, index: int) -> None:
        """Start with a test image of the bank."""
        self._start(self._bank_face(index))

    def choose_seed(self, seed: int) -> None:
        """Start with the image that the generator draws with `seed`."""
        if not 0 <= seed < SEEDS:
            raise InputError(f"a seed is from 0 to {SEEDS - 1}, received {seed}")
        self._start(face_of(self.bench, SeedFace(seed=seed)))

    def choose_sample(
        self, editor: str, seed: int = 0, values: Mapping[str, Any] | None = None
    ) -> None:
        """Start with a new image that has the attributes `values`; see `sampled_face`."""
        self._start(sampled_face(self.bench, editor, seed, values))

    def choose_photograph(self, path: Path, progress: Progress = silent, **how: Any) -> None:
        """Start with the image of a photograph; see `photograph_face`."""
        self._start(photograph_face(self.bench, path, progress=progress, **how))

    def choose_origin(self, origin: Origin, edits: Edits = ()) -> None:
        """Start with any image, with edits that are done one by one."""
        face = face_of(self.bench, origin)
        self._start(face)
        for edit in edits:
            edit.target(self.bench.bank.schema, face.values)  # raises for what it cannot ask
        self.history = History.of(edits)

    def _bank_face(self, index: int) -> Face:
        if not 0 <= index < len(self.bench.test):
            raise no_such_index(self.bench, index)
        return face_of(self.bench, BankFace(index=index))

    def _start(self, face: Face) -> None:
        self.face, self.history = face, History()
        self._steps.clear()
        self._original = None

    def edit(
        self,
        values: Mapping[str, Any] | None = None,
        *,
        strength: float = 1.0,
        layers: tuple[int, ...] | str | None = None,
        **named: Any,
    ) -> None:
        """Set attributes of the image, in natural units or by the names of their values.

        Args:
            values, named: by attribute.
            strength: share of the way to the values, 0 to 4.
            layers: W+ rows that take the edit, or the name of a preset.

        Raises:
            UnknownName, OutOfRange, InputError: the change cannot be asked for.
        """
        self.do(self.request({**(values or {}), **named}, strength=strength, layers=layers))

    def request(
        self,
        values: Mapping[str, Any],
        *,
        strength: float = 1.0,
        layers: tuple[int, ...] | str | None = None,
        title: str = "",
    ) -> Edit:
        """The edit that `edit` would make; see there."""
        schema = self.bench.bank.schema
        if not values:
            raise InputError(f"nothing to edit: set one of {', '.join(schema.names)}")
        wanted = schema.changed(self.face.values, **values)
        if not 0 <= strength <= STRONGEST:  # also refuses NaN
            raise InputError(f"strength is from 0 to {STRONGEST:g}, received {strength}")
        numbers = {name: tuple(wanted[0, schema.columns(name)].tolist()) for name in values}
        return Edit(
            values=numbers,
            strength=strength,
            layers=layers,
            title=title or ", ".join(_title(name, values[name]) for name in values),
        )

    def do(self, edit: Edit) -> None:
        """Make an edit that `request` returned."""
        self.history = self.history.then(with_edit(self.history.now, edit))

    def transfer(self, attribute: str, index: int, **how: Any) -> None:
        """Copy the value of an attribute from another test image of the bank."""
        other = self._bank_face(index)
        schema = self.bench.bank.schema
        columns = schema.columns(schema[attribute].name)
        value = other.values[0, columns].clamp(schema[attribute].low, schema[attribute].high)
        title = f"{attribute} of {other.title}"
        self.do(self.request({attribute: value}, title=title, **how))

    def undo(self) -> None:
        """Take the last edit back."""
        self.history = self.history.undone()

    def redo(self) -> None:
        """Make the edit again that was taken back last."""
        self.history = self.history.redone()

    def reset(self) -> None:
        """Take all edits back; `undo` brings them back."""
        self.history = self.history.then(())

    @torch.no_grad()
    def view(self, pending: Edit | None = None, *, exact: bool = True) -> View:
        """The pictures of all columns, as the edits stand.

        Args:
            pending: an edit that is shown but not kept, while a slider moves.
            exact: whether to show the counterfactual, which some worlds search for long.
        """
        edits = self.history.now if pending is None else with_edit(self.history.now, pending)
        change = self.requested(edits) - self.face.values
        steps = {ORIGINAL: Step(self.face.codes, self.face.space, self.face.values)}
        steps |= {name: self.step(name, edits) for name in self.columns}
        if exact and edits and (found := self._counterfactual(change)) is not None:
            steps[COUNTERFACTUAL] = found
        edited = {name for edit in edits for name in edit.values}
        pictures, judge_ms = self._pictures(steps, change, edited)
        count = 1 + len(self.columns)
        return View(pictures[0], pictures[1:count], next(iter(pictures[count:]), None), judge_ms)

    def _counterfactual(self, change: Tensor) -> Step | None:
        started, face = time.perf_counter(), self.face
        moved = change * (self.effect or 1.0)
        codes = counterfactual(self.bench, face, moved)
        if codes is None:
            return None
        seconds = time.perf_counter() - started
        return Step(codes, face.space, face.values + moved, seconds=seconds)

    def _pictures(
        self, steps: Mapping[str, Step], change: Tensor, edited: set[str]
    ) -> tuple[tuple[Picture, ...], float]:
        """Pictures of `steps` by title, and milliseconds of their readings."""
        images, milliseconds = self._drawn(steps)
        started = time.perf_counter()
        wanted = change.repeat(len(images), 1)
        wanted[0] = 0
        readings = read_pictures(self.bench, torch.cat(images), wanted, edited)
        judge_ms = 1000 * (time.perf_counter() - started)
        parts = zip(steps.items(), images, readings, milliseconds, strict=True)
        pictures = tuple(
            Picture(
                title=title,
                image=images_to_bytes(image[0]).cpu(),
                codes=step.codes,
                space=step.space,
                reading=reading,
                refused=step.refused,
                strength=step.strength,
                edit_ms=1000 * step.seconds,
                image_ms=taken,
            )
            for (title, step), image, reading, taken in parts
        )
        return pictures, judge_ms

    def requested(self, edits: Edits | None = None) -> Tensor:
        """(1, A) the attribute values that are asked for, natural units."""
        values = self.face.values
        for edit in self.history.now if edits is None else edits:
            values = edit.target(self.bench.bank.schema, values)
        return values

    @torch.no_grad()
    def step(self, column: str, edits: Edits) -> Step:
        """What the editor of a column makes of the image with `edits`."""
        key = (column, self.effect, *(edit.model_dump_json() for edit in edits))
        if key not in self._steps:
            self._steps[key] = self._made(column, edits)
            while len(self._steps) > _KEPT_STEPS:
                self._steps.popitem(last=False)
        self._steps.move_to_end(key)
        return self._steps[key]

    def _made(self, column: str, edits: Edits) -> Step:
        fitted = self.bench.editor(column)
        if not edits:
            return first_step(self.bench, fitted, self.face)
        before = self.step(column, edits[:-1])
        return next_step(self.bench, fitted, before, edits[-1], self.effect)

    def _drawn(self, steps: Mapping[str, Step]) -> tuple[list[Tensor], list[float]]:
        """Images (1, 3, H, W) of steps, the unedited image first, and milliseconds of each.

        The columns are drawn together, and the other two alone, whichever are shown: an image can
        differ in its last bits with those that are drawn beside it.
        """
        started, original = time.perf_counter(), steps[ORIGINAL]
        if self._original is None:
            self._original = self.bench.renderer.synthesize(original.codes, original.space)
        images, taken = [self._original], [1000 * (time.perf_counter() - started)]

        def together(item: tuple[str, Step]) -> tuple[str, torch.Size, bool]:
            return item[1].space, item[1].codes.shape, item[0] == COUNTERFACTUAL

        for (space, *_), group in groupby(list(steps.items())[1:], key=together):
            codes = torch.cat([step.codes for _, step in group])
            started = time.perf_counter()
            images += self.bench.renderer.synthesize(codes, space).split(1)
            taken += [1000 * (time.perf_counter() - started) / len(codes)] * len(codes)
        return images, taken


def _title(name: str, value: Any) -> str:
    if isinstance(value, str):
        return f"{name} = {value}"
    one = torch.as_tensor(value).flatten()
    return f"{name} = {float(one[0]):.4g}" if one.numel() == 1 else name
