"""Conversion of a split to the space that an editor edits."""

from __future__ import annotations

from latentedit.data.split import Split
from latentedit.interfaces.generator import Generator


def converted_split(data: Split, space: str, generator: Generator) -> Split:
    """`data` with its codes in `space`; itself if they are there already."""
    if space == data.space:
        return data
    shards = ((generator.convert(codes, data.space, space), known) for codes, known in data.shards)
    return Split(space, data.schema, tuple(shards))
