"""Published networks: address, size and licence."""

from __future__ import annotations

from latentedit import PublishedNetwork

_NVIDIA = (
    "NVIDIA Source Code License, for non-commercial use only; trained on FFHQ, whose own terms are "
    "CC BY-NC-SA 4.0"
)
_NVIDIA_ADA = "NVIDIA Source Code License, for non-commercial use only"
_ADA = "https://nvlabs-fi-cdn.nvidia.com/stylegan2-ada-pytorch/pretrained"
_NGC = "https://api.ngc.nvidia.com/v2/models/nvidia/research/stylegan2/versions/1/files"
_IMPORTER = "stylegan2"

FFHQ = PublishedNetwork(
    f"{_ADA}/ffhq.pkl",
    382,
    _NVIDIA,
    "faces, 1024 pixels",
    _IMPORTER,
    size=381_624_121,
    sha256="a205a346e86a9ddaae702e118097d014b7b8bd719491396a162cca438f2f524c",
    source="the Git LFS records of two copies on huggingface.co, which agree",
)
FFHQ_512 = PublishedNetwork(
    f"{_NGC}/stylegan2-ffhq-512x512.pkl", 364, _NVIDIA, "faces, 512 pixels", _IMPORTER
)
FFHQ_256 = PublishedNetwork(
    f"{_NGC}/stylegan2-ffhq-256x256.pkl", 357, _NVIDIA, "faces, 256 pixels", _IMPORTER
)
FFHQ_ROSINALITY = PublishedNetwork(
    "https://huggingface.co/wmpscc/StyleGene/resolve/"
    "e301280ac9a63ba7ebb4be3311128bb6c9cb9ae2/stylegan2-ffhq-config-f.pt",
    133,
    _NVIDIA,
    "faces, 1024 pixels; the generator alone",
    _IMPORTER,
    size=132_729_083,
    sha256="d0d7c5e71531c816b8cf01037393ee4fb65ed09dcb6434cc0197771e3051199b",
    source="the Git LFS record at that address",
)
METFACES = PublishedNetwork(
    f"{_ADA}/metfaces.pkl", 382, _NVIDIA_ADA, "painted faces, 1024 pixels", _IMPORTER
)
AFHQ_CAT = PublishedNetwork(f"{_ADA}/afhqcat.pkl", 364, _NVIDIA_ADA, "cats, 512 pixels", _IMPORTER)
AFHQ_DOG = PublishedNetwork(f"{_ADA}/afhqdog.pkl", 364, _NVIDIA_ADA, "dogs, 512 pixels", _IMPORTER)
AFHQ_WILD = PublishedNetwork(
    f"{_ADA}/afhqwild.pkl", 364, _NVIDIA_ADA, "wild animals, 512 pixels", _IMPORTER
)
