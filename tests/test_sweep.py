"""Sweeps show every editor at every value, with what the judge sees and who was refused."""

from __future__ import annotations

import json
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_editors
from in_process import CommandLine
from PIL import Image, ImageSequence
from toy import ToyIdentity, ToyJudge

from latentedit import FittedEditor, LatentBank, OutOfRange, fit_editor, make_bank
from latentedit.benchmark.sweep import Observers, SweepFrames, sweep
from latentedit.report.film import write_film
from latentedit.report.grid import REFUSED

VALUES = [20.0, 35.0, 50.0]
FACES = [4, 1]


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    folder = tmp_path_factory.mktemp("world") / "B"
    labels = {"generator": "toy", "labeller": "toy-labeller"}
    make_bank(toy_editors.registry(), folder, **labels, n_fit=50, n_test=8, seed=3)
    return LatentBank.open(folder)


def fitted(bank: LatentBank, name: str) -> FittedEditor:
    return fit_editor(toy_editors.registry(), name, bank)


def swept(bank: LatentBank, name: str, *, match_effect: bool) -> SweepFrames:
    observers = Observers(ToyJudge(), ToyIdentity())
    return sweep(
        fitted(bank, name), bank, observers, "age", VALUES, FACES, match_effect=match_effect
    )


def test_an_exact_editor_shows_every_face_at_every_value(bank: LatentBank) -> None:
    found = swept(bank, "exact", match_effect=False)
    assert found.images.shape[:2] == (3, 2)
    assert found.images.dtype == torch.uint8
    assert bool(found.served.all())
    expected = torch.tensor(VALUES)[:, None].expand(3, 2)
    torch.testing.assert_close(found.judged, expected, atol=3.0, rtol=0)
    assert bool((found.identity > 0.99).all())


def test_matched_effects_bring_an_editor_that_does_half_to_the_values(bank: LatentBank) -> None:
    source = bank.split("test").attributes[FACES, 0]
    asked, matched = (swept(bank, "half", match_effect=m) for m in (False, True))
    short = (asked.judged - source).abs() - 0.45 * (torch.tensor(VALUES)[:, None] - source).abs()
    assert bool((short < 3).all())
    wide = (torch.tensor(VALUES)[:, None] - source).abs() > 8
    gap = (matched.judged - torch.tensor(VALUES)[:, None]).abs()
    assert bool(wide.any())
    assert bool((gap[wide & matched.served] < 4).all())
    assert bool(matched.served[wide].any())


def test_a_value_outside_the_range_is_refused(bank: LatentBank) -> None:
    observers = Observers(ToyJudge(), None)
    with pytest.raises(OutOfRange, match="age"):
        sweep(fitted(bank, "exact"), bank, observers, "age", [20.0, 500.0], FACES)


def frames(served: bool) -> SweepFrames:
    """Two frames of one grey face of 32 pixels."""
    images = torch.full((2, 1, 3, 32, 32), 128, dtype=torch.uint8)
    flags = torch.tensor([[True], [served]])
    return SweepFrames(images, flags, torch.tensor([[20.0], [50.0]]), torch.tensor([[1.0], [0.5]]))


def red(picture: Image.Image) -> int:
    pixels = np.asarray(picture.convert("RGB")).astype(int)
    return int((np.abs(pixels - REFUSED).max(-1) < 60).sum())


@pytest.mark.parametrize("served", [True, False])
def test_a_film_crosses_out_what_was_not_reached_in_its_frame(tmp_path: Path, served: bool) -> None:
    path = tmp_path / "film.gif"
    unedited = [torch.zeros(3, 32, 32, dtype=torch.uint8)]
    write_film(path, {"one": frames(served), "two": frames(True)}, unedited, ["a", "b"], ["face"])
    with Image.open(path) as film:
        counts = [red(frame) for frame in ImageSequence.Iterator(film)]
    assert len(counts) == 2
    assert counts[0] == 0
    assert (counts[1] > 0) == (not served)


def test_a_strip_has_a_row_an_editor_and_a_column_a_frame(tmp_path: Path) -> None:
    unedited = [torch.zeros(3, 32, 32, dtype=torch.uint8)]
    sizes = []
    for editors in (["one"], ["one", "two"]):
        path = tmp_path / f"{len(editors)}.png"
        write_film(path, dict.fromkeys(editors, frames(False)), unedited, ["a", "b"], ["face"])
        with Image.open(path) as strip:
            sizes.append(strip.size)
            assert red(strip) > 0
    assert abs(sizes[1][0] - sizes[0][0]) < 4  # the names are not equally wide
    assert sizes[1][1] - sizes[0][1] == 64 + 4 + 19


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    command = CommandLine(tmp_path_factory.mktemp("made"), toy_editors.registry)
    make = ["bank", "make", "--generator", "toy", "--labeller", "toy-labeller", "--n", "50"]
    command.ok(*make, "--test", "10", "--out", "B")
    for name in ("exact", "leaky"):
        command.ok("fit", name, "--bank", "B", "--out", name)
    return command


BASE = ("edit", "--editor", "exact", "--editor", "leaky", "--bank", "B", "--index", "0,3")
JUDGE = ("--judge", "toy-judge")


def test_the_command_writes_a_film_of_all_editors_and_tells_every_cell(made: CommandLine) -> None:
    told = made.ok(*BASE, *JUDGE, "--sweep", "age=20..50", "--frames", "4", "--out", "s.gif")
    assert told.splitlines()[0] == "s.gif: 2 editors, 4 frames, 2 faces"
    with Image.open(made.folder / "s.gif") as film:
        assert sum(1 for _ in ImageSequence.Iterator(film)) == 4
        assert (film.info["duration"], film.info["loop"]) == (120, 0)
    again = (*BASE, *JUDGE, "--sweep", "age=20..50", "--frames", "3", "--out", "t.png", "--json")
    cells = json.loads(made.ok(*again))["cells"]
    assert [(c["editor"], c["target"], c["image"]) for c in cells] == [
        (name, value, face)
        for name in ("exact", "leaky")
        for value in (20.0, 35.0, 50.0)
        for face in (0, 3)
    ]
    exact = [c for c in cells if c["editor"] == "exact"]
    assert all(abs(c["judged"] - c["target"]) < 3 and c["served"] for c in exact)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--sweep", "age=20", "--out", "x.gif"), "two numbers, as ATTRIBUTE=FIRST..LAST"),
        (("--sweep", "age=20..20", "--out", "x.gif"), "two different numbers"),
        (("--sweep", "aeg=20..50", "--out", "x.gif"), "did you mean 'age'"),
        (("--sweep", "age=20..50", "--out", "x.jpg"), ".gif, .png, .mp4"),
        (("--sweep", "age=20..50", "--set", "age=3", "--out", "x.gif"), "leave out --set"),
        (("--set", "age=20", "--out", "x.png"), "--sweep ATTRIBUTE=FIRST..LAST"),
    ],
)
def test_a_sweep_that_cannot_be_is_refused(
    made: CommandLine, options: tuple[str, ...], said: str
) -> None:
    assert said in made.refused(*BASE, *JUDGE, *options)
    assert not (made.folder / options[-1]).exists()


def test_a_film_needs_ffmpeg_and_is_given_every_frame(
    made: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    wanted = (*BASE, *JUDGE, "--sweep", "age=20..50", "--frames", "3", "--out", "m.mp4")
    assert "ffmpeg, which is not installed" in made.refused(*wanted, code=3)
    stand_in = tmp_path / "ffmpeg"
    stand_in.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\nout = pathlib.Path(sys.argv[-1])\n"
        "out.write_text(str(len(list(out.parent.glob('*.png')))))\n"
    )
    stand_in.chmod(stand_in.stat().st_mode | stat.S_IEXEC)
    made.ok(*wanted)
    assert (made.folder / "m.mp4").read_text() == "3"
    stand_in.write_text("#!/bin/sh\necho it has no such codec >&2\nexit 1\n")
    told = made.refused(*wanted[:-1], "n.mp4", code=3)
    assert "ffmpeg failed: it has no such codec" in told
    assert not (made.folder / "n.mp4").exists()


def test_an_edit_tells_as_json_which_faces_were_served(made: CommandLine) -> None:
    base = ("edit", "--editor", "exact", "--bank", "B", "--index", "2,5", "--out", "e.png")
    told = json.loads(made.ok(*base, "--set", "age=40", "--json"))
    assert told["picture"] == "e.png"
    assert told["images"] == [
        {"image": face, "edits": [{"edit": "age = 40", "served": True}]} for face in (2, 5)
    ]
