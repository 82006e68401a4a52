"""Edits of a session, and their history."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from pydantic import Field
from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.errors import InputError
from latentedit.files.records import StrictRecord

STRONGEST = 4.0
"""Largest strength of an edit."""
MOST_EDITS = 100
"""Edits of one image in sequence."""
MOST_STATES = 300
"""States that a history keeps; the oldest one goes first."""


class Edit(StrictRecord):
    """One requested change.

    Args:
        values: wanted values of each changed attribute, natural units.
        strength: share of the way from the current values to the wanted ones.
        layers: W+ rows that take the edit, or the name of a preset; all rows if None.
        title: in words.
    """

    values: dict[str, tuple[float, ...]] = Field(min_length=1)
    strength: float = Field(default=1.0, ge=0, le=STRONGEST)
    layers: tuple[int, ...] | str | None = None
    title: str = Field(default="", max_length=200)

    def target(self, schema: AttributeSchema, source: Tensor) -> Tensor:
        """(N, A) `source` with the change made: a + strength · (wanted − a).

        Raises:
            UnknownName: the schema has no such attribute.
            OutOfRange: a wanted value outside its attribute's range.
        """
        wanted = schema.changed(
            source, **{name: torch.tensor(value) for name, value in self.values.items()}
        )
        return torch.lerp(source, wanted, self.strength)

    @property
    def changed(self) -> set[str]:
        """Names of the attributes that it sets."""
        return set(self.values)


Edits = tuple[Edit, ...]


@dataclass(frozen=True)
class History:
    """The edits so far, and states to go back and forth to.

    >>> history = History().then((Edit(values={"age": (60.0,)}),))
    >>> history.undone().now, history.undone().redone() == history
    ((), True)
    """

    states: tuple[Edits, ...] = ((),)
    at: int = 0

    @classmethod
    def of(cls, edits: Edits) -> History:
        """A history whose steps are `edits`, one by one."""
        return cls(tuple(edits[:i] for i in range(len(edits) + 1)), len(edits))

    @property
    def now(self) -> Edits:
        """The edits in force."""
        return self.states[self.at]

    def then(self, edits: Edits) -> History:
        """With new edits in force; what was undone is forgotten."""
        kept = self.states[: self.at + 1][1 - MOST_STATES :]
        return self if edits == self.now else History((*kept, edits), len(kept))

    def undone(self) -> History:
        """One step back; raises `InputError` at the beginning."""
        if not self.can_undo:
            raise InputError("nothing to undo: there is no edit yet")
        return replace(self, at=self.at - 1)

    def redone(self) -> History:
        """One step forward; raises `InputError` at the end."""
        if not self.can_redo:
            raise InputError("nothing to redo: no edit was undone")
        return replace(self, at=self.at + 1)

    @property
    def can_undo(self) -> bool:
        return self.at > 0

    @property
    def can_redo(self) -> bool:
        return self.at + 1 < len(self.states)


def with_edit(edits: Edits, edit: Edit) -> Edits:
    """`edits` and one more. It replaces the last one if that sets the same attributes.

    So the value of a slider is what it shows, however often it was moved.

    Raises:
        InputError: there are `MOST_EDITS` already.
    """
    same = bool(edits) and edits[-1].changed == edit.changed
    found = (*(edits[:-1] if same else edits), edit)
    if len(found) > MOST_EDITS:
        raise InputError(f"at most {MOST_EDITS} edits follow one another; undo some, or reset")
    return found
