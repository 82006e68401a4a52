"""Pictures of the pages, drawn from the images of a finished run. The results in docs/results have
no images, so these are drawn once, when the results are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from shipped import ROOT

from latentedit.benchmark.results.reading import Run
from latentedit.report.grid import refused, save_grid
from latentedit.report.picture import write_overview

SHOWN = (
    "styleflow",
    "styleflow-flowedit",
    "conditional-mean",
    "min-norm",
    "interfacegan",
    "interfacegan-whitened",
    "surrogate-gradient",
    "stylespace",
)
"""Editors of the picture of the field."""
SHOWN_REAL = (
    "styleflow",
    "coupling-flow",
    "latent-transformer",
    "surrogate-gradient",
    "conditional-mean",
    "min-norm",
    "interfacegan",
    "ganspace",
    "sefa",
)
"""Editors of the picture of the long run on published networks."""


def quickstart(folder: Path) -> None:
    write_overview(folder, ROOT / "docs" / "quickstart.png")


def real_quick(folder: Path) -> None:
    write_overview(folder, ROOT / "docs" / "real-quick.png")


def field(folder: Path) -> None:
    one_face_a_task(folder, SHOWN, ROOT / "docs" / "field.png")


def real(folder: Path) -> None:
    one_face_a_task(folder, SHOWN_REAL, ROOT / "docs" / "real.png")


def one_face_a_task(folder: Path, shown_editors: tuple[str, ...], picture: Path) -> None:
    """One face in every task, unedited and under each of the editors that the run has: the shown
    face that most of them edit. A failed edit is crossed out."""
    run = Run(folder)
    editors = [name for name in shown_editors if name in run.suite.editors]
    rows, titles, captions = [], [], []
    for task in run.suite.tasks:
        cells = [run.finished(name, task.name)[0].arrays for name in editors]
        shown = cells[0]["matched_images"].shape[1]
        failed = [c["matched_strength"][0, :shown].isnan().tolist() for c in cells]
        face = min(range(shown), key=lambda i: sum(own[i] for own in failed))
        images = [c["matched_images"][0, face] for c in cells]
        crossed = [refused(x) if own[face] else x for x, own in zip(images, failed, strict=True)]
        similar = [f"{float(c['matched_similarity'][0, 0, face]):.2f}" for c in cells]
        marks = ["failed" if own[face] else s for s, own in zip(similar, failed, strict=True)]
        rows.append([cells[0]["images"][face], *crossed])
        titles.append(task.name)
        captions.append(["", *marks])
    save_grid(picture, rows, ["unedited", *editors], titles, captions)


PICTURES: dict[str, Callable[[Path], None]] = {
    "quickstart": quickstart,
    "field": field,
    "real-quick": real_quick,
    "real": real,
}
"""By the name of the suite."""
