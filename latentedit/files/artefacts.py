"""Artefact files that are complete or absent: JSON, safetensors and whole folders."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import mmap
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_safetensors
from safetensors.torch import save as save_safetensors
from torch import Tensor

from latentedit.errors import CorruptArtefact, EnvironmentFault, InputError
from latentedit.files.staging import remove_abandoned, unfinished_file, unfinished_folder

Digest = str
"""A sha256, in hexadecimal."""


def write_bytes(path: Path, data: bytes) -> None:
    """Put `data` at `path`: the old content stays until the new one is complete on disk.

    Raises:
        EnvironmentFault: the disk is full or refuses; at `path` is the old file, whole.
    """
    with _refusals_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished_file(path) as temporary:
            handle = os.open(temporary, os.O_WRONLY)
            try:
                _write_all(handle, data)
                os.fsync(handle)
            finally:
                os.close(handle)
            os.chmod(temporary, 0o644)
            os.replace(temporary, path)
    _sync_folder(path.parent)


def _write_all(handle: int, data: bytes) -> None:
    """Write on where the system took less than it was given."""
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Yield an unfinished sibling of `path`, which `publish` moves there when it is complete.

    It is removed where the block raises.
    """
    with _refusals_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished_folder(path, hand_over=True) as temporary:
            os.chmod(temporary, 0o755)  # noqa: S103  (mkdtemp makes private folders)
            yield temporary


def publish(temporary: Path, path: Path, recorded: Iterable[str], aside: Path) -> None:
    """Move a staged folder to `path`, in place of an older one.

    An older folder that holds more than `recorded` is moved below `aside` first.

    Args:
        recorded: paths within the older folder of the files that this project wrote there.

    Raises:
        EnvironmentFault: the disk refuses; the older folder is where it was.
    """
    with _refusals_named(path), ExitStack() as stack:
        stack.callback(shutil.rmtree, temporary, ignore_errors=True)
        if path.exists() and not holds_only(path, recorded):
            move_aside(path, aside)
        if path.exists():
            older = stack.enter_context(unfinished_folder(_older(path))) / path.name
            os.replace(path, older)
            try:
                os.replace(temporary, path)
            except BaseException:
                os.replace(older, path)
                raise
        else:
            os.replace(temporary, path)
    _sync_folder(path.parent)


def _older(path: Path) -> Path:
    """What the folder that `publish` replaces is kept as: not `path`, or it would tidy up what is
    being published."""
    return path.with_name(f"{path.name}.older")


def remove_unpublished(path: Path) -> None:
    """Remove what killed processes had staged for `path`, or had begun to replace."""
    remove_abandoned(path)
    remove_abandoned(_older(path))


def holds_only(folder: Path, recorded: Iterable[str]) -> bool:
    """Whether every file in `folder`, at any depth, is one of the `recorded` paths within it."""
    files = {folder / name for name in recorded}
    found = (path for path in folder.rglob("*") if path.is_symlink() or not path.is_dir())
    return folder.is_dir() and files.issuperset(found)


def move_aside(folder: Path, aside: Path) -> Path:
    """Move `folder` into `aside`, under its name or under ``NAME-2``, ``NAME-3`` and so on.

    Returns:
        Where it is now.
    """
    aside.mkdir(parents=True, exist_ok=True)
    names = itertools.chain([folder.name], (f"{folder.name}-{i}" for i in itertools.count(2)))
    place = next(aside / name for name in names if not os.path.lexists(aside / name))
    os.replace(folder, place)
    return place


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path` that becomes `path` when the block ends without error.

    Raises:
        InputError: `path` exists already.
    """
    _refuse_existing(path)
    with _refusals_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished_folder(path) as temporary:
            os.chmod(temporary, 0o755)  # noqa: S103  (mkdtemp makes private folders)
            yield temporary
            _move_in(temporary, path)
    _sync_folder(path.parent)


def _move_in(temporary: Path, path: Path) -> None:
    """Move a folder to `path`, unless somebody else was faster: the system itself puts no folder in
    place of one that holds anything."""
    try:
        os.replace(temporary, path)
    except OSError:
        _refuse_existing(path)
        raise


def _refuse_existing(path: Path) -> None:
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise InputError(f"{path} exists already; choose another folder or remove it first")


@contextmanager
def _refusals_named(path: Path) -> Iterator[None]:
    """The operating system's refusals as an error that names `path`."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFault(
            f"could not write {path}: {error.strerror}. What was there before is unchanged; "
            f"free space or choose another folder, and run the same command again."
        ) from error


def _sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable: without it, a power cut may bring back old ones."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise EnvironmentFault(
            f"wrote everything in {folder}, but could not make it durable: {error.strerror}. "
            f"Look at the disk, and run the same command again."
        ) from error


def canonical_json(value: Any) -> bytes:
    """One byte string for equal values: sorted keys, no spaces, no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def write_json(path: Path, value: Any) -> None:
    """Write JSON for people to read; keys keep their order."""
    write_bytes(path, (json.dumps(value, indent=2, allow_nan=False) + "\n").encode())


def read_json(path: Path) -> Any:
    """Raises `InputError` where there is no file, `CorruptArtefact` where it is not JSON."""
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (ValueError, RecursionError) as error:
        raise CorruptArtefact(f"{path} is not JSON: {error}") from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> Digest:
    """Write a safetensors file; return its sha256."""
    data = save_safetensors({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Raises `InputError` where there is no file, `CorruptArtefact` where it is not safetensors."""
    try:
        return load_safetensors(path.read_bytes())
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except (SafetensorError, ValueError) as error:
        raise CorruptArtefact(f"{path} is not a safetensors file: {error}") from None


def map_tensors(path: Path) -> tuple[dict[str, Tensor], mmap.mmap]:
    """The float32 tensors of a safetensors file, memory-mapped: only rows that are used are read.

    Writing to them changes this process's copy alone. The mapping comes along, so that its owner
    can give pages back that were read.
    """
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if length > min(path.stat().st_size, 100_000_000):
                raise CorruptArtefact(f"{path} is cut short: its header claims {length} bytes")
            header = json.loads(file.read(length))
            mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None
    except ValueError as error:
        raise CorruptArtefact(f"{path} is not a safetensors file: {error}") from None
    header.pop("__metadata__", None)
    return {
        name: _mapped(path, mapping, 8 + length, name, entry) for name, entry in header.items()
    }, mapping


def _mapped(path: Path, mapping: mmap.mmap, start: int, name: str, entry: Any) -> Tensor:
    try:
        if entry["dtype"] != "F32":
            raise CorruptArtefact(f"{path}: tensor {name!r} is {entry['dtype']}, not F32")
        shape, offset = tuple(entry["shape"]), start + entry["data_offsets"][0]
        array = np.frombuffer(mapping, np.float32, math.prod(shape), offset)
        return torch.from_numpy(array.reshape(shape))
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise CorruptArtefact(f"{path}: tensor {name!r} cannot be mapped: {error}") from None


def within(folder: Path, name: str) -> Path:
    """The file `name` of `folder`, refused where a record leads out of it: by ``..``, an absolute
    path or a link."""
    path = folder / str(name)
    if path.is_dir() or not path.resolve().is_relative_to(folder.resolve()):
        raise CorruptArtefact(f"{folder} names {name!r}, which is no file in it")
    return path


def file_digest(path: Path) -> Digest:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError:
        raise InputError(f"there is no file {path}") from None


def fingerprint(configuration: Any, tensors: Mapping[str, Tensor] | None = None) -> Digest:
    """The identity of a model: sha256 over its configuration and its weights.

    >>> fingerprint({"curvature": 0.5}) == fingerprint({"curvature": 0.5})
    True
    """
    digest = hashlib.sha256(canonical_json(configuration))
    for name, tensor in sorted((tensors or {}).items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
