"""Smaller parts of a suite: sequences of tasks, tuning, and limits of cells."""

from __future__ import annotations

from pydantic import AliasChoices, Field

from latentedit.benchmark.plugin_use import SuitePart


class Sequence(SuitePart):
    """Tasks that are done one after the other, in every order and back again.

    Only images that all of them edit take part.
    """

    name: str = Field(description="name of the sequence, apart from those of tasks")
    edits: list[str] = Field(min_length=2, max_length=3, description="names of its tasks")


class Tune(SuitePart):
    """Options chosen on a validation split, with one budget for all editors.

    Each editor is fitted `trials` times, with its defaults and with the first of the candidates
    that it declares, on the fit split less its last `images`. These are edited, and judged by the
    labeller and the recognisers; the fit with the highest score stays. Options that a suite states
    are never tried, and controls are not tuned.
    """

    trials: int = Field(default=3, ge=2, le=100, description="fits of each editor and seed")
    images: int = Field(
        default=40,
        ge=2,
        validation_alias=AliasChoices("images", "faces"),  # its name in older suites
        description="images held out of the fit split",
    )


class Limits(SuitePart):
    """What one cell may take.

    Memory is the cell's own: files that it maps do not count. Without `memory_gib`, cells side by
    side share four fifths of the machine's.
    """

    seconds: float = Field(default=1800, gt=0, description="wall clock")
    memory_gib: float | None = Field(default=None, gt=0, description="GiB of memory")
