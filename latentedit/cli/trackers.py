"""The trackers that commands take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from latentedit.cli.console import remark
from latentedit.registry import Registry

if TYPE_CHECKING:
    from latentedit.benchmark.results.records import Results
    from latentedit.editing.tracking import Tracking


@contextmanager
def tracked(places: Sequence[str], name: str, settings: Mapping[str, Any]) -> Iterator[Tracking]:
    """The trackers that ``--log`` names, while the block runs; errors of theirs go to stderr."""
    from latentedit.editing.tracking import tracking

    registry = Registry.discover() if places else Registry()
    with tracking(registry, places, name, settings, remark) as kept:
        yield kept


def figures_of(results: Results) -> dict[str, float]:
    """The means over all tasks that lists show, by metric and entrant."""
    from latentedit.benchmark.results.listed import listed_of

    return {f"{row.metric}/{row.editor}": row.mean for row in listed_of(results).measures}
