"""Shared latents: codes and their attributes in a folder, with a hash that two people can compare.

BANK/bank.json                 what was sampled, how it was labelled, and each shard's sha256
BANK/fit-00000.safetensors     codes (n, *shape) and attributes (n, A), float32
BANK/test-00000.safetensors    drawn from another seed
"""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentedit.artefacts import (
    Digest,
    canonical_json,
    file_digest,
    map_tensors,
    new_folder,
    read_json,
    within,
    write_json,
    write_tensors,
)
from latentedit.attributes import AttributeSchema
from latentedit.errors import CorruptArtefact, InputError, UnknownName

FORMAT = 1
SHARD_ROWS = 65_536
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

    @property
    def _rows_at_once(self) -> int:
        """Rows between which pages are given back: one row may bring two megabytes along."""
        return 16 if self.mappings and len(self) > SMALL_BANK else len(self)

    def take(self, index: Tensor) -> Split:
        return Split(self.space, self.schema, (self.rows(index),))

    def with_attributes(self, names: tuple[str, ...]) -> Split:
        """The same codes with only the attributes `names`, in that order."""
        select = self.schema.select
        return Split(
            self.space,
            self.schema.subset(names),
            tuple((codes, select(attributes, names)) for codes, attributes in self.shards),
            self.mappings,
        )


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

    @classmethod
    def open(cls, folder: str | Path) -> LatentBank:
        """Raises `InputError` where there is none, `CorruptArtefact` where its record is broken."""
        folder = Path(folder)
        if not (folder / "bank.json").is_file():
            raise InputError(
                f"{folder} is not a bank: it has no bank.json. "
                f"Make one with: latentedit bank make --generator NAME --n 4000 --out {folder}"
            )
        record = read_json(folder / "bank.json")
        try:
            if record["format"] != FORMAT:
                raise InputError(
                    f"{folder} has bank format {record['format']}, this version reads {FORMAT}; "
                    "make the bank again"
                )
            return cls(
                folder=folder,
                space=record["space"],
                schema=AttributeSchema.from_json(record["schema"]),
                generator=ModelReference(**record["generator"]),
                labeller=ModelReference(**record["labeller"]),
                sampling=record["sampling"],
                shards=tuple(record["shards"]),
            )
        except (KeyError, TypeError) as error:
            raise CorruptArtefact(f"{folder}/bank.json lacks or garbles {error}") from None

    def split(self, name: str) -> Split:
        """The codes and attributes of ``"fit"`` or ``"test"``, memory-mapped."""
        parts, mappings = [], []
        for shard in self.shards:
            if shard["split"] == name:
                path = within(self.folder, shard["file"])
                mapped, mapping = map_tensors(path)
                if "codes" not in mapped or "attributes" not in mapped:
                    raise CorruptArtefact(f"{path} has no codes or no attributes")
                parts.append((mapped["codes"], mapped["attributes"]))
                mappings.append(mapping)
        if not parts:
            raise UnknownName("split", name, sorted({shard["split"] for shard in self.shards}))
        return Split(self.space, self.schema, tuple(parts), tuple(mappings))

    @property
    def hash(self) -> Digest:
        """sha256 over everything that decides which faces these are and what they are called."""
        return hashlib.sha256(canonical_json(self._record())).hexdigest()

    def verify(self) -> None:
        """Raise `CorruptArtefact` naming the first shard whose bytes are not the recorded ones."""
        for shard in self.shards:
            found = file_digest(within(self.folder, shard["file"]))
            if found != shard["sha256"]:
                raise CorruptArtefact(
                    f"{self.folder / shard['file']} has sha256 {found[:12]}…, bank.json records "
                    f"{shard['sha256'][:12]}…: the file was changed or cut. Make the bank again."
                )

    def _record(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "space": self.space,
            "schema": self.schema.to_json(),
            "generator": asdict(self.generator),
            "labeller": asdict(self.labeller),
            "sampling": dict(self.sampling),
            "shards": [dict(shard) for shard in self.shards],
        }

    @classmethod
    def write(
        cls,
        folder: str | Path,
        splits: Mapping[str, Split],
        generator: ModelReference,
        labeller: ModelReference,
        sampling: Mapping[str, Any],
    ) -> LatentBank:
        """Write `splits` to a new folder, whole or not at all."""
        first = next(iter(splits.values()))
        folder = Path(folder)
        with new_folder(folder) as temporary:
            shards = [
                {"split": name, "file": f"{name}-{i:05d}.safetensors", "rows": len(codes)}
                | {
                    "sha256": write_tensors(
                        temporary / f"{name}-{i:05d}.safetensors",
                        {"codes": codes, "attributes": attributes},
                    )
                }
                for name, split in splits.items()
                for i, (codes, attributes) in enumerate(split.shards)
            ]
            bank = cls(
                folder, first.space, first.schema, generator, labeller, sampling, tuple(shards)
            )
            write_json(temporary / "bank.json", bank._record())
        return bank
