"""Single faces and groups of them on a report's page: all of them, with their own numbers."""

from __future__ import annotations

import base64
import itertools
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flat_results import read_flat, write_flat
from made_cells import edit_arrays, unedited
from made_runs import write_run
from made_world import CONTROLS, EDITORS, FACES, SHOWN, TASKS
from page_reading import Element, headings, read_page, rows, section
from test_report_drawings import leak

from latentedit.benchmark.cells.store import Cell, CellStore, Outcome
from latentedit.benchmark.results.reading import Run
from latentedit.measures.metrics import TOLERANCE
from latentedit.report.faces import Shown, face_blocks
from latentedit.report.page import write_report

ENTRANTS = [*EDITORS, *CONTROLS]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = write_run(tmp_path_factory.mktemp("made") / "run")
    write_flat(folder, read_flat(folder) | {"curves": []})
    return folder


@pytest.fixture(scope="module")
def page(folder: Path) -> Element:
    return read_page(write_report(folder).read_text())


def whole(text: str) -> Any:
    return np.frombuffer(base64.b64decode(text), "<i2")


def test_the_script_has_every_face_of_every_entrant_and_task(page: Element) -> None:
    data = json.loads(page.one("script", id="every-face-data").text)
    assert data["entrants"] == ENTRANTS
    assert data["controls"] == len(CONTROLS)
    assert data["faces"] == [FACES[task] for task in TASKS]
    assert [(ENTRANTS[e], TASKS[t]) for e, t, *_ in data["edits"]] == [
        (name, task) for name in ENTRANTS for task in TASKS
    ]
    for entrant, task, identity, leakage, effect, reached in data["edits"]:
        name, of = ENTRANTS[entrant], TASKS[task]
        arrays = edit_arrays(name, of)
        assert whole(identity) / data["scale"]["identity"] == pytest.approx(
            arrays["matched_similarity"][0, 0].numpy(), abs=1e-4
        )
        assert whole(leakage) / data["scale"]["leakage"] == pytest.approx(
            [leak(of, arrays, i) for i in range(len(FACES[of]))], abs=1e-3
        )
        assert whole(effect) / data["scale"]["effect"] == pytest.approx(
            arrays["matched_effect"][0].numpy(), abs=1e-3
        )
        flags = np.frombuffer(base64.b64decode(reached), "u1").astype(bool)
        assert len(identity + leakage + effect + reached) <= 10 * len(FACES[of]) + 12
        assert flags.tolist() == (~arrays["matched_strength"][0].isnan()).tolist()


def test_groups_part_the_faces_by_what_the_judge_sees_before_the_edit(page: Element) -> None:
    """Years and degrees at their median, glasses at the middle of the range."""
    data = json.loads(page.one("script", id="every-face-data").text)
    judged = unedited()["judged"].double().numpy()
    age, yaw = np.median(judged[:, 0]), np.median(judged[:, 2])
    expected = {
        f"age: below {age:.3g} years": judged[:, 0] < age,
        f"age: from {age:.3g} years": judged[:, 0] >= age,
        "glasses: without": judged[:, 1] < 0.5,
        "glasses: with": judged[:, 1] >= 0.5,
        f"yaw: below {yaw:.3g} degrees": judged[:, 2] < yaw,
        f"yaw: from {yaw:.3g} degrees": judged[:, 2] >= yaw,
    }
    found = {group["name"]: group["faces"] for group in data["groups"]}
    assert found == {name: np.flatnonzero(of).tolist() for name, of in expected.items()}


def test_a_groups_row_has_the_mean_of_its_faces_by_editor_with_an_interval(page: Element) -> None:
    data = json.loads(page.one("script", id="every-face-data").text)
    part = section(page, "Groups of faces")
    metrics = [s.text for s in part.all("summary")]
    assert metrics == ["identity similarity", "attribute leakage", "reach"]
    for metric, table in zip(metrics, part.all("table"), strict=True):
        assert headings(table) == ["group", "faces", *EDITORS]
        for row, group in zip(rows(table), data["groups"], strict=True):
            assert row[0].text == group["name"]
            assert row[1].text == str(len(group["faces"]))
            for cell, name in zip(row[2:], EDITORS, strict=True):
                values = np.array([of_face(metric, name, face) for face in group["faces"]])
                assert cell.own == f"{np.nanmean(values):.3f}"
                bounds = re.fullmatch(r"(-?[\d.]+) to (-?[\d.]+)", cell.small)
                known = int((~np.isnan(values)).sum())
                if known < 10:
                    assert cell.small == f"of {known} faces"
                else:
                    assert bounds
                    assert float(bounds[1]) <= np.nanmean(values) <= float(bounds[2])


def of_face(metric: str, name: str, face: int) -> float:
    """Over the tasks that ask it of the face."""
    found = []
    for task in TASKS:
        if face in FACES[task]:
            arrays, i = edit_arrays(name, task), FACES[task].index(face)
            reached = not bool(arrays["matched_strength"][0, i].isnan())
            value = {
                "identity similarity": float(arrays["matched_similarity"][0, 0, i]),
                "attribute leakage": leak(task, arrays, i),
                "reach": float(reached),
            }[metric]
            if reached or metric == "reach":
                found.append(value)
    return float(np.mean(found)) if found else np.nan


def test_a_face_further_from_the_effect_than_matching_allows_is_marked(page: Element) -> None:
    marked = 0
    for grid in page.all("div", class_="faces"):
        for face in (f for f in grid.all("div") if "face" in f.classes):
            name, i = face.attributes["data-editor"], int(face.attributes["data-face"])
            if name == "unedited":
                assert int(face.attributes["data-row"]) == FACES[grid.attributes["data-task"]][i]
                continue
            arrays = edit_arrays(name, grid.attributes["data-task"])
            reached = not bool(arrays["matched_strength"][0, i].isnan())
            off = abs(float(arrays["matched_effect"][0, i]) - 0.8) > TOLERANCE
            assert bool(face.all("b", class_="off")) == (off and reached)
            marked += off and reached
    assert marked > 3


def test_the_page_says_how_close_matching_is_and_how_many_faces_are_further_away(
    page: Element,
) -> None:
    off = []
    for name in ENTRANTS:
        for task in TASKS:
            arrays = edit_arrays(name, task)
            reached = ~arrays["matched_strength"][0].isnan()
            off.append((arrays["matched_effect"][0][reached] - 0.8).abs() > TOLERANCE)
    share = float(torch.cat(off).double().mean())
    told = page.one("details", class_="read").text
    assert "achieved 80 %, give or take 5 points." in told
    assert f"{100 * share:.1f} % of the faces that reached it are further away" in told


def test_pictures_are_compressed_and_then_left_out_where_they_take_too_much_room(
    tmp_path: Path,
) -> None:
    run = Run(write_run(tmp_path / "run"))
    store, rng = CellStore(run.folder), torch.Generator().manual_seed(0)
    for name, task in itertools.product(ENTRANTS, TASKS):
        noise = torch.randint(0, 256, (3, SHOWN, 3, 32, 32), generator=rng, dtype=torch.uint8)
        arrays = edit_arrays(name, task) | {"images": noise[0], "matched_images": noise[1:]}
        store.commit(Cell("edit", {}, name, 0, task), Outcome("ok", 1.0, arrays=arrays))
    shown = [Shown(name, name, run) for name in ENTRANTS]

    def seen(most: int) -> tuple[set[str], set[int], int]:
        blocks = face_blocks(shown, most)
        faces = [f for b in blocks for row in (b.originals, *b.rows.values()) for f in row]
        assert {block.kept for block in blocks} == {SHOWN}
        kinds = {face.uri.partition(";")[0] for face in faces}
        counts = {len(row) for b in blocks for row in (b.originals, *b.rows.values())}
        return kinds, counts, sum(len(face.uri) for face in faces)

    kinds, counts, lossless = seen(10**9)
    assert (kinds, counts) == ({"data:image/png"}, {SHOWN})
    assert seen(lossless)[0] == {"data:image/png"}
    kinds, counts, lossy = seen(lossless - 1)
    assert (kinds, counts) == ({"data:image/webp"}, {SHOWN})
    assert lossy < lossless
    kinds, counts, fewer = seen(lossy - 1)
    assert (kinds, counts) == ({"data:image/webp"}, {SHOWN - 1})
    assert fewer < lossy
    assert seen(1)[1] == {1}
