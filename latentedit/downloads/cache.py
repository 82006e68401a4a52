"""A cache of published networks, each with a record of how its bytes were checked.

CACHE/NAME/network.pkl    the file under its own name
CACHE/NAME/fetched.json   address, size, SHA-256, and how the SHA-256 was checked
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from latentedit.downloads.catalogue import PublishedNetwork
from latentedit.downloads.http import Request, download, tidy
from latentedit.errors import CorruptArtefact
from latentedit.files.artefacts import Digest, file_digest, write_json
from latentedit.files.records import StrictRecord, read_record
from latentedit.files.remote import cache_folder
from latentedit.interfaces.runtime import Progress, silent

RECORD = "fetched.json"


class FetchRecord(StrictRecord):
    """What `fetched.json` says of a file.

    Args:
        name: of the network.
        url: where it came from.
        size: in bytes.
        sha256: of its bytes.
        basis: what vouches for them.
        licence: of the network.
    """

    name: str
    url: str
    size: int
    sha256: Digest
    basis: str
    licence: str


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


def fetch(
    name: str,
    network: PublishedNetwork,
    folder: Path | None = None,
    progress: Progress = silent,
) -> Fetched:
    """Download `network` unless it is in the cache, and check its SHA-256 in both cases.

    If no SHA-256 is published, that of the first download is recorded, and later downloads must
    match it.

    Args:
        folder: used instead of the cache folder.

    Raises:
        CorruptArtefact: other bytes than expected, on disk or from the server; or the record of an
            earlier download is broken.
        EnvironmentFault: the download failed; the same call goes on with it.
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
    record = FetchRecord(
        name=name,
        url=network.url,
        size=path.stat().st_size,
        sha256=sha256,
        basis=basis,
        licence=network.licence,
    )
    write_json(home / RECORD, record.model_dump())
    return Fetched(path, sha256, basis, not present)


def _seen(record: Path, network: PublishedNetwork) -> Digest | None:
    """The SHA-256 of the first download from this address; None if there was none."""
    if not record.is_file():
        return None
    found = read_record(record, FetchRecord)
    return found.sha256 if found.url == network.url else None


def _basis(network: PublishedNetwork, first: bool) -> str:
    if network.sha256 is not None:
        return f"published: {network.source}"
    if first:
        return "nothing: none is published, so this first download is trusted"
    return "the first download, which was trusted: none is published"
