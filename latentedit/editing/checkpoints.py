"""Places for the state of long fits, which an interrupted fit goes on from.

    PLACE/DIGEST/…     what an editor saves while it is fitted

DIGEST is over everything that decides the fit. So no fit ever continues another one.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from latentedit.data.bank import LatentBank
from latentedit.editing.keys import core_versions, plugin_key
from latentedit.files.artefacts import canonical_json
from latentedit.registry import Registry

_NAME_LENGTH = 16
"""Hexadecimal digits of a digest in the name of a folder."""


def fit_key(
    registry: Registry, name: str, options: Mapping[str, Any] | None, bank: LatentBank
) -> dict[str, Any]:
    """What decides a fit, apart from its seed, device, space and number of images."""
    models = {
        "generator": ("generator", bank.generator),
        "labeller": ("estimator", bank.labeller),
    }
    return {
        "versions": core_versions(),
        "bank": bank.hash,
        "editor": plugin_key(registry, registry.editor_kind(name), name, options),
        "models": {
            role: plugin_key(registry, kind, model.name, model.options)
            for role, (kind, model) in models.items()
            if model.name in registry.specs(kind)
        },
    }


def checkpoint_in(place: Path, key: Mapping[str, Any], notify: Callable[[str], None]) -> Path:
    """The folder in `place` for the fit that `key` describes; it need not exist yet.

    Args:
        notify: is told whether the fit continues an interrupted one, and of other fits there.
    """
    mine = place / hashlib.sha256(canonical_json(key)).hexdigest()[:_NAME_LENGTH]
    if _holds_something(mine):
        notify(f"continuing the interrupted fit in {mine}")
    elif others := _others(mine):
        notify(
            f"starting afresh: {others[0]} is of another fit, whose bank, editor, options, seed, "
            "device or code differ. Remove it if you do not need it"
        )
    return mine


def remove_checkpoint(folder: Path) -> None:
    """Remove the state of a finished fit, and the place around it if nothing else is there."""
    shutil.rmtree(folder, ignore_errors=True)
    with suppress(OSError):  # another fit's state is there, or no fit ever wrote any
        folder.parent.rmdir()


def _holds_something(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


def _others(mine: Path) -> list[Path]:
    if not mine.parent.is_dir():
        return []
    found = sorted(path for path in mine.parent.iterdir() if path != mine)
    return [path for path in found if path.is_file() or _holds_something(path)]
