"""Files in an object store or on another server, and their copies on this machine."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from platformdirs import user_cache_path

from latentedit.errors import CorruptArtefact, EnvironmentFault, InputError
from latentedit.files.artefacts import Digest, read_json, write_bytes, write_json
from latentedit.files.digests import known_digest

ROOT = "root"
"""In the record of a remote artefact: where its other files are."""

_URL = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/+(.*)", re.DOTALL)
_OF_THIS_MACHINE = ("file", "local")


def cache_folder() -> Path:
    """The folder of downloads on this platform, for instance ``~/.cache/latentedit``."""
    return user_cache_path("latentedit", appauthor=False)


def url_of(place: str | Path) -> str:
    """`place` as a URL; empty if it is a path of this machine.

    A path that was made of a URL has lost a slash, which is put back.

    >>> url_of("s3://bucket/bank/"), url_of(Path("s3://bucket/bank")), url_of("runs/bank")
    ('s3://bucket/bank', 's3://bucket/bank', '')
    """
    found = _URL.fullmatch(str(place))
    if found is None:
        return ""
    protocol, rest = found.groups()
    return f"{protocol}:{'///' if protocol in _OF_THIS_MACHINE else '//'}{rest.rstrip('/')}"


def record_of(url: str, name: str) -> Path:
    """A folder of the cache with the record `name` of the artefact at `url`.

    The record has one more field, `ROOT`, which says where it came from.

    Raises:
        InputError: there is no such file, or no such kind of store.
        EnvironmentFault: the store does not answer, or needs a package that is not installed.
    """
    data = remote_bytes(f"{url}/{name}")
    key = hashlib.sha256(url.encode() + b"\n" + data).hexdigest()[:32]
    folder = cache_folder() / "remote" / key
    if not (folder / name).is_file():
        write_bytes(folder / f"original-{name}", data)
        record = read_json(folder / f"original-{name}")
        write_json(folder / name, (record if isinstance(record, dict) else {}) | {ROOT: url})
    return folder


def fetched(url: str, digest: Digest) -> Path:
    """A copy in the cache of the file at `url`, which has the SHA-256 `digest`.

    Equal files of several artefacts have one copy.

    Raises:
        CorruptArtefact: the file there has another SHA-256.
        InputError, EnvironmentFault: as `record_of`.
    """
    path = cache_folder() / "shards" / digest
    if path.is_file() and known_digest(path) == digest:
        return path
    data = remote_bytes(url)
    found = hashlib.sha256(data).hexdigest()
    if found != digest:
        raise CorruptArtefact(
            f"{url} has sha256 {found[:12]}…, its record says {digest[:12]}…: the file was changed "
            "or cut. Upload it again"
        )
    write_bytes(path, data)
    return path


def remote_bytes(url: str) -> bytes:
    """The file at `url`, by fsspec; raises as `record_of` does."""
    import fsspec

    try:
        with fsspec.open(url, "rb") as file:
            data: bytes = file.read()
    except FileNotFoundError:
        raise InputError(f"there is no file {url}; check the address") from None
    except ImportError as error:
        raise EnvironmentFault(
            f"{url} cannot be read: {error}. Install fsspec, and its package for this store: pip "
            "install 'latentedit[remote]', for S3 'latentedit[s3]'"
        ) from None
    except ValueError as error:
        raise InputError(f"{url} cannot be read: {error}") from None
    except Exception as error:  # every store has errors of its own
        raise EnvironmentFault(
            f"{url} cannot be read: {error}. Check the connection and the credentials of the store"
        ) from error
    return data
