"""What the cell of each kind computes, wherever it is computed."""

from __future__ import annotations

import resource
from collections.abc import Mapping
from dataclasses import fields

from torch import Tensor

from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.edits import edit_milliseconds, measure_edits
from latentedit.benchmark.cells.possible import POSSIBLE, possible_images
from latentedit.benchmark.cells.rescoring import EditsKept, Replaced
from latentedit.benchmark.cells.sequences import measure_sequence
from latentedit.benchmark.cells.store import Cell
from latentedit.benchmark.cells.tuning import fit_entrant
from latentedit.editing.fitted import FittedEditor
from latentedit.interfaces.runtime import Progress


def faces_arrays(
    bench: Bench, progress: Progress, known: Mapping[str, Tensor] | None = None
) -> dict[str, Tensor]:
    """What is observed on the unedited test images, by name.

    Args:
        known: the same arrays of a run that is scored again; the same images take part.
    """
    test = bench.bank.split("test")
    observed = bench.look(test.codes, test.space, progress=progress, features=True)
    arrays = {field.name: getattr(observed, field.name) for field in fields(observed)}
    if bench.suite.shard is not None:
        arrays["labels"] = test.attributes
    if known is None:
        arrays |= possible_images(bench, observed.judged)
    elif POSSIBLE in known:
        arrays[POSSIBLE] = known[POSSIBLE]
    if bench.bank.inversion is not None:
        arrays["photo_embeddings"] = bench.photo_embeddings()
    return arrays


def fitted_entrant(
    bench: Bench, cell: Cell, progress: Progress
) -> tuple[FittedEditor, dict[str, float]]:
    """The editor of a fit cell, and what it cost."""
    editor, tuned = fit_entrant(bench, cell.entrant, cell.seed, progress)
    return editor, dict(editor.figures) | tuned | edit_costs(editor, bench)


def edit_costs(editor: FittedEditor, bench: Bench) -> dict[str, float]:
    """Time of an edit, and the memory of this process."""
    return {
        "edit_ms_batch_1": edit_milliseconds(editor, bench.bank, 1),
        "edit_ms_batch_64": edit_milliseconds(editor, bench.bank, 64, repeats=3),
        "peak_memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def edit_arrays(
    bench: Bench,
    cell: Cell,
    fitted: FittedEditor,
    before: Mapping[str, Tensor],
    progress: Progress,
) -> tuple[dict[str, Tensor], dict[str, float]]:
    """The arrays of a cell of a task or sequence, and what its edits cost.

    Args:
        before: of `faces_arrays`.

    Returns:
        The arrays, of which a shard without any faces of the task has ``faces`` alone.
    """
    suite = bench.suite
    if cell.kind == "sequence":
        sequence = next(entry for entry in suite.sequences if entry.name == cell.task)
        return measure_sequence(bench, fitted, sequence, before, progress)
    task = next(task for task in suite.tasks if task.name == cell.task)
    return measure_edits(bench, fitted, task, before, progress)


def arrays_again(
    bench: Bench,
    cell: Cell,
    faces: Mapping[str, Tensor],
    kept: tuple[Mapping[str, Tensor], Mapping[str, Tensor]],
    replaced: Replaced,
) -> dict[str, Tensor]:
    """The arrays of a task's cell with its edits scored again; none for any other cell.

    Args:
        faces: of `faces_arrays`, by the new models.
        kept: the cell's arrays and pictures by the old ones.
    """
    if cell.kind != "edit":
        return {}
    if not len(kept[0]["faces"]):
        return dict(kept[0])
    task = next(task for task in bench.suite.tasks if task.name == cell.task)
    return EditsKept(bench, task, faces, *kept, cell.seed, replaced).arrays()
