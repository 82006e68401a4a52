"""Shared latents: codes and their attributes in a folder, with a hash that two people can compare.

BANK/bank.json                 what was sampled, how it was labelled, and each shard's sha256
BANK/fit-00000.safetensors     codes (n, *shape) and attributes (n, A), float32
BANK/test-00000.safetensors    drawn from another seed, or found for photographs by inversion
BANK/photographs.safetensors   of inverted photographs only: as they were given, (N, 3, R, R) bytes
BANK/tuning.safetensors        and the generator's weights, where they were tuned to them
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.data.images import bytes_to_images
from latentedit.data.records import BankRecord
from latentedit.errors import CorruptArtefact, InputError, UnknownName
from latentedit.files.artefacts import (
    Digest,
    canonical_json,
    file_digest,
    map_tensors,
    new_folder,
    read_json,
    read_tensors,
    within,
    write_bytes,
    write_json,
    write_tensors,
)
from latentedit.files.records import parsed_record

FORMAT = 1
SHARD_ROWS = 65_536
FILES = ("photographs", "tuning")
BATCH = 4_096
SMALL_BANK = 20_000
"""Rows that may stay in memory together."""


@dataclass(frozen=True)
class ModelReference:
    """A plugin, the options it was built with, and the fingerprint that it had."""

    name: str
    options: Mapping[str, Any]
    fingerprint: Digest

    def __str__(self) -> str:
        return f"{self.name} ({self.fingerprint[:12]})"


@dataclass(frozen=True)
class Split:
    """Codes and attributes that belong together, read when they are used.

    Args:
        space: the space of the codes.
        schema: the columns of `attributes`.
        shards: pairs of codes (n, \\*shape) and attributes (n, A), natural units.
        mappings: of the files that the shards are read from; `rows` gives their pages back, so
            that a bank of any size takes no more memory than what is used at once.
    """

    space: str
    schema: AttributeSchema
    shards: tuple[tuple[Tensor, Tensor], ...]
    mappings: tuple[mmap.mmap, ...] = ()

    def __len__(self) -> int:
        return sum(len(codes) for codes, _ in self.shards)

    @property
    def code_shape(self) -> tuple[int, ...]:
        return tuple(self.shards[0][0].shape[1:])

    @property
    def codes(self) -> Tensor:
        """All codes (N, \\*shape); copies where there is more than one shard."""
        return _joined([codes for codes, _ in self.shards])

    @property
    def attributes(self) -> Tensor:
        """All attribute values (N, A)."""
        return _joined([attributes for _, attributes in self.shards])

    def rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Codes and attributes at `index` (M,), read from disk if they are there."""
        starts = torch.tensor([0, *(len(codes) for codes, _ in self.shards)]).cumsum(0)
        shard_of = torch.bucketize(index, starts[1:], right=True)
        codes, attributes = (part.new_empty(len(index), *part.shape[1:]) for part in self.shards[0])
        for shard in sorted(set(shard_of.tolist())):
            for at in (shard_of == shard).nonzero()[:, 0].split(self._rows_at_once):
                local = index[at] - starts[shard]
                codes[at], attributes[at] = (part[local] for part in self.shards[shard])
                if self.mappings:
                    self.mappings[shard].madvise(mmap.MADV_DONTNEED)
        return codes, attributes

    def batches(self, size: int = BATCH) -> Iterator[tuple[Tensor, Tensor]]:
        """Codes and attributes, at most `size` rows at a time, in order; memory stays that of a
        batch, whatever the size of the bank."""
        for index in torch.arange(len(self)).split(size):
            yield self.rows(index)

    @property
    def _rows_at_once(self) -> int:
        """Rows between which pages are given back: one row may bring two megabytes along."""
        return 16 if self.mappings and len(self) > SMALL_BANK else len(self)

    def take(self, index: Tensor) -> Split:
        return Split(self.space, self.schema, (self.rows(index),))


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


@dataclass(frozen=True)
class LatentBank:
    """A folder of shared latents. Open one with `LatentBank.open`, write one with `write`."""

    folder: Path
    space: str
    schema: AttributeSchema
    generator: ModelReference
    labeller: ModelReference
    sampling: Mapping[str, Any]
    shards: tuple[Mapping[str, Any], ...]
    inversion: Mapping[str, Any] | None = None
    """Where the test faces are photographs: how their codes were found, and how well."""

    @classmethod
    def open(cls, folder: str | Path) -> LatentBank:
        """Raises `InputError` where there is none, `CorruptArtefact` where its record is broken."""
        folder = Path(folder)
        if not (folder / "bank.json").is_file():
            raise InputError(
                f"{folder} is not a bank: it has no bank.json. "
                f"Make one with: latentedit bank make --generator NAME --n 4000 --out {folder}"
            )
        written = read_json(folder / "bank.json")
        record = parsed_record(written, BankRecord, folder / "bank.json")
        if record.format != FORMAT:
            raise InputError(
                f"{folder} has bank format {record.format}, this version reads {FORMAT}; "
                "make the bank again"
            )
        # The hash is over what the file says, to the letter: values are taken from it, checked.
        return cls(
            folder=folder,
            space=record.space,
            schema=AttributeSchema.from_json(written["schema"]),
            generator=ModelReference(**written["generator"]),
            labeller=ModelReference(**written["labeller"]),
            sampling=record.sampling,
            shards=tuple(written["shards"]),
            inversion=written.get("inversion"),
        )

    def split(self, name: str) -> Split:
        """The codes and attributes of ``"fit"`` or ``"test"``, memory-mapped."""
        parts, mappings, space = [], [], self.space
        for shard in self.shards:
            if shard["split"] == name:
                space = shard.get("space", space)
                path = within(self.folder, shard["file"])
                mapped, mapping = map_tensors(path)
                if "codes" not in mapped or "attributes" not in mapped:
                    raise CorruptArtefact(f"{path} has no codes or no attributes")
                parts.append((mapped["codes"], mapped["attributes"]))
                mappings.append(mapping)
        if not parts:
            raise UnknownName("split", name, self.splits, f"of bank {self.folder}")
        return Split(space, self.schema, tuple(parts), tuple(mappings))

    @property
    def splits(self) -> list[str]:
        """The names that `split` takes."""
        return sorted({shard["split"] for shard in self.shards})

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of ``"photographs"`` or ``"tuning"``; none where there is no such file."""
        if name not in self._files:
            return {}
        return read_tensors(self.folder / f"{name}.safetensors")

    def files(self) -> dict[str, dict[str, Tensor]]:
        """All tensors beside the splits, by file."""
        return {name: self.tensors(name) for name in self._files}

    @property
    def photographs(self) -> Tensor:
        """(N, 3, R, R) in [-1, 1], what the test faces were found for; empty where sampled."""
        found = self.tensors("photographs").get("images", torch.zeros(0, 3, 1, 1))
        return bytes_to_images(found)

    @property
    def _files(self) -> Mapping[str, Digest]:
        recorded = (self.inversion or {}).get("files", {})
        return {name: recorded[name] for name in FILES if name in recorded}

    @property
    def recorded_files(self) -> list[str]:
        """Every file that the record names, and the record itself; paths within the folder."""
        shards = [shard["file"] for shard in self.shards]
        return ["bank.json", *shards, *(f"{name}.safetensors" for name in self._files)]

    @property
    def hash(self) -> Digest:
        """sha256 over everything that decides which faces these are and how they are labelled.

        Names of attribute values are left out: they decide no figure.
        """
        record = self._record() | {"schema": self.schema.to_json(named=False)}
        return hashlib.sha256(canonical_json(record)).hexdigest()

    def verify(self) -> None:
        """Raise `CorruptArtefact` naming the first shard whose bytes are not the recorded ones."""
        recorded = {shard["file"]: shard["sha256"] for shard in self.shards}
        recorded |= {f"{name}.safetensors": digest for name, digest in self._files.items()}
        for file, digest in recorded.items():
            found = file_digest(within(self.folder, file))
            if found != digest:
                raise CorruptArtefact(
                    f"{self.folder / file} has sha256 {found[:12]}…, bank.json records "
                    f"{digest[:12]}…: the file was changed or cut. Make the bank again."
                )

    def _record(self) -> dict[str, Any]:
        record = {
            "format": FORMAT,
            "space": self.space,
            "schema": self.schema.to_json(),
            "generator": asdict(self.generator),
            "labeller": asdict(self.labeller),
            "sampling": dict(self.sampling),
            "shards": [dict(shard) for shard in self.shards],
        }
        return record if self.inversion is None else record | {"inversion": dict(self.inversion)}

    @classmethod
    def write(
        cls,
        folder: str | Path,
        splits: Mapping[str, Split],
        generator: ModelReference,
        labeller: ModelReference,
        sampling: Mapping[str, Any],
        inversion: Mapping[str, Any] | None = None,
        files: Mapping[str, Mapping[str, Tensor]] | None = None,
        pictures: Mapping[str, bytes] | None = None,
    ) -> LatentBank:
        """Write `splits` to a new folder, whole or not at all.

        Args:
            inversion, files: of a bank of photographs, its record and its further tensors.
            pictures: files for people to look at, by name; no part of what the bank records.
        """
        first = next(iter(splits.values()))
        folder = Path(folder)
        with new_folder(folder) as temporary:
            shards = [
                {"split": name, "file": f"{name}-{i:05d}.safetensors", "rows": len(codes)}
                | ({} if split.space == first.space else {"space": split.space})
                | {
                    "sha256": write_tensors(
                        temporary / f"{name}-{i:05d}.safetensors",
                        {"codes": codes, "attributes": attributes},
                    )
                }
                for name, split in splits.items()
                for i, (codes, attributes) in enumerate(split.shards)
            ]
            digests = {
                name: write_tensors(temporary / f"{name}.safetensors", tensors)
                for name, tensors in (files or {}).items()
                if tensors
            }
            for name, data in (pictures or {}).items():
                write_bytes(temporary / name, data)
            if inversion is not None:
                inversion = {**inversion, "files": digests}
            models = (generator, labeller, sampling, tuple(shards), inversion)
            bank = cls(folder, first.space, first.schema, *models)
            write_json(temporary / "bank.json", bank._record())
        return bank
