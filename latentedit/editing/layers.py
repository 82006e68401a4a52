"""Layer presets: named subsets of the rows of a W+ code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from latentedit.errors import InputError, UnknownName


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

    def to_json(self) -> dict[str, Any]:
        rows = {name: list(rows) for name, rows in self.by_attribute.items()}
        return {"num_ws": self.num_ws, "rows": rows}
