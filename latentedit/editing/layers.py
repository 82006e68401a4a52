"""Layer presets: named subsets of the rows of a W+ code."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from latentedit.errors import InputError, UnknownName
from latentedit.interfaces.generator import Generator


@dataclass(frozen=True)
class LayerPreset:
    """The rows of a W+ code that an edit may change, by attribute.

    Args:
        num_ws: number of rows of a code, for the generators of the preset.
        by_attribute: row indices from 0, by attribute name.
    """

    num_ws: int
    by_attribute: Mapping[str, Sequence[int]]

    def rows(self, attribute: str, num_ws: int) -> tuple[int, ...]:
        """The rows that an edit of `attribute` may change in codes of `num_ws` rows.

        >>> LayerPreset(18, {"age": range(4, 8)}).rows("age", 18)
        (4, 5, 6, 7)

        Raises:
            UnknownName: the preset has no rows for the attribute.
            InputError: `num_ws` is not that of the preset.
        """
        if attribute not in self.by_attribute:
            raise UnknownName("attribute of the layer preset", attribute, self.by_attribute)
        if num_ws != self.num_ws:
            raise InputError(
                f"the layer preset is for {self.num_ws} rows of W+, but this generator has "
                f"{num_ws}; give rows instead, for instance 0..3"
            )
        return tuple(self.by_attribute[attribute])

    def all_rows(self, attributes: Iterable[str], num_ws: int) -> tuple[int, ...]:
        """The rows that an edit of any of `attributes` may change; raises as `rows` does."""
        return tuple({row for name in attributes for row in self.rows(name, num_ws)})

    def to_json(self) -> dict[str, Any]:
        rows = {name: list(rows) for name, rows in self.by_attribute.items()}
        return {"num_ws": self.num_ws, "rows": rows}


def space_after(generator: Generator, space: str, layers: tuple[int, ...] | str | None) -> str:
    """The space of edited codes: W+ if the edit of codes of `space` is kept in some rows, which
    codes of S have too; otherwise `space`."""
    return space if layers is None or space == "s" else generator.row_space


def edited_in_rows(
    generator: Generator, space: str, codes: Tensor, edited: Tensor, rows: tuple[int, ...]
) -> Tensor:
    """Codes that are edited in some rows of W+, and as they were in the others.

    Args:
        space: of the editor.
        codes, edited: (N, \\*shape) in `space`, or (N, L, D) in W+ for an editor of W.
        rows: of W+, from 0 on.

    Returns:
        (N, L, D) codes of W+, the generator's `row_space`; for an editor of S (N, ΣD) codes of S,
        whose channels belong to rows.

    Raises:
        InputError: there is no such row.
    """
    count = generator.num_ws
    if bad := [row for row in rows if not 0 <= row < count]:
        raise InputError(f"W+ rows go from 0 to {count - 1}, received {bad[0]}")
    if space == "s":
        kept = torch.isin(generator.style_rows(), torch.tensor(rows)).to(codes.device)
        return torch.where(kept, edited, codes)
    in_rows, target = generator.holds_rows(codes), generator.row_space
    before = codes if in_rows else generator.convert(codes, space, target)
    after = edited if in_rows else generator.convert(edited, space, target)
    mask = torch.zeros(1, count, *[1] * (before.ndim - 2), dtype=torch.bool, device=codes.device)
    mask[:, list(rows)] = True
    return torch.where(mask, after, before)
