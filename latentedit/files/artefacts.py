"""Artefact files that are complete or absent: JSON, safetensors and whole folders."""

from __future__ import annotations

import hashlib
import itertools
import json
import math
import mmap
import os
import shutil
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentedit.errors import CorruptArtefact, EnvironmentFault, InputError
from latentedit.files.headers import LENGTH_BYTES, TensorPlace, header_length, tensor_places
from latentedit.files.regular import file_size, opened, read_bytes
from latentedit.files.staging import remove_abandoned, unfinished_file, unfinished_folder
from latentedit.files.strict_json import MAX_BYTES, strict_json

if TYPE_CHECKING:
    from torch import Tensor

Digest = str
"""A SHA-256 in hexadecimal."""


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path`; an old file stays until the new one is complete on disk.

    Raises:
        EnvironmentFault: the disk is full or cannot be written. The old file is unchanged.
    """
    with _refusals_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished_file(path) as temporary:
            handle = os.open(temporary, os.O_WRONLY)
            try:
                _write_all(handle, data)
                # Before the rename: after a power cut, the new name must not lead to empty data.
                os.fsync(handle)
            finally:
                os.close(handle)
            os.chmod(temporary, 0o644)  # mkstemp makes private files
            os.replace(temporary, path)
    _sync_folder(path.parent)


def _write_all(handle: int, data: bytes) -> None:
    """Write all of `data`; one call of `os.write` may accept only a part of it."""
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


@contextmanager
def staged_folder(path: Path) -> Iterator[Path]:
    """Yield an unfinished sibling of `path`, for `publish`. It is removed if the block raises."""
    with _refusals_named(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished_folder(path, hand_over=True) as temporary:
            os.chmod(temporary, 0o755)  # noqa: S103  (mkdtemp makes private folders)
            yield temporary


def publish(temporary: Path, path: Path, recorded: Iterable[str], aside: Path) -> None:
    """Move a staged folder to `path`, and replace an older folder there.

    Args:
        recorded: paths within the older folder of the files that this project wrote. If the folder
            holds any other file, it is moved into `aside` instead of being removed.
        aside: the folder for such folders.

    Raises:
        EnvironmentFault: the disk cannot be written. The older folder is unchanged.
    """
    with _refusals_named(path), ExitStack() as stack:
        stack.callback(shutil.rmtree, temporary, ignore_errors=True)
        if path.exists() and not holds_only(path, recorded):
            move_aside(path, aside)
        if path.exists():
            # os.replace cannot replace a folder that is not empty: the older one steps aside.
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
    """The name for staging the folder that `publish` replaces.

    It differs from `path`: otherwise the search for abandoned folders of `path` would remove the
    staged folder, which has no lock any more.
    """
    return path.with_name(f"{path.name}.older")


def remove_unpublished(path: Path) -> None:
    """Remove folders that killed processes had staged for `path` or were replacing."""
    remove_abandoned(path)
    remove_abandoned(_older(path))


def holds_only(folder: Path, recorded: Iterable[str]) -> bool:
    """Whether every file in `folder`, at any depth, is one of the `recorded` paths within it."""
    files = {folder / name for name in recorded}
    # A symbolic link counts as a file, also where it leads to a folder.
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
    """Move a folder to `path`, unless another process has created it in the meantime.

    The system call decides this: it never replaces a folder that is not empty.
    """
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
    """Turn `OSError` into an `EnvironmentFault` that names `path`."""
    try:
        yield
    except OSError as error:
        raise EnvironmentFault(
            f"could not write {path}: {error.strerror}. Existing files are unchanged; "
            f"free space or choose another folder, and run the same command again."
        ) from error


def _sync_folder(folder: Path) -> None:
    """Flush the names in `folder` to disk; otherwise a power cut may bring back old ones."""
    try:
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
    except OSError as error:
        raise EnvironmentFault(
            f"wrote {folder}, but could not flush it to disk: {error.strerror}. "
            f"Check the disk, and run the same command again."
        ) from error


def canonical_json(value: Any) -> bytes:
    """JSON with sorted keys and no spaces, so that equal values give equal bytes; no NaN."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def write_json(path: Path, value: Any) -> None:
    """Write indented JSON; keys keep their order.

    Raises:
        InputError: it would be too large to be read.
    """
    data = (json.dumps(value, indent=2, allow_nan=False) + "\n").encode()
    if len(data) > MAX_BYTES:
        raise InputError(
            f"{path} would have {len(data):,} bytes, and records have {MAX_BYTES:,} at most; "
            "nothing was written. Compare fewer editors or tasks in one run"
        )
    write_bytes(path, data)


def read_json(path: Path) -> Any:
    """Read JSON strictly; see `strict_json`.

    Raises:
        InputError: there is no regular file, or it is too large.
        CorruptArtefact: it is not JSON, or too deep or ambiguous.
        EnvironmentFault: it cannot be read.
    """
    data = read_bytes(path, MAX_BYTES)
    try:
        return strict_json(data)
    except ValueError as error:
        raise CorruptArtefact(f"{path} is not JSON: {error}") from None


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> Digest:
    """Write a safetensors file; return its sha256."""
    from safetensors.torch import save as save_safetensors

    data = save_safetensors({name: t.detach().cpu().contiguous() for name, t in tensors.items()})
    write_bytes(path, data)
    return hashlib.sha256(data).hexdigest()


def read_tensors(path: Path) -> dict[str, Tensor]:
    """All tensors of a safetensors file, by name.

    Raises:
        InputError: there is no regular file.
        CorruptArtefact: it is not a safetensors file.
        EnvironmentFault: it cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load as load_safetensors

    data = read_bytes(path)
    try:
        length = header_length(data[:LENGTH_BYTES], len(data))
        tensor_places(data[LENGTH_BYTES : LENGTH_BYTES + length], len(data))
        return load_safetensors(data)
    except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
        raise CorruptArtefact(f"{path} is not a safetensors file: {error}") from None


def read_tensors_but(path: Path, unread: Collection[str]) -> dict[str, Tensor]:
    """The tensors of a safetensors file whose names are not `unread`; raises as `read_tensors`.

    They are memory-mapped: what nobody looks at takes no memory. Writes do not change the file.
    """
    from safetensors import SafetensorError, safe_open

    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        try:
            places = tensor_places(file.read(header_length(file.read(LENGTH_BYTES), size)), size)
            with safe_open(path, framework="pt") as found:
                return {name: found.get_tensor(name) for name in places if name not in unread}
        except (SafetensorError, ValueError, KeyError, RuntimeError) as error:
            raise CorruptArtefact(f"{path} is not a safetensors file: {error}") from None


def map_tensors(path: Path) -> tuple[dict[str, Tensor], mmap.mmap]:
    """The float32 tensors of a safetensors file, memory-mapped, and the mapping.

    The header is checked first. Only rows in use are read. Writes change the copy of this process,
    never the file. The owner of the mapping can release pages with ``madvise``.

    Raises:
        InputError: there is no regular file.
        CorruptArtefact: it is not a safetensors file, or holds something else than float32.
        EnvironmentFault: it cannot be read.
    """
    with opened(path) as file:
        size = file_size(file)
        try:
            header = file.read(header_length(file.read(LENGTH_BYTES), size))
            places = tensor_places(header, size)
        except ValueError as error:
            raise CorruptArtefact(f"{path} is not a safetensors file: {error}") from None
        for name, place in places.items():
            if place.dtype != "F32" or place.start % 4:
                at = f"{place.dtype} at byte {place.start}, not F32 at a multiple of 4"
                raise CorruptArtefact(f"{path}: tensor {name[:80]!r} is {at}")
        mapping = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    return {name: _mapped(mapping, place) for name, place in places.items()}, mapping


def _mapped(mapping: mmap.mmap, place: TensorPlace) -> Tensor:
    import numpy as np
    import torch

    count = math.prod(place.shape)
    if not count:
        return torch.zeros(place.shape)
    array = np.frombuffer(mapping, np.float32, count, place.start)
    return torch.from_numpy(array.reshape(place.shape))


def within(folder: Path, name: str) -> Path:
    """The path of the file `name` in `folder`.

    Raises:
        CorruptArtefact: the path leaves the folder, by ``..``, an absolute path or a link, or no
            file can have this name.
    """
    path = folder / str(name)
    try:
        inside = not path.is_dir() and path.resolve().is_relative_to(folder.resolve())
    except (OSError, ValueError, RuntimeError):  # a loop of links, NUL, or a name too long
        inside = False
    if not inside:
        raise CorruptArtefact(
            f"a record in {folder} names {str(name)[:200]!r}, which is not a file in it"
        )
    return path


def file_digest(path: Path) -> Digest:
    """SHA-256 of a regular file; raises as `read_bytes` does."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def fingerprint(configuration: Any, tensors: Mapping[str, Tensor] | None = None) -> Digest:
    """The identity of a model: SHA-256 over its configuration and its weights.

    >>> fingerprint({"curvature": 0.5}) == fingerprint({"curvature": 0.5})
    True
    """
    import torch

    digest = hashlib.sha256(canonical_json(configuration))
    for name, tensor in sorted((tensors or {}).items()):
        digest.update(f"{name}:{tensor.dtype}:{tuple(tensor.shape)}".encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()
