"""The hub interface: where fitted editors are shared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path


class Hub(ABC):
    """Keeps folders of files under names such as ``owner/name``, each in several revisions."""

    @abstractmethod
    def push(self, folder: Path, files: Sequence[str], name: str) -> str:
        """Put `files` of `folder` under `name`, as its newest revision.

        Returns:
            Where people find it.

        Raises:
            EnvironmentFault: the hub cannot be reached or refuses; says what to do.
        """

    @abstractmethod
    def fetch(self, name: str, files: Sequence[str], revision: str | None) -> Path:
        """A folder on this machine with `files` of `name`.

        Args:
            revision: which one; the newest if None.

        Raises:
            InputError: there is no such name or revision.
            EnvironmentFault: the hub cannot be reached.
        """
