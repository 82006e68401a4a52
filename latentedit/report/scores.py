"""Every edited image of a run in numbers, for pages that filter and group them."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.tally import mean_known
from latentedit.benchmark.results.values import FinishedEdits
from latentedit.data.attributes import Attribute
from latentedit.measures.definitions import SHARE
from latentedit.measures.metrics import TOLERANCE, attribute_leakage
from latentedit.measures.statistics import Interval, interval

Numbers = NDArray[np.float64]

SCALE = {"identity": 1e4, "leakage": 1e3, "effect": 1e3}
"""Numbers travel to the page as whole ones of 16 bits, so many times as large."""


@dataclass(frozen=True)
class EditScores:
    """The images of one entrant, task and fit at the first matched effect.

    Args:
        faces: (M,) rows of the test split.
        identity: (M,) similarity by the first recogniser; NaN without one.
        leakage: (M,) mean |change| of the other attributes, in σ.
        effect: (M,) achieved share of the requested change.
        reached: (M,) whether the effect was attained.
    """

    faces: NDArray[np.int64]
    identity: Numbers
    leakage: Numbers
    effect: Numbers
    reached: NDArray[np.bool_]


def edit_scores(edits: FinishedEdits, run: Run) -> EditScores:
    arrays, reference = edits.arrays, run.reference
    leakage = attribute_leakage(
        reference.faces["judged"][arrays["faces"]],
        arrays["matched_judged"][0],
        reference.sigma,
        reference.schema,
        edits.attribute,
    )
    similarity = arrays["matched_similarity"][0]
    missing = np.full(len(leakage), np.nan)
    return EditScores(
        arrays["faces"].numpy(),
        similarity[0].double().numpy() if len(similarity) else missing,
        leakage.double().numpy(),
        arrays["matched_effect"][0].double().numpy(),
        ~arrays["matched_strength"][0].isnan().numpy(),
    )


Scores = Mapping[tuple[str, str], list[EditScores]]
"""By entrant and task, one a fit seed."""


def run_scores(run: Run) -> Scores:
    return {
        (name, task.name): [edit_scores(edits, run) for edits in run.finished(name, task.name)]
        for name in run.suite.entrants
        for task in run.suite.tasks
    }


def matched_off(scores: Scores, wanted: float) -> float:
    """The share of the images that reached the effect whose achieved change is further from
    `wanted` than the tolerance of matching; 0 where none reached it."""
    effects = [one.effect[one.reached] for fits in scores.values() for one in fits]
    known = np.concatenate(effects) if effects else np.zeros(0)
    return float((np.abs(known - wanted) > TOLERANCE).mean()) if known.size else 0.0


@dataclass(frozen=True)
class Group:
    """Some of the images, by what the judge sees before any edit.

    Args:
        members: (N,) which test images.
    """

    attribute: str
    name: str
    members: NDArray[np.bool_]


def groups(run: Run) -> list[Group]:
    """Two groups an attribute that is one number: below and above the middle of its range, or the
    median where it has no two ends with a meaning."""
    found: list[Group] = []
    for attribute in run.reference.schema:
        if attribute.kind != "vector":
            column = run.reference.schema.columns(attribute.name).start
            found += _halves(attribute, run.reference.faces["judged"][:, column].double().numpy())
    return found


def _halves(attribute: Attribute, values: Numbers) -> Iterator[Group]:
    binary = attribute.kind == "binary"
    middle = (attribute.low + attribute.high) / 2 if binary else float(np.median(values))
    low, high = f"below {middle:.3g} {attribute.unit}", f"from {middle:.3g} {attribute.unit}"
    if binary:
        ends = {value[0]: name for name, value in attribute.named.items()}
        low, high = ends.get(attribute.low, "without"), ends.get(attribute.high, "with")
    for name, members in ((low, values < middle), (high, values >= middle)):
        if members.any():
            yield Group(attribute.name, name.strip(), members)


@dataclass(frozen=True)
class GroupTable:
    """One metric: for each group, by editor, a mean over its images; None where it has none."""

    metric: str
    rows: list[tuple[Group, list[Interval | None]]]


def group_tables(run: Run, scores: Scores, found: list[Group]) -> list[GroupTable]:
    """Identity similarity, attribute leakage and reach of every editor in every group; fits and
    tasks of one image are averaged first."""
    confidence = run.suite.statistics.confidence
    tables = []
    for metric, unit in (("identity similarity", ""), ("attribute leakage", ""), ("reach", SHARE)):
        of_editor = [_of_faces(metric, name, run, scores) for name in run.suite.editors]
        rows = [
            (group, [_mean(faces[group.members], confidence, unit) for faces in of_editor])
            for group in found
        ]
        if any(cell for _, cells in rows for cell in cells):
            tables.append(GroupTable(metric, rows))
    return tables


def _of_faces(metric: str, name: str, run: Run, scores: Scores) -> Numbers:
    """(N,) a number a test image, NaN where there is none."""
    rows = [np.full(run.n, np.nan)]
    for task in run.suite.tasks:
        for one in scores[name, task.name]:
            row = np.full(run.n, np.nan)
            values = {"identity similarity": one.identity, "attribute leakage": one.leakage}
            reached = np.where(one.reached, values.get(metric, np.nan), np.nan)
            row[one.faces] = one.reached if metric == "reach" else reached
            rows.append(row)
    return mean_known(np.stack(rows))


def _mean(values: Numbers, confidence: float, unit: str) -> Interval | None:
    if np.isnan(values).all():
        return None
    return interval(values, confidence=confidence, share=unit == SHARE)


def explorer(run: Run, scores: Scores, found: list[Group]) -> dict[str, Any]:
    """What the page's script filters: every image of the first fit, numbers packed in base64.

    ``faces`` has the rows of the test split that each task edits. ``edits`` has an entry for each
    entrant and task with a result: their numbers; identity, leakage and effect as little-endian
    whole numbers of 16 bits; and one byte an image for reached.
    """
    entrants, tasks = list(run.suite.entrants), [task.name for task in run.suite.tasks]
    return {
        "entrants": entrants,
        "controls": len(run.suite.control_names),
        "tasks": tasks,
        "faces": [_faces(task, scores) for task in tasks],
        "wanted": run.suite.effects[0],
        "groups": [
            {"name": f"{g.attribute}: {g.name}", "faces": np.flatnonzero(g.members).tolist()}
            for g in found
        ],
        "scale": SCALE,
        "edits": [
            [entrants.index(name), tasks.index(task), *_packed(fits[0])]
            for (name, task), fits in scores.items()
            if fits
        ],
    }


def _packed(one: EditScores) -> list[str]:
    whole = [_whole(getattr(one, name) * scale) for name, scale in SCALE.items()]
    parts = [part.tobytes() for part in (*whole, one.reached.astype("u1"))]
    return [base64.b64encode(part).decode() for part in parts]


def _faces(task: str, scores: Scores) -> list[int]:
    """Every entrant edits the same ones."""
    known = [fits[0] for (_, of), fits in scores.items() if of == task and fits]
    return known[0].faces.tolist() if known else []


def _whole(values: Numbers) -> NDArray[np.int16]:
    """Rounded and held within 16 bits; NaN is the smallest number."""
    lowest, highest = -32768, 32767
    held = np.clip(np.round(values), lowest + 1, highest)
    return np.where(np.isnan(values), lowest, held).astype("<i2")
