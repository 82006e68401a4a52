"""The C source of the renderer's formulas, recorded from their Python code.

``python -m workshop.synthface.kernel_source`` runs the formulas of ``head.py``, ``lighting.py`` and
``painting.py`` on symbols in place of tensors, and writes what they compute to ``distance.h`` and
``paint.h`` in the package. So each formula is written once. Every operation rounds as in torch, so
both give the same bits.
"""

from __future__ import annotations

import argparse
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

import latentedit_synthface
from latentedit_synthface.factors import LIGHT, NAMES
from latentedit_synthface.head import Parts, Points, Shape, parts, place, union
from latentedit_synthface.lighting import irradiance
from latentedit_synthface.painting import (
    Palette,
    Surface,
    face_colour,
    finished,
    palette_of,
    surface_of,
)

FOLDER = Path(latentedit_synthface.__file__).parent

_DISTANCE = """/* The distance to a head, recorded from head.py by `make synthface-kernel`. */

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

_PAINT = """/* Light and colours of a surface, recorded from lighting.py and painting.py by
   `make synthface-kernel`. Results that are several numbers lie a block apart. */

enum {{ PAINT_MEASURES = {measures}, PAINT_CONSTANTS = {constants}, SKIN = {skin} }};
enum {{ {surface}, SURFACE }};

INLINE float sign_of(float a) {{ return (float)(a > 0.0f) - (float)(a < 0.0f); }}

/* What does not depend on the point: from `Shape`, `Palette` and light of one face. */
static void paint_constants_of(const float *s, float *c) {{
{face}
}}

/* The fields of `Surface`, from the distances to the parts and the unit normal. */
INLINE void surface_at(const float *c, {surface_arguments}, float *found) {{
{found}
}}

/* The colour of a face without hair, before light falls on it. */
INLINE void face_at(const float *c, float right, float up, float near, float *colour) {{
{face_colour}
}}

/* The colour that is seen where `face_at` gave red, green and blue. */
INLINE void colour_at(const float *c, float right, float up, float near, {colour_arguments},
                      float *colour) {{
{colour}
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
        return _made("{0} + {1}", self, other)

    def __radd__(self, other: Any) -> Symbol:
        return _made("{0} + {1}", other, self)

    def __sub__(self, other: Any) -> Symbol:
        return _made("{0} - {1}", self, other)

    def __rsub__(self, other: Any) -> Symbol:
        return _made("{0} - {1}", other, self)

    def __mul__(self, other: Any) -> Symbol:
        return _made("{0} * {1}", self, other)

    def __rmul__(self, other: Any) -> Symbol:
        return _made("{0} * {1}", other, self)

    def __truediv__(self, other: Any) -> Symbol:
        return _made("{0} / {1}", self, other)

    def __neg__(self) -> Symbol:
        return _made("-{0}", self)


class Symbols(np.ndarray):
    """An array of symbols, with those methods of a tensor that the formulas use."""

    def abs(self) -> Symbols:
        return _each("fabsf({0})", self)

    def sign(self) -> Symbols:
        return _each("sign_of({0})", self)

    def square(self) -> Symbols:
        return (self * self).view(Symbols)

    def clamp(
        self, low: float | None = None, high: float | None = None, **bounds: float
    ) -> Symbols:
        low, high = bounds.get("min", low), bounds.get("max", high)
        raised = self if low is None else _each("larger({0}, {1})", self, low)
        return raised if high is None else _each("smaller({0}, {1})", raised, high)

    def new_tensor(self, values: Any) -> Symbols:
        return np.array(values, dtype=object).view(Symbols)

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, arguments: Any = (), named: Any = None
    ) -> Symbols:
        called = {torch.rsqrt: "1.0f / sqrtf({0})", torch.minimum: "smaller({0}, {1})",
                  torch.maximum: "larger({0}, {1})", torch.round: "rintf({0})"}  # fmt: skip
        return _each(called[function], *arguments)


def _each(text: str, *operands: Any) -> Symbols:
    """The operation on every symbol of the arrays; numbers stand for themselves."""
    made = np.frompyfunc(lambda *numbers: _made(text, *numbers), len(operands), 1)(*operands)
    return np.asarray(made).view(Symbols)


def _made(text: str, *operands: Any) -> Symbol:
    return Symbol(text, [_symbol(value) for value in operands])


def _symbol(value: Any) -> Symbol:
    """A symbol, or a number rounded to single precision as torch rounds it."""
    if isinstance(value, Symbol):
        return value
    (rounded,) = struct.unpack("f", struct.pack("f", value))
    return Symbol(f"{float.hex(rounded)}f")


def _array(symbols: Iterable[Symbol], shape: tuple[int, ...]) -> Any:
    return np.array(list(symbols), dtype=object).reshape(shape).view(Symbols)


def _points(*names: str) -> list[Any]:
    """Numbers that differ from point to point, each (1, 1)."""
    return [_array([Symbol(name, of_point=True)], (1, 1)) for name in names]


class Writer:
    """Statements of C for symbols, each computed once; those of a head go before the points."""

    def __init__(self) -> None:
        self.constants: list[str] = []
        self._face = _Statements("f")

    def function(self, results: Iterable[Any], last: Callable[[list[str]], list[str]]) -> str:
        """The body that computes `results`; `last` makes the closing lines from their names."""
        points = _Statements("p", self._constant)
        names = [points.name(symbol) for result in results for symbol in result.flat]
        return "\n".join(f"    {line}" for line in points.lines + last(names))

    @property
    def face(self) -> str:
        """The body that computes all constants of a head."""
        stored = [f"c[{i}] = {name};" for i, name in enumerate(self.constants)]
        return "\n".join(f"    {line}" for line in self._face.lines + stored)

    def _constant(self, symbol: Symbol) -> str:
        name = self._face.name(symbol)
        if not name.startswith(("f", "s")):
            return name
        if name not in self.constants:
            self.constants.append(name)
        return f"c[{self.constants.index(name)}]"


class _Statements:
    """Lines that compute symbols, each expression once, and the names of the results.

    Args:
        prefix: of the names.
        constant: names what does not differ from point to point; without it, all is written here.
    """

    def __init__(self, prefix: str, constant: Callable[[Symbol], str] | None = None) -> None:
        self.lines: list[str] = []
        self._prefix, self._constant = prefix, constant
        self._of_symbol: dict[Symbol, str] = {}
        self._of_text: dict[str, str] = {}

    def name(self, symbol: Symbol) -> str:
        if symbol not in self._of_symbol:
            self._of_symbol[symbol] = self._new_name(symbol)
        return self._of_symbol[symbol]

    def _new_name(self, symbol: Symbol) -> str:
        if self._constant is not None and not symbol.of_point:
            return self._constant(symbol)
        if not symbol.operands:
            return symbol.text
        text = symbol.text.format(*map(self.name, symbol.operands))
        if text not in self._of_text:
            self._of_text[text] = f"{self._prefix}{len(self._of_text)}"
            self.lines.append(f"const float {self._of_text[text]} = {text};")
        return self._of_text[text]


def _stored(to: str) -> Callable[[list[str]], list[str]]:
    return lambda names: [f"{to}[{i} * BLOCK] = {name};" for i, name in enumerate(names)]


def distance_source() -> str:
    """The text of ``distance.h``."""
    shape = Shape(*_measures(len(Shape._fields)))
    found = parts(shape, place(shape, *_points("right", "up", "near")))
    every: Any = union(found)
    writer = Writer()
    distance = writer.function([every], lambda names: [f"return {names[0]};"])
    each = writer.function(
        [*found, every],
        lambda names: [*_stored("found")(names[:-1]), f"return {names[-1]};"],
    )
    return _DISTANCE.format(
        measures=len(Shape._fields),
        constants=len(writer.constants),
        parts=len(Parts._fields),
        face=writer.face,
        distance=distance,
        found=each,
    )


def paint_source() -> str:
    """The text of ``paint.h``."""
    # the widths of a palette's fields are those of any palette
    widths = [field.shape[1] for field in palette_of(torch.zeros(1, len(NAMES)))]
    shape = Shape(*_measures(len(Shape._fields)))
    start = len(shape)
    palette = Palette(*_measures(widths, start))
    (light,) = _measures([len(NAMES[LIGHT])], start + sum(widths))
    nx, ny, nz = _points("nx", "ny", "nz")
    distances = Parts(*_points(*Parts._fields))
    surface = surface_of(distances, (nx, ny, nz), irradiance(nx, ny, nz, light))
    p: Points = place(shape, *_points("right", "up", "near"))
    colour: Any = _array((Symbol(name, of_point=True) for name in _COLOUR), (1, 3, 1))
    seen = finished(shape, palette, p, Surface(*_points(*Surface._fields)), colour)
    writer = Writer()
    functions = {
        "found": writer.function(surface, _stored("found")),
        "face_colour": writer.function([face_colour(shape, palette, p)], _stored("colour")),
        "colour": writer.function([seen], _stored("colour")),
    }
    return _PAINT.format(
        measures=start + sum(widths) + light.shape[1],
        constants=len(writer.constants),
        skin=start,
        surface=", ".join(Surface._fields).upper(),
        face=writer.face,
        surface_arguments=_arguments([*Parts._fields, "nx", "ny", "nz"]),
        colour_arguments=_arguments([*_COLOUR, *Surface._fields]),
        **functions,
    )


_COLOUR = ("red", "green", "blue")


def _arguments(names: Iterable[str]) -> str:
    return ", ".join(f"float {name}" for name in names)


def _measures(widths: int | Sequence[int], start: int = 0) -> list[Any]:
    """Numbers of each head, (1, width), in the order of their places in C."""
    found = []
    for width in [1] * widths if isinstance(widths, int) else widths:
        found.append(_array((Symbol(f"s[{start + i}]") for i in range(width)), (1, width)))
        start += width
    return found


SOURCES = {"distance.h": distance_source, "paint.h": paint_source}
"""The recorded files by name."""


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--out", type=Path, default=FOLDER, help="the folder to write to")
    out = parser.parse_args().out
    for name, source in SOURCES.items():
        (out / name).write_text(source(), encoding="utf-8")
