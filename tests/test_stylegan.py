"""StyleGAN2 against the published implementation's numbers, and imports against each other."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pickles
import pytest
import torch

import latentedit_stylegan
from latentedit import (
    CorruptArtefact,
    InputError,
    OutOfRange,
    Registry,
    UnknownName,
    Unsupported,
    read_tensors,
    write_tensors,
)
from latentedit_stylegan.architecture import Architecture
from latentedit_stylegan.generator import StyleGAN2, StyleGAN2Options
from latentedit_stylegan.importing import Imported, import_network

GOLDEN = Path(__file__).parent / "golden" / "stylegan2_ada_small.npz"
TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(GOLDEN, allow_pickle=False) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def golden_folder(golden: dict[str, np.ndarray], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The golden network, imported from a .pkl that holds it."""
    folder = tmp_path_factory.mktemp("golden")
    state = {k.removeprefix("state/"): v for k, v in golden.items() if k.startswith("state/")}
    file = pickles.write(folder / "network.pkl", pickles.nvidia_pickle(state))
    return import_network(file, folder / "network").folder


def close(found: torch.Tensor, expected: np.ndarray, tolerance: float = TOLERANCE) -> bool:
    return bool((found - torch.from_numpy(expected)).abs().max() <= tolerance)


def imported(folder: Path, data: bytes, name: str = "network") -> Imported:
    file = pickles.write(folder / f"{name}.file", data)
    return import_network(file, folder / name)


def build(folder: Path, **options: object) -> StyleGAN2:
    registry = Registry()
    registry.add(latentedit_stylegan, "stylegan")
    built = registry.generator("stylegan2", {"path": str(folder), **options})
    assert isinstance(built, StyleGAN2)
    return built


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("small")
    return imported(folder, pickles.nvidia_pickle(pickles.random_network())).folder


def test_mapping_is_the_published_one(golden: dict[str, np.ndarray], golden_folder: Path) -> None:
    generator = build(golden_folder)
    w = generator.convert(torch.from_numpy(golden["z"]), "z", "w")
    assert close(w, golden["w"])
    assert close(generator.truncated(w, 0.7), golden["w_truncated_0p7"])


def test_images_are_the_published_ones(golden: dict[str, np.ndarray], golden_folder: Path) -> None:
    w = torch.from_numpy(golden["w_truncated_0p7"])
    assert close(build(golden_folder).unclipped(w), golden["image_const_noise_of_w_truncated"])
    rows = torch.from_numpy(golden["w_plus"])
    without_noise = build(golden_folder, noise=False)
    assert close(without_noise.unclipped(rows, "w+"), golden["image_no_noise_of_w_plus"])
    assert close(
        without_noise.synthesize(rows, "w+"), golden["image_no_noise_of_w_plus"].clip(-1, 1)
    )


def test_four_layouts_of_one_network_make_equal_images(tmp_path: Path) -> None:
    weights = pickles.random_network(resolution=32, mapping_layers=3)
    rosinality, genforce = pickles.rosinality_tree(weights), pickles.genforce_tree(weights)
    files = {
        "nvidia": pickles.nvidia_pickle(weights),
        "nvidia-4": pickles.nvidia_pickle(weights, protocol=4),
        "rosinality": pickles.pytorch_zip(rosinality),
        "rosinality-legacy": pickles.pytorch_legacy(rosinality),
        "tensorflow": pickles.tensorflow_pickle(pickles.tensorflow_arrays(weights)),
        "genforce": pickles.pytorch_zip(genforce),
        "genforce-legacy": pickles.pytorch_legacy(genforce),
    }
    images = {}
    for name, data in files.items():
        generator = build(imported(tmp_path, data, name).folder)
        images[name] = generator.unclipped(generator.sample(3, 5, truncation_psi=0.7))
    for name, made in images.items():
        assert close(made, images["nvidia"].numpy(), 1e-5), name
    assert images["nvidia"].std() > 0.1


@pytest.mark.parametrize(
    ("name", "spoil"),
    [
        (
            "unflipped",
            lambda tree: _change(tree, "synthesis.layer1.weight", lambda a: a[..., ::-1]),
        ),
        ("plus one", lambda tree: _change(tree, "synthesis.layer1.style.bias", lambda a: a + 1)),
    ],
)
def test_the_traps_of_a_layout_would_be_seen(
    tmp_path: Path, name: str, spoil: Callable[[dict[str, np.ndarray]], None]
) -> None:
    weights = pickles.random_network()
    tree = pickles.genforce_tree(weights)
    right = build(imported(tmp_path, pickles.pytorch_zip(tree), "right").folder)
    spoil(tree["generator_smooth"])
    wrong = build(imported(tmp_path, pickles.pytorch_zip(tree), "wrong").folder)
    codes = right.sample(2, 0)
    assert (right.unclipped(codes) - wrong.unclipped(codes)).abs().max() > 0.01, name


def _change(
    tree: dict[str, np.ndarray], key: str, change: Callable[[np.ndarray], np.ndarray]
) -> None:
    tree[key] = np.ascontiguousarray(change(tree[key]))


def test_a_filter_with_another_gain_is_refused(tmp_path: Path) -> None:
    tree = pickles.rosinality_tree(pickles.random_network())
    _change(tree["g_ema"], "convs.0.conv.blur.kernel", lambda a: a / 4)
    with pytest.raises(
        CorruptArtefact, match=r"convs\.0\.conv\.blur\.kernel is not \[1, 3, 3, 1\]"
    ):
        imported(tmp_path, pickles.pytorch_zip(tree))
    assert not (tmp_path / "network").exists()


@pytest.mark.parametrize("change", ["drop", "rename", "reshape", "nan", "integers"])
def test_the_table_of_keys_and_shapes_is_exact(tmp_path: Path, change: str) -> None:
    weights = pickles.random_network()
    key = "synthesis.b8.conv0.affine.weight"
    array = weights.pop(key)
    weights |= {
        "drop": {},
        "rename": {key: array, f"{key}2": array},
        "reshape": {key: array[:, :-1]},
        "nan": {key: array * np.float32("nan")},
        "integers": {key: array.astype("<i4")},
    }[change]
    with pytest.raises(CorruptArtefact, match=re.escape(key)):
        imported(tmp_path, pickles.nvidia_pickle(weights))
    assert [p.name for p in tmp_path.iterdir()] == ["network.file"]


def test_networks_of_other_kinds_are_named(tmp_path: Path) -> None:
    weights = pickles.random_network()
    skip = {"synthesis.b8.skip.weight": weights["synthesis.b8.torgb.weight"]}
    with pytest.raises(Unsupported, match="resnet architecture"):
        imported(tmp_path, pickles.nvidia_pickle(weights | skip))
    orig = {k: v for k, v in weights.items() if not k.startswith("synthesis.b8.torgb")}
    with pytest.raises(Unsupported, match="orig architecture"):
        imported(tmp_path, pickles.nvidia_pickle(orig))
    with pytest.raises(CorruptArtefact, match="no generator"):
        imported(tmp_path, pickles.pytorch_zip({"model": {"a": weights["mapping.w_avg"]}}))


def test_a_tensorflow_network_keeps_its_classes_and_settings(tmp_path: Path) -> None:
    weights = pickles.random_network(c_dim=3)
    settings = {"conv_clamp": 0.5, "architecture": "skip", "resample_kernel": [1, 3, 3, 1]}
    data = pickles.tensorflow_pickle(pickles.tensorflow_arrays(weights), settings)
    theirs = imported(tmp_path, data, "tensorflow")
    assert theirs.manifest.architecture.c_dim == 3
    assert theirs.manifest.architecture.conv_clamp == 0.5
    ours = imported(tmp_path, pickles.nvidia_pickle(weights, c_dim=3, conv_clamp=0.5), "nvidia")
    generators = [build(made.folder, class_index=1) for made in (theirs, ours)]
    z = generators[0].sample(2, 0, "z")
    images = [generator.unclipped(z, "z") for generator in generators]
    assert close(images[0], images[1].numpy(), 1e-5)


@pytest.mark.parametrize(
    ("settings", "more", "error", "message"),
    [
        ({"architecture": "resnet"}, {}, Unsupported, "architecture = 'resnet'"),
        ({"resample_kernel": [1, 1]}, {}, Unsupported, "resample_kernel"),
        ({"normalize_latents": False}, {}, Unsupported, "normalize_latents"),
        ({}, {"mapping/LabelConcat/weight": (3, 8)}, Unsupported, "LabelConcat"),
        ({}, {"synthesis/8x8/Skip/weight": (1, 1, 8, 8)}, Unsupported, "resnet"),
        ({}, {"synthesis/8x8/Conv1/weight2": (1,)}, CorruptArtefact, "Conv1/weight2"),
        ({}, {"mapping/Dense0/weight": (8,)}, CorruptArtefact, "z_dim"),
        ({"mapping_lrmul": "much"}, {}, CorruptArtefact, "mapping_lr"),
    ],
)
def test_other_tensorflow_networks_are_refused_by_name(
    tmp_path: Path,
    settings: dict[str, object],
    more: dict[str, tuple[int, ...]],
    error: type[Exception],
    message: str,
) -> None:
    arrays = pickles.tensorflow_arrays(pickles.random_network())
    arrays |= {name: np.ones(shape, "<f4") for name, shape in more.items()}
    with pytest.raises(error, match=message):
        imported(tmp_path, pickles.tensorflow_pickle(arrays, settings))
    assert not (tmp_path / "network").exists()


def test_garbled_tensorflow_pickles_are_refused(tmp_path: Path) -> None:
    def bag(**state: object) -> pickles.Call:
        return pickles.Call("dnnlib.tflib.network.Network", (), None, state, b"\x81")

    trees = {
        "no tuple": (bag(variables=[]),),
        "no list of variables": (None, None, bag(version=4)),
        "no pair": (None, None, bag(variables=["dlatent_avg"])),
        "no array": (None, None, bag(variables=[("dlatent_avg", None)])),
        "z_dim": (None, None, bag(variables=[], components=4, static_kwargs=4)),
    }
    for message, tree in trees.items():
        with pytest.raises(CorruptArtefact, match=message):
            imported(tmp_path, pickles.pickle_of(tree, 4))


def test_the_manifest_says_what_was_found(small: Path) -> None:
    manifest = json.loads((small / "manifest.json").read_text())
    assert manifest["source_format"] == "pickle, stylegan2-ada-pytorch"
    assert manifest["parity"]["largest_difference"] == 0
    assert len(manifest["source_sha256"]) == 64
    assert any("was not run" in line for line in manifest["found"])
    assert sorted(p.name for p in small.iterdir()) == ["manifest.json", "model.safetensors"]


def test_program_text_in_a_network_is_never_run(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    text = f"open({str(canary)!r}, 'w').write('ran')"
    data = pickles.nvidia_pickle(pickles.random_network(), source=text)
    assert imported(tmp_path, data).fingerprint
    assert not canary.exists()


def test_a_missing_mean_of_w_is_measured_and_said(tmp_path: Path) -> None:
    tree = pickles.rosinality_tree(pickles.random_network())
    del tree["latent_avg"]
    made = imported(tmp_path, pickles.pytorch_zip(tree))
    assert any("no mean of w" in line for line in made.manifest.found)
    generator = build(made.folder)
    centre = generator.sample(1, 0, truncation_psi=0.0)[0]
    assert (generator.sample(5_000, 1).mean(0) - centre).abs().max() < 0.1


def test_an_import_into_a_folder_in_use_is_refused(small: Path) -> None:
    with pytest.raises(InputError, match="exists already"):
        import_network(small.parent / "network.file", small)


@pytest.mark.parametrize("resolution", [8, 16, 64])
def test_rows_of_w_plus_follow_from_the_resolution(tmp_path: Path, resolution: int) -> None:
    weights = pickles.random_network(resolution=resolution)
    generator = build(imported(tmp_path, pickles.nvidia_pickle(weights)).folder)
    assert generator.num_ws == 2 * int(np.log2(resolution)) - 2
    assert generator.synthesize(generator.sample(1, 0)).shape == (1, 3, resolution, resolution)
    assert [len(rows) for rows in generator.style_weights()] == [
        layer.inputs for layer in generator.architecture.layers() if not layer.to_rgb
    ] + [generator.architecture.channels[resolution]]


def test_spaces_lead_into_each_other(small: Path) -> None:
    generator = build(small)
    z = generator.sample(3, 0, "z")
    w = generator.sample(3, 0)
    rows = generator.convert(w, "w", "w+")
    styles = generator.convert(rows, "w+", "s")
    assert torch.equal(w, generator.convert(z, "z", "w"))
    assert styles.shape == (3, *generator.spaces["s"])
    image = generator.synthesize(z, "z")
    for codes, space in ((w, "w"), (rows, "w+"), (styles, "s")):
        assert torch.equal(generator.synthesize(codes, space), image)
    with pytest.raises(Unsupported, match="not back"):
        generator.convert(w, "w", "z")
    with pytest.raises(UnknownName):
        generator.convert(w, "w", "w++")
    with pytest.raises(InputError, match=r"shape \(N, 6, 12\)"):
        generator.synthesize(rows[:, :3], "w+")


def test_style_weights_are_the_derivative_of_styles(small: Path) -> None:
    generator = build(small)
    rows = generator.sample(1, 0, "w+")
    for row, affine in enumerate(generator.style_weights()):
        step = torch.zeros_like(rows)
        step[0, row, 3] = 1
        moved = generator.convert(rows + step, "w+", "s") - generator.convert(rows, "w+", "s")
        assert torch.equal(moved[0] != 0, generator.style_rows() == row)
        changed = moved[0, generator.style_rows() == row]
        # an RGB layer that shares a row with a convolution comes before it
        assert torch.allclose(changed[-len(affine) :], affine[:, 3], atol=1e-5)


def test_synthesis_is_pure_and_its_noise_fixed(small: Path) -> None:
    generator = build(small)
    codes = generator.sample(4, 0, "w+")
    before, state = codes.clone(), torch.random.get_rng_state()
    first, second = generator.synthesize(codes, "w+"), generator.synthesize(codes, "w+")
    assert torch.equal(first, second)
    assert torch.equal(codes, before)
    assert torch.equal(torch.random.get_rng_state(), state)
    assert float(first.min()) >= -1
    assert float(first.max()) <= 1
    quiet = build(small, noise=False)
    assert not torch.equal(quiet.synthesize(codes, "w+"), first)
    assert quiet.fingerprint != generator.fingerprint


def test_an_image_does_not_depend_on_its_batch(small: Path) -> None:
    generator = build(small)
    codes = generator.sample(5, 0)
    together = generator.unclipped(codes)
    alone = torch.cat([generator.unclipped(code[None]) for code in codes])
    assert (together - alone).abs().max() < TOLERANCE
    assert generator.synthesize(codes[:0]).shape == (0, 3, 16, 16)


def test_gradients_reach_codes(tmp_path: Path) -> None:
    data = pickles.nvidia_pickle(pickles.random_network(), conv_clamp=2.0)
    generator = build(imported(tmp_path, data).folder)
    codes = generator.sample(2, 0, "w+").requires_grad_()
    generator.unclipped(codes, "w+").square().mean().backward()
    assert codes.grad is not None
    assert (codes.grad.abs().sum(2) > 0).all()


def test_convolutions_are_clamped(tmp_path: Path) -> None:
    weights = pickles.random_network()
    free = build(imported(tmp_path, pickles.nvidia_pickle(weights), "free").folder)
    tight = build(imported(tmp_path, pickles.nvidia_pickle(weights, conv_clamp=0.05)).folder)
    codes = free.sample(2, 0)
    # one RGB layer in each of three blocks; filters with gains of 1 on the way never exceed it
    assert tight.unclipped(codes).abs().max().item() == pytest.approx(3 * 0.05)
    assert free.unclipped(codes).abs().max() > 0.5
    assert tight.fingerprint != free.fingerprint


def test_truncation_moves_the_rows_before_the_cutoff(small: Path) -> None:
    generator = build(small, truncation_cutoff=2)
    plain = build(small)
    full, moved = plain.sample(3, 0, "w+"), generator.sample(3, 0, "w+", truncation_psi=0.5)
    assert torch.equal(moved[:, 2:], full[:, 2:])
    assert torch.equal(moved[:, :2], plain.sample(3, 0, "w+", truncation_psi=0.5)[:, :2])
    with pytest.raises(Unsupported, match="sample w"):
        generator.sample(3, 0, "w", truncation_psi=0.5)
    with pytest.raises(OutOfRange, match="0 to 6"):
        build(small, truncation_cutoff=7)
    with pytest.raises(InputError, match="truncation is defined in w"):
        plain.sample(3, 0, "z", truncation_psi=0.5)


def test_classes_of_a_conditional_network(tmp_path: Path) -> None:
    weights = pickles.random_network(c_dim=3)
    made = imported(tmp_path, pickles.nvidia_pickle(weights, c_dim=3))
    zero, two = build(made.folder, class_index=0), build(made.folder, class_index=2)
    z = zero.sample(2, 0, "z")
    assert not torch.equal(zero.convert(z, "z", "w"), two.convert(z, "z", "w"))
    assert zero.fingerprint != two.fingerprint
    x = np.concatenate([_unit(z.numpy()), np.repeat(_embedded(weights, 2), 2, 0)], 1)
    for i in range(2):
        matrix, bias = weights[f"mapping.fc{i}.weight"], weights[f"mapping.fc{i}.bias"]
        x = x @ matrix.T * (0.01 / np.sqrt(x.shape[1])) + 0.01 * bias
        x = np.where(x > 0, x, 0.2 * x) * np.sqrt(2)
    assert close(two.convert(z, "z", "w"), x.astype("f4"))
    with pytest.raises(InputError, match=r"class_index to 0 … 2"):
        build(made.folder)
    with pytest.raises(InputError, match=r"class_index to 0 … 2"):
        build(made.folder, class_index=3)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.sqrt((x**2).mean(1, keepdims=True) + 1e-8)


def _embedded(weights: dict[str, np.ndarray], index: int) -> np.ndarray:
    table = weights["mapping.embed.weight"]
    return _unit(table[:, index][None] / np.sqrt(3) + weights["mapping.embed.bias"])


def test_shared_weights_equal_a_convolution_for_each_image(tmp_path: Path) -> None:
    """The fused demodulation against equations 1 and 3 of the paper, one kernel for each image, in
    a network that shows its first block alone: enlarged, with nothing added."""
    table = pickles.random_network(resolution=8)
    for part in ("weight", "bias"):
        table[f"synthesis.b8.torgb.{part}"] *= 0
    generator = build(imported(tmp_path, pickles.nvidia_pickle(table)).folder, noise=False)
    weights = {name: torch.from_numpy(array).double() for name, array in table.items()}
    styles = generator.sample(3, 0, "s")
    style, rgb_style = styles.double()[:, :10], styles.double()[:, 10:20]
    kernel = weights["synthesis.b4.conv1.weight"] * style[:, None, :, None, None]
    kernel = kernel / (kernel.square().sum((2, 3, 4), keepdim=True) + 1e-8).sqrt()
    const = weights["synthesis.b4.const"]
    x = torch.cat([torch.nn.functional.conv2d(const[None], k, padding=1) for k in kernel])
    x = x + weights["synthesis.b4.conv1.bias"][:, None, None]
    x = torch.nn.functional.leaky_relu(x, 0.2) * 2**0.5
    rgb = weights["synthesis.b4.torgb.weight"][:, :, 0, 0] * rgb_style[:, None] / 10**0.5
    small = torch.einsum("noi,nihw->nohw", rgb, x)
    small = small + weights["synthesis.b4.torgb.bias"][:, None, None]
    stuffed = torch.zeros(3, 3, 11, 11).double()
    stuffed[:, :, 2:10:2, 2:10:2] = small
    fir = torch.tensor([1.0, 3, 3, 1]).double() / 4
    expected = torch.nn.functional.conv2d(
        stuffed.flatten(0, 1)[:, None], torch.outer(fir, fir)[None, None]
    )
    found = generator.unclipped(styles, "s")
    assert close(found, expected.view(3, 3, 8, 8).float().numpy())
    assert found.std() > 0.1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"z_dim": 0}, "z_dim"),
        ({"w_dim": 10**9}, "w_dim"),
        ({"channels": {"4": 3, "16": 3}}, "channels"),
        ({"more": 1}, "more"),
    ],
)
def test_a_garbled_manifest_is_refused(
    small: Path, tmp_path: Path, change: dict[str, object], message: str
) -> None:
    manifest = json.loads((small / "manifest.json").read_text())
    manifest["architecture"] |= change
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    (tmp_path / "model.safetensors").write_bytes((small / "model.safetensors").read_bytes())
    with pytest.raises(CorruptArtefact, match=message):
        build(tmp_path)


def test_weights_that_do_not_fit_their_manifest_are_refused(small: Path, tmp_path: Path) -> None:
    few = {"mapping.w_avg": torch.zeros(12)}
    manifest = json.loads((small / "manifest.json").read_text())
    manifest["weights_sha256"] = write_tensors(tmp_path / "model.safetensors", few)
    (tmp_path / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CorruptArtefact, match="import it again"):
        build(tmp_path)
    with pytest.raises(InputError, match="there is no file"):
        build(tmp_path / "nowhere")
    with pytest.raises(InputError, match="give the option path"):
        StyleGAN2()


def test_equal_weights_have_equal_fingerprints_wherever_they_lie(
    small: Path, tmp_path: Path
) -> None:
    for name in ("manifest.json", "model.safetensors"):
        (tmp_path / name).write_bytes((small / name).read_bytes())
    generator = build(tmp_path)
    assert generator.fingerprint == build(small).fingerprint
    weights = dict(read_tensors(small / "model.safetensors"))
    weights["mapping.w_avg"] = weights["mapping.w_avg"] + 1e-6
    options = StyleGAN2Options(path=small)
    changed = StyleGAN2.from_weights(generator.architecture, weights, options)
    assert changed.fingerprint != generator.fingerprint


def test_published_sizes() -> None:
    """The rows and styles that users of the 1024-pixel FFHQ network know."""
    widths = {4: 512, 8: 512, 16: 512, 32: 512, 64: 512, 128: 256, 256: 128, 512: 64, 1024: 32}
    ffhq = Architecture(z_dim=512, w_dim=512, mapping_layers=8, channels=widths)
    assert ffhq.num_ws == 18
    assert sum(layer.inputs for layer in ffhq.layers()) == 9_088
    parameters = sum(
        int(np.prod(shape)) for name, shape in ffhq.shapes().items() if "noise_const" not in name
    )
    assert parameters - 512 == 30_370_060  # w_avg is a buffer


def test_the_plugin_module_is_light() -> None:
    code = "import sys, latentedit_stylegan; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
