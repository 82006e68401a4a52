"""Published networks: address, size and licence."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from latentedit.registry import Registry

LARGEST = 1_000_000_000
"""Bytes that are taken at most of a file whose exact size nobody published."""


@dataclass(frozen=True)
class PublishedNetwork:
    """A file at a public address.

    Args:
        url: https.
        megabytes: about how many millions of bytes, for people to read.
        licence: of the weights, as their publisher states it.
        summary: what it makes.
        importer: the weight importer that reads it.
        size: bytes, where they are published.
        sha256: where one is published; None means that the first download is trusted.
        source: who published the sha256.
    """

    url: str
    megabytes: int
    licence: str
    summary: str
    importer: str
    size: int | None = None
    sha256: str | None = None
    source: str = ""

    @property
    def file(self) -> str:
        """The file's own name."""
        return urlsplit(self.url).path.rpartition("/")[2]

    @property
    def limit(self) -> int:
        """Bytes that a download may have."""
        return self.size or LARGEST


def published_networks(registry: Registry) -> dict[str, PublishedNetwork]:
    """Every network that the installed plugins know, by name."""
    return {name: registry.load("network", name) for name in registry.specs("network")}
