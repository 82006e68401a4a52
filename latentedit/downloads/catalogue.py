"""Published networks: address, size and licence."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from latentedit.registry import Registry

LARGEST = 1_000_000_000
"""Limit in bytes on a file whose exact size is not published."""


@dataclass(frozen=True)
class PublishedNetwork:
    """A file at a public address.

    Args:
        url: https.
        megabytes: approximate size in millions of bytes, for display.
        licence: of the weights, as their publisher states it.
        summary: the images that it generates.
        importer: the weight importer that reads it.
        size: exact size in bytes, if published.
        sha256: if published; None means that the first download is trusted.
        source: the publisher of the sha256.
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
        """Limit on the size of a download, in bytes."""
        return self.size or LARGEST


def published_networks(registry: Registry) -> dict[str, PublishedNetwork]:
    """The published networks of all installed plugins, by name."""
    return {name: registry.load("network", name) for name in registry.specs("network")}
