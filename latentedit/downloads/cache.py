"""A cache of published networks, each with a record of how its bytes were checked.

CACHE/NAME/network.pkl    the file under its own name
CACHE/NAME/fetched.json   address, size, SHA-256, and how the SHA-256 was checked
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_cache_path

from latentedit.downloads.catalogue import PublishedNetwork
from latentedit.downloads.http import Request, download, tidy
from latentedit.errors import CorruptArtefact, InputError
from latentedit.files.artefacts import Digest, file_digest, read_json, write_json

RECORD = "fetched.json"


@dataclass(frozen=True)
class Fetched:
    """A complete file in the cache.

    Args:
        path: of the file.
        sha256: of its bytes.
        basis: how the SHA-256 was checked.
        downloaded: False if the file was in the cache already.
    """

    path: Path
    sha256: Digest
    basis: str
    downloaded: bool


def cache_folder() -> Path:
    """The folder of downloads on this platform, for instance ``~/.cache/latentedit``."""
    return user_cache_path("latentedit", appauthor=False)


def fetch(
    name: str,
    network: PublishedNetwork,
    folder: Path | None = None,
    progress: Callable[[float, str], None] = lambda fraction, message: None,
) -> Fetched:
    """Download `network` unless it is in the cache, and check its SHA-256 in both cases.

    If no SHA-256 is published, that of the first download is recorded, and later downloads must
    match it.

    Args:
        folder: used instead of the cache folder.

    Raises:
        CorruptArtefact: the bytes on disk or from the server are not the expected ones.
        EnvironmentFault: the download failed; the same call continues it.
    """
    home = (cache_folder() if folder is None else folder) / name
    path = home / network.file
    seen = _seen(home / RECORD, network)
    expected = network.sha256 or seen
    present = path.is_file()
    if present:
        sha256 = file_digest(path)
        if expected not in (None, sha256):
            raise CorruptArtefact(
                f"{path} has sha256 {sha256}, expected {expected}: it was changed. "
                "Remove it and run the same command again"
            )
        tidy(path)
    else:
        request = Request(network.url, network.limit, network.size, expected)
        sha256 = download(request, path, progress)
    basis = _basis(network, first=seen is None)
    write_json(
        home / RECORD,
        {
            "name": name,
            "url": network.url,
            "size": path.stat().st_size,
            "sha256": sha256,
            "basis": basis,
            "licence": network.licence,
        },
    )
    return Fetched(path, sha256, basis, not present)


def _seen(record: Path, network: PublishedNetwork) -> Digest | None:
    """The SHA-256 of the first download from this address; None if there was none."""
    try:
        found = read_json(record)
        return str(found["sha256"]) if found["url"] == network.url else None
    except (InputError, KeyError, TypeError):
        return None


def _basis(network: PublishedNetwork, first: bool) -> str:
    if network.sha256 is not None:
        return f"published: {network.source}"
    if first:
        return "nothing: none is published, so this first download is trusted"
    return "the first download, which was trusted: none is published"
