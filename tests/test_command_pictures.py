"""The pictures that commands draw have each face, before and after, in its place."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_editors
from click.testing import CliRunner
from PIL import Image
from test_pictures import Pixels, drawn_image, pixels
from torch import Tensor
from toy import toy_registry

from latentedit import Edited, FitStats, PluginSpec, Runtime, Split, hookimpl
from latentedit.cli.main import cli
from latentedit.data.bank import LatentBank
from latentedit.registry import Registry
from latentedit.sampling.make import make_bank
from latentedit.testing.world import ToyGenerator


class Counts(toy_editors.Exact):
    """Exact; the first edit takes 5 evaluations, whose faces are not yet moved, the next one 9."""

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        super().fit(data, runtime)
        return FitStats({"accuracy": 0.912345, "loss": 12345.678})

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        edited = super().edit(codes, source, target, runtime)
        return Edited(edited.codes, nfe=9 if (source == target)[:, 0].all() else 5)


class _Counting:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [PluginSpec("editor", "counts", "test_command_pictures:Counts", "for tests")]


def registry() -> Registry:
    return toy_registry(toy_editors.plugins, _Counting())


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("world")
    labels = {"generator": "toy", "labeller": "toy-labeller"}
    make_bank(toy_editors.registry(), folder / "B", **labels, n_fit=30, n_test=6, seed=3)
    return folder


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    monkeypatch.setattr(Registry, "discover", staticmethod(registry))
    found = CliRunner().invoke(cli, arguments)
    assert found.exit_code == 0, (found.output, found.exception)
    return found.stdout


def as_bytes(codes: Tensor) -> list[Tensor]:
    shown = ToyGenerator().synthesize(codes, "w").double().numpy()
    levels = np.rint((np.clip(shown, -1, 1) + 1) * 127.5).astype(np.uint8)
    return list(torch.from_numpy(levels))


def moved(codes: Tensor, column: int, change: Tensor) -> Tensor:
    """Codes whose attribute is `change` more, and nothing else."""
    world = ToyGenerator()
    asked = torch.zeros(len(codes), world.matrix.shape[0])
    asked[:, column] = change
    return codes + asked @ torch.linalg.pinv(world.matrix).T


def test_the_picture_of_an_edit_has_each_face_before_and_after_each_setting(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three quarters of the way: to 60 years, then to the yaw that face 5 has."""
    folder, picture = world / "E", world / "edit.png"
    told = command(monkeypatch, "fit", "counts", "--bank", str(world / "B"), "--out", str(folder))
    fitted = f"{folder}: counts fitted on {world / 'B'} (accuracy 0.9123, loss 1.235e+04, "
    assert told.startswith(fitted + "fit_seconds ")
    told = command(
        monkeypatch,
        *("edit", "--editor", str(folder), "--bank", str(world / "B")),
        *("--index", "4,1..2", "--set", "age=60", "--transfer", "yaw=5", "--amount", "0.75"),
        *("--out", str(picture)),
    )
    assert told.splitlines() == [
        f"{picture}: 3 faces, 2 edits, 14 function evaluations",
        f"next: python -m webbrowser {picture.as_uri()}",
    ]
    test = LatentBank.open(world / "B").split("test")
    chosen = [4, 1, 2]
    codes, values = test.codes[chosen], test.attributes[chosen]
    older = moved(codes, 0, 0.75 * (60 - values[:, 0]))
    turned = moved(older, 2, 0.75 * (test.attributes[5, 2] - values[:, 2]))
    columns = [as_bytes(codes), as_bytes(older), as_bytes(turned)]
    with Image.open(picture) as shown:
        grid_close(pixels(shown), [[column[i] for column in columns] for i in range(3)])


def test_the_picture_of_samples_has_each_face_and_then_its_own_samples(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sample has the attributes of its row's face, but for the age that was set."""
    folder, picture = world / "D", world / "sample.png"
    command(monkeypatch, "fit", "draws", "--bank", str(world / "B"), "--out", str(folder))
    told = command(
        monkeypatch,
        *("sample", "--editor", str(folder), "--bank", str(world / "B"), "--index", "3,0"),
        *("--set", "age=25", "--count", "2", "--seed", "7", "--out", str(picture)),
    )
    assert told.splitlines()[0] == f"{picture}: 4 new faces"
    test, world_ = LatentBank.open(world / "B").split("test"), ToyGenerator()
    codes, values = test.codes[[3, 0]], test.attributes[[3, 0]].clone()
    values[:, 0] = 25
    with Image.open(picture) as shown:
        page = pixels(shown)
    given = [places_close(page, image) for image in as_bytes(codes)]
    assert [len(at) for at in given] == [1, 1]
    (first, left), (second, same) = given[0][0], given[1][0]
    assert (first < second, left) == (True, same)
    scores = (values - world_.truth(world_.w_avg[None]).attributes) / _scale(world_)
    for top, row in ((first, 0), (second, 1)):
        for number in (1, 2):
            at = left + number * (16 + 4)
            red = page[top : top + 16, at : at + 16, 0]
            middle = red.reshape(8, 2, 8, 2).mean((1, 3)).reshape(-1)[:6]
            assert middle == pytest.approx((scores[row] / 16 + 1).numpy() * 127.5, abs=4)


def _scale(world: ToyGenerator) -> Tensor:
    """What one standard deviation is, of every attribute."""
    return world.matrix.norm(dim=1) * world.deviations[: len(world.matrix)]


def places_close(page: Pixels, image: Tensor) -> list[tuple[int, int]]:
    """Where `image` stands at scale 2, but for a level of rounding."""
    wanted = drawn_image(image, 2)
    near = np.argwhere((np.abs(page - wanted[0, 0]) <= 1).all(2))
    return [
        (int(top), int(left))
        for top, left in near
        if page[top : top + 16, left : left + 16].shape == wanted.shape
        and np.abs(page[top : top + 16, left : left + 16] - wanted).max() <= 1
    ]


def grid_close(page: Pixels, images: Sequence[Sequence[Tensor]]) -> None:
    """Refuse the page unless its rows are these images, side by side with gaps of 4 pixels."""
    starts = [places_close(page, row[0]) for row in images]
    assert [len(at) for at in starts] == [1] * len(images)
    tops, lefts = zip(*(at[0] for at in starts), strict=True)
    assert list(tops) == sorted(tops)
    assert len(set(lefts)) == 1
    for top, row in zip(tops, images, strict=True):
        for c, image in enumerate(row):
            left = lefts[0] + 20 * c
            shown = page[top : top + 16, left : left + 16]
            assert np.abs(shown - drawn_image(image, 2)).max() <= 1
