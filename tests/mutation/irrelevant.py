"""Places where a change is no fault: nobody's result depends on them."""

from __future__ import annotations

import ast
from collections.abc import Iterator

LOOKS = frozenset(
    (
        *("alpha", "bbox_inches", "bottom", "capsize", "color", "dpi", "figsize", "fontsize"),
        *("height_ratios", "labelpad", "left", "linewidth", "lw", "markersize", "ms", "pad"),
        *("right", "rotation", "s", "top", "width_ratios", "zorder"),
    )
)
"""Arguments by name that say how a picture looks."""
TOLD = frozenset({"debug", "info", "print", "progress", "progressed", "warn", "warning"})
"""Calls that tell somebody how far something is."""
STYLE = ("axes.", "figure.", "font.", "grid.", "legend.", "lines.", "savefig.", "svg.", "xtick.")
"""Beginnings of matplotlib's settings."""

Position = tuple[int, int]
Range = tuple[Position, Position]


def irrelevant(source: str) -> list[Range]:
    """From where to where: (line from 1, column from 0, in characters)."""
    lines = source.splitlines()

    def range_of(node: ast.AST) -> Range:
        first, last = node.lineno, node.end_lineno  # type: ignore[attr-defined]
        start = len(lines[first - 1].encode()[: node.col_offset].decode())  # type: ignore[attr-defined]
        end = len(lines[last - 1].encode()[: node.end_col_offset].decode())  # type: ignore[attr-defined]
        return (first, start), (last, end)

    return [range_of(node) for outer in ast.walk(ast.parse(source)) for node in _skipped(outer)]


def within(position: Position, ranges: list[Range]) -> bool:
    return any(start <= position < end for start, end in ranges)


def _skipped(node: ast.AST) -> Iterator[ast.AST]:
    match node:
        case ast.FunctionDef() | ast.AsyncFunctionDef():
            yield from node.decorator_list
            if node.returns:
                yield node.returns
        case ast.ClassDef():
            yield from node.decorator_list
        case ast.arg(annotation=ast.expr() as annotation) | ast.AnnAssign(annotation=annotation):
            yield annotation
        case ast.Assign(targets=[ast.Name(id=name)]) if name == "__all__" or _is_alias(node.value):
            yield node
        case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
            yield node
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            yield node
        case ast.Raise(exc=ast.Call(args=args, keywords=keywords)):
            yield from args
            yield from keywords
        case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in TOLD:
            yield from node.args
            yield from node.keywords
        case ast.Call(func=ast.Attribute(attr="load_default")):
            yield from node.keywords
        case ast.keyword(arg=str(name)) if name in LOOKS:
            yield node
        case ast.Dict(keys=[ast.Constant(value=str(name)), *_]) if name.startswith(STYLE):
            yield node


def _is_alias(value: ast.expr) -> bool:
    """``A | B`` of types, ``Literal[…]``, ``Callable[…]``."""
    if isinstance(value, ast.BinOp):
        return isinstance(value.op, ast.BitOr) and _is_alias(value.left) and _is_alias(value.right)
    if isinstance(value, ast.Subscript):
        return isinstance(value.value, ast.Name) and value.value.id[:1].isupper()
    return isinstance(value, ast.Name) and value.id[:1].isupper()
