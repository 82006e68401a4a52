"""The trackers of one fit or run, as users name them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from latentedit.errors import EnvironmentFault, InputError
from latentedit.interfaces.tracker import Tracker
from latentedit.registry import Registry


class Tracking:
    """Trackers that keep the same figures.

    Args:
        notify: is told, in a sentence, of a tracker that failed.
    """

    def __init__(self, trackers: Mapping[str, Tracker], notify: Callable[[str], None]) -> None:
        self.trackers, self.notify = dict(trackers), notify
        self.step = 0

    def log(self, step: int, figures: Mapping[str, float]) -> None:
        """Keep `figures` at `step`."""
        self.step = max(self.step, step)
        self._each(lambda tracker: tracker.log(step, figures))

    def last(self, figures: Mapping[str, float]) -> None:
        """Keep final figures, at the last step that there was."""
        self.log(self.step, figures)

    def begin(self, name: str, settings: Mapping[str, Any]) -> None:
        self._each(lambda tracker: tracker.begin(name, settings))

    def end(self) -> None:
        self._each(lambda tracker: tracker.end())

    def _each(self, act: Callable[[Tracker], None]) -> None:
        """A tracker that fails is left out from then on: it must not cost hours of a fit."""
        for name, tracker in list(self.trackers.items()):
            try:
                act(tracker)
            except EnvironmentFault:
                raise
            except Exception as error:
                del self.trackers[name]
                self.notify(f"{name} keeps no more figures: {type(error).__name__}: {error}")


@contextmanager
def tracking(
    registry: Registry,
    places: Sequence[str],
    name: str,
    settings: Mapping[str, Any],
    notify: Callable[[str], None],
) -> Iterator[Tracking]:
    """Trackers that begin here and end with the block.

    Args:
        places: each ``"NAME:PLACE"``: an installed tracker, and where it writes.
        name, settings: as `Tracker.begin` takes them.

    Raises:
        InputError: a place is not written so.
        UnknownName: there is no such tracker.
        EnvironmentFault: its program is not installed.
    """
    trackers = {}
    for text in places:
        kind, _, place = text.partition(":")
        if not (kind and place):
            valid = ", ".join(registry.names("tracker")) or "(none)"
            raise InputError(f"--log takes NAME:FOLDER, received {text!r}. Names: {valid}")
        trackers[text] = registry.build("tracker", kind, {"place": place})
    kept = Tracking(trackers, notify)
    kept.begin(name, settings)
    try:
        yield kept
    finally:
        kept.end()
