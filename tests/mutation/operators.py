"""Which changes are made: those of cosmic-ray that could be slips, and two more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cosmic_ray.operators.operator import Example, Operator
from cosmic_ray.plugins import get_operator
from parso.python.tree import Name, PythonNode

SWAPS = {
    "all": "any",
    "amax": "amin",
    "amin": "amax",
    "any": "all",
    "argmax": "argmin",
    "argmin": "argmax",
    "ceil": "floor",
    "clamp_max": "clamp_min",
    "clamp_min": "clamp_max",
    "cos": "sin",
    "cumsum": "cumprod",
    "floor": "ceil",
    "max": "min",
    "maximum": "minimum",
    "mean": "sum",
    "median": "mean",
    "min": "max",
    "minimum": "maximum",
    "nanmean": "nansum",
    "nanmedian": "nanmean",
    "ones": "zeros",
    "sin": "cos",
    "sorted": "list",
    "std": "var",
    "sum": "mean",
    "zeros": "ones",
}
"""Functions that are taken for one another."""

KINDS = {
    "number": ["NumberReplacer"],
    "arithmetic": [
        f"ReplaceBinaryOperator_{pair}"
        for pair in (
            *("Add_Sub", "Add_Mul", "Sub_Add", "Sub_Mul", "Mul_Div", "Mul_Add", "Div_Mul"),
            *("Div_Sub", "FloorDiv_Div", "FloorDiv_Mul", "Mod_Mul", "Mod_FloorDiv", "Pow_Mul"),
            *("Pow_Add", "BitAnd_BitOr", "BitOr_BitAnd", "BitXor_BitAnd"),
        )
    ],
    "comparison": [
        f"ReplaceComparisonOperator_{pair}"
        for pair in (
            *("Eq_NotEq", "NotEq_Eq", "Lt_LtE", "Lt_GtE", "LtE_Lt", "LtE_Gt", "Gt_GtE", "Gt_LtE"),
            *("GtE_Gt", "GtE_Lt", "Is_IsNot", "IsNot_Is"),
        )
    ],
    "sign": ["ReplaceUnaryOperator_Delete_Not", "ReplaceUnaryOperator_Delete_USub"],
    "logic": ["AddNot", "ReplaceAndWithOr", "ReplaceOrWithAnd"],
    "truth": ["ReplaceTrueWithFalse", "ReplaceFalseWithTrue"],
    "loop": ["ZeroIterationForLoop", "ReplaceBreakWithContinue", "ReplaceContinueWithBreak"],
    "exception": ["ExceptionReplacer"],
}
"""Of cosmic-ray. What is left out fails at once (``a << b`` of floats) or changes nothing."""


class SwapFunction(Operator):
    """Calls another function of the same kind: the mean for the median."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if isinstance(node, Name) and node.value in SWAPS and _is_called(node):
            yield node.start_pos, node.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        node.value = SWAPS[node.value]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("x.median()", "x.mean()"),)


class DropKeyword(Operator):
    """Leaves out an argument that is given by name, so that its default is taken."""

    def mutation_positions(self, node: Any) -> Iterator[tuple[Any, Any]]:
        if _callee(node)[:1].islower():
            for argument in _keywords(node):
                yield argument.start_pos, argument.end_pos

    def mutate(self, node: Any, index: int) -> Any:
        at = node.children.index(_keywords(node)[index])
        if node.type == "trailer":
            del node.children[at]
        elif at:
            del node.children[at - 1 : at + 1]
        else:
            del node.children[:2]
        return node

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return (Example("f(x, ddof=1)", "f(x)"),)


OWN = {"swap": SwapFunction, "keyword": DropKeyword}


def operators() -> dict[str, tuple[str, Operator]]:
    """By name, each operator with its kind."""
    found = {
        name: (kind, get_operator(f"core/{name}")())
        for kind, names in KINDS.items()
        for name in names
    }
    return found | {own.__name__: (kind, own()) for kind, own in OWN.items()}


def _is_called(node: Any) -> bool:
    before, after = node.get_previous_leaf(), node.get_next_leaf()
    defined = before is not None and before.value in {"def", "class"}
    return after is not None and after.value == "(" and not defined


def _keywords(node: Any) -> list[Any]:
    inside = isinstance(node, PythonNode) and (
        node.type == "arglist" or (node.type == "trailer" and node.children[0].value == "(")
    )
    if not inside:
        return []
    return [
        child
        for child in node.children
        if child.type == "argument" and child.children[1] == "=" and len(child.children) == 3
    ]


def _callee(node: Any) -> str:
    if not _keywords(node):
        return ""
    first = node.get_first_leaf()
    opening = first if node.type == "trailer" else first.get_previous_leaf()
    return str(opening.get_previous_leaf().value)
