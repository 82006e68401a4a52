"""The few figures of a run that lists show, in a small record beside its results.

``results.json`` may hold megabytes. ``listed.json`` is read in milliseconds, and used only where it
was written with the suite, provenance and results that the run has now.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import ConfigDict

from latentedit.benchmark.provenance import PROVENANCE
from latentedit.benchmark.results.keys import ALL_TASKS, RecordedMetric
from latentedit.benchmark.results.rows import Measure
from latentedit.benchmark.results.signed import read_signed, recorded_digest, write_signed
from latentedit.benchmark.suite import SUITE_FILE
from latentedit.errors import InputError
from latentedit.files.artefacts import Digest, file_digest
from latentedit.files.records import StrictRecord
from latentedit.measures.headline import brief, headlines

if TYPE_CHECKING:
    from latentedit.benchmark.results.records import Results

LISTED, RESULTS = "listed.json", "results.json"


@dataclass(frozen=True)
class Listed:
    """What lists show of a run.

    Args:
        metrics: definitions of the headline metrics.
        measures: of the brief ones, over all tasks, at the first effect or at none.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)

    faces: int
    metrics: dict[str, RecordedMetric]
    measures: tuple[Measure, ...]


class ListedRecord(StrictRecord):
    """``listed.json``.

    Args:
        written_with: digests of the run's suite, provenance, bank and results.
    """

    written_with: dict[str, Digest]
    listed: Listed


def listed_of(results: Results) -> Listed:
    names, shown = headlines(results.metrics), brief(results.metrics)
    rows = (m for m in results.measures if m.task == ALL_TASKS and results.at_effect(m))
    return Listed(
        results.faces,
        {name: metric for name, metric in results.metrics.items() if name in names},
        tuple(row for row in rows if row.metric.name in shown),
    )


def write_listed(folder: Path, results: Results) -> None:
    """Of a run whose results are written."""
    written_with = _written_with(folder, results.bank_hash)
    record = ListedRecord(written_with=written_with, listed=listed_of(results))
    write_signed(folder / LISTED, record.model_dump(mode="json"))


def read_listed(folder: Path, bank_hash: Digest) -> Listed | None:
    """What `write_listed` wrote; None where there is none, or the run has changed since."""
    try:
        record = read_signed(folder / LISTED, ListedRecord, "")
        if record.written_with != _written_with(folder, bank_hash):
            return None
    except InputError:
        return None
    known = set(record.listed.metrics) == set(headlines(record.listed.metrics))
    return record.listed if known else None


def _written_with(folder: Path, bank_hash: Digest) -> dict[str, Digest]:
    return {
        "suite": file_digest(folder / SUITE_FILE),
        "provenance": file_digest(folder / PROVENANCE),
        "bank": bank_hash,
        "results": recorded_digest(folder / RESULTS),
    }
