"""Codes in the space and shape that an editor takes."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from latentedit.data.split import Split
from latentedit.interfaces.editor import ANY_FLAT, Editor


def flat_codes(editor: Editor, codes: Tensor) -> Tensor:
    """Codes (N, \\*shape) as `editor` takes them: as vectors (N, D) if it names `ANY_FLAT`."""
    return codes.flatten(1) if ANY_FLAT in editor.spaces and codes.ndim > 2 else codes


def flat_split(editor: Editor, data: Split) -> Split:
    """`data` as `editor` takes it; the very same where its codes are vectors already."""
    if len(data.code_shape) == 1:
        return data
    shards = tuple((flat_codes(editor, codes), attributes) for codes, attributes in data.shards)
    return replace(data, shards=shards)
