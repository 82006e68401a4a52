"""Files that try to run, to grow, or to lie: each refused, and nothing of it done."""

from __future__ import annotations

import ast
import io
import os
import struct
import subprocess
import sys
import tarfile
import tracemalloc
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path

import mutants
import numpy as np
import pickles
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import latentedit.weights
from latentedit import InputError, LatentEditError
from latentedit.weights import InertTensor, RefusedFile, read_network, read_state_dict
from latentedit_stylegan.reading import find_generator

MUTANTS = int(os.environ.get("LATENTEDIT_MUTANTS", "3000"))
"""``make torture`` reads a million of each kind by ``tests/mutants.py``."""
LIES = int(os.environ.get("LATENTEDIT_LIES", "300"))
OVER_FILE_SIZE = 64 << 20

_watched: list[tuple[str, str]] | None = None


def _hook(event: str, arguments: tuple[object, ...]) -> None:
    if _watched is not None and event != "builtins.id":
        _watched.append((event, str(arguments[0]) if arguments else ""))


sys.addaudithook(_hook)


@pytest.fixture
def audit() -> Iterator[list[tuple[str, str]]]:
    """Every audit event while the test runs."""
    global _watched  # noqa: PLW0603  (an audit hook cannot be taken away, only told to rest)
    _watched = []
    yield _watched
    _watched = None


def watched(events: list[tuple[str, str]], file: Path) -> list[tuple[str, str]]:
    """The events that reading one file need not cause."""
    return [
        (name, what)
        for name, what in events
        # It is opened, and its descriptor is mapped into memory.
        if not (name in ("open", "mmap.__new__") and (what == str(file) or what.isdigit()))
    ]


def refused(folder: Path, data: bytes) -> RefusedFile:
    file = pickles.write(folder / "file", data)
    with pytest.raises(RefusedFile) as caught:
        read_network(file)
    error = caught.value
    assert error.path == file
    assert 0 <= error.offset <= len(data)
    assert error.remedy
    assert len(str(error)) < 1_000 + len(str(file))
    return error


EXECUTING = sorted(pickles.executing(""))
OPCODES = pickles.malformed()
MALFORMED = sorted(OPCODES)


def test_the_corpus_is_large() -> None:
    assert len(EXECUTING) + len(MALFORMED) >= 60
    assert len(pickles.vehicles(b"N")) >= 6


@pytest.mark.parametrize("name", EXECUTING)
def test_nothing_that_a_file_names_is_run(
    tmp_path: Path, name: str, audit: list[tuple[str, str]]
) -> None:
    canary = tmp_path / "canary"
    opcodes = pickles.executing(f"open({str(canary)!r}, 'w').write('ran')")[name]
    file = tmp_path / "file"
    for vehicle, data in pickles.vehicles(opcodes).items():
        file.write_bytes(data)
        audit.clear()
        with pytest.raises(RefusedFile):
            read_network(file)
        assert not watched(audit, file), vehicle
        assert not canary.exists(), vehicle


@pytest.mark.parametrize("name", MALFORMED)
def test_bombs_and_nonsense_are_refused_within_bounds(tmp_path: Path, name: str) -> None:
    opcodes = OPCODES[name]
    large = len(opcodes) > 20_000
    vehicles = pickles.vehicles(opcodes)
    for vehicle in ["protocol 2"] if large else list(vehicles):
        data = vehicles[vehicle]
        file = pickles.write(tmp_path / "file", data)
        tracemalloc.start()
        try:
            with pytest.raises(RefusedFile):
                read_network(file)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak <= len(data) + OVER_FILE_SIZE, vehicle


def test_doubling_values_stay_shared(tmp_path: Path) -> None:
    """A value of 2^900 leaves that takes 1 kB: neither expanded nor a network."""
    data = b"\x80\x02}X\x01\x00\x00\x00aN" + b"2\x86" * 900 + b"s."
    found = read_network(pickles.write(tmp_path / "file", data))
    with pytest.raises(LatentEditError, match="no generator"):
        find_generator(found)


@pytest.mark.parametrize("name", ["nvidia", "zip", "legacy", "tensor"])
def test_every_truncation_of_a_file_is_refused(tmp_path: Path, name: str) -> None:
    data = mutants.originals()[name]
    for length in range(0, len(data), max(1, len(data) // 300)):
        refused(tmp_path, data[:length])
    refused(tmp_path, data + b"\0")


@pytest.mark.parametrize(
    "lie",
    [
        {"count": 5},
        {"count": 3},
        {"count": 2**62},
        {"count": -1},
        {"count": 4.0},
        {"count": True},
        {"stored": 3},
        {"stored": 5},
        {"offset": 1},
        {"offset": -1},
        {"offset": 2**62},
        {"shape": (5,)},
        {"shape": (-1,)},
        {"shape": (2**62,)},
        {"shape": (2**40,), "strides": (0,)},
        {"shape": (2, 2), "strides": (1, 2)},
        {"shape": (2,), "strides": (2,)},
        {"shape": (2,), "strides": (-1,)},
        {"shape": (2,), "strides": (1, 1)},
        {"shape": (0, 2**62), "strides": (2**62, 1)},
        {"shape": (1,) * 9, "strides": (1,) * 9},
        {"shape": (4.0,)},
        {"shape": [4]},
        {"strides": None},
        {"kind": "torch.BFloat16Storage"},
        {"kind": "torch.UntypedStorage"},
        {"kind": "torch.DoubleStorage"},
        {"kind": "collections.OrderedDict"},
        {"view": ("1", 0, 4)},
        {"keys": ()},
        {"keys": ("2",)},
        {"keys": ("1", "1")},
        {"keys": ("1", "2")},
    ],
    ids=str,
)
def test_a_tensor_that_lies_about_its_storage_is_refused(
    tmp_path: Path, lie: dict[str, object]
) -> None:
    refused(tmp_path, pickles.tensor_file(**lie))


@settings(max_examples=LIES)
@given(
    count=st.integers(-(2**40), 2**40) | st.integers(0, 8),
    offset=st.integers(-(2**40), 2**40) | st.integers(0, 4),
    axes=st.lists(st.tuples(st.integers(-2, 2**40) | st.integers(0, 4), st.integers(-3, 9))),
    stored=st.integers(0, 8),
)
def test_a_tensor_is_within_its_storage_or_refused(
    tmp_path_factory: pytest.TempPathFactory,
    count: int,
    offset: int,
    axes: list[tuple[int, int]],
    stored: int,
) -> None:
    shape, strides = tuple(a for a, _ in axes), tuple(b for _, b in axes)
    data = pickles.tensor_file(
        count=count, offset=offset, shape=shape, strides=strides, stored=stored
    )
    file = pickles.write(tmp_path_factory.getbasetemp() / "lie", data)
    try:
        found = read_state_dict(file)["a"]
    except RefusedFile:
        return
    assert count == stored
    assert found.shape == shape
    numbers = np.arange(stored, dtype="<f4")
    assert np.array_equal(found.ravel(), numbers[offset : offset + found.size][: found.size])


def _zip(members: list[tuple[str, bytes]], method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of duplicate names, which are meant
        for name, data in members:
            archive.writestr(name, data)
    return file.getvalue()


def _tar() -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../storages"), io.BytesIO())
    return file.getvalue()


def _npz(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.savez(file, array)
    return file.getvalue()


def archives() -> dict[str, tuple[bytes, str]]:
    good = pickles.pytorch_zip({"a": np.arange(4, dtype="<f4")})
    body = pickles.pickle_of({})
    one = [("archive/data.pkl", body)]
    end = len(good) - 22
    directory = struct.unpack("<I", good[end + 16 : end + 20])[0]
    data = good.index(np.arange(4, dtype="<f4").tobytes())
    patched = bytearray(good)
    patched[data] ^= 1
    encrypted = bytearray(_zip(one))
    entry = encrypted.index(b"PK\x01\x02")
    encrypted[entry + 8] |= 1
    elsewhere = bytearray(_zip(one))
    elsewhere[entry + 42] = 7
    return {
        "the same name twice": (_zip([*one, *one]), "two members"),
        "a way out": (_zip([*one, ("../../outside", b"")]), "leaves the archive"),
        "a way out behind": (_zip([*one, ("archive/../../outside", b"")]), "leaves the archive"),
        "an absolute name": (_zip([*one, ("/etc/passwd", b"")]), "leaves the archive"),
        "a drive": (_zip([*one, ("C:\\outside", b"")]), "leaves the archive"),
        "a folder": (_zip([*one, ("archive/sub/", b"")]), "folder"),
        "a CRC that does not match": (bytes(patched), "CRC"),
        "a large ratio": (
            _zip([*one, ("archive/data/0", bytes(1 << 24))], zipfile.ZIP_DEFLATED),
            "compressed",
        ),
        "many members": (_zip([*one, *((f"a/{i}", b"") for i in range(21_000))]), "members"),
        "two programs": (_zip([*one, ("other/data.pkl", body)]), "no single data.pkl"),
        "no program": (_zip([("archive/other", b"")]), "no single data.pkl"),
        "a program of TorchScript": (_zip([*one, ("archive/constants.pkl", b"")]), "TorchScript"),
        "encryption": (bytes(encrypted), "encrypted"),
        "another place": (bytes(elsewhere), "not where the directory says"),
        "a comment": (good[:-2] + b"\x04\x00evil", "directory"),
        "a cut": (good[: directory + 5], "directory"),
        "a storage that is missing": (
            pickles.zip_of(
                {
                    "a/data.pkl": pickles.pickle_of(
                        pickles.Persistent(
                            ("storage", pickles.Name("torch.FloatStorage"), "0", "cpu", 4)
                        )
                    )
                }
            ),
            "no member",
        ),
        "a storage with a path for a key": (
            pickles.zip_of(
                {
                    "a/data.pkl": pickles.pickle_of(
                        pickles.Persistent(
                            ("storage", pickles.Name("torch.FloatStorage"), "../x", "cpu", 4)
                        )
                    )
                }
            ),
            "no number",
        ),
        "big-endian numbers": (_zip([*one, ("archive/byteorder", b"big")]), "little-endian"),
        "arrays of objects": (_npz(np.array([{}, None], dtype=object)), "no single data.pkl"),
        "a tar": (_tar(), "tar archive"),
        "a web page": (b"<!DOCTYPE html><html>", "web page"),
        "an HDF5 file": (b"\x89HDF\r\n\x1a\n" + bytes(100), "HDF5"),
        "nothing": (b"", "empty"),
    }


ARCHIVES = archives()


@pytest.mark.parametrize("name", ARCHIVES)
def test_archives_with_tricks_are_refused(
    tmp_path: Path, name: str, audit: list[tuple[str, str]]
) -> None:
    data, message = ARCHIVES[name]
    file = pickles.write(tmp_path / "file", data)
    audit.clear()
    with pytest.raises(RefusedFile, match=message):
        read_network(file)
    assert not watched(audit, file)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_network(tmp_path / "nowhere.pkl")
    with pytest.raises(InputError, match="is a folder"):
        read_network(tmp_path)


def test_a_plain_state_dict_is_read_exactly(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    tree = {
        "chain.0.weight": rng.standard_normal(512).astype("<f4"),
        "chain.1.odefunc._num_evals": np.asarray(2.5, "<f4"),
        "layers.0._layer.weight": rng.standard_normal((3, 4)),
        "half": rng.standard_normal((2, 1, 3)).astype("<f2"),
        "steps": np.arange(6).reshape(2, 3),
    }
    for data in (pickles.pytorch_zip(tree), pickles.pytorch_legacy(tree)):
        found = read_state_dict(pickles.write(tmp_path / "file", data))
        assert list(found) == list(tree)
        for name, array in tree.items():
            assert found[name].dtype == array.dtype
            assert np.array_equal(found[name], array)
            assert not found[name].flags.writeable
    with pytest.raises(RefusedFile, match="'g_ema' is no tensor but dict"):
        read_state_dict(pickles.write(tmp_path / "file", pickles.pytorch_zip({"g_ema": {}})))


@pytest.mark.parametrize("as_zip", [True, False])
def test_what_torch_writes_is_read(tmp_path: Path, as_zip: bool) -> None:
    import torch

    network = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.BatchNorm1d(3))
    file = tmp_path / "file"
    torch.save(network.state_dict(), file, _use_new_zipfile_serialization=as_zip)
    found = read_state_dict(file)
    assert list(found) == list(network.state_dict())
    for name, tensor in network.state_dict().items():
        assert np.array_equal(found[name], tensor.numpy())


def test_an_nvidia_network_becomes_plain_data(tmp_path: Path) -> None:
    weights = pickles.random_network(resolution=8)
    found = read_network(pickles.write(tmp_path / "file", pickles.nvidia_pickle(weights)))
    network = found.tree["G_ema"]
    assert (found.format, network.class_name) == ("pickle", "Network")
    assert len(network.source_sha256) == 64
    assert "module_src" not in network.state
    assert network.state["weight_gain"] == 0.5
    mapping = network.state["_modules"]["mapping"].state
    tensor = mapping["_buffers"]["w_avg"]
    assert isinstance(tensor, InertTensor)
    assert np.array_equal(tensor.array(), weights["mapping.w_avg"])


@pytest.mark.parametrize(("kind", "count"), [("pickled", MUTANTS), ("safetensors", MUTANTS // 3)])
def test_mutants_are_refused_or_read(
    tmp_path: Path, audit: list[tuple[str, str]], kind: str, count: int
) -> None:
    """A short form of ``python tests/mutants.py``, with every audit event watched."""
    files = [mutants.safetensors()] if kind == "safetensors" else [*mutants.originals().values()]
    file, read = tmp_path / "file", 0
    for i, data in zip(range(count), mutants.mutants(files, 0), strict=False):
        file.write_bytes(data)
        audit.clear()
        try:
            read += mutants.is_read(mutants.FORMATS[kind], file)
        except Exception as error:
            raise AssertionError(f"mutant {i} raised {error!r}: {data!r}") from error
        assert not watched(audit, file), i
    assert 0 < read < count


def test_a_reader_that_breaks_the_rule_is_caught(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(file: Path) -> None:
        if b"\xff" in file.read_bytes():
            raise KeyError("a")

    monkeypatch.setitem(mutants.FORMATS, "safetensors", broken)
    assert mutants.run("safetensors", 500, 0, 500, tmp_path / "kept") > 0
    assert b"\xff" in (tmp_path / "kept").read_bytes()
    assert "KeyError" in capsys.readouterr().out


ALLOWED = {
    *("__future__", "collections.abc", "contextlib", "dataclasses", "functools", "hashlib"),
    *("mmap", "pathlib", "re", "struct", "sys", "typing", "zlib", "numpy", "numpy.typing"),
    *("latentedit.errors", "latentedit.files.regular"),
}
BUILTINS = {
    *("eval", "exec", "compile", "open", "input", "breakpoint", "__import__"),
    *("getattr", "setattr", "globals", "locals", "vars"),
}
METHODS = {"load", "loads", "find_class", "import_module", "system", "open"}


@pytest.mark.parametrize(
    "module", sorted(Path(latentedit.weights.__file__).parent.glob("*.py")), ids=lambda p: p.name
)
def test_the_reader_has_no_means_to_run_anything(module: Path) -> None:
    tree = ast.parse(module.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [str(node.module)]
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            method = called.rpartition(".")[2] if "." in called else ""
            fine = called not in BUILTINS and method not in METHODS
            assert fine or called == "Source.open", f"{module.name}:{node.lineno}: {called}"
            continue
        else:
            continue
        for name in names:
            allowed = name in ALLOWED or name.startswith("latentedit.weights")
            assert allowed, f"{module.name}: {name}"


def test_the_reader_never_imports_torch() -> None:
    code = "import sys, latentedit.weights; print('torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
