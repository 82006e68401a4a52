"""Banks of shared latents: codes and attributes in a folder, with a reproducible hash.

BANK/bank.json                 generator, labeller, sampling, and the SHA-256 of each shard
BANK/fit-00000.safetensors     codes (n, *shape) and attributes (n, A), float32
BANK/test-00000.safetensors    the same, drawn from another seed or found by inversion
BANK/photographs.safetensors   only for inverted photographs: the input images (N, 3, R, R), uint8
BANK/tuning.safetensors        only for a tuned generator: its changed weights
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from latentedit.data.attributes import AttributeSchema
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
from latentedit.files.folders import seen_in
from latentedit.files.records import parsed_record
from latentedit.files.regular import usable_name
from latentedit.files.remote import fetched, record_of, url_of
from latentedit.files.tables import html_table

if TYPE_CHECKING:
    from torch import Tensor

    from latentedit.data.split import Shards, Split

Draw = Callable[[Mapping[str, Any]], "tuple[Tensor, Tensor]"]
FORMAT = 1
SHARD_ROWS = 8_192
"""Of a bank that is drawn or labelled here: so many codes are in memory at once."""
FILES = ("photographs", "tuning")


@dataclass(frozen=True)
class ModelReference:
    """A plugin with its options and the fingerprint of the model built from them.

    Args:
        code: ``version``, and ``source``, the digest of its source code unless it is a plugin of
            this project; empty where they were not recorded.
    """

    name: str
    options: Mapping[str, Any]
    fingerprint: Digest
    code: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name} ({self.fingerprint[:12]})"

    def to_json(self) -> dict[str, Any]:
        """As records have it."""
        return {name: value for name, value in asdict(self).items() if value or name != "code"}


@dataclass(frozen=True, repr=False)
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
    """Only for photographs as test images: the inverter, its options, and errors by photo."""
    test: range | None = None
    """The rows of the test split that are read; all of them if None."""
    draw: Draw | None = field(default=None, compare=False)
    """Makes the codes and attributes of a shard that has no file; see `drawable`."""
    root: str = ""
    """The URL of its files, where they are not in its folder."""

    @classmethod
    def open(cls, folder: str | Path) -> LatentBank:
        """The bank in `folder`, which may be a URL that fsspec reads, such as ``s3://bucket/bank``.

        Of a bank at a URL the record is copied into the cache, and each shard when it is read.

        Raises:
            InputError: there is no bank, or it has another format version.
            CorruptArtefact: its record is damaged.
            EnvironmentFault: the store at the URL does not answer, or needs another package.
        """
        url = url_of(folder)
        folder = record_of(url, "bank.json") if url else usable_name(Path(folder))
        if not (folder / "bank.json").is_file():
            made = f" Make one with: latentedit bank make --generator NAME --n 4000 --out {folder}"
            found = seen_in(folder) or made
            raise InputError(f"{folder} is not a bank: it has no bank.json.{found}")
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
            root=record.root or "",
        )

    def split(self, name: str) -> Split:
        """The codes and attributes of ``"fit"`` or ``"test"``, memory-mapped.

        Raises:
            UnknownName: the bank has no such split.
            CorruptArtefact: a shard is damaged, or is not the file that was recorded.
        """
        from latentedit.data.split import Split

        parts, mappings, space = [], [], self.space
        for shard, rows in self._read(name):
            if len(range(shard["rows"])[rows]):
                space = shard.get("space", space)
                codes, attributes, *mapping = self._shard(shard)
                parts.append((codes[rows], attributes[rows]))
                mappings += mapping
        if not parts:
            raise UnknownName("split", name, self.splits, f"of bank {self.folder}")
        return Split(space, self.schema, tuple(parts), tuple(mappings))

    def _shard(self, shard: Mapping[str, Any]) -> tuple[Any, ...]:
        """Codes and attributes of a shard, and the map of its file where it has one."""
        if "file" not in shard:
            if self.draw is None:
                raise InputError(
                    f"{self.folder} keeps of its {shard['split']} images only the seeds. Write "
                    f"them with: latentedit bank draw {self.folder} --out FOLDER"
                )
            return self.draw(shard)
        path = self._checked(shard["file"], shard["sha256"])
        mapped, mapping = map_tensors(path)
        if "codes" not in mapped or "attributes" not in mapped:
            raise CorruptArtefact(
                f"{path} needs the tensors codes and attributes, but holds "
                f"{', '.join(mapped) or 'none'}; make the bank again"
            )
        return mapped["codes"], mapped["attributes"], mapping

    def _read(self, name: str) -> Iterator[tuple[Mapping[str, Any], slice]]:
        """The shards of a split, each with the rows that are read of it."""
        first, wanted = 0, (self.test if name == "test" else None) or range(sys.maxsize)
        for shard in self.shards:
            if shard["split"] == name:
                yield shard, slice(max(wanted.start - first, 0), max(wanted.stop - first, 0))
                first += shard["rows"]

    def with_test(self, rows: range) -> LatentBank:
        """This bank with only these rows of its test split, whose shards alone are read."""
        return replace(self, test=rows)

    def __len__(self) -> int:
        """Codes in all splits."""
        return sum(shard["rows"] for shard in self.shards)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return (
            f"<LatentBank {str(self.folder)!r}: {self._counts()} codes of {self.generator.name} in "
            f"{self.space}, labelled by {self.labeller.name}>"
        )

    def _repr_html_(self) -> str:
        """What it holds, for notebooks."""
        facts = {
            "codes": f"{self._counts()}, in {self.space}",
            "generator": str(self.generator),
            "labeller": str(self.labeller),
            "attributes": ", ".join(self.schema.names),
            "hash": self.hash[:12],
        }
        return html_table([], facts.items(), f"bank {self.folder}")

    def _counts(self) -> str:
        """Codes by split."""
        rows = dict.fromkeys(self.splits, 0)
        for shard in self.shards:
            rows[shard["split"]] += shard["rows"]
        return " and ".join(f"{count:,} {name}" for name, count in rows.items())

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
        if self.root:
            return fetched(f"{self.root}/{file}", digest)
        path = within(self.folder, file)
        check_digest(path, digest, "bank.json", "Make the bank again.")
        return path

    def files(self) -> dict[str, dict[str, Tensor]]:
        """All tensors apart from the splits, by file."""
        return {name: self.tensors(name) for name in self._files}

    @property
    def photographs(self) -> Tensor:
        """The inverted photographs (N, 3, R, R) in [-1, 1]; N is 0 if test images are sampled."""
        import torch

        from latentedit.data.images import bytes_to_images

        found = self.tensors("photographs").get("images", torch.zeros(0, 3, 1, 1))
        return bytes_to_images(found)

    @property
    def _files(self) -> Mapping[str, Digest]:
        recorded = (self.inversion or {}).get("files", {})
        return {name: recorded[name] for name in FILES if name in recorded}

    @property
    def recorded_files(self) -> list[str]:
        """Paths within the folder of the record and of every file there that it names."""
        return ["bank.json", *(() if self.root else self._digests)]

    @property
    def _digests(self) -> dict[str, Digest]:
        """Of every file but the record, by path."""
        stored = {shard["file"]: shard["sha256"] for shard in self.shards if "file" in shard}
        return stored | {f"{name}.safetensors": digest for name, digest in self._files.items()}

    @property
    def hash(self) -> Digest:
        """SHA-256 over everything that determines the images and their attributes.

        Names of attribute values are excluded, since they change no result, and the code that made
        the faces, since they are there.
        """
        record = self._record() | {"schema": self.schema.to_json(named=False)}
        for role, model in (("generator", self.generator), ("labeller", self.labeller)):
            record[role] = replace(model, code={}).to_json()
        return hashlib.sha256(canonical_json(record)).hexdigest()

    def verify(self) -> None:
        """Raise `CorruptArtefact` for the first file whose SHA-256 is not the recorded one."""
        for file, digest in self._digests.items():
            if self.root:
                fetched(f"{self.root}/{file}", digest)
                continue
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
            "generator": self.generator.to_json(),
            "labeller": self.labeller.to_json(),
            "sampling": dict(self.sampling),
            "shards": [dict(shard) for shard in self.shards],
        }
        return record if self.inversion is None else record | {"inversion": dict(self.inversion)}

    @classmethod
    def write(
        cls,
        folder: str | Path,
        splits: Mapping[str, Shards],
        generator: ModelReference,
        labeller: ModelReference,
        sampling: Mapping[str, Any],
        inversion: Mapping[str, Any] | None = None,
        files: Mapping[str, Mapping[str, Tensor]] | None = None,
        pictures: Mapping[str, bytes] | None = None,
        undrawn: Sequence[Mapping[str, Any]] = (),
    ) -> LatentBank:
        """Write `splits` to a new folder, complete or not at all, one shard after the other.

        Args:
            inversion, files: for a bank of photographs, its inversion record and further tensors.
            pictures: image files by name; the bank's record and hash do not include them.
            undrawn: records of shards that are not stored: split, rows and seed.

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
            models = (generator, labeller, sampling, (*shards, *undrawn), inversion)
            bank = cls(folder, first.space, first.schema, *models)
            write_json(temporary / "bank.json", bank._record())
        return bank
