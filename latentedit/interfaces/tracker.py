"""The tracker interface: where the figures of a fit or run go while they come to be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from latentedit.interfaces.editor import Options


class TrackerOptions(Options):
    """Options of every tracker.

    Args:
        place: the folder that it writes into.
    """

    place: str = Field(min_length=1)


class Tracker(ABC):
    """Keeps the figures of one fit or run, for another program to show.

    `begin` comes first and `end` last. Between them `log` comes any number of times. An error is
    told once; the fit or run then goes on without the tracker.
    """

    Options: ClassVar[type[TrackerOptions]] = TrackerOptions

    def __init__(self, options: TrackerOptions) -> None:
        self.options = options

    @abstractmethod
    def begin(self, name: str, settings: Mapping[str, Any]) -> None:
        """Start to keep figures.

        Args:
            name: of the fit or run.
            settings: what decides it, as plain data.

        Raises:
            EnvironmentFault: the program is not installed; says what to install.
        """

    @abstractmethod
    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Keep figures by name, such as ``"held-out loss"``, at a step from 0 on."""

    @abstractmethod
    def end(self) -> None:
        """Write what is left, and close."""
