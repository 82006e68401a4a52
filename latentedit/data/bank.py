"""Banks of shared latents: codes and attributes in a folder, with a reproducible hash.

BANK/bank.json                 generator, labeller, sampling, and the SHA-256 of each shard
BANK/fit-00000.safetensors     codes (n, *shape) and attributes (n, A), float32
BANK/test-00000.safetensors    the same, drawn from another seed or found by inversion
BANK/photographs.safetensors   only for inverted photographs: the input images (N, 3, R, R), uint8
BANK/tuning.safetensors        only for a tuned generator: its changed weights
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
from latentedit.files.digests import check_digest
from latentedit.files.records import parsed_record
from latentedit.files.strict_json import usable_name

FORMAT = 1
SHARD_ROWS = 65_536
FILES = ("photographs", "tuning")
BATCH = 4_096
SMALL_BANK = 20_000
"""Number of rows up to which a whole split may stay in memory."""
HELD_OUT_EVERY = 5
"""One of so many faces is held out: it chooses no direction, and measures those chosen."""


@dataclass(frozen=True)
class ModelReference:
    """A plugin with its options and the fingerprint of the model built from them."""

    name: str
    options: Mapping[str, Any]
    fingerprint: Digest

    def __str__(self) -> str:
        return f"{self.name} ({self.fingerprint[:12]})"


@dataclass(frozen=True)
class Split:
    """Codes and their attributes, read from disk on use.

    Args:
        space: the space of the codes.
        schema: the columns of `attributes`.
        shards: pairs of codes (n, \\*shape) and attributes (n, A), natural units. Lists and numpy
            arrays are converted.
        mappings: memory maps of the shards' files. `rows` releases their pages after each use, so
            memory does not grow with the size of the bank.
    """

    space: str
    schema: AttributeSchema
    shards: tuple[tuple[Tensor, Tensor], ...]
    mappings: tuple[mmap.mmap, ...] = ()

    def __post_init__(self) -> None:
        if not self.mappings:  # shards of a file are checked tensors already
            shards = tuple(_shard(pair, self.schema) for pair in self.shards)
            object.__setattr__(self, "shards", shards)  # the dataclass is frozen

    def __len__(self) -> int:
        return sum(len(codes) for codes, _ in self.shards)

    @property
    def code_shape(self) -> tuple[int, ...]:
        return tuple(self.shards[0][0].shape[1:])

    @property
    def codes(self) -> Tensor:
        """All codes (N, \\*shape); a copy if there is more than one shard."""
        return _joined([codes for codes, _ in self.shards])

    @property
    def attributes(self) -> Tensor:
        """All attribute values (N, A)."""
        return _joined([attributes for _, attributes in self.shards])

    def rows(self, index: Tensor) -> tuple[Tensor, Tensor]:
        """Codes and attributes at `index` (M,), as copies."""
        starts = torch.tensor([0, *(len(codes) for codes, _ in self.shards)]).cumsum(0)
        # bucketize: the shard whose range [starts[i], starts[i + 1]) holds each index
        shard_of = torch.bucketize(index, starts[1:], right=True)
        codes, attributes = (part.new_empty(len(index), *part.shape[1:]) for part in self.shards[0])
        for shard in sorted(set(shard_of.tolist())):
            for at in (shard_of == shard).nonzero()[:, 0].split(self._rows_at_once):
                local = index[at] - starts[shard]
                codes[at], attributes[at] = (part[local] for part in self.shards[shard])
                if self.mappings:
                    # The pages stay resident until released; a run over a large bank would
                    # otherwise hold the whole file in memory.
                    self.mappings[shard].madvise(mmap.MADV_DONTNEED)
        return codes, attributes

    def batches(self, size: int = BATCH) -> Iterator[tuple[Tensor, Tensor]]:
        """Codes and attributes in order, in batches of at most `size` rows.

        Memory is that of one batch, for any size of the bank.
        """
        for start in range(0, len(self), size):
            yield self._slice(start, min(start + size, len(self)))

    def _slice(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Rows `start` to `stop`, as copies. The rows of a shard are read as one block."""
        parts, first = [], 0
        for i, shard in enumerate(self.shards):
            rows = slice(max(start - first, 0), max(stop - first, 0))
            if parted := rows.start < min(rows.stop, len(shard[0])):
                parts.append(tuple(part[rows].clone() for part in shard))
            if parted and self.mappings:
                self.mappings[i].madvise(mmap.MADV_DONTNEED)
            first += len(shard[0])
        codes, attributes = zip(*parts, strict=True)
        return _joined(list(codes)), _joined(list(attributes))

    @property
    def _rows_at_once(self) -> int:
        """Rows read before pages are released: one row can load 2 MiB, by read-ahead."""
        return 16 if self.mappings and len(self) > SMALL_BANK else len(self)

    def hold_out(self, every: int = HELD_OUT_EVERY) -> tuple[Split, Split]:
        """All other faces, and every `every`-th face of each shard, without copies.

        The first part chooses by labels, for instance a direction. The second part measures what
        was chosen, for instance its slope: faces that chose a direction overstate it.
        """
        firsts = range(every)
        parts = [[(w[i::every], a[i::every]) for w, a in self.shards] for i in firsts]
        others = tuple(shard for part in parts[:-1] for shard in part)
        return (
            Split(self.space, self.schema, others, self.mappings * (every - 1)),
            Split(self.space, self.schema, tuple(parts[-1]), self.mappings),
        )

    def take(self, index: Tensor) -> Split:
        return Split(self.space, self.schema, (self.rows(index),))


def _shard(pair: Any, schema: AttributeSchema) -> tuple[Tensor, Tensor]:
    """Codes and attributes as tensors of floats; lists and numpy arrays are converted."""
    try:
        codes, attributes = (torch.as_tensor(part) for part in pair)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            f"a shard is a pair of codes and attributes, as numbers: {error}"
        ) from None
    if codes.ndim < 2 or attributes.shape != (len(codes), schema.width):
        raise InputError(
            f"a shard has codes (N, *shape) and attributes (N, {schema.width}), received "
            f"{tuple(codes.shape)} and {tuple(attributes.shape)}"
        )
    floats = (part if part.is_floating_point() else part.float() for part in (codes, attributes))
    return next(floats), next(floats)


def _joined(parts: list[Tensor]) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts)


@dataclass(frozen=True)
class LatentBank:
    """A folder of codes and attributes. Open it with `LatentBank.open`; create it with `write`."""

    folder: Path
    space: str
    schema: AttributeSchema
    generator: ModelReference
    labeller: ModelReference
    sampling: Mapping[str, Any]
    shards: tuple[Mapping[str, Any], ...]
    inversion: Mapping[str, Any] | None = None
    """Only for photographs as test faces: the inverter, its options, and errors by photo."""

    @classmethod
    def open(cls, folder: str | Path) -> LatentBank:
        """The bank in `folder`.

        Raises:
            InputError: there is no bank, or it has another format version.
            CorruptArtefact: its record is damaged.
        """
        folder = usable_name(Path(folder))
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
        """The codes and attributes of ``"fit"`` or ``"test"``, memory-mapped.

        Raises:
            UnknownName: the bank has no such split.
            CorruptArtefact: a shard is damaged, or is not the file that was recorded.
        """
        parts, mappings, space = [], [], self.space
        for shard in self.shards:
            if shard["split"] == name:
                space = shard.get("space", space)
                path = self._checked(shard["file"], shard["sha256"])
                mapped, mapping = map_tensors(path)
                if "codes" not in mapped or "attributes" not in mapped:
                    raise CorruptArtefact(
                        f"{path} needs the tensors codes and attributes, but holds "
                        f"{', '.join(mapped) or 'none'}; make the bank again"
                    )
                parts.append((mapped["codes"], mapped["attributes"]))
                mappings.append(mapping)
        if not parts:
            raise UnknownName("split", name, self.splits, f"of bank {self.folder}")
        return Split(space, self.schema, tuple(parts), tuple(mappings))

    @property
    def splits(self) -> list[str]:
        """The names of the bank's splits."""
        return sorted({shard["split"] for shard in self.shards})

    def tensors(self, name: str) -> dict[str, Tensor]:
        """The tensors of ``"photographs"`` or ``"tuning"``; empty if the bank has no such file."""
        if name not in self._files:
            return {}
        return read_tensors(self._checked(f"{name}.safetensors", self._files[name]))

    def _checked(self, file: str, digest: Digest) -> Path:
        """The path of a file that has the recorded digest; it is read once a process for that."""
        path = within(self.folder, file)
        check_digest(path, digest, "bank.json", "Make the bank again.")
        return path

    def files(self) -> dict[str, dict[str, Tensor]]:
        """All tensors apart from the splits, by file."""
        return {name: self.tensors(name) for name in self._files}

    @property
    def photographs(self) -> Tensor:
        """The inverted photographs (N, 3, R, R) in [-1, 1]; N is 0 if test faces are sampled."""
        found = self.tensors("photographs").get("images", torch.zeros(0, 3, 1, 1))
        return bytes_to_images(found)

    @property
    def _files(self) -> Mapping[str, Digest]:
        recorded = (self.inversion or {}).get("files", {})
        return {name: recorded[name] for name in FILES if name in recorded}

    @property
    def recorded_files(self) -> list[str]:
        """Paths within the folder of the record and of every file that it names."""
        shards = [shard["file"] for shard in self.shards]
        return ["bank.json", *shards, *(f"{name}.safetensors" for name in self._files)]

    @property
    def hash(self) -> Digest:
        """SHA-256 over everything that determines the faces and their attributes.

        Names of attribute values are excluded, since they change no result.
        """
        record = self._record() | {"schema": self.schema.to_json(named=False)}
        return hashlib.sha256(canonical_json(record)).hexdigest()

    def verify(self) -> None:
        """Raise `CorruptArtefact` for the first file whose SHA-256 is not the recorded one."""
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
        """Write `splits` to a new folder, complete or not at all.

        Args:
            inversion, files: for a bank of photographs, its inversion record and further tensors.
            pictures: image files by name; the bank's record and hash do not include them.

        Raises:
            InputError: `folder` exists already.
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
