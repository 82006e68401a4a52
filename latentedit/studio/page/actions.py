"""What a page can ask of a session, as strict records."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, RootModel

from latentedit.files.records import StrictRecord
from latentedit.interfaces.runtime import SEEDS
from latentedit.studio.session.edit_session import EditSession
from latentedit.studio.session.history import STRONGEST, Edit
from latentedit.studio.session.record import SessionRecord, restored

Value = float | tuple[float, ...] | str


class Show(StrictRecord):
    """Show the session as it is."""

    action: Literal["show"]

    def do(self, session: EditSession) -> EditSession:
        return session


class Preview(StrictRecord):
    """Show a change that is not kept, while a slider moves."""

    action: Literal["preview"]
    values: dict[str, Value]
    strength: float = Field(default=1.0, ge=0, le=STRONGEST)
    layers: tuple[int, ...] | str | None = None

    def request(self, session: EditSession) -> Edit:
        """The edit that is asked for."""
        return session.request(self.values, strength=self.strength, layers=self.layers)

    def do(self, session: EditSession) -> EditSession:
        return session


class MakeEdit(Preview):
    """Make a change."""

    action: Literal["edit"]  # type: ignore[assignment]

    def do(self, session: EditSession) -> EditSession:
        session.do(self.request(session))
        return session


class Transfer(StrictRecord):
    """Copy an attribute from another test image."""

    action: Literal["transfer"]
    attribute: str
    index: int = Field(ge=0)

    def do(self, session: EditSession) -> EditSession:
        session.transfer(self.attribute, self.index)
        return session


class Step(StrictRecord):
    """Go through the history."""

    action: Literal["undo", "redo", "reset"]

    def do(self, session: EditSession) -> EditSession:
        steps = {"undo": session.undo, "redo": session.redo, "reset": session.reset}
        steps[self.action]()
        return session


class Choose(StrictRecord):
    """Start with a test image."""

    action: Literal["choose"]
    index: int = Field(ge=0)

    def do(self, session: EditSession) -> EditSession:
        session.choose(self.index)
        return session


class Seed(StrictRecord):
    """Start with the image of a seed."""

    action: Literal["seed"]
    seed: int = Field(ge=0, lt=SEEDS)

    def do(self, session: EditSession) -> EditSession:
        session.choose_seed(self.seed)
        return session


class Sample(StrictRecord):
    """Start with a new image that has some attributes."""

    action: Literal["sample"]
    editor: str
    seed: int = Field(ge=0, lt=SEEDS)
    values: dict[str, Value] = Field(default={})

    def do(self, session: EditSession) -> EditSession:
        session.choose_sample(self.editor, self.seed, self.values)
        return session


class Compare(StrictRecord):
    """Choose the editors that are shown."""

    action: Literal["compare"]
    columns: tuple[str, ...]

    def do(self, session: EditSession) -> EditSession:
        session.compare(self.columns)
        return session


class Match(StrictRecord):
    """Match all editors to one effect, or to none."""

    action: Literal["match"]
    effect: float | None = None

    def do(self, session: EditSession) -> EditSession:
        session.match(self.effect)
        return session


class Load(StrictRecord):
    """Take a saved session in place of this one."""

    action: Literal["load"]
    record: SessionRecord

    def do(self, session: EditSession) -> EditSession:
        return restored(session.bench, self.record)


class Action(
    RootModel[
        Annotated[
            Show
            | Preview
            | MakeEdit
            | Transfer
            | Step
            | Choose
            | Seed
            | Sample
            | Compare
            | Match
            | Load,
            Field(discriminator="action"),
        ]
    ]
):
    """One of them, by its field ``action``."""


class ExportRequest(StrictRecord):
    """A file to make of a session.

    Args:
        kind: ``png`` and ``npy`` of what is shown, ``gif`` and ``mp4`` of a sweep.
        attribute, frames: of a sweep.
        column: whose code is wanted.
    """

    kind: Literal["png", "gif", "mp4", "npy"]
    attribute: str = ""
    frames: int = 24
    column: str = ""
