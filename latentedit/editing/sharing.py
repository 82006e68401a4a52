"""Fitted editors on hubs: pushed there, and loaded from there as from a folder."""

from __future__ import annotations

import os
from pathlib import Path

from latentedit.editing.card import CARD
from latentedit.editing.saved import CONFIG, MODEL, read_editor
from latentedit.errors import InputError
from latentedit.interfaces.hub import Hub
from latentedit.registry import Registry

FILES = (CONFIG, MODEL, CARD)
"""Of a shared editor; all else in its folder stays there."""


def push_editor(registry: Registry, folder: str | Path, where: str) -> str:
    """Put a saved editor on a hub.

    Args:
        where: ``"HUB:NAME"``: an installed hub, and the name there, such as ``owner/name``.

    Returns:
        Where people find it.

    Raises:
        InputError: `folder` is no fitted editor, or `where` is not written so.
        UnknownName: there is no such hub.
        CorruptArtefact: its files are broken; nothing is pushed.
    """
    kind, name, revision = _parts(where)
    if not (kind and name) or revision is not None:
        valid = ", ".join(registry.names("hub")) or "(none)"
        raise InputError(f"an editor is pushed to HUB:NAME, received {where!r}. Hubs: {valid}")
    hub: Hub = registry.build("hub", kind)
    read_editor(Path(folder))
    return hub.push(Path(folder), FILES, name)


def fetched_editor(registry: Registry, where: str | Path) -> Path:
    """The folder of an editor: `where` itself, or a copy of what a hub has.

    Args:
        where: a folder, or ``"HUB:NAME"`` or ``"HUB:NAME@REVISION"`` with an installed hub.
    """
    kind, name, revision = _parts(str(where))
    if os.path.exists(where) or not name or kind not in registry.names("hub"):
        return Path(where)
    hub: Hub = registry.build("hub", kind)
    return hub.fetch(name, FILES, revision)


def _parts(where: str) -> tuple[str, str, str | None]:
    """``"hub:owner/name@v2"`` → ``("hub", "owner/name", "v2")``."""
    kind, _, rest = where.partition(":")
    name, found, revision = rest.partition("@")
    return kind, name, revision if found else None
