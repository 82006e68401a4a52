"""Codes and their attributes, in shards that are read on use."""

from __future__ import annotations

import mmap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol

import torch
from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.errors import InputError

BATCH = 4_096
SMALL_BANK = 20_000
"""Number of rows up to which a whole split may stay in memory."""
HELD_OUT_EVERY = 5
"""One of so many images is held out: it chooses no direction, and measures those chosen."""


class Shards(Protocol):
    """Codes of one space and their attributes, in shards that may be made one at a time."""

    @property
    def space(self) -> str: ...

    @property
    def schema(self) -> AttributeSchema: ...

    @property
    def shards(self) -> Iterable[tuple[Tensor, Tensor]]: ...


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
        """All other images, and every `every`-th image of each shard, without copies.

        The first part chooses by labels, for instance a direction. The second part measures what
        was chosen, for instance its slope: images that chose a direction overstate it.
        """
        firsts = range(every)
        parts = [[(w[i::every], a[i::every]) for w, a in self.shards] for i in firsts]
        others = tuple(shard for part in parts[:-1] for shard in part)
        return (
            replace(self, shards=others, mappings=self.mappings * (every - 1)),
            replace(self, shards=tuple(parts[-1])),
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
