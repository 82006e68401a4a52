"""A batch of codes is drawn and judged once, and no figure changes by that."""

from __future__ import annotations

from typing import Any

import pytest
import telling_world as world
import torch
from telling_runs import Told
from torch import Tensor

from latentedit.benchmark.cells.bench import Bench
from latentedit.benchmark.cells.edits import measure_edits
from latentedit.benchmark.cells.kept import KeptBatches
from latentedit.benchmark.cells.sequences import measure_sequence
from latentedit.benchmark.cells.store import CellStore
from latentedit.benchmark.execution.worker import fit_id
from latentedit.benchmark.suite import Suite
from latentedit.data.bank import LatentBank
from latentedit.editing.fitted import FittedEditor, load_editor

SUITE = Suite.model_validate(world.SUITE)


class Counted:
    """Makes tensors, and counts how often."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Tensor:
        self.calls += 1
        return torch.full((4,), float(self.calls))


def test_an_equal_batch_is_computed_once() -> None:
    kept, make, codes = KeptBatches(1_000), Counted(), torch.randn(3, 8)
    first = kept.result("image", codes, "w", make)
    again = kept.result("image", codes.clone(), "w", make)
    assert torch.equal(first, again)
    assert make.calls == 1


@pytest.mark.parametrize(
    ("what", "codes", "space"),
    [
        ("judge", torch.zeros(2, 6), "w"),
        ("image", torch.zeros(2, 6), "z"),
        ("image", torch.zeros(3, 4), "w"),
        ("image", torch.zeros(2, 6, dtype=torch.int32), "w"),
        ("image", torch.zeros(2, 6) - 1e-30, "w"),
    ],
    ids=["of another kind", "of another space", "of another shape", "of another type", "other"],
)
def test_anything_else_is_computed_anew(what: str, codes: Tensor, space: str) -> None:
    kept, make = KeptBatches(1_000), Counted()
    kept.result("image", torch.zeros(2, 6), "w", make)
    kept.result(what, codes, space, make)
    assert make.calls == 2


def test_the_oldest_results_go_first_and_the_latest_is_kept_at_any_size() -> None:
    kept, make = KeptBatches(40), Counted()  # room for two results of 16 bytes
    one, two, three = torch.eye(3)
    for codes in (one, two, one, three, one):
        kept.result("image", codes, "w", make)
    assert make.calls == 3
    kept.result("image", two, "w", make)
    assert make.calls == 4
    small = KeptBatches(15)
    for codes in (one, one, two, one):
        small.result("image", codes, "w", make)
    assert make.calls == 7


def opened(told: Told, limit: int | None = None) -> tuple[Bench, list[int]]:
    """The models of the run, and the sizes of the batches that they draw from now on."""
    bench = Bench(SUITE, LatentBank.open(told.folder / "bank"), world.registry())
    if limit is not None:
        bench.kept_images, bench.kept_readings = KeptBatches(limit), KeptBatches(limit)
    drawn: list[int] = []
    renderer: Any = bench.renderer
    draw = renderer.synthesize

    def counted(codes: Tensor, space: str = "w") -> Tensor:
        drawn.append(len(codes))
        images: Tensor = draw(codes, space)
        return images

    renderer.synthesize = counted
    return bench, drawn


def fitted(told: Told, bench: Bench, name: str) -> FittedEditor:
    folder = CellStore(told.folder).path(fit_id(name, 0)) / "editor"
    return load_editor(bench.registry, folder, generator=bench.generator)


def silent(fraction: float, message: str) -> None:
    pass


@pytest.mark.parametrize("name", ["leaky", "wary", "no-edit"])
def test_figures_are_those_without_anything_kept(telling: Told, name: str) -> None:
    before = CellStore(telling.folder).arrays("faces")
    found, drawn = [], []
    for limit in (None, 0):
        bench, sizes = opened(telling, limit)
        editor, task = fitted(telling, bench, name), SUITE.tasks[0]
        found.append(measure_edits(bench, editor, task, before, silent)[0])
        chain, _ = measure_sequence(bench, editor, SUITE.sequences[0], before, silent)
        found[-1] |= {f"chain {name}": array for name, array in chain.items()}
        drawn.append(sum(sizes))
    with_kept, without = found
    assert with_kept.keys() == without.keys()
    for array in without:
        assert with_kept[array].numpy().tobytes() == without[array].numpy().tobytes(), array
    assert drawn[0] < drawn[1]


def test_progress_goes_on_to_the_whole_and_no_further(telling: Told) -> None:
    before, told = CellStore(telling.folder).arrays("faces"), list[float]()
    bench, _ = opened(telling)
    editor = fitted(telling, bench, "no-edit")
    measure_edits(bench, editor, SUITE.tasks[0], before, lambda share, _: told.append(share))
    assert len(set(told)) == len(SUITE.strengths) + len(SUITE.effects)
    assert told == sorted(told)
    assert told[-1] == 1


def test_no_edit_draws_every_face_once(telling: Told) -> None:
    before = CellStore(telling.folder).arrays("faces")
    bench, drawn = opened(telling)
    found, _ = measure_edits(
        bench, fitted(telling, bench, "no-edit"), SUITE.tasks[0], before, silent
    )
    assert sum(drawn) == len(found["faces"]) + SUITE.show_images


def test_a_look_draws_each_batch_once_even_if_images_are_large(telling: Told) -> None:
    bench, drawn = opened(telling, 0)
    codes = bench.bank.split("test").codes
    bench.look(codes, "w", show=2, features=True)
    assert sum(drawn) == len(codes)
    bench.images_compared(codes, "w", -codes, "w")
    assert sum(drawn) == 3 * len(codes)
