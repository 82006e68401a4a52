"""The compiled march and paint have the bits of the renderer's own operations in torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import hatch_build
from latentedit_synthface import compiled
from latentedit_synthface.factors import NAMES, factors_from_scores, sample_scores
from latentedit_synthface.generator import SynthFace
from latentedit_synthface.head import sine
from latentedit_synthface.renderer import render, wave_phases
from workshop.synthface.kernel_source import FOLDER, SOURCES

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / hatch_build.FOLDER
COMPILER = os.environ.get("CC", "cc").split()[0]
needs_a_compiler = pytest.mark.skipif(
    shutil.which(COMPILER) is None, reason=f"there is no C compiler {COMPILER!r}"
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sources and the library of them, which takes ten seconds to compile."""
    if compiled.library(PACKAGE) is not None:
        return PACKAGE
    folder = tmp_path_factory.mktemp("march")
    for name in compiled.SOURCES:
        shutil.copy(PACKAGE / name, folder)
    assert hatch_build.compiled(folder, folder / compiled.LIBRARY) == ""
    return folder


@pytest.fixture
def fast(built: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The renderer uses that library."""
    monkeypatch.setattr(compiled, "FOLDER", built)
    monkeypatch.delenv(compiled.SWITCH, raising=False)
    assert compiled.library(built) is not None
    return built


def both(monkeypatch: pytest.MonkeyPatch, draw) -> tuple[torch.Tensor, torch.Tensor]:
    """What `draw` makes with compiled code, and without."""
    monkeypatch.delenv(compiled.SWITCH, raising=False)
    with_library = draw()
    monkeypatch.setenv(compiled.SWITCH, "1")
    return with_library, draw()


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_a_header_is_recorded_from_the_formulas(name):
    """`make synthface-kernel` writes it anew after a change of ``head.py`` or ``painting.py``."""
    assert (FOLDER / name).read_text("utf-8") == SOURCES[name]()


def test_the_sine_is_that_of_double_precision():
    x = torch.linspace(-500, 500, 400_001)
    torch.testing.assert_close(sine(x).double(), x.double().sin(), atol=2e-7, rtol=0)


def test_the_slope_of_the_sine_is_the_cosine():
    x = torch.linspace(-20, 20, 10_001, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(sine(x).sum(), x)
    torch.testing.assert_close(slope, x.detach().cos(), atol=1e-6, rtol=0)


def test_build_and_package_name_the_same_files():
    assert hatch_build.SOURCES == compiled.SOURCES
    assert hatch_build.LIBRARY == compiled.LIBRARY


@needs_a_compiler
@pytest.mark.usefixtures("fast")
class TestBits:
    @pytest.mark.parametrize(("resolution", "supersampling"), [(64, 2), (48, 1), (25, 3)])
    def test_images_are_equal(self, monkeypatch, resolution, supersampling):
        faces = factors_from_scores(sample_scores(24, 4))
        pair = both(monkeypatch, lambda: render(faces, resolution, supersampling))
        assert torch.equal(*pair)

    def test_phases_are_equal(self, monkeypatch):
        faces = factors_from_scores(sample_scores(8, 5))
        pair = both(monkeypatch, lambda: wave_phases(faces, 32))
        assert torch.equal(pair[0].nan_to_num(9), pair[1].nan_to_num(9))

    def test_images_are_equal_on_two_threads(self, monkeypatch):
        faces = factors_from_scores(sample_scores(5, 6))
        alone = render(faces, 16, 1)
        monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
        assert torch.equal(render(faces, 16, 1), alone)

    def test_faces_that_are_no_numbers_are_none_in_both(self, monkeypatch):
        faces = factors_from_scores(sample_scores(1, 7)).repeat(len(NAMES) * 2, 1)
        for i in range(len(NAMES)):
            faces[i, i], faces[len(NAMES) + i, i] = torch.nan, torch.inf
        pair = both(monkeypatch, lambda: render(faces, 16, 1))
        assert torch.equal(pair[0].isnan(), pair[1].isnan())
        assert torch.equal(pair[0].nan_to_num(9), pair[1].nan_to_num(9))

    def test_more_pixels_than_faces_of_one_row_are_padded(self, monkeypatch):
        faces = factors_from_scores(sample_scores(6, 11))
        apart = torch.cat([render(face[None], 32) for face in faces])
        assert torch.equal(render(faces, 32), apart)

    def test_gradients_take_the_plain_path_to_an_equal_image(self):
        faces = factors_from_scores(sample_scores(2, 8))
        asked = faces.clone().requires_grad_()
        drawn = render(asked, 16)
        drawn.sum().backward()
        assert torch.equal(drawn.detach(), render(faces, 16))
        assert asked.grad.abs().max() > 0

    @pytest.mark.parametrize("name", ["march", "shade"])
    def test_the_library_is_what_draws(self, monkeypatch, name):
        monkeypatch.setattr(compiled, name, lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            render(factors_from_scores(sample_scores(1, 9)), 16)


@needs_a_compiler
def test_a_library_of_other_sources_is_not_used(built, tmp_path, monkeypatch):
    folder = tmp_path
    for name in (*compiled.SOURCES, compiled.LIBRARY):
        shutil.copy(built / name, folder)
    with (folder / "distance.h").open("a") as file:
        file.write("\n")
    assert compiled.library(folder) is None
    monkeypatch.setattr(compiled, "FOLDER", folder)
    assert render(factors_from_scores(sample_scores(1, 1)), 16).isfinite().all()


def test_without_a_library_the_plain_path_draws(tmp_path, monkeypatch):
    monkeypatch.setattr(compiled, "FOLDER", tmp_path)
    assert compiled.library(tmp_path) is None
    assert render(factors_from_scores(sample_scores(1, 1)), 16).isfinite().all()


def test_the_fingerprint_says_which_arithmetic():
    assert SynthFace().describe()["arithmetic"] == 3


def test_a_wheel_without_a_compiler_fits_every_platform(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    environment = os.environ | {"CC": "no-such-compiler"}
    done = subprocess.run(
        build, check=True, cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert "there is no C compiler 'no-such-compiler'" in done.stdout + done.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.endswith("-py3-none-any.whl")


def test_a_source_that_does_not_compile_is_reported(tmp_path):
    for name in compiled.SOURCES:
        (tmp_path / name).write_text("no C\n")
    assert hatch_build.compiled(tmp_path, tmp_path / compiled.LIBRARY) != ""
    assert not (tmp_path / compiled.LIBRARY).exists()
