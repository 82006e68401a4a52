"""StyleGAN3 against what the paper promises: filters, equivariance, and a second computation."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pickles
import pytest
import scipy.signal
import torch
from alias_free_networks import (
    ROTATING,
    SMALL,
    architecture,
    pickled,
    random_weights,
    tensors,
)
from torch import Tensor

import latentedit_stylegan
from latentedit import CorruptArtefact, InputError, Registry, UnknownName, Unsupported
from latentedit_stylegan.alias_free.filters import attenuation, lowpass, radial_lowpass
from latentedit_stylegan.alias_free.generator import StyleGAN3, StyleGAN3Options
from latentedit_stylegan.alias_free_architecture import AliasFreeArchitecture, AliasFreeLayer
from latentedit_stylegan.importing import import_network


def generator(settings: Mapping[str, object], seed: int = 0, **options: object) -> StyleGAN3:
    of = architecture(settings)
    chosen = StyleGAN3Options.model_validate({"path": Path(), **options})
    return StyleGAN3.from_weights(of, tensors(random_weights(of, seed)), chosen)


def decibels(image: Tensor, expected: Tensor) -> float:
    """Peak signal-to-noise ratio on images of range 2."""
    return -10 * math.log10(((image - expected).square().mean() / 4).item() + 1e-20)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    data = pickled(SMALL, random_weights(architecture(SMALL)))
    return import_network(pickles.write(folder / "network.pkl", data), folder / "network").folder


def build(folder: Path, **options: object) -> StyleGAN3:
    registry = Registry()
    registry.add(latentedit_stylegan, "stylegan")
    built = registry.generator("stylegan3", {"path": str(folder), **options})
    assert isinstance(built, StyleGAN3)
    return built


def test_layers_are_those_of_the_published_networks() -> None:
    """Names (index, size, feature maps), and figures that the published code prints."""
    shape = {"z_dim": 512, "w_dim": 512, "mapping_layers": 2, "resolution": 1024}
    t = AliasFreeArchitecture.model_validate(shape)
    r = AliasFreeArchitecture.model_validate(
        {**shape, "channel_base": 65_536, "channel_max": 1_024, "conv_kernel": 1, "radial": True}
    )
    widths = [
        (t, "512 512 512 512 512 512 512 323 203 128 81 51 32 32 3"),
        (r, "1024 1024 1024 1024 1024 1024 1024 645 406 256 161 102 64 64 3"),
    ]
    sizes = [*(36, 36, 52, 52, 84, 148, 148, 276, 276, 532), *(1044, 1044, 1044, 1024, 1024)]
    for of, maps in widths:
        names = [layer.name.removeprefix("synthesis.").split("_") for layer in of.layers()]
        assert [name[0] for name in names] == [f"L{i}" for i in range(15)]
        assert [int(name[1]) for name in names] == sizes
        assert [name[2] for name in names] == maps.split()
        assert of.num_ws == 16
    ninth, tenth = t.layers()[9:11]
    assert (tenth.before.rate, tenth.after.rate) == (512, 1024)
    assert tenth.after.cutoff == pytest.approx(203.187, abs=1e-3)
    assert tenth.after.half_width == pytest.approx(308.813, abs=1e-3)
    assert ninth.after.half_width == pytest.approx(128)
    assert t.layers()[12].after.half_width == pytest.approx(118.346, abs=1e-3)


@pytest.mark.parametrize(("taps", "cutoff", "width", "rate"), [(12, 8, 12, 32), (24, 16, 30, 128)])
def test_a_filter_passes_its_band_and_stops_the_rest(
    taps: int, cutoff: float, width: float, rate: float
) -> None:
    kernel = lowpass(taps, cutoff, width, rate).numpy()
    expected = scipy.signal.firwin(taps, cutoff, width=width, fs=rate)
    assert np.abs(kernel - expected).max() < 1e-6
    frequencies = np.linspace(0, rate / 2, 500)
    _, response = scipy.signal.freqz(kernel, worN=frequencies, fs=rate)
    assert abs(response[0]) == pytest.approx(1)
    assert np.interp(cutoff, frequencies, abs(response)) == pytest.approx(0.5, abs=0.1)
    stopped = abs(response)[frequencies > cutoff + width / 2]
    assert stopped.max() < 10 ** (-(attenuation(taps, width, rate) - 6) / 20)


def test_a_radial_filter_is_alike_in_all_directions() -> None:
    taps, cutoff, width, rate = 24, 8, 24, 64
    kernel = radial_lowpass(taps, cutoff, width, rate).numpy()
    assert kernel.sum() == pytest.approx(1)
    assert np.allclose(kernel, np.rot90(kernel))
    at = np.arange(taps) - (taps - 1) / 2
    for frequency, bound in ((4.0, 0.01), (8.0, 0.02), (12.0, 0.02)):
        responses = []
        for angle in np.linspace(0, np.pi / 4, 7):
            x, y = np.cos(angle) * at, np.sin(angle) * at
            wave = np.exp(2j * np.pi * frequency / rate * (x[:, None] + y))
            responses.append(abs((kernel * wave).sum()))
        assert np.ptp(responses) < bound
    separable = np.outer(*[lowpass(taps, cutoff, width, rate).numpy()] * 2)
    wave = np.exp(2j * np.pi * 8 / rate * np.sqrt(0.5) * (at[:, None] + at))
    axis = np.exp(2j * np.pi * 8 / rate * at)
    spread = abs((separable * wave).sum()) - abs((separable.sum(0) * axis).sum())
    assert abs(spread) > 0.05


def _reference_layer(
    x: np.ndarray, style: np.ndarray, layer: AliasFreeLayer, weights: Mapping[str, np.ndarray]
) -> np.ndarray:
    """One image's layer in 64 bits, one kernel for the image, signals zero-stuffed by hand."""
    w, bias, magnitude = (
        weights[f"{layer.name}.{part}"].astype("f8") for part in ("weight", "bias", "magnitude_ema")
    )
    if layer.to_rgb:
        kernel = w * style[:, None, None] / np.sqrt(layer.inputs)
    else:
        kernel = w * style[:, None, None]
        kernel = kernel / np.sqrt((kernel**2).sum((1, 2, 3), keepdims=True))
    kernel = kernel / np.sqrt(magnitude)
    x = np.stack(
        [
            sum(scipy.signal.correlate2d(x[i], k[i], mode="full") for i in range(len(x)))
            for k in kernel
        ]
    )
    x = x + bias[:, None, None]
    stuffed = np.zeros((len(x), x.shape[1] * layer.up, x.shape[2] * layer.up))
    stuffed[:, :: layer.up, :: layer.up] = x
    before, behind = layer.padding
    x = np.pad(stuffed, ((0, 0), *[(max(before, 0), max(behind, 0))] * 2))
    cut = [slice(max(-before, 0), x.shape[1] - max(-behind, 0))] * 2
    x = x[:, cut[0], cut[1]]
    if layer.up_taps > 1:
        up = weights[f"{layer.name}.up_filter"].astype("f8") * layer.up
        x = np.stack([scipy.signal.convolve2d(c, np.outer(up, up), mode="valid") for c in x])
    if not layer.to_rgb:
        x = np.where(x > 0, x, 0.2 * x) * np.sqrt(2)
    x = x.clip(-256, 256)
    if layer.down_taps > 1:
        down = weights[f"{layer.name}.down_filter"].astype("f8")
        down = down if down.ndim == 2 else np.outer(down, down)
        x = np.stack([scipy.signal.convolve2d(c, down, mode="valid") for c in x])
    return x[:, :: layer.down, :: layer.down]


def _reference_input(of: AliasFreeArchitecture, weights: Mapping[str, np.ndarray]) -> np.ndarray:
    """The input in 64 bits, not moved."""
    signal = of.layers()[0].before
    freqs, phases, mixing = (
        weights[f"synthesis.input.{n}"].astype("f8") for n in ("freqs", "phases", "weight")
    )
    at = ((2 * np.arange(signal.size) + 1) / signal.size - 1) * signal.size / signal.rate / 2
    x, y = np.meshgrid(at, at)
    over = (np.hypot(*freqs.T) - signal.cutoff) / (signal.rate / 2 - signal.cutoff)
    waves = [
        (1 - o).clip(0, 1) * np.sin(2 * np.pi * (f[0] * x + f[1] * y + p))
        for f, p, o in zip(freqs, phases, over, strict=True)
    ]
    return np.einsum("oc,chw->ohw", mixing / np.sqrt(len(freqs)), np.stack(waves))


@pytest.mark.parametrize("settings", [SMALL, ROTATING], ids=["T", "R"])
def test_images_equal_a_second_computation(settings: Mapping[str, object]) -> None:
    of = architecture(settings)
    weights, made = random_weights(of), generator(settings)
    rows = made.sample(1, 0, "w+")
    x = _reference_input(of, weights)
    for layer in of.layers():
        affine, bias = (
            weights[f"{layer.name}.affine.{p}"].astype("f8") for p in ("weight", "bias")
        )
        style = affine @ rows[0, layer.row].numpy() / np.sqrt(of.w_dim) + bias
        x = _reference_layer(x, style, layer, weights)
        assert x.shape == (layer.after.channels, layer.after.size, layer.after.size)
    found = made.unclipped(rows, "w+")[0].numpy()
    assert np.std(x) > 0.1
    assert np.abs(found - 0.25 * x).max() < 1e-4 * max(1, np.abs(x).max())


@pytest.mark.parametrize("settings", [SMALL, ROTATING], ids=["T", "R"])
def test_images_move_with_the_input(settings: Mapping[str, object]) -> None:
    """By one pixel, which is a part of a sample in the first layers; around the middle, where
    nothing comes in from beyond the margin."""
    plain, moved = generator(settings), generator(settings, translate=(1 / 32, 0.0))
    codes = plain.sample(4, 0)
    image, shifted = plain.unclipped(codes), moved.unclipped(codes)
    middle = slice(8, 24)
    image, before = image / image.std(), image
    shifted = shifted / before.std()
    agreement = decibels(shifted[:, :, middle, 9:25], image[:, :, middle, middle])
    assert agreement > 40
    assert decibels(image[:, :, middle, 9:25], image[:, :, middle, middle]) < agreement - 15
    assert plain.fingerprint != moved.fingerprint


def test_coarse_filters_would_break_equivariance() -> None:
    """The measurement of the previous test sees aliasing where there is some."""
    of = architecture(SMALL)
    weights = tensors(random_weights(of))
    for name, kernel in weights.items():
        if name.endswith("filter"):
            middle = torch.zeros_like(kernel)
            middle[len(kernel) // 2 - 1 : len(kernel) // 2 + 1] = 0.5
            weights[name] = middle
    options = [StyleGAN3Options(path=Path(), translate=(x, 0.0)) for x in (0.0, 1 / 32)]
    plain, moved = (StyleGAN3.from_weights(of, weights, option) for option in options)
    codes = plain.sample(4, 0)
    image, shifted = plain.unclipped(codes), moved.unclipped(codes)
    scale = image.std()
    middle = slice(8, 24)
    assert decibels(shifted[:, :, middle, 9:25] / scale, image[:, :, middle, middle] / scale) < 35


def test_images_of_configuration_r_turn_with_the_input() -> None:
    codes = generator(ROTATING).sample(2, 0)
    image = generator(ROTATING).unclipped(codes)
    turned = generator(ROTATING, rotate=90).unclipped(codes)
    assert (turned - image.rot90(1, (2, 3))).abs().max() < 1e-3 * image.abs().max()
    plain, other = generator(SMALL), generator(SMALL, rotate=90)
    image, turned = plain.unclipped(codes), other.unclipped(codes)
    assert (turned - image.rot90(1, (2, 3))).abs().max() > 0.05 * image.abs().max()


def test_the_input_follows_w() -> None:
    """A style of the input that says what `translate` says makes the same image."""
    plain, moved = generator(SMALL), generator(SMALL, translate=(0.1, -0.2))
    styles = plain.sample(2, 0, "s")
    changed = styles.clone()
    changed[:, :4] = 3 * torch.tensor([1.0, 0.0, 0.1, -0.2])
    found = plain.unclipped(changed, "s")
    assert (found - moved.unclipped(styles, "s")).abs().max() < 1e-4 * found.abs().max()


def test_signals_keep_their_magnitude() -> None:
    """Where each layer's measured magnitude is right, its output's is near 1."""
    of = architecture({**SMALL, "channel_max": 48, "channel_base": 2_048})
    weights = random_weights(of)
    x = _reference_input(of, weights)
    for layer in of.layers()[:-1]:
        weights[f"{layer.name}.magnitude_ema"] = np.asarray((x**2).mean(), "<f4")
        style = np.random.default_rng(1).standard_normal(layer.inputs) / 3 + 1
        x = _reference_layer(x, style, layer, weights)
        inner = x[:, 8:-8, 8:-8]
        assert 0.4 < np.sqrt((inner**2).mean()) < 1.6


def test_spaces_lead_into_each_other(small: Path) -> None:
    made = build(small)
    z, w = made.sample(3, 0, "z"), made.sample(3, 0)
    rows = made.convert(w, "w", "w+")
    styles = made.convert(rows, "w+", "s")
    assert made.num_ws == 7
    assert styles.shape == (3, *made.spaces["s"])
    image = made.synthesize(z, "z")
    assert image.shape == (3, 3, 32, 32)
    assert float(image.abs().max()) <= 1
    for codes, space in ((w, "w"), (rows, "w+"), (styles, "s")):
        assert torch.equal(made.synthesize(codes, space), image)
    alone = torch.cat([made.synthesize(code[None]) for code in w])
    assert (alone - image).abs().max() < 1e-4
    with pytest.raises(Unsupported, match="not back"):
        made.convert(w, "w", "z")
    with pytest.raises(InputError, match=r"shape \(N, 7, 10\)"):
        made.synthesize(rows[:, :3], "w+")


def test_styles_belong_to_rows(small: Path) -> None:
    made = build(small)
    rows = made.sample(1, 0, "w+")
    owners, affines = made.style_rows(), made.style_weights()
    assert len(owners) == made.spaces["s"][0]
    for row, affine in enumerate(affines):
        step = torch.zeros_like(rows)
        step[0, row, 3] = 1
        moved = made.convert(rows + step, "w+", "s") - made.convert(rows, "w+", "s")
        assert not moved[0, owners != row].any()
        assert torch.allclose(moved[0, owners == row], affine[:, 3], atol=1e-5)


def test_gradients_reach_every_row(small: Path) -> None:
    codes = build(small).sample(2, 0, "w+").requires_grad_()
    build(small).unclipped(codes, "w+").square().mean().backward()
    assert codes.grad is not None
    assert (codes.grad[:, 1:].abs().sum(2) > 0).all()


def test_truncation_and_its_cutoff(small: Path) -> None:
    plain, cut = build(small), build(small, truncation_cutoff=2)
    full, moved = plain.sample(3, 0, "w+"), cut.sample(3, 0, "w+", truncation_psi=0.5)
    assert torch.equal(moved[:, 2:], full[:, 2:])
    assert torch.equal(moved[:, :2], plain.sample(3, 0, "w+", truncation_psi=0.5)[:, :2])
    with pytest.raises(Unsupported, match="sample w"):
        cut.sample(3, 0, "w", truncation_psi=0.5)
    with pytest.raises(InputError, match="truncation is defined in w"):
        plain.sample(3, 0, "z", truncation_psi=0.5)
    with pytest.raises(InputError, match="no classes"):
        build(small, class_index=0)


@pytest.mark.parametrize("settings", [SMALL, ROTATING], ids=["T", "R"])
def test_an_import_keeps_every_number(tmp_path: Path, settings: Mapping[str, object]) -> None:
    of = architecture(settings, c_dim=3)
    weights = random_weights(of)
    data = pickled(settings, weights, c_dim=3)
    made = import_network(pickles.write(tmp_path / "network.pkl", data), tmp_path / "network")
    assert made.manifest.architecture == of
    assert "--generator stylegan3" in made.next_step
    assert any("not compared" in line for line in made.manifest.found)
    again = build(made.folder, class_index=1)
    ours = StyleGAN3.from_weights(
        of, tensors(weights), StyleGAN3Options(path=Path(), class_index=1)
    )
    assert again.fingerprint == ours.fingerprint
    z = ours.sample(2, 0, "z")
    assert torch.equal(again.synthesize(z, "z"), ours.synthesize(z, "z"))


@pytest.mark.parametrize(
    ("settings", "change", "message"),
    [
        ({**SMALL, "first_cutoff": 2.5}, {}, "it lacks|shape|filters differ"),
        (SMALL, {"synthesis.L0_36_12.up_filter": (12,)}, "filters differ"),
        ({**SMALL, "num_layers": 6}, {}, "it lacks"),
        ({**SMALL, "num_critical": 9}, {}, "StyleGAN3 network"),
        ({**SMALL, "conv_kernel": "3x"}, {}, "conv_kernel"),
        (SMALL, {"synthesis.input.freqs": (3, 2)}, "synthesis.input.freqs"),
        (SMALL, {"synthesis.L9_1_1.weight": (1,)}, "L9_1_1"),
    ],
)
def test_a_network_that_is_not_its_configuration_is_refused(
    tmp_path: Path,
    settings: dict[str, object],
    change: dict[str, tuple[int, ...]],
    message: str,
) -> None:
    weights = random_weights(architecture(SMALL))
    weights |= {name: np.zeros(shape, "<f4") for name, shape in change.items()}
    file = pickles.write(tmp_path / "network.pkl", pickled(settings, weights))
    with pytest.raises(CorruptArtefact, match=message):
        import_network(file, tmp_path / "network")
    assert [p.name for p in tmp_path.iterdir()] == ["network.pkl"]


def test_the_two_generators_refuse_each_other(small: Path, tmp_path: Path) -> None:
    registry = Registry()
    registry.add(latentedit_stylegan, "stylegan")
    with pytest.raises(InputError, match="build stylegan3, not stylegan2"):
        registry.generator("stylegan2", {"path": str(small)})
    data = pickles.nvidia_pickle(pickles.random_network())
    second = import_network(pickles.write(tmp_path / "network.pkl", data), tmp_path / "network")
    with pytest.raises(InputError, match="build stylegan2, not stylegan3"):
        build(second.folder)
    with pytest.raises(InputError, match="give the option path"):
        StyleGAN3()


def test_a_garbled_folder_is_refused(small: Path, tmp_path: Path) -> None:
    manifest = json.loads((small / "manifest.json").read_text())
    manifest["architecture"]["resolution"] = 48
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorruptArtefact, match="power of two"):
        build(tmp_path)
    weights = tensors(random_weights(architecture(SMALL)))
    del weights["synthesis.input.phases"]
    with pytest.raises(CorruptArtefact, match=re.escape("synthesis.input.phases")):
        StyleGAN3.from_weights(architecture(SMALL), weights)


def test_weights_can_be_tuned(small: Path) -> None:
    made = build(small)
    codes, offered = made.sample(2, 0), made.tunable()
    assert not offered.noise
    assert not any("filter" in name or "freqs" in name for name in offered.weights)
    name = next(n for n in offered.weights if n.endswith(".affine.bias") and ".L1_" in n)
    changed = {name: (1.5 * offered.weights[name]).requires_grad_()}
    images = made.synthesize_with(changed, codes)
    images.square().mean().backward()
    assert changed[name].grad is not None
    assert changed[name].grad.abs().sum() > 0
    tuned = made.tuned(changed)
    assert tuned.fingerprint != made.fingerprint
    assert torch.equal(tuned.unclipped(codes), images.detach())
    assert torch.equal(made.synthesize_with({}, codes), made.unclipped(codes))
    with pytest.raises(UnknownName, match="tensor"):
        made.tuned({"synthesis.L99.weight": torch.zeros(1)})
