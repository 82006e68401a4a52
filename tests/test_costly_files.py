"""Small weight files that ask for much memory or work: refused before anything is made."""

from __future__ import annotations

import hashlib
import io
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import alias_free_networks
import numpy as np
import pickles
import pytest
import torch
from pickles import Call, Raw
from test_styleflow_crafted import released
from torch.utils._python_dispatch import TorchDispatchMode

from latentedit import InputError, RefusedFile, read_network
from latentedit.weights import source
from latentedit_styleflow.importing import import_checkpoint
from latentedit_stylegan.alias_free_architecture import AliasFreeArchitecture
from latentedit_stylegan.importing import import_network
from latentedit_stylegan.reading import find_generator

OVER_FILE_SIZE = 64 << 20
Importer = Callable[[Path, Path], object]


class Made(TorchDispatchMode):
    """Counts the bytes of all tensors that operations return; tracemalloc does not see them."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for part in found if isinstance(found, (tuple, list)) else (found,):
            if isinstance(part, torch.Tensor) and part.device.type == "cpu":
                self.bytes += part.numel() * part.element_size()
        return found


@pytest.fixture(scope="module", autouse=True)
def counted_once() -> None:
    """Torch imports much when operations are counted first; that is no cost of a file."""
    with Made(), torch.device("meta"):
        torch.nn.Linear(1, 1)


def refused_cheaply(file: Path, read: Importer, message: str) -> None:
    """`read` refuses `file`, and makes at most 64 MiB more than the file has."""
    tracemalloc.start()
    try:
        with Made() as made, pytest.raises(InputError, match=message):
            read(file, file.parent / "out")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak + made.bytes <= file.stat().st_size + OVER_FILE_SIZE
    assert not (file.parent / "out").exists()


def kept(value: Any, place: int) -> Raw:
    """A value that the pickle also remembers at `place`."""
    return Raw(pickles.value(value) + bytes([ord("q"), place]))


def again(place: int) -> Raw:
    """The value remembered at `place`."""
    return Raw(bytes([ord("h"), place]))


def network(state: Any, source: Any = "") -> Call:
    """A pickled network of NVIDIA's code."""
    meta = {"type": "class", "version": 6, "module_src": source, "class_name": "N", "state": state}
    return Call("torch_utils.persistence._reconstruct_persistent_obj", (meta,))


def doubling_modules(depth: int) -> bytes:
    """Modules that each hold the same module twice: 2^depth paths, a few kB."""
    module: Any = network({"_modules": {}})
    for _ in range(depth):
        module = network({"_modules": {"a": kept(module, 1), "b": again(1)}})
    return pickles.pickle_of({"G_ema": module})


def shared_parameters() -> bytes:
    """500 modules that share one dictionary of 500 absent parameters."""
    absent = kept({f"p{i}": None for i in range(500)}, 1)
    modules = {str(i): network({"_parameters": again(1)}) for i in range(500)}
    state = {"_parameters": absent, "_modules": modules}
    return pickles.pickle_of({"G_ema": network(state)})


def long_names() -> bytes:
    """300 nested modules whose name of 1 MB is in the file once."""
    module: Any = network({"_modules": {}})
    for _ in range(300):
        children = Raw(b"}" + again(1).opcodes + pickles.value(module) + b"s")
        module = network({"_modules": children})
    return pickles.pickle_of({"x": kept("n" * 1_000_000, 1), "G_ema": module})


def shared_variables() -> bytes:
    """A TensorFlow network of 300 components that share 300 variables."""
    variables = [(f"v{i}", 1.0) for i in range(300)]
    bag = Call("dnnlib.tflib.network.Network", (), None, {"variables": kept(variables, 1)}, b"\x81")
    components = {f"c{i}": again(2) for i in range(300)}
    state = {"first": kept(bag, 2), "variables": again(1), "components": components}
    top = Call("dnnlib.tflib.network.Network", (), None, state, b"\x81")
    return pickles.pickle_of((None, None, top))


def nested_setting() -> bytes:
    """A TensorFlow network whose architecture is a value of 2^900 leaves."""
    deep = Raw(b"N" + b"2\x86" * 900)
    state = {"variables": [], "static_kwargs": {"architecture": deep}}
    top = Call("dnnlib.tflib.network.Network", (), None, state, b"\x81")
    return pickles.pickle_of((None, None, top))


def alias_free(**settings: Any) -> bytes:
    """A network of one feature map whose images are large; its shape alone is asked for."""
    shape = {"z_dim": 1, "w_dim": 1, "mapping_layers": 1, "channel_max": 1, "channel_base": 1.0}
    open_shape = AliasFreeArchitecture.model_construct(
        **{**_defaults(), **shape, **settings}  # type: ignore[arg-type]
    )
    weights = {name: np.ones(size, "<f4") for name, size in open_shape.shapes().items()}
    told = {k: v for k, v in settings.items() if k != "resolution"}
    return pickles.nvidia_pickle(
        weights, resolution=settings["resolution"],
        settings={"channel_max": 1, "channel_base": 1.0, **told},
    )  # fmt: skip


def _defaults() -> dict[str, Any]:
    fields = AliasFreeArchitecture.model_fields
    return {name: f.default for name, f in fields.items() if not f.is_required()}


def aliased() -> bytes:
    """64 mapping layers that share the 4 MB of one matrix."""
    weights = pickles.random_network(resolution=8, z_dim=2, w_dim=2, widths=(2, 2))
    tree = pickles.rosinality_tree(weights)
    shared = torch.zeros(1024, 1024)
    state = {name: torch.tensor(array) for name, array in tree["g_ema"].items()}
    state |= {f"style.{i + 1}.weight": shared for i in range(64)}
    state |= {f"style.{i + 1}.bias": shared[0] for i in range(64)}
    for name in [name for name in state if "modulation.weight" in name]:
        state[name] = shared[: len(state[name])]
    return saved({"g_ema": state, "latent_avg": shared[0]})


def saved(tree: Any) -> bytes:
    file = io.BytesIO()
    torch.save(tree, file)
    return file.getvalue()


def rosinality(changes: dict[str, Any]) -> bytes:
    weights = pickles.random_network(resolution=8, z_dim=2, w_dim=2, widths=(2, 2))
    tree = pickles.rosinality_tree(weights)
    return saved(
        {"g_ema": {k: torch.tensor(v) for k, v in tree["g_ema"].items()} | changes,
         "latent_avg": torch.zeros(2)}
    )  # fmt: skip


def genforce(changes: dict[str, Any]) -> bytes:
    weights = pickles.random_network(resolution=8, z_dim=2, w_dim=2, widths=(2, 2))
    tree = pickles.genforce_tree(weights)["generator_smooth"]
    return saved({"generator_smooth": {k: torch.tensor(v) for k, v in tree.items()} | changes})


STYLEGAN: dict[str, tuple[Callable[[], bytes], str]] = {
    "many paths": (lambda: doubling_modules(40), "more than 50,000 parts"),
    "shared parameters": (shared_parameters, "more than 50,000 parts"),
    "long names": (long_names, "has 1,000,001 characters"),
    "shared variables": (shared_variables, "more than 50,000 parts"),
    "a nested setting": (nested_setting, "architecture = "),
    "shared matrices": (aliased, "would come from a file of"),
    "an image of 4096 pixels, up-sampled 8 times": (
        lambda: alias_free(
            resolution=4096, num_layers=4, num_critical=1, margin_size=256, lrelu_upsampling=8
        ),
        "largest feature maps|taps",
    ),
    "64 layers of 4096 pixels": (
        lambda: alias_free(resolution=4096, num_layers=64, num_critical=60, margin_size=256),
        "feature maps|taps",
    ),
    "an image of 1024 pixels": (
        lambda: alias_free(resolution=1024, num_layers=2, num_critical=1), "feature maps|taps"
    ),
    "a style layer without axes": (
        lambda: rosinality({"style.1.weight": torch.tensor(1.0)}), "z_dim"
    ),
    "a style layer without rows": (
        lambda: rosinality({"style.1.weight": torch.zeros(0, 4)}), "w_dim"
    ),
    "a resolution of 2^5000": (
        lambda: rosinality({"convs.9999.conv.weight": torch.zeros(1, 2, 2, 3, 3)}), "channels"
    ),
    "numbers over 32 bits": (
        lambda: rosinality(
            {"noises.noise_0": torch.full((1, 1, 4, 4), 1e300, dtype=torch.float64)}
        ),
        "noise_0 is not finite",
    ),
    "a dense layer without axes": (
        lambda: genforce({"mapping.dense0.weight": torch.tensor(1.0)}), "z_dim"
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", STYLEGAN)
def test_a_costly_network_is_refused_cheaply(tmp_path: Path, name: str) -> None:
    make, message = STYLEGAN[name]
    file = pickles.write(tmp_path / "file", make())
    assert file.stat().st_size < 5 << 20
    refused_cheaply(file, import_network, message)


WIDE = {f"chain.1.odefunc.diffeq.layers.{i}._layer.weight": (20_000, 1) for i in range(6)}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {name: torch.zeros(shape) for name, shape in WIDE.items()},
            "is of shape .* needs shape",
        ),
        (
            {f"chain.{i}.x": torch.zeros(1) for i in range(1, 900, 2)}
            | {
                f"chain.1.odefunc.diffeq.layers.{i}._layer.weight": torch.zeros(1, 1)
                for i in range(450)
            },
            "too few for 450 blocks",
        ),
        (
            {f"extra.{i}": torch.zeros(4 << 20).expand(1, 4 << 20)[0] for i in range(1)}
            | {f"again.{i}": "shared" for i in range(50)},
            "would come from a file of",
        ),
        ({f"e{i}": "shared" for i in range(20_001)}, "entries, more than 20,000"),
    ],
    ids=["products of widths", "products of blocks", "shared storage", "many entries"],
)
def test_a_costly_flow_is_refused_cheaply(
    tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    shared = torch.zeros(1 << 20)
    state = {k: shared if isinstance(v, str) else v for k, v in (released() | changes).items()}
    refused_cheaply(pickles.write(tmp_path / "a.pt", saved(state)), import_checkpoint, message)


def test_one_text_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed = []
    whole = hashlib.sha256

    def counted(data: bytes = b"") -> Any:
        hashed.append(len(data))
        return whole(data)

    monkeypatch.setattr(source.hashlib, "sha256", counted)
    networks = [network({}, again(1)) for _ in range(2_000)]
    data = pickles.pickle_of([kept("p" * 1_000_000, 1), *networks])
    read_network(pickles.write(tmp_path / "file", data))
    assert hashed == [1_000_000]


@pytest.mark.parametrize("head", [b"?", b"PK\x03\x04", b"\x80\x02N."])
def test_a_large_file_is_refused_without_reading_it_all(tmp_path: Path, head: bytes) -> None:
    file = tmp_path / "sparse.pkl"
    file.write_bytes(head)
    os.truncate(file, 6 << 30)
    tracemalloc.start()
    try:
        with pytest.raises(RefusedFile):
            read_network(file)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_networks_as_large_as_the_published_ones_are_within_the_limits() -> None:
    shape: dict[str, Any] = {"z_dim": 512, "w_dim": 512, "mapping_layers": 2, "resolution": 1024}
    turning = {"channel_base": 65_536, "channel_max": 1024, "conv_kernel": 1, "radial": True}
    for settings in ({}, turning):
        AliasFreeArchitecture.model_validate({**shape, **settings})
    assert alias_free_networks.architecture(alias_free_networks.SMALL).resolution == 32


def test_small_files_of_each_layout_still_become_networks(tmp_path: Path) -> None:
    for name, data in (("rosinality", rosinality({})), ("genforce", genforce({}))):
        file = pickles.write(tmp_path / name, data)
        assert find_generator(read_network(file)).architecture.resolution == 8
