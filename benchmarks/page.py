"""Size and speed of the page of a large run: 500 faces, 8 tasks, 16 editors, drawn at random.

    python benchmarks/page.py FOLDER

It writes the run into FOLDER, and prints the bytes of its page and, where playwright and Chromium
are installed, the milliseconds that each filter takes.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentedit.benchmark.cells.store import Cell, CellStore, Outcome
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.suite import Suite
from latentedit.data.attributes import Attribute, AttributeSchema
from latentedit.data.bank import LatentBank, ModelReference
from latentedit.data.split import Split
from latentedit.files.artefacts import write_json
from latentedit.report.page import write_report

RECOGNISERS = ("recogniser-one", "recogniser-two")
FACES, TASKS, EDITORS, CONTROLS, SHOWN, SIDE = 500, 8, 16, 5, 6, 64
SCHEMA = AttributeSchema(
    tuple(Attribute(f"attribute-{i}", "continuous", -9.0, 9.0, "units") for i in range(TASKS))
)


def big_suite() -> Suite:
    return Suite.model_validate(
        {
            "name": "big",
            "summary": "As many editors, tasks and faces as a page must bear.",
            "bank": {"generator": "g", "labeller": "l", "n_fit": 10, "n_test": FACES},
            "judge": "the-judge",
            "identity": list(RECOGNISERS),
            "editors": {f"editor-{i}": {"plugin": f"editor-{i}"} for i in range(EDITORS)},
            "controls": [f"control-{i}" for i in range(CONTROLS)],
            "tasks": [{"attribute": name, "change": 5} for name in SCHEMA.names],
            "strengths": [0.5, 1.0, 2.0],
            "show_images": SHOWN,
        }
    )


def write_big_run(folder: Path) -> Path:
    """Everything but the results, which `summarise` makes."""
    suite, rng = big_suite(), torch.Generator().manual_seed(0)
    judged = 3 * torch.randn(FACES, TASKS, generator=rng)
    split = Split("w", SCHEMA, ((torch.zeros(FACES, 2), judged),))
    models = ModelReference("g", {}, "f" * 16), ModelReference("l", {}, "e" * 16)
    counts = {"seed": 0, "truncation_psi": 1.0, "fit": FACES, "test": FACES}
    LatentBank.write(folder / "bank", {"fit": split, "test": split}, *models, counts)
    write_json(folder / "run.json", {"format": "latentedit run 1", "bank": None})
    write_json(folder / "suite.json", suite.model_dump(mode="json"))
    write_json(folder / "provenance.json", _provenance())
    store = CellStore(folder)
    known = {
        "identity": torch.zeros(FACES, 0),
        "embeddings": torch.zeros(len(RECOGNISERS), FACES, 4),
    }
    faces = {"judged": judged, **known}
    store.commit(Cell("faces", {}), Outcome("ok", 1.0, arrays=faces))
    fit = ("fit_seconds", "edit_ms_batch_1", "edit_ms_batch_64", "peak_memory_mb")
    timings = dict.fromkeys(fit, 1.0)
    for name in suite.entrants:
        store.commit(Cell("fit", {}, name), Outcome("ok", 1.0, timings=timings))
    for (i, name), task in itertools.product(enumerate(suite.entrants), range(TASKS)):
        cell = Cell("edit", {}, name, 0, SCHEMA.names[task])
        arrays = _edits(judged, task, 0.03 * i, rng)
        store.commit(
            cell, Outcome("ok", 1.0, arrays=arrays, timings={"nfe": 1.0, "edit_calls": 1.0})
        )
    return folder


def _edits(judged: Tensor, task: int, worse: float, rng: torch.Generator) -> dict[str, Any]:
    """Arrays of one cell: identity lower and leakage higher by `worse`."""
    recognisers = len(RECOGNISERS)

    def drawn(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=rng)

    strengths = torch.tensor([0.5, 1.0, 2.0])[:, None]
    strength = 0.8 + 0.4 * drawn(1, FACES)
    strength[drawn(1, FACES) < worse / 3] = float("nan")
    noise = (255 * drawn(2, SHOWN, 3, SIDE // 8, SIDE // 8)).byte()
    smooth = torch.nn.functional.interpolate(noise.flatten(0, 1).float(), SIDE, mode="bilinear")
    images = (smooth + 6 * drawn(*smooth.shape)).clamp(0, 255).byte()
    return {
        "faces": torch.arange(FACES),
        "source": judged[:, task].clone(),
        "change": torch.full((FACES,), 5.0),
        "judged": judged + (0.2 + worse) * drawn(3, FACES, TASKS),
        "effect": strengths * (0.6 + 0.6 * drawn(1, FACES)),
        "similarity": 1 - strengths[:, None] * (0.1 + worse) * drawn(3, recognisers, FACES),
        "round_trip": 0.01 * drawn(FACES),
        "round_trip_pixels": drawn(FACES),
        "round_trip_identity": 0.01 * drawn(recognisers, FACES),
        "matched_strength": strength,
        "matched_effect": 0.76 + 0.1 * drawn(1, FACES),
        "matched_judged": judged + (0.2 + worse) * drawn(1, FACES, TASKS),
        "matched_similarity": 1 - (0.1 + worse) * drawn(1, recognisers, FACES),
        "matched_kernel": drawn(1, FACES),
        "matched_likelihood": drawn(1, FACES),
        "matched_mahalanobis": drawn(1, FACES),
        "matched_frechet": drawn(1),
        "matched_features": torch.full((1,), TASKS),
        "images": images[:SHOWN],
        "matched_images": images[None, SHOWN:],
    }


def _provenance() -> dict[str, Any]:
    model = {"options": {}, "fingerprint": "f" * 16}
    bank = {"hash": "b" * 12, "seed": 0, "truncation_psi": 1.0, "fit": FACES, "test": FACES}
    for role, name in (("generator", "g"), ("labeller", "l")):
        bank |= {role: name, f"{role}_options": {}, f"{role}_fingerprint": "f" * 16}
    return {
        "latentedit": "0",
        "python": "3",
        "packages": {},
        "bank": bank,
        "judge": {"name": "the-judge", **model, "card": {}},
        "identity": [{"name": n, **model, "threshold": 0.5, "card": {}} for n in RECOGNISERS],
        "plugins": {},
        "threads": 1,
        "batch": 64,
    }


CHOICES = (
    *(("task", "3"), ("task", ""), ("entrant", "7"), ("entrant", ""), ("group", "2")),
    *(("order", "leakage"), ("order", "effect"), ("facet", "task"), ("facet", "entrant")),
    *(("facet", "group"), ("group", ""), ("facet", "")),
)
"""Fields of the page's filter, and what is chosen one after the other."""
CHOOSE = """([name, value]) => {
  const form = document.querySelector("form.explore"), start = performance.now();
  form.elements[name].value = value;
  form.dispatchEvent(new Event("change"));
  document.body.getBoundingClientRect();
  return performance.now() - start;
}"""


def filter_times(page: Path) -> dict[str, float]:
    """Milliseconds of each choice, script and layout."""
    from playwright.sync_api import sync_playwright

    flags = ["--no-sandbox", "--disable-gpu"]
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
        shown = browser.new_page(viewport={"width": 1280, "height": 900})
        shown.goto(page.resolve().as_uri())
        times = {f"{n}={v or 'all'}": shown.evaluate(CHOOSE, [n, v]) for n, v in CHOICES}
        browser.close()
    return times


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path, help="a new folder for the run")
    folder = parser.parse_args().folder
    summarise(write_big_run(folder))
    page = write_report(folder)
    print(f"{page.stat().st_size:,} bytes")
    for name, milliseconds in filter_times(page).items():
        print(f"{name:16} {milliseconds:6.0f} ms")


if __name__ == "__main__":
    main()
