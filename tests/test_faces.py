"""The plugin is light, and says what to install where a library is absent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from clip_files import write_clip
from onnx_files import channel_means, contract, linear_model

from latentedit import EnvironmentFault, InputError, Registry
from latentedit_faces.training import FacesTrainer

REGISTRY = Registry.discover()
HEAVY = ("torch", "onnxruntime", "transformers", "dlib", "sklearn", "PIL", "onnx")
OPTIONAL = ("onnxruntime", "transformers", "dlib", "onnx")
OFFERED = [
    (kind, name)
    for kind in ("estimator", "identity", "trainer")
    for name in REGISTRY.names(kind)
    if name.startswith("faces-")
]


def test_listing_what_there_is_imports_nothing_heavy() -> None:
    code = (
        "import sys, latentedit_faces as f; f.latentedit_plugins(); "
        f"print([m for m in {HEAVY!r} if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.stdout.strip(), found.stderr) == ("[]", "")


def test_loading_every_class_imports_no_optional_library() -> None:
    code = (
        "import sys; from latentedit import Registry; r = Registry.discover(); "
        f"[r.load(kind, name) for kind, name in {OFFERED!r}]; "
        f"print([m for m in {OPTIONAL!r} if m in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (found.stdout.strip(), found.stderr) == ("[]", "")


@pytest.mark.parametrize(("kind", "name"), OFFERED)
def test_without_options_each_says_what_it_needs(kind: str, name: str) -> None:
    if (kind, name) == ("trainer", "faces-trained"):
        assert REGISTRY.trainer(name).options == FacesTrainer.Options()
        return
    if name == "faces-dlib-identity":  # its models come with a package: tests/test_faces_dlib.py
        return
    with pytest.raises(InputError, match=r"option"):
        REGISTRY.build(kind, name)


def onnx_options(folder: Path) -> dict[str, Any]:
    model = linear_model(folder / "m.onnx", (4, 4), channel_means((4, 4)))
    output = {"meaning": "embedding", "same_person_threshold": 0.5}
    return {"contract": str(contract(model, (4, 4), output))}


def clip_options(folder: Path) -> dict[str, Any]:
    smile = {"name": "smile", "kind": "binary", "prompts": {0: "sad", 1: "smile"}}
    return {"model": str(write_clip(folder / "clip")), "attributes": [smile]}


def dlib_options(folder: Path) -> dict[str, Any]:
    for name in ("recogniser", "landmarks"):
        (folder / name).write_bytes(b"weights")
    paths = {name: str(folder / name) for name in ("recogniser", "landmarks")}
    return paths | {"same_person_threshold": 0.5}


@pytest.mark.parametrize(
    ("kind", "name", "options", "module", "install"),
    [
        ("identity", "faces-onnx-identity", onnx_options, "onnxruntime", r"latentedit\[faces\]"),
        ("estimator", "faces-clip", clip_options, "transformers", r"latentedit\[faces\]"),
        ("identity", "faces-dlib-identity", dlib_options, "dlib", "pip install dlib"),
    ],
)
def test_an_absent_library_is_asked_for_by_name(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    kind: str,
    name: str,
    options: Any,
    module: str,
    install: str,
) -> None:
    chosen = options(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(EnvironmentFault, match=rf"{name} needs the library {module}.*{install}"):
        REGISTRY.build(kind, name, chosen)
