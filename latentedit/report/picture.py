"""One picture of a run, for a front page: images on the left, curves on the right."""

from __future__ import annotations

import io
from pathlib import Path

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure
from PIL import Image, ImageDraw
from torch import Tensor

from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import Results
from latentedit.benchmark.results.tally import mean_known
from latentedit.data.images import png
from latentedit.files.artefacts import write_bytes
from latentedit.report.figures import STYLE, colours
from latentedit.report.grid import draw_grid, font, refused

HEIGHT = 900
INK = (30, 32, 36)
FEW = 0.3
"""A curve ends where fewer than this share of the images reach the effect."""


def write_overview(folder: Path, path: Path, faces: int = 2) -> None:
    """Write a PNG of a run that `summarise` has been through.

    The left half shows images of each task under each editor at the first effect. An image that did
    not reach it is crossed out. The right half draws identity similarity against achieved effect.

    Args:
        faces: how many images of each task; those that most editors can edit come first.
    """
    run = Run(folder)
    results = run.results
    left = _faces(run, faces)
    left = left.resize((round(left.width * HEIGHT / left.height), HEIGHT), Image.Resampling.LANCZOS)
    right = _curves(results)
    page = Image.new("RGB", (left.width + right.width + 20, HEIGHT + 60), "white")
    page.paste(left, (0, 60))
    page.paste(right, (left.width + 20, 60 + (HEIGHT - right.height) // 2))
    share = f"{results.effect:.0%} of the requested change"
    title = f"The same {results.subject.many}, each editor at {share}"
    ImageDraw.Draw(page).text((24, 20), title, INK, font(26))
    write_bytes(path, png(page))


def _faces(run: Run, count: int) -> Image.Image:
    editors = [
        name
        for name in run.suite.editors
        if all(run.finished(name, task.name) for task in run.suite.tasks)
    ]
    rows, titles, captions = [], [], []
    for task in run.suite.tasks:
        finished = [run.finished(name, task.name)[0].arrays for name in editors]
        for i in _easiest(finished, count):
            rows.append([finished[0]["images"][i], *(_matched(arrays, i) for arrays in finished)])
            titles.append(task.name)
            captions.append(["", *(_caption(arrays, i) for arrays in finished)])
    half = -(-len(rows) // 2)
    parts = [
        draw_grid(rows[at], ["unedited", *editors], titles[at], captions[at], scale=2)
        for at in (slice(0, half), slice(half, None))
        if rows[at]
    ]
    joined = Image.new("RGB", (sum(p.width for p in parts), max(p.height for p in parts)), "white")
    for i, part in enumerate(parts):
        joined.paste(part, (sum(p.width for p in parts[:i]), 0))
    return joined


def _easiest(finished: list[dict[str, Tensor]], count: int) -> list[int]:
    """The shown images that most editors bring to the effect, in the order of the bank."""
    shown = finished[0]["matched_images"].shape[1]
    reached = torch.stack([~a["matched_strength"][0, :shown].isnan() for a in finished]).sum(0)
    best = reached.argsort(descending=True, stable=True)[:count]
    return sorted(best.tolist())


def _missed(arrays: dict[str, Tensor], i: int) -> bool:
    return bool(arrays["matched_strength"][0, i].isnan())


def _matched(arrays: dict[str, Tensor], i: int) -> Tensor:
    """The edited image, crossed out if it did not reach the effect."""
    image = arrays["matched_images"][0, i]
    return refused(image) if _missed(arrays, i) else image


def _caption(arrays: dict[str, Tensor], i: int) -> str:
    """Identity similarity by the first recogniser; or that the effect was not reached."""
    if _missed(arrays, i):
        return "not reached"
    return f"{float(arrays['matched_similarity'][0, 0, i]):.2f}"


def _curves(results: Results) -> Image.Image:
    curves = [curve for curve in results.curves if curve.metric.name == "identity similarity"]
    metric = curves[0].metric
    palette = colours(results.suite.editors, results.controls)
    with mpl.rc_context({**STYLE, "font.size": 15}):
        figure = Figure(figsize=(7.2, 8.2), dpi=100, layout="constrained")
        axis = figure.subplots()
        for name, colour in palette.items():
            mine = [curve for curve in curves if (curve.editor, curve.metric) == (name, metric)]
            if not mine:
                continue
            reach = np.mean([np.array(curve.reach) for curve in mine], 0)
            mean = mean_known(np.array([curve.mean for curve in mine], dtype=float))
            mean = np.where(reach < FEW, np.nan, mean)
            width = 1.5 if name in results.controls else 3
            axis.plot(mine[0].effect, mean, color=colour, linewidth=width, label=name)
        axis.set_xlabel("achieved share of the requested change")
        axis.set_ylabel(str(metric).replace(" · ", ", "))
        axis.set_xlim(0, 1)
        axis.legend(frameon=False, fontsize=13)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return Image.open(buffer).convert("RGB")
