"""Writes pickles opcode by opcode: the weight files of three projects, and hostile ones.

Nothing here calls an unpickler or a pickler; the bytes follow pickletools' documentation and the
formats' descriptions.
"""

from __future__ import annotations

import io
import re
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Arrays = Mapping[str, np.ndarray]
STORAGE = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long", "i4": "Int", "u1": "Byte"}
MAGIC = b"\x8a\x0a" + 0x1950A86A20F9469CFC6C.to_bytes(10, "little")


@dataclass
class Call:
    """A name, called with arguments (REDUCE), with items set and a state afterwards."""

    name: str
    arguments: tuple[Any, ...] = ()
    items: Mapping[Any, Any] | None = None
    state: Any = None
    opcode: bytes = b"R"


@dataclass
class Name:
    name: str


@dataclass
class Persistent:
    identifier: Any


@dataclass
class Raw:
    opcodes: bytes


def value(v: Any) -> bytes:
    """The opcodes that push `v`."""
    if isinstance(v, Raw):
        return v.opcodes
    if isinstance(v, Name):
        module, _, name = v.name.rpartition(".")
        return f"c{module}\n{name}\n".encode()
    if isinstance(v, Persistent):
        return value(v.identifier) + b"Q"
    if isinstance(v, Call):
        made = value(Name(v.name)) + value(v.arguments) + v.opcode
        if v.items is not None:
            made += _items(v.items)
        return made if v.state is None else made + value(v.state) + b"b"
    return _plain(v)


def _plain(v: Any) -> bytes:
    if v is None or isinstance(v, bool):
        return {None: b"N", True: b"\x88", False: b"\x89"}[v]
    if isinstance(v, int):
        return b"\x8a\x08" + struct.pack("<q", v)
    if isinstance(v, float):
        return b"G" + struct.pack(">d", v)
    if isinstance(v, str):
        return b"X" + struct.pack("<I", len(v.encode())) + v.encode()
    if isinstance(v, bytes):
        return b"B" + struct.pack("<I", len(v)) + v
    if isinstance(v, tuple):
        return b"(" + b"".join(map(value, v)) + b"t"
    if isinstance(v, list):
        return b"](" + b"".join(map(value, v)) + b"e"
    return b"}" + _items(v)


def _items(items: Mapping[Any, Any]) -> bytes:
    return b"(" + b"".join(value(k) + value(x) for k, x in items.items()) + b"u"


def pickle_of(v: Any, protocol: int = 2) -> bytes:
    return bytes([0x80, protocol]) + value(v) + b"."


def _tensor(storage: Any, array: np.ndarray) -> Call:
    strides = tuple(stride // array.itemsize for stride in np.asarray(array, order="C").strides)
    arguments = (storage, 0, array.shape, strides, False, Call("collections.OrderedDict"))
    return Call("torch._utils._rebuild_tensor_v2", arguments)


def _identifier(array: np.ndarray, key: str) -> tuple[Any, ...]:
    kind = Name(f"torch.{STORAGE[array.dtype.str[1:]]}Storage")
    return ("storage", kind, key, "cpu", array.size, None)


def _header() -> bytes:
    facts = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    return b"\x80\x02" + MAGIC + b"." + pickle_of(1001) + pickle_of(facts)


def _numbers(array: np.ndarray) -> bytes:
    return struct.pack("<q", array.size) + array.tobytes()


def storage_bytes(array: np.ndarray) -> bytes:
    """One storage as NVIDIA's pickles nest it: a whole legacy file."""
    identifier = (*_identifier(array, "1")[:5], None)
    return _header() + pickle_of(Persistent(identifier)) + pickle_of(["1"]) + _numbers(array)


def nested_tensor(array: np.ndarray) -> Call:
    return _tensor(Call("torch.storage._load_from_bytes", (storage_bytes(array),)), array)


def replaced(tree: Any, tensor: Callable[[np.ndarray], Any]) -> Any:
    """`tree` with `tensor` in the place of every array."""
    if isinstance(tree, np.ndarray):
        return tensor(tree)
    if isinstance(tree, dict):
        return {key: replaced(held, tensor) for key, held in tree.items()}
    return tree


def pytorch_zip(tree: Any) -> bytes:
    """What ``torch.save`` writes now."""
    storages: list[np.ndarray] = []

    def tensor(array: np.ndarray) -> Call:
        storages.append(array)
        return _tensor(Persistent(_identifier(array, str(len(storages) - 1))[:5]), array)

    members = {"data.pkl": pickle_of(replaced(tree, tensor)), "version": b"3\n"}
    members |= {f"data/{i}": array.tobytes() for i, array in enumerate(storages)}
    return zip_of({f"archive/{name}": data for name, data in members.items()})


def pytorch_legacy(tree: Any) -> bytes:
    """What ``torch.save`` wrote before version 1.6."""
    storages: list[np.ndarray] = []

    def tensor(array: np.ndarray) -> Call:
        storages.append(array)
        return _tensor(Persistent(_identifier(array, str(len(storages)))), array)

    body = pickle_of(replaced(tree, tensor))
    keys = pickle_of([str(i + 1) for i in range(len(storages))])
    return _header() + body + keys + b"".join(map(_numbers, storages))


def zip_of(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


def random_network(
    resolution: int = 16,
    z_dim: int = 8,
    w_dim: int = 12,
    c_dim: int = 0,
    mapping_layers: int = 2,
    seed: int = 0,
    widths: tuple[int, ...] = (10, 8, 6, 4, 4, 4),
) -> dict[str, np.ndarray]:
    """Random float32 weights in NVIDIA's names, its low-pass filters included."""
    rng = np.random.default_rng(seed)
    table: dict[str, np.ndarray] = {}

    def put(name: str, *shape: int, mean: float = 0.0, scale: float = 1.0) -> None:
        table[name] = np.asarray(mean + scale * rng.standard_normal(shape), "<f4")

    put("mapping.w_avg", w_dim, scale=0.1)
    if c_dim:
        put("mapping.embed.weight", w_dim, c_dim)
        put("mapping.embed.bias", w_dim)
    for i in range(mapping_layers):
        inputs = w_dim if i else z_dim + (w_dim if c_dim else 0)
        put(f"mapping.fc{i}.weight", w_dim, inputs, scale=100)
        put(f"mapping.fc{i}.bias", w_dim, scale=10)
    fir = np.outer([1, 3, 3, 1], [1, 3, 3, 1]).astype("<f4") / 64
    put("synthesis.b4.const", widths[0], 4, 4)
    for level in range(int(np.log2(resolution)) - 1):
        size, width, before = 4 << level, widths[level], widths[max(level - 1, 0)]
        block = f"synthesis.b{size}"
        table[f"{block}.resample_filter"] = fir
        for name, inputs in (("conv0", before), ("conv1", width), ("torgb", width)):
            if level == 0 and name == "conv0":
                continue
            outputs, kernel = (3, 1) if name == "torgb" else (width, 3)
            put(f"{block}.{name}.weight", outputs, inputs, kernel, kernel)
            put(f"{block}.{name}.bias", outputs, scale=0.1)
            put(f"{block}.{name}.affine.weight", inputs, w_dim)
            put(f"{block}.{name}.affine.bias", inputs, mean=1, scale=0.2)
            if name != "torgb":
                put(f"{block}.{name}.noise_strength", mean=0.1, scale=0.02)
                put(f"{block}.{name}.noise_const", size, size)
                table[f"{block}.{name}.resample_filter"] = fir
    return table


_BUFFERS = (
    *("w_avg", "noise_const", "resample_filter", "transform", "freqs", "phases"),
    *("magnitude_ema", "up_filter", "down_filter"),
)


def nvidia_pickle(
    weights: Arrays,
    *,
    conv_clamp: float | None = None,
    c_dim: int = 0,
    source: str = "raise SystemExit",
    protocol: int = 3,
    resolution: int | None = None,
    settings: Mapping[str, Any] | None = None,
) -> bytes:
    """The .pkl of stylegan2-ada-pytorch or stylegan3: ``G_ema`` and what stands beside it.

    Args:
        settings: what the generator was made with.
        source: program text, as these files carry it for every class.
    """
    facts = {
        "z_dim": weights["mapping.fc0.weight"].shape[1]
        - (weights["mapping.w_avg"].size if c_dim else 0),
        "w_dim": weights["mapping.w_avg"].size,
        "c_dim": c_dim,
        "img_channels": 3,
        "img_resolution": resolution,
        "_init_kwargs": Call(
            "dnnlib.util.EasyDict", (), {"c_dim": c_dim, **(settings or {})}, None, b"\x81"
        ),
        "_non_persistent_buffers_set": Call("builtins.set", ([],)),
    }

    def module(prefix: str, names: list[str], extra: Mapping[str, Any]) -> Call:
        own = [name for name in names if "." not in name]
        children: dict[str, list[str]] = {}
        for name in names:
            child, dot, rest = name.partition(".")
            if dot:
                children.setdefault(child, []).append(rest)
        held = {name: nested_tensor(weights[f"{prefix}{name}"]) for name in own}
        parameters = {
            name: Call("torch._utils._rebuild_parameter", (tensor, True, {}))
            for name, tensor in held.items()
            if name not in _BUFFERS
        }
        state = {
            "training": False,
            "_parameters": Call("collections.OrderedDict", (), parameters),
            "_buffers": Call(
                "collections.OrderedDict", (), {n: t for n, t in held.items() if n in _BUFFERS}
            ),
            "_modules": Call(
                "collections.OrderedDict",
                (),
                {
                    child: module(f"{prefix}{child}.", rest, {"bias_gain": 0.01})
                    for child, rest in children.items()
                },
            ),
            "conv_clamp": conv_clamp,
            **extra,
        }
        meta = {"type": "class", "version": 6, "module_src": source, "class_name": "Network"}
        return Call(
            "torch_utils.persistence._reconstruct_persistent_obj", ({**meta, "state": state},)
        )

    gain = Call(
        "numpy.core.multiarray.scalar",
        (
            Call(
                "numpy.dtype",
                ("f8", False, True),
                None,
                (3, "<", None, None, None, -1, -1, 0),
            ),
            struct.pack("<d", 0.5),
        ),
    )
    network = module("", list(weights), {**facts, "weight_gain": gain})
    return pickle_of({"G": None, "D": None, "G_ema": network, "augment_pipe": None}, protocol)


def _theirs(weights: Arrays) -> list[tuple[str, np.ndarray, int, str]]:
    """Name, array, index of its block and name of its layer, for synthesis weights."""
    rows = []
    for name, array in weights.items():
        match = re.fullmatch(r"synthesis\.b(\d+)\.(conv0|conv1|torgb)\.(.*)", name)
        if match and match[3] != "resample_filter":
            rows.append((match[3], array, int(np.log2(int(match[1]))) - 2, match[2]))
    return rows


def rosinality_tree(weights: Arrays) -> dict[str, Any]:
    """The tree of a .pt of rosinality's repository, from weights in NVIDIA's names."""
    tree: dict[str, np.ndarray] = {"input.input": weights["synthesis.b4.const"][None]}
    names = {
        "weight": ("conv.weight", lambda a: a[None]),
        "affine.weight": ("conv.modulation.weight", np.asarray),
        "affine.bias": ("conv.modulation.bias", np.asarray),
        "noise_strength": ("noise.weight", lambda a: a.reshape(1)),
    }
    for part, array, block, layer in _theirs(weights):
        convolution = "conv1" if block == 0 else f"convs.{2 * block - 2 + int(layer[-1] == '1')}"
        rgb = "to_rgb1" if block == 0 else f"to_rgbs.{block - 1}"
        prefix = rgb if layer == "torgb" else convolution
        if part == "noise_const":
            tree[f"noises.noise_{2 * block - int(layer == 'conv0')}"] = array[None, None]
        elif part == "bias":
            is_rgb = layer == "torgb"
            key = f"{prefix}.bias" if is_rgb else f"{prefix}.activate.bias"
            tree[key] = array.reshape(1, 3, 1, 1) if is_rgb else array
        else:
            key, convert = names[part]
            tree[f"{prefix}.{key}"] = np.ascontiguousarray(convert(array))
            if part == "weight" and block and layer != "conv1":
                filters = 4 * weights["synthesis.b4.resample_filter"]
                tree[f"{prefix}.{'upsample' if layer == 'torgb' else 'conv.blur'}.kernel"] = filters
    for name, array in weights.items():
        if match := re.fullmatch(r"mapping\.fc(\d+)\.(\w+)", name):
            tree[f"style.{int(match[1]) + 1}.{match[2]}"] = array
    return {"g_ema": tree, "latent_avg": weights["mapping.w_avg"]}


def genforce_tree(weights: Arrays) -> dict[str, Any]:
    """The tree of a .pth of genforce's repository, from weights in NVIDIA's names."""
    tree = {
        "synthesis.early_layer.const": weights["synthesis.b4.const"][None],
        "truncation.w_avg": weights["mapping.w_avg"],
    }
    for part, array, block, layer in _theirs(weights):
        index = 2 * block - int(layer == "conv0")
        prefix = f"synthesis.output{block}" if layer == "torgb" else f"synthesis.layer{index}"
        if part == "noise_const":
            tree[f"{prefix}.noise"] = array[None, None]
        elif part == "affine.bias":
            tree[f"{prefix}.style.bias"] = array - np.float32(1)
        elif part == "affine.weight":
            tree[f"{prefix}.style.weight"] = array
        elif part == "weight" and layer == "conv0":
            tree[f"{prefix}.weight"] = np.ascontiguousarray(array[:, :, ::-1, ::-1])
        else:
            tree[f"{prefix}.{part}"] = array
    for name, array in weights.items():
        if match := re.fullmatch(r"mapping\.fc(\d+)\.(\w+)", name):
            tree[f"mapping.dense{match[1]}.{match[2]}"] = array
    return {"generator_smooth": tree}


def _numpy_array(array: np.ndarray) -> Call:
    """An array as numpy pickles it, a number where it has no axes."""
    kind = Call(
        "numpy.dtype",
        (array.dtype.str[1:], False, True),
        None,
        (3, "<", None, None, None, -1, -1, 0),
    )
    if array.ndim == 0:
        return Call("numpy.core.multiarray.scalar", (kind, array.tobytes()))
    empty = (Name("numpy.ndarray"), (0,), b"b")
    state = (1, array.shape, kind, False, array.tobytes())
    return Call("numpy.core.multiarray._reconstruct", empty, None, state)


def tensorflow_arrays(weights: Arrays) -> dict[str, np.ndarray]:
    """TensorFlow's variables by name, from weights in NVIDIA's PyTorch names."""
    made = {"lod": np.zeros((), "<f4"), "dlatent_avg": weights["mapping.w_avg"]}
    made["synthesis/4x4/Const/const"] = weights["synthesis.b4.const"][None]
    for name, array in weights.items():
        if match := re.fullmatch(r"mapping\.(fc|embed)(\d*)\.(\w+)", name):
            layer = f"Dense{match[2]}" if match[1] == "fc" else "LabelEmbed"
            made[f"mapping/{layer}/{match[3]}"] = array.T
    for part, array, block, layer in _theirs(weights):
        size = 4 << block
        names = {"conv0": "Conv0_up", "conv1": "Conv1" if block else "Conv", "torgb": "ToRGB"}
        prefix = f"synthesis/{size}x{size}/{names[layer]}"
        if part == "noise_const":
            made[f"synthesis/noise{2 * block - int(layer == 'conv0')}"] = array[None, None]
        elif part == "weight":
            turned = array[:, :, ::-1, ::-1] if layer == "conv0" else array
            made[f"{prefix}/weight"] = turned.transpose(2, 3, 1, 0)
        elif part == "affine.weight":
            made[f"{prefix}/mod_weight"] = array.T
        elif part == "affine.bias":
            made[f"{prefix}/mod_bias"] = array - np.float32(1)
        else:
            made[f"{prefix}/{part}"] = array
    return {name: np.array(array, "<f4", order="C") for name, array in made.items()}


def tensorflow_pickle(arrays: Arrays, settings: Mapping[str, Any] | None = None) -> bytes:
    """The .pkl of TensorFlow's stylegan2: ``(G, D, Gs)``.

    Args:
        arrays: of ``Gs``, as `tensorflow_arrays` names them.
        settings: ``static_kwargs`` of all its networks.
    """

    def bag(prefix: str, components: Mapping[str, Any]) -> Call:
        own = {n.removeprefix(prefix): a for n, a in arrays.items() if n.startswith(prefix)}
        if not prefix:
            own = {n: a for n, a in own.items() if not n.startswith(("mapping/", "synthesis/"))}
        state = {
            "version": 4,
            "name": "G" + prefix,
            "static_kwargs": dict(settings or {}),
            "components": components,
            "build_module_src": "raise SystemExit",
            "build_func_name": "G_main",
            "variables": [(name, _numpy_array(array)) for name, array in own.items()],
        }
        return Call("dnnlib.tflib.network.Network", (), None, state, b"\x81")

    parts = {name: bag(f"{name}/", {}) for name in ("mapping", "synthesis")}
    return pickle_of((None, None, bag("", parts)), 4)


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def _text(text: str) -> bytes:
    return b"X" + struct.pack("<I", len(text.encode())) + text.encode()


def executing(code: str) -> dict[str, bytes]:
    """Opcodes (no protocol, no stop) that would run `code`, or reach for something that could."""
    exec_, argument = b"cbuiltins\nexec\n", b"(" + _text(code) + b"t"
    module, name = _text("builtins"), _text("exec")
    short = b"\x8c\x08builtins\x94\x8c\x04exec\x94"
    bag = b"cdnnlib.util\nEasyDict\n)\x81"
    return {
        "reduce": exec_ + argument + b"R",
        "reduce python 2": b"c__builtin__\neval\n" + argument + b"R",
        "reduce os.system": b"cposix\nsystem\n" + argument + b"R",
        "reduce subprocess": b"csubprocess\nPopen\n" + argument + b"R",
        "reduce text protocol": b"cbuiltins\nexec\n(S'" + b"pass" + b"'\ntR",
        "reduce getattr": b"cbuiltins\ngetattr\n" + argument + b"R",
        "reduce partial": b"cfunctools\npartial\n" + argument + b"R",
        "reduce torch.load": b"ctorch\nload\n" + argument + b"R",
        "reduce torch.hub": b"ctorch.hub\nload\n" + argument + b"R",
        "reduce numpy.load": b"cnumpy\nload\n" + argument + b"R",
        "reduce runpy": b"crunpy\nrun_path\n" + argument + b"R",
        "reduce import": b"cimportlib\nimport_module\n" + argument + b"R",
        "reduce reconstructor": b"ccopyreg\n_reconstructor\n" + argument + b"R",
        "reduce newobj function": b"ccopyreg\n__newobj__\n" + argument + b"R",
        "reduce a string": name + argument + b"R",
        "reduce a result": b"ccollections\nOrderedDict\n)R" + argument + b"R",
        "reduce without a tuple": b"ccollections\nOrderedDict\n" + name + b"R",
        "stack global": module + name + b"\x93" + argument + b"R",
        "stack global by memo": module
        + b"q\x070"
        + name
        + b"q\x080h\x07h\x08\x93"
        + argument
        + b"R",
        "stack global memoized": short + b"00h\x00h\x01\x93" + argument + b"R",
        "stack global of numbers": b"K\x01K\x02\x93" + argument + b"R",
        "stack global joined": _text("collections.OrderedDict")
        + _text("")
        + b"\x93"
        + argument
        + b"R",
        "inst": b"(" + _text(code) + b"ibuiltins\nexec\n",
        "inst of an accepted name": b"(icollections\nOrderedDict\n",
        "obj": b"(" + exec_ + _text(code) + b"o",
        "obj of an accepted name": b"(ccollections\nOrderedDict\no",
        "newobj": exec_ + argument + b"\x81",
        "newobj ex": exec_ + argument + b"}\x92",
        "newobj ex of an accepted name": b"cdnnlib.util\nEasyDict\n)}\x92",
        "ext1": b"\x82\x01",
        "ext2": b"\x83\x01\x00",
        "ext4": b"\x84\x01\x00\x00\x00",
        "persid": b"Pbuiltins.exec\n",
        "binpersid of a name": exec_ + b"Q",
        "binpersid of text": _text("storage") + b"Q",
        "binpersid with a class": b"(" + _text("module") + exec_ + b"tQ",
        "build a name": b"cdnnlib.util\nEasyDict\n}" + _text("__class__") + exec_ + b"sb",
        "build with a name": bag + b"}" + _text("__setstate__") + exec_ + b"sb",
        "build with slots": bag + b"N}" + _text("x") + b"Ns\x86b",
        "build a list": b"](K\x01eK\x02b",
        "dotted name": b"ccollections\nOrderedDict.__init__.__globals__\n" + argument + b"R",
        "dotted name by stack": _text("torch_utils.persistence") + _text("sys.modules") + b"\x93",
        "module as a name": _text("collections") + _text("abc") + b"\x93",
        "persistence with a name": b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n("
        + exec_
        + b"tR",
        "persistence without a state": b"ctorch_utils.persistence\n_reconstruct_persistent_obj\n"
        + b"(}tR",
        "import hook": b"ctorch_utils.persistence\nimport_hook\n" + argument + b"R",
        "storage called": b"ctorch\nFloatStorage\n" + argument + b"R",
        "load from no bytes": b"ctorch.storage\n_load_from_bytes\n" + argument + b"R",
        "object dtype": b"cnumpy\ndtype\n(" + _text("O8") + b"\x89\x88tR",
        "void dtype": b"cnumpy\ndtype\n(" + _text("V8") + b"\x89\x88tR",
        "array of a name": b"cnumpy.core.multiarray\n_reconstruct\n(" + exec_ + b"(K\x00tC\x01btR",
        "next buffer": b"\x97",
        "read-only buffer": b"N\x98",
        "key of a name": b"}" + exec_ + b"Ns",
    }


def malformed() -> dict[str, bytes]:
    """Opcodes (no protocol, no stop) that no pickler writes, and bombs."""
    ones = b"\x8b" + struct.pack("<i", 64) + b"\x01" * 64
    collisions = b"".join(
        b"\x8a\x10" + (i * (2**61 - 1)).to_bytes(16, "little") + b"N" for i in range(1, 5_000)
    )
    own_list, own_dict = b"]q\x00h\x00a", b"}q\x00" + _text("a") + b"h\x00s"
    own_bag = b"cdnnlib.tflib.network\nNetwork\n)\x81q\x00}" + _text("a") + b"h\x00sb"
    return {
        "memo bomb": b"Nr\xff\xff\xff\x07",
        "memo bomb of text": b"Np134217728\n",
        "memo bomb of digits": b"Np" + b"9" * 3_000 + b"\n",
        "memo never stored": b"h\x05",
        "memo before a value": b"q\x00",
        "negative memo": b"Np-1\n",
        "long string": b"\x8d" + struct.pack("<Q", 2**63) + b"a",
        "string of 2 MiB": b"X" + struct.pack("<I", 2 << 20) + b"a" * (2 << 20),
        "long bytes": b"\x8e" + struct.pack("<Q", 2**62) + b"a",
        "long byte array": b"\x96" + struct.pack("<Q", 2**62) + b"a",
        "long frame": b"\x95" + struct.pack("<Q", 2**62) + b"N",
        "negative integer length": b"\x8b" + struct.pack("<i", -1) + b"\x01",
        "integer of 2 GiB": b"\x8b" + struct.pack("<i", 2**31 - 1) + b"\x01",
        "integer of 255 bytes": b"\x8a\xff" + b"\x01" * 255,
        "integer of many digits": b"I" + b"9" * 100_000 + b"\n",
        "long of many digits": b"L" + b"9" * 4_000 + b"L\n",
        "integer with underscores": b"I1_000\n",
        "float of many digits": b"F" + b"9" * 4_000 + b"\n",
        "float of words": b"F+-e\n",
        "string with escapes": b"S'\\x41'\n",
        "string without quotes": b"Sopen\n",
        "text that is not UTF-8": b"X\x02\x00\x00\x00\xff\xfe",
        "line without end": b"c" + b"a" * 10_000,
        "key too large": b"}" + ones + b"Ns",
        "keys with one hash": b"}(" + collisions + b"u",
        "key of bytes": b"}C\x01aNs",
        "key of a tuple": b"})Ns",
        "key of a float": b"}G" + struct.pack(">d", 1.0) + b"Ns",
        "key of None": b"}NNs",
        "key of a truth": b"}\x88Ns",
        "key without value": b"}(" + _text("a") + b"u",
        "deep tuples": b")" + b"\x85" * 100_000,
        "deep lists": b"]" * 50_000 + b"a" * 49_999,
        "deep marks": b"(" * 100_000,
        "a list in itself": own_list,
        "a dictionary in itself": own_dict,
        "an object in itself": own_bag,
        "many opcodes": b"N0" * 1_000_001 + b"N",
        "many on the stack": b"N" * 500_001,
        "many in the memo": b"N" + b"".join(b"r" + struct.pack("<I", i) for i in range(300_000)),
        "many dictionaries": b"(" + b"}" * 450_000 + b"l",
        "many lists, twice": b"(" + b"]" * 300_000 + b"l(" + b"]" * 300_000 + b"l\x86",
        "many doublings": b"](NNNNNNNNe" + b"(" + b"2" * 499_000 + b"l",
        "empty stack": b"0",
        "no mark": b"t",
        "append to text": _text("a") + b"Na",
        "items of a list": b"]NNs",
        "two values": b"NN",
        "no value": b"",
        "a mark left": b"N(",
        "unknown opcode": b"\xff",
        "protocol 6": b"\x80\x06N",
    }


def nested(opcodes: bytes) -> bytes:
    """Opcodes that hand a pickle of `opcodes` to ``torch.storage._load_from_bytes``."""
    inner = _header() + b"\x80\x02" + opcodes + b"." + pickle_of([])
    return value(Call("torch.storage._load_from_bytes", (inner,)))


def vehicles(opcodes: bytes) -> dict[str, bytes]:
    """Files of every container, each with `opcodes` in it."""
    files = {f"protocol {p}": bytes([0x80, p]) + opcodes + b"." for p in (2, 3, 4, 5)}
    body = opcodes + b"."
    files |= {
        "protocol 0 in a zip": zip_of({"archive/data.pkl": body}),
        "protocol 1 in a zip": zip_of({"archive/data.pkl": b"\x80\x01" + body}),
        "legacy": _header() + b"\x80\x02" + body + pickle_of([]),
        "legacy header": b"\x80\x02" + MAGIC + b"." + body,
        "nested": b"\x80\x02" + nested(opcodes) + b".",
        "nested twice": b"\x80\x02" + nested(nested(opcodes)) + b".",
    }
    return files


def tensor_file(
    *,
    count: Any = 4,
    offset: Any = 0,
    shape: Any = (4,),
    strides: Any = (1,),
    kind: str = "torch.FloatStorage",
    view: Any = None,
    stored: int = 4,
    keys: tuple[str, ...] = ("1",),
) -> bytes:
    """A legacy file with one tensor, which says of itself what it is told to.

    Args:
        stored: 32-bit numbers that are really there, under each of `keys`.
    """
    storage = Persistent(("storage", Name(kind), "1", "cpu", count, view))
    arguments = (storage, offset, shape, strides, False, Call("collections.OrderedDict"))
    body = pickle_of({"a": Call("torch._utils._rebuild_tensor_v2", arguments)})
    data = _numbers(np.arange(stored, dtype="<f4")) * len(keys)
    return _header() + body + pickle_of(list(keys)) + data
