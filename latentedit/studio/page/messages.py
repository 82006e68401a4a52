"""Answers of the server: sessions, controls and images as plain data."""

from __future__ import annotations

import base64
import io
from dataclasses import asdict
from functools import lru_cache
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from latentedit import __version__
from latentedit.data.images import pictures, png
from latentedit.studio.session.controls import abilities, controls
from latentedit.studio.session.edit_session import EditSession
from latentedit.studio.session.exports import commands
from latentedit.studio.session.face_map import MAPS, MOST_FACES
from latentedit.studio.session.pictures import Picture, View
from latentedit.studio.session.record import record_of
from latentedit.studio.session.workbench import MOST_COLUMNS, Workbench

SHEET_FACES, SHEET_COLUMNS, THUMBNAIL = 48, 8, 64
"""Images on a sheet, their columns, and their width in pixels."""
SESSION_FILE = "session.json"


def bench_message(bench: Workbench) -> dict[str, Any]:
    """What a page needs to make its controls."""
    return {
        "version": __version__,
        "bank": {
            "name": bench.bank.folder.resolve().name,
            "hash": bench.bank.hash,
            "faces": len(bench.test),
            "generator": bench.bank.generator.name,
        },
        "subject": asdict(bench.generator.subject),
        "controls": [_control(asdict(control)) for control in controls(bench)],
        "editors": [
            {"name": name, "plugin": fitted.name, "space": fitted.space}
            for name, fitted in bench.editors.items()
        ],
        "recognisers": list(bench.recognisers),
        "most_columns": MOST_COLUMNS,
        "sheet": {"faces": SHEET_FACES, "columns": SHEET_COLUMNS, "pixels": THUMBNAIL},
        **abilities(bench),
    }


def _control(control: dict[str, Any]) -> dict[str, Any]:
    """A control with its attribute's fields beside its own."""
    return {**control.pop("attribute"), **control}


def session_message(session: EditSession, view: View, opened_with: str = "") -> dict[str, Any]:
    """A session and its pictures, after an action."""
    return {
        **preview_message(view),
        "face": session.face.title,
        "values": session.requested()[0].tolist(),
        "edits": [edit.title for edit in session.history.now],
        "can_undo": session.history.can_undo,
        "can_redo": session.history.can_redo,
        "columns": list(session.columns),
        "effect": session.effect,
        "commands": commands(session, SESSION_FILE, opened_with),
        "record": record_of(session).model_dump(mode="json"),
    }


def preview_message(view: View) -> dict[str, Any]:
    """The pictures alone, for a change that is not kept."""
    return {
        "pictures": [_picture(picture) for picture in view.pictures],
        "judge_ms": view.judge_ms,
    }


def _picture(picture: Picture) -> dict[str, Any]:
    reading = picture.reading
    return {
        "title": picture.title,
        "image": "data:image/png;base64," + base64.b64encode(_quick_png(picture.image)).decode(),
        "refused": picture.refused,
        "strength": picture.strength,
        "edit_ms": picture.edit_ms,
        "image_ms": picture.image_ms,
        "identity": dict(reading.identity),
        "same_person": dict(reading.same_person),
        "changes": {name: asdict(change) for name, change in reading.changes.items()},
        "leakage": dict(reading.leakage),
        "mean_leakage": reading.mean_leakage,
    }


def _quick_png(image: Tensor) -> bytes:
    buffer = io.BytesIO()
    pictures(image[None])[0].save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


@torch.no_grad()
def face_sheet(bench: Workbench, start: int) -> bytes:
    """A PNG of `SHEET_FACES` test images from `start` on, in rows of `SHEET_COLUMNS`."""
    rows = torch.arange(start, min(start + SHEET_FACES, len(bench.test)))
    codes, _ = bench.test.rows(rows)
    images = bench.renderer.synthesize(codes, bench.test.space)
    lines = -(-len(rows) // SHEET_COLUMNS)
    sheet = Image.new("RGB", (SHEET_COLUMNS * THUMBNAIL, lines * THUMBNAIL), (128, 128, 128))
    for i, picture in enumerate(pictures(images)):
        at = (i % SHEET_COLUMNS * THUMBNAIL, i // SHEET_COLUMNS * THUMBNAIL)
        sheet.paste(picture.resize((THUMBNAIL, THUMBNAIL)), at)
    return png(sheet)


@lru_cache(maxsize=2)
def map_message(bench: Workbench, way: str) -> dict[str, Any]:
    """Coordinates of test images by one of `MAPS`, and their attributes for colours."""
    most = MOST_FACES[way]
    codes, values = bench.test.codes[:most], bench.test.attributes[:most]
    names = bench.bank.schema.column_names
    return {
        "points": [[round(x, 4), round(y, 4)] for x, y in MAPS[way](codes).tolist()],
        "columns": dict(zip(names, values.T.tolist(), strict=True)),
    }
