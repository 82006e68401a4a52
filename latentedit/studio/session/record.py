"""Sessions as strict JSON, refused where they would not give the same pixels."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from latentedit.editing.fitted import FittedEditor
from latentedit.editing.keys import core_versions
from latentedit.errors import FingerprintMismatch, InputError
from latentedit.files.artefacts import Digest, fingerprint, write_json
from latentedit.files.records import StrictRecord, parsed_record, read_record
from latentedit.studio.session.edit_session import EditSession
from latentedit.studio.session.faces import BankFace, GivenFace, SeedFace
from latentedit.studio.session.history import MOST_EDITS, Edit
from latentedit.studio.session.workbench import MOST_COLUMNS, Workbench

LONGEST_SESSION = 4 << 20
"""Bytes of a session's JSON."""


class UsedModel(StrictRecord):
    """A plugin, and the fingerprint of what was built or fitted."""

    name: str
    fingerprint: Digest


class SessionRecord(StrictRecord):
    """A session as it is saved.

    Args:
        versions: of what computes every result.
        bank: its hash.
        editors: by column; their fingerprints hold options and fitted state.
        effect: share of the requested change that editors are matched to; None for no match.
        face: what makes the image again.
        edits: in their order.
    """

    format: Literal["latentedit session 1"] = "latentedit session 1"
    versions: dict[str, str]
    bank: Digest
    generator: UsedModel
    editors: dict[str, UsedModel] = Field(min_length=1, max_length=MOST_COLUMNS)
    effect: float | None = Field(default=None, gt=0, le=1)
    face: Annotated[BankFace | SeedFace | GivenFace, Field(discriminator="kind")]
    edits: tuple[Edit, ...] = Field(default=(), max_length=MOST_EDITS)


def record_of(session: EditSession) -> SessionRecord:
    """What makes the pictures of `session` again."""
    bench = session.bench
    return SessionRecord(
        versions=core_versions(),
        bank=bench.bank.hash,
        generator=_generator(bench),
        editors={name: _used(bench.editor(name)) for name in session.columns},
        effect=session.effect,
        face=session.face.origin,
        edits=session.history.now,
    )


def save_session(session: EditSession, path: str | Path) -> None:
    """Write a session as JSON; an existing file is replaced."""
    write_json(Path(path), record_of(session).model_dump(mode="json"))


def load_session(bench: Workbench, path: str | Path) -> EditSession:
    """The session that `save_session` wrote, with the same pixels.

    Raises:
        InputError: there is no file; or it was saved by another version; names both.
        CorruptArtefact: it is not the JSON of a session; names the first wrong field.
        FingerprintMismatch: it has another bank, generator or editor; names both.
    """
    path = Path(path)
    return restored(bench, read_record(path, SessionRecord), str(path))


def parsed_session(value: Any, name: str) -> SessionRecord:
    """The record in JSON that was read already; raises as `load_session` does."""
    return parsed_record(value, SessionRecord, Path(name))


def restored(bench: Workbench, record: SessionRecord, name: str = "the session") -> EditSession:
    """A session from its record; raises as `load_session` does."""
    here = core_versions()
    if record.versions != here:
        raise InputError(
            f"{name} was saved with {_told(record.versions)}, and this is {_told(here)}; other "
            "versions can draw other pixels. Install those, or make the edits again"
        )
    if record.bank != bench.bank.hash:
        raise FingerprintMismatch("bank", name, record.bank, "the studio", bench.bank.hash)
    _check_same("generator", name, record.generator, _generator(bench))
    for column, used in record.editors.items():
        _check_same("editor", name, used, _used(bench.editor(column)))
    session = EditSession(bench, tuple(record.editors), record.effect)
    session.choose_origin(record.face, record.edits)
    return session


def _used(fitted: FittedEditor) -> UsedModel:
    return UsedModel(name=fitted.name, fingerprint=editor_fingerprint(fitted))


def editor_fingerprint(fitted: FittedEditor) -> Digest:
    """SHA-256 of an editor's name, options, space, seed and fitted state."""
    configuration = {
        "editor": fitted.name,
        "options": fitted.editor.options.model_dump(mode="json"),
        "space": fitted.space,
        "seed": fitted.seed,
    }
    return fingerprint(configuration, fitted.editor.state())


def _generator(bench: Workbench) -> UsedModel:
    reference = bench.bank.generator
    return UsedModel(name=reference.name, fingerprint=reference.fingerprint)


def _check_same(what: str, name: str, theirs: UsedModel, ours: UsedModel) -> None:
    if theirs != ours:
        told = [f"{used.name} ({used.fingerprint[:12]})" for used in (theirs, ours)]
        raise FingerprintMismatch(what, name, told[0], "the studio", told[1])


def _told(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {version}" for name, version in sorted(versions.items()))
