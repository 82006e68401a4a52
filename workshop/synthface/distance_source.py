"""The C source of the head's distance, recorded from its Python formula.

``python -m workshop.synthface.distance_source`` runs `head.parts` and `head.union` on symbols in
place of tensors, and writes what they compute to ``distance.h`` in the package. So the formula is
written once. Every operation rounds as in torch, so both give the same bits.
"""

from __future__ import annotations

import argparse
import struct
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

import latentedit_synthface
from latentedit_synthface.head import Parts, Shape, parts, place, union

HEADER = Path(latentedit_synthface.__file__).with_name("distance.h")

_PAGE = """/* The distance to a head, recorded from head.py by `make synthface-kernel`. */

#if defined(__GNUC__)
#define INLINE static inline __attribute__((always_inline))
#else
#define INLINE static inline
#endif

enum {{ MEASURES = {measures}, CONSTANTS = {constants}, PARTS = {parts}, BLOCK = 256 }};

INLINE float smaller(float a, float b) {{ return a > b ? b : a; }}
INLINE float larger(float a, float b) {{ return a < b ? b : a; }}

/* What does not depend on the point, from the measures of one head. */
static void constants_of(const float *s, float *c) {{
{face}
}}

/* Distance to all parts. */
INLINE float distance_at(const float *c, float right, float up, float near) {{
{distance}
}}

/* Distances to the parts, in the order of `Parts`, a block apart; returns the distance to all. */
INLINE float parts_at(const float *c, float right, float up, float near, float *found) {{
{found}
}}
"""


class Symbol:
    """A number of each head or point, with the operation that makes it.

    Args:
        text: a C expression in which ``{0}``, ``{1}`` stand for the operands.
        operands: symbols.
        of_point: whether it differs from point to point of one head.
    """

    def __init__(self, text: str, operands: Sequence[Symbol] = (), of_point: bool = False) -> None:
        self.text, self.operands = text, tuple(operands)
        self.of_point: bool = of_point or any(operand.of_point for operand in operands)

    def __add__(self, other: Any) -> Symbol:
        return _infix("+", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return _infix("+", other, self)

    def __sub__(self, other: Any) -> Symbol:
        return _infix("-", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return _infix("-", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return _infix("*", self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return _infix("*", other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return _infix("/", self, other)

    def __neg__(self) -> Symbol:
        return Symbol("-{0}", [self])

    def abs(self) -> Symbol:
        return Symbol("fabsf({0})", [self])

    def square(self) -> Symbol:
        return self * self

    def clamp(self, low: float | None = None, high: float | None = None, **bounds: float) -> Symbol:
        low, high = bounds.get("min", low), bounds.get("max", high)
        raised = self if low is None else Symbol("larger({0}, {1})", [self, _symbol(low)])
        return raised if high is None else Symbol("smaller({0}, {1})", [raised, _symbol(high)])

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, arguments: Any = (), named: Any = None
    ) -> Symbol:
        called = {torch.rsqrt: "1.0f / sqrtf({0})", torch.minimum: "smaller({0}, {1})",
                  torch.maximum: "larger({0}, {1})"}  # fmt: skip
        return Symbol(called[function], [_symbol(value) for value in arguments])


def _symbol(value: Any) -> Symbol:
    """A symbol, or a number rounded to single precision as torch rounds it."""
    if isinstance(value, Symbol):
        return value
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    return Symbol(f"{float.hex(rounded)}f")


def _infix(sign: str, left: Any, right: Any) -> Symbol:
    return Symbol(f"{{0}} {sign} {{1}}", [_symbol(left), _symbol(right)])


class Writer:
    """Statements of C for symbols, each computed once; those of a head go before the points."""

    def __init__(self) -> None:
        self.constants: list[str] = []
        self._face: list[str] = []
        self._names: dict[str, str] = {}

    def function(self, results: Sequence[Symbol], last: Callable[[list[str]], list[str]]) -> str:
        """The body that computes `results`; `last` makes the closing lines from their names."""
        body: list[str] = []
        local: dict[str, str] = {}
        names = [self._written(symbol, body, local) for symbol in results]
        return "\n".join(f"    {line}" for line in body + last(names))

    @property
    def face(self) -> str:
        """The body that computes all constants of a head."""
        stored = [f"c[{i}] = {name};" for i, name in enumerate(self.constants)]
        return "\n".join(f"    {line}" for line in self._face + stored)

    def _written(self, symbol: Symbol, body: list[str], local: dict[str, str]) -> str:
        if not symbol.of_point:
            return self._constant(symbol)
        if not symbol.operands:
            return symbol.text
        text = symbol.text.format(*(self._written(s, body, local) for s in symbol.operands))
        if text not in local:
            local[text] = f"p{len(local)}"
            body.append(f"const float {local[text]} = {text};")
        return local[text]

    def _constant(self, symbol: Symbol) -> str:
        name = self._face_name(symbol)
        if not name.startswith(("f", "s")):
            return name
        if name not in self.constants:
            self.constants.append(name)
        return f"c[{self.constants.index(name)}]"

    def _face_name(self, symbol: Symbol) -> str:
        if not symbol.operands:
            return symbol.text
        text = symbol.text.format(*(self._face_name(s) for s in symbol.operands))
        if text not in self._names:
            self._names[text] = f"f{len(self._names)}"
            self._face.append(f"const float {self._names[text]} = {text};")
        return self._names[text]


def source() -> str:
    """The text of ``distance.h``."""
    measures: list[Any] = [Symbol(f"s[{i}]") for i in range(len(Shape._fields))]
    shape = Shape(*measures)
    position: list[Any] = [Symbol(axis, of_point=True) for axis in ("right", "up", "near")]
    found: Any = parts(shape, place(shape, *position))
    every: Any = union(found)
    writer = Writer()
    distance = writer.function([every], lambda names: [f"return {names[0]};"])
    each = writer.function(
        [*found, every],
        lambda names: [
            *(f"found[{i} * BLOCK] = {name};" for i, name in enumerate(names[:-1])),
            f"return {names[-1]};",
        ],
    )
    return _PAGE.format(
        measures=len(Shape._fields),
        constants=len(writer.constants),
        parts=len(Parts._fields),
        face=writer.face,
        distance=distance,
        found=each,
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=HEADER, help="the file to write")
    parser.parse_args().out.write_text(source(), encoding="utf-8")
