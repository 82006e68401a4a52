"""Layer presets: named subsets of the rows of a W+ code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latentedit.errors import InputError, UnknownName


@dataclass(frozen=True)
class LayerPreset:
    """For each attribute, the rows of a W+ code that an edit of it may change.

    Args:
        num_ws: how many rows a code has, of the generators that the preset is for.
        by_attribute: rows from 0 on, by the attribute's name.
    """

    num_ws: int
    by_attribute: Mapping[str, Sequence[int]]

    def rows(self, attribute: str, num_ws: int) -> tuple[int, ...]:
        """The rows that an edit of `attribute` may change in codes of `num_ws` rows.

        >>> LayerPreset(18, {"age": range(4, 8)}).rows("age", 18)
        (4, 5, 6, 7)

        Raises:
            UnknownName: the preset says nothing of the attribute.
            InputError: the codes have another number of rows than the preset is for.
        """
        if attribute not in self.by_attribute:
            raise UnknownName("attribute of the layer preset", attribute, self.by_attribute)
        if num_ws != self.num_ws:
            raise InputError(
                f"the layer preset is for {self.num_ws} rows of W+, this generator has {num_ws}; "
                "name the rows instead, for instance 0..3"
            )
        return tuple(self.by_attribute[attribute])

    def to_json(self) -> dict[str, Any]:
        rows = {name: list(rows) for name, rows in self.by_attribute.items()}
        return {"num_ws": self.num_ws, "rows": rows}
