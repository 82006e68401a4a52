"""Networks that others published: where they are, how large, and under which terms."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from latentedit.errors import UnknownName

LARGEST = 1_000_000_000
"""Bytes that are taken at most of a file whose exact size nobody published."""

_NVIDIA = (
    "NVIDIA Source Code License, for non-commercial use only; trained on FFHQ, whose own terms are "
    "CC BY-NC-SA 4.0"
)
_NVIDIA_ADA = "NVIDIA Source Code License, for non-commercial use only"
_ADA = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained"
_NGC = "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan2/versions/1/files"


@dataclass(frozen=True)
class PublishedNetwork:
    """A file at a public address.

    Args:
        url: https.
        megabytes: about how many millions of bytes, for people to read.
        licence: of the weights, as their publisher states it.
        summary: what it makes.
        size: bytes, where they are published.
        sha256: where one is published; None means that the first download is trusted.
        source: who published the sha256.
        importer: the plugin of ``latentedit import`` that reads it.
    """

    url: str
    megabytes: int
    licence: str
    summary: str
    size: int | None = None
    sha256: str | None = None
    source: str = ""
    importer: str = "stylegan2"

    @property
    def file(self) -> str:
        """The file's own name."""
        return urlsplit(self.url).path.rpartition("/")[2]

    @property
    def limit(self) -> int:
        """Bytes that a download may have."""
        return self.size or LARGEST


PUBLISHED: dict[str, PublishedNetwork] = {
    "stylegan2-ffhq": PublishedNetwork(
        f"{_ADA}/ffhq.pkl",
        382,
        _NVIDIA,
        "faces, 1024 pixels",
        size=381_624_121,
        sha256="a205a346e86a9ddaae702e118097d014b7b8bd719491396a162cca438f2f524c",
        source="the Git LFS records of two copies on huggingface.co, which agree",
    ),
    "stylegan2-ffhq-512": PublishedNetwork(
        f"{_NGC}/stylegan2-ffhq-512x512.pkl", 364, _NVIDIA, "faces, 512 pixels"
    ),
    "stylegan2-ffhq-256": PublishedNetwork(
        f"{_NGC}/stylegan2-ffhq-256x256.pkl", 357, _NVIDIA, "faces, 256 pixels"
    ),
    "stylegan2-ffhq-rosinality": PublishedNetwork(
        "https://huggingface.co/wmpscc/StyleGene/resolve/"
        "e301280ac9a63ba7ebb4be3311128bb6c9cb9ae2/stylegan2-ffhq-config-f.pt",
        133,
        _NVIDIA,
        "faces, 1024 pixels; the generator alone",
        size=132_729_083,
        sha256="d0d7c5e71531c816b8cf01037393ee4fb65ed09dcb6434cc0197771e3051199b",
        source="the Git LFS record at that address",
    ),
    "stylegan2-metfaces": PublishedNetwork(
        f"{_ADA}/metfaces.pkl", 382, _NVIDIA_ADA, "painted faces, 1024 pixels"
    ),
    "stylegan2-afhqcat": PublishedNetwork(
        f"{_ADA}/afhqcat.pkl", 364, _NVIDIA_ADA, "cats, 512 pixels"
    ),
    "stylegan2-afhqdog": PublishedNetwork(
        f"{_ADA}/afhqdog.pkl", 364, _NVIDIA_ADA, "dogs, 512 pixels"
    ),
    "stylegan2-afhqwild": PublishedNetwork(
        f"{_ADA}/afhqwild.pkl", 364, _NVIDIA_ADA, "wild animals, 512 pixels"
    ),
}


def find_published(name: str) -> PublishedNetwork:
    """The network of that name.

    >>> find_published("stylegan2-ffhq").file
    'ffhq.pkl'

    Raises:
        UnknownName: lists the valid ones.
    """
    if name not in PUBLISHED:
        raise UnknownName("published network", name, PUBLISHED)
    return PUBLISHED[name]
