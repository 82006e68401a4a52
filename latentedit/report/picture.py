"""One picture of a run, for a front page: the faces and the curves side by side."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from latentedit.benchmark.results.paired import mean_known
from latentedit.benchmark.results.summary import Run
from latentedit.files.artefacts import read_json, write_bytes
from latentedit.report.figures import STYLE, colours
from latentedit.report.grid import draw_grid, png

HEIGHT = 900
INK, QUIET = (30, 32, 36), (100, 106, 115)


def write_overview(folder: Path, path: Path, faces: int = 2) -> None:
    """Write a PNG: left, the first faces of each task under each editor at the matched effect;
    right, identity similarity against achieved effect.

    Args:
        folder: a run that `summarise` has been through.
        faces: how many faces of each task.
    """
    run, results = Run(folder), read_json(folder / "results.json")
    left = _faces(run, faces)
    left = left.resize((round(left.width * HEIGHT / left.height), HEIGHT), Image.Resampling.LANCZOS)
    right = _curves(results)
    page = Image.new("RGB", (left.width + right.width + 20, HEIGHT + 60), "white")
    page.paste(left, (0, 60))
    page.paste(right, (left.width + 20, 60 + (HEIGHT - right.height) // 2))
    effect = results["suite"]["effects"][0]
    title = f"The same faces, each editor at {effect:.0%} of the requested change"
    ImageDraw.Draw(page).text((24, 20), title, INK, ImageFont.load_default(size=30))
    write_bytes(path, png(page))


def _faces(run: Run, count: int) -> Image.Image:
    editors = [name for name in run.suite.editors if all(map(bool, _every_case(run, name)))]
    rows, titles, captions = [], [], []
    for task in run.suite.tasks:
        cases = {name: run.cases(name, task.name) for name in editors}
        known = [case[0].arrays for case in cases.values()]
        shown = known[0]["matched_images"].shape[1]
        reached = [~arrays["matched_strength"][0, :shown].isnan().numpy() for arrays in known]
        best = np.argsort(-np.sum(reached, 0), kind="stable")[:count]
        for i in sorted(best.tolist()):
            rows.append([known[0]["images"][i], *(a["matched_images"][0, i] for a in known)])
            titles.append(task.name)
            captions.append(
                [
                    "",
                    *(f"{float(a['matched_similarity'][0, 0, i]):.2f}" for a in known),
                ]
            )
    half = -(-len(rows) // 2)
    columns = ["unedited", *editors]
    parts = [
        draw_grid(rows[at], columns, titles[at], captions[at], scale=2)
        for at in (slice(0, half), slice(half, None))
        if rows[at]
    ]
    joined = Image.new("RGB", (sum(p.width for p in parts), max(p.height for p in parts)), "white")
    for i, part in enumerate(parts):
        joined.paste(part, (sum(p.width for p in parts[:i]), 0))
    return joined


def _every_case(run: Run, editor: str) -> list[list[Any]]:
    return [list(run.cases(editor, task.name)) for task in run.suite.tasks]


def _curves(results: dict[str, Any]) -> Image.Image:
    rows = [r for r in results["curves"] if r["metric"].startswith("identity similarity")]
    metric = rows[0]["metric"]
    palette = colours(results)
    with mpl.rc_context({**STYLE, "font.size": 15}):
        figure = Figure(figsize=(7.2, 8.2), dpi=100, layout="constrained")
        axis = figure.subplots()
        for name, colour in palette.items():
            mine = [r for r in rows if r["editor"] == name and r["metric"] == metric]
            if not mine:
                continue
            reach = np.mean([np.array(r["reach"]) for r in mine], 0)
            mean = mean_known(np.array([r["mean"] for r in mine], dtype=float))
            mean = np.where(reach < 0.3, np.nan, mean)
            control = name in results["controls"]
            axis.plot(
                mine[0]["effect"], mean, color=colour, linewidth=1.5 if control else 3, label=name
            )
        axis.set_xlabel("achieved share of the requested change")
        axis.set_ylabel(metric.replace(" · ", ", "))
        axis.set_xlim(0, 1)
        axis.legend(frameon=False, fontsize=13)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", metadata={"Software": None})
    return Image.open(buffer).convert("RGB")
