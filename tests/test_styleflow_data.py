"""StyleFlow's three arrays: read as they are, and refused when they are something else."""

from __future__ import annotations

import random
import shutil
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from latentedit import CorruptArtefact, ImportedCodes, InputError, LatentEditError, OutOfRange
from latentedit_styleflow.data import StyleFlowData

SHARED = Path(__file__).parents[2] / "shared" / "data"
N = 7


def read(folder: Path) -> ImportedCodes:
    return StyleFlowData().read(folder)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    w = rng.standard_normal((N, 1, 1, 6)).astype("f4")
    np.save(tmp_path / "latents.npy", np.repeat(w, 4, 2))
    attributes = rng.random((N, 8, 1))
    attributes[:, 6] = 40
    np.save(tmp_path / "attributes.npy", attributes)
    np.save(tmp_path / "lighting.npy", rng.random((N, 1, 9, 1, 1)).astype("f4"))
    return tmp_path


def test_equal_rows_are_codes_of_w(folder: Path) -> None:
    found = read(folder)
    codes, attributes, schema = found.codes, found.attributes, found.schema
    assert codes.shape == (N, 6)
    assert np.array_equal(codes.numpy(), np.load(folder / "latents.npy")[:, 0, 0])
    assert attributes.shape == (N, schema.width) == (N, 17)
    assert (attributes[:, schema.columns("age")] == 40).all()
    lighting = torch.from_numpy(np.load(folder / "lighting.npy")[:, 0, :, 0, 0])
    assert torch.equal(attributes[:, schema.columns("lighting")], lighting)
    assert codes.dtype == attributes.dtype == torch.float32


def test_other_rows_are_codes_of_w_plus(folder: Path) -> None:
    rows = np.random.default_rng(1).standard_normal((N, 4, 6)).astype("f4")
    np.save(folder / "latents.npy", rows)
    assert np.array_equal(read(folder).codes.numpy(), rows)


@pytest.mark.parametrize(
    ("file", "array", "message"),
    [
        ("latents.npy", np.array([[{}]], dtype=object), "plain little-endian numbers"),
        ("latents.npy", np.array([["a"]]), "plain little-endian numbers"),
        ("latents.npy", np.zeros((N, 6)), "not \\(N, 1, L, D\\)"),
        ("latents.npy", np.zeros((N, 2, 4, 6)), "not \\(N, 1, L, D\\)"),
        ("latents.npy", np.full((N, 4, 6), np.nan), "not finite"),
        ("attributes.npy", np.zeros((N, 9, 1)), "not \\(N, 8, 1\\)"),
        ("lighting.npy", np.zeros((N, 9)), "not \\(N, 1, 9, 1, 1\\)"),
        ("lighting.npy", np.full((N, 1, 9, 1, 1), np.inf), "not finite"),
    ],
)
def test_other_arrays_are_refused(folder: Path, file: str, array: np.ndarray, message: str) -> None:
    np.save(folder / file, array, allow_pickle=array.dtype == object)
    with pytest.raises(CorruptArtefact, match=message):
        read(folder)


def test_files_that_disagree_are_refused(folder: Path) -> None:
    np.save(folder / "lighting.npy", np.zeros((N + 1, 1, 9, 1, 1)))
    with pytest.raises(InputError, match="made together"):
        read(folder)
    (folder / "lighting.npy").unlink()
    with pytest.raises(InputError, match=r"lighting\.npy"):
        read(folder)


def test_other_columns_are_noticed(folder: Path) -> None:
    attributes = np.load(folder / "attributes.npy")
    np.save(folder / "attributes.npy", attributes[:, ::-1])
    with pytest.raises(OutOfRange, match="glasses"):
        read(folder)


PEOPLE = ("gender", "glasses", "yaw", "pitch", "baldness", "beard", "age", "expression")
"""The columns of attributes.npy, in their order there."""
RANGES = {"yaw": (-90, 90), "pitch": (-90, 90), "age": (0, 120), "lighting": (-3, 3)}


@pytest.mark.parametrize("name", [*PEOPLE, "lighting"])
def test_values_are_read_to_the_ends_of_their_range_and_refused_beyond(
    folder: Path, name: str
) -> None:
    least, most = RANGES.get(name, (0, 1))
    file = folder / ("attributes.npy" if name in PEOPLE else "lighting.npy")
    array = np.load(file)
    column = array.reshape(N, -1)[:, PEOPLE.index(name) if name in PEOPLE else 8]
    for value in (least, most):
        column[0] = value
        np.save(file, array)
        read(folder)
    for value in (least - 0.1, most + 0.1):
        column[0] = value
        np.save(file, array)
        with pytest.raises(OutOfRange, match=name):
            read(folder)


def npy(header: str, data: bytes = b"", length: int | None = None) -> bytes:
    text = header.encode()
    claimed = len(text) if length is None else length
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", claimed) + text + data


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"PK\x03\x04",
        b"\x80\x04N.",
        b"\x93NUMPY",
        b"\x93NUMPY\x09\x00",
        npy("{}"),
        npy("not a dictionary"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (7, 4, 6), }", length=60_000),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (" + "1, " * 9_000 + "), }"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2000000000, 18, 512), }"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (4611686018427387904, 4), }"),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (-7, 4, 6), }", bytes(672)),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (7, 4, 6), }", bytes(671)),
        npy("{'descr': '<f4', 'fortran_order': False, 'shape': (7, 4, 6), }", bytes(673)),
        npy("{'descr': '|O', 'fortran_order': False, 'shape': (7, 4, 6), }", bytes(1344)),
        npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (7, 4, 6), }", bytes(672)),
        npy("__import__('os').system('true')"),
    ],
    ids=lambda data: data[:40].decode("latin1"),
)
def test_lying_headers_are_refused(folder: Path, data: bytes) -> None:
    (folder / "latents.npy").write_bytes(data)
    with pytest.raises(CorruptArtefact, match=r"latents\.npy"):
        read(folder)


def test_mutants_are_refused_or_read(folder: Path) -> None:
    whole = (folder / "attributes.npy").read_bytes()
    rng, taken = random.Random(0), 0
    for _ in range(1_000):
        changed = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            changed[rng.randrange(140)] = rng.randrange(256)
        (folder / "attributes.npy").write_bytes(changed[: rng.choice((None, -1, 200))])
        try:
            assert read(folder).attributes.shape == (N, 17)
            taken += 1
        except LatentEditError:
            continue
    assert 0 < taken < 1_000


def test_the_published_measurements_are_read(tmp_path: Path) -> None:
    attributes = SHARED / "styleflow_attributes.npy"
    lighting = SHARED / "styleflow_light.npy"
    if not (attributes.is_file() and lighting.is_file()):
        pytest.skip(f"the published measurements are not in {SHARED}")
    shutil.copy(attributes, tmp_path / "attributes.npy")
    shutil.copy(lighting, tmp_path / "lighting.npy")
    np.save(tmp_path / "latents.npy", np.zeros((1_000, 1, 18, 8), "f4"))
    found = read(tmp_path)
    codes, values, schema = found.codes, found.attributes, found.schema
    assert codes.shape == (1_000, 8)
    assert float(values[0, schema.columns("age")]) == 34
    assert values[0, schema.columns("yaw")].item() == pytest.approx(2.7)
