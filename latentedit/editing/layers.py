"""Which rows of a W+ code take an edit: subsets with a name."""

from __future__ import annotations

from collections.abc import Mapping

from latentedit.errors import InputError, UnknownName

RELEASED_ROWS: Mapping[str, range] = {
    "gender": range(8),
    "glasses": range(2, 4),
    "yaw": range(4),
    "pitch": range(4),
    "baldness": range(6),
    "beard": range(5, 10),
    "age": range(4, 8),
    "expression": range(4, 6),
    "lighting": range(7, 12),
}
"""The rows of an 18-row W+ code that the StyleFlow release lets each edit change."""

RELEASED_NUM_WS = 18
LAYER_PRESETS: Mapping[str, Mapping[str, range]] = {"released": RELEASED_ROWS}


def preset_rows(preset: str, attribute: str, num_ws: int) -> tuple[int, ...]:
    """The rows that `preset` lets an edit of `attribute` change.

    >>> preset_rows("released", "glasses", 18)
    (2, 3)

    Raises:
        UnknownName: no such preset, or it says nothing of the attribute.
        InputError: the generator's codes have not the number of rows that the preset is for.
    """
    if preset not in LAYER_PRESETS:
        raise UnknownName("layer preset", preset, LAYER_PRESETS)
    rows = LAYER_PRESETS[preset]
    if attribute not in rows:
        raise UnknownName(f"attribute of the layer preset {preset!r}", attribute, rows)
    if num_ws != RELEASED_NUM_WS:
        raise InputError(
            f"the layer preset {preset!r} is for {RELEASED_NUM_WS} rows of W+, this generator has "
            f"{num_ws}; name the rows instead, for instance 0..3"
        )
    return tuple(rows[attribute])
