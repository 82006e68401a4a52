"""Results as rows of plain values, each metric as the text that people read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from latentedit.benchmark.results import summary
from latentedit.benchmark.results.comparison import Comparison
from latentedit.benchmark.results.keys import MetricKey
from latentedit.benchmark.results.records import Results, ResultsRecord
from latentedit.files.artefacts import canonical_json, write_json


def key_of(text: str) -> MetricKey:
    """The key that has this text."""
    name, *details = text.split(" · ")
    counts = [d.split()[0] for d in details if d.endswith((" edit", " edits"))]
    recognisers = [d for d in details if not d.endswith((" edit", " edits"))]
    return MetricKey(name, "".join(recognisers), int("".join(counts) or 0))


def flat(value: Any) -> Any:
    """Plain data with the text of a metric in place of its parts."""
    if isinstance(value, dict):
        if set(value) == {"name", "recogniser", "edits"}:
            return str(MetricKey(**value))
        return {key: flat(part) for key, part in value.items()}
    return [flat(part) for part in value] if isinstance(value, list | tuple) else value


def flat_rows(rows: Iterable[Any]) -> list[dict[str, Any]]:
    """Of dataclasses."""
    return [flat(asdict(row)) for row in rows]


def with_keys(value: Any) -> Any:
    """The opposite of `flat`: the parts of each metric in place of its text."""
    if isinstance(value, list):
        return [with_keys(part) for part in value]
    if not isinstance(value, dict):
        return value
    return {
        name: asdict(key_of(part))
        if name == "metric" and isinstance(part, str)
        else with_keys(part)
        for name, part in value.items()
    }


def read_flat(folder: Path) -> dict[str, Any]:
    """``results.json`` of a run."""
    found: dict[str, Any] = flat(json.loads((folder / "results.json").read_text()))
    return {name: value for name, value in found.items() if name != "sha256"}


def write_flat(folder: Path, results: dict[str, Any]) -> None:
    """``results.json`` of a run."""
    plain = with_keys(results)
    digest = hashlib.sha256(canonical_json(plain)).hexdigest()
    write_json(folder / "results.json", plain | {"sha256": digest})


def summarise(folder: Path) -> dict[str, Any]:
    """What `summarise` returns."""
    found: dict[str, Any] = flat(ResultsRecord(summary.summarise(folder)).model_dump(mode="json"))
    return found


def typed(results: dict[str, Any]) -> Results:
    return ResultsRecord.model_validate_json(json.dumps(with_keys(results))).root


def comparison(**fields: Any) -> Comparison:
    """One with these fields, and some value for every other."""
    given = {"first": "a", "second": "b", "task": "age", "metric": MetricKey("reach")}
    given |= {"effect": 0.8, "difference": 0.2, "low": None, "high": None, "faces": 9, "p": 1.0}
    given |= {"fits": 1, "holm": None, "verdict": "exploratory"}
    return Comparison(**(given | fields))


def leader(row: dict[str, Any]) -> str | None:
    """The editor that a plain row of a comparison says is better or ahead."""
    leads = {"better": "first", "ahead": "first", "worse": "second", "behind": "second"}
    return row[leads[row["verdict"]]] if row["verdict"] in leads else None
