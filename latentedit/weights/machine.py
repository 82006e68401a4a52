"""The stack machine of the pickle interpreter, and the names that a format may contain.

The machine calls nothing. It moves plain values between a stack and their containers. It hands the
file's names to the functions of a `Vocabulary`, or refuses them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

from latentedit.weights.nodes import Global, Value
from latentedit.weights.source import MAX_MEMO, MAX_STACK, Cursor

MAX_KEY = 1 << 31
"""Integer keys are smaller, so that no file can choose thousands with one hash."""
_MEMO_ENTRY, _LIST_ITEM, _DICT_ITEM = 96, 16, 112
"""Bytes, resizing included."""

Builder: TypeAlias = "Callable[[Machine, tuple[Value, ...]], Value]"


@dataclass(frozen=True)
class Vocabulary:
    """The names that one format may contain.

    Args:
        names: ``module.name``; anything else is refused.
        calls: what to build where the file calls a name (REDUCE).
        news: what to build where the file makes an instance of a name (NEWOBJ).
        updates: what to do where the file sets an object's state (BUILD), by node type.
        persistent: what to build for a persistent identifier; None refuses them.
    """

    names: frozenset[str]
    calls: Mapping[str, Builder]
    news: Mapping[str, Builder] = field(default_factory=dict)
    updates: Mapping[type, Callable[[Machine, Value, Value], Value]] = field(default_factory=dict)
    persistent: Callable[[Machine, Value], Value] | None = None


class Machine:
    """The state of one pickle that is read: a stack, its marks, and a memo.

    Args:
        cursor: at its first opcode; afterwards behind its last.
        vocabulary: of its format.
    """

    def __init__(self, cursor: Cursor, vocabulary: Vocabulary) -> None:
        self.cursor, self.source, self.vocabulary = cursor, cursor.source, vocabulary
        self.stack: list[Value] = []
        self.marks: list[int] = []
        self.memo: dict[int, Value] = {}
        self.opcode_at = cursor.at

    def refuse(self, what: str) -> NoReturn:
        self.source.refuse(self.opcode_at, what)

    def expect(self, condition: bool, what: str) -> None:
        if not condition:
            self.refuse(what)

    def push(self, value: Value) -> None:
        """Put a value that exists already on the stack."""
        if len(self.stack) >= MAX_STACK:
            self.refuse(f"it stacks more than {MAX_STACK:,} values")
        self.stack.append(value)

    def made(self, value: Value) -> None:
        """Put a new value on the stack and charge for it."""
        self.source.charge(sys.getsizeof(value), self.opcode_at)
        self.push(value)

    def pop(self) -> Value:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            self.refuse("it takes a value from an empty stack")
        return self.stack.pop()

    def top(self) -> Value:
        value = self.pop()
        self.stack.append(value)
        return value

    def pop_to_mark(self) -> list[Value]:
        if not self.marks:
            self.refuse("it goes back to a mark that was never set")
        mark = self.marks.pop()
        items = self.stack[mark:]
        del self.stack[mark:]
        return items

    def remember(self, index: int) -> None:
        self.expect(0 <= index < MAX_MEMO, f"memo index {index} is not below {MAX_MEMO:,}")
        if index not in self.memo:
            self.source.charge(_MEMO_ENTRY, self.opcode_at)
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        if index not in self.memo:
            self.refuse(f"it recalls memo entry {index}, which was never stored")
        self.push(self.memo[index])

    def name(self, module: Value, name: Value) -> None:
        """Put a name on the stack, if its format has it."""
        if not (isinstance(module, str) and isinstance(name, str)):
            self.refuse("a name is not text")
        full = f"{module}.{name}"
        shown = full[:80].encode("ascii", "backslashreplace").decode()
        self.expect("." not in name, f"the dotted name {shown} is refused")
        self.expect(full in self.vocabulary.names, f"it names {shown}, which is not accepted")
        self.made(Global(full))

    def extend(self, target: Value, items: list[Value]) -> None:
        self.expect(type(target) is list, "it appends to something that is not a list")
        self.source.charge(_LIST_ITEM * len(items), self.opcode_at)
        target.extend(items)

    def fill(self, target: Value, items: list[Value]) -> None:
        """Store alternating keys and values."""
        self.expect(type(target) is dict, "it sets items of something that is not a dictionary")
        self.expect(len(items) % 2 == 0, "a dictionary key has no value")
        self.source.charge(_DICT_ITEM * len(items) // 2, self.opcode_at)
        for key, value in zip(items[::2], items[1::2], strict=True):
            self.check_key(key)
            target[key] = value

    def check_key(self, key: Value) -> None:
        if type(key) is int:
            self.expect(-MAX_KEY < key < MAX_KEY, "an integer key is out of range")
        else:
            self.expect(type(key) is str, "a dictionary key is neither text nor integer")

    def build(self, makers: Mapping[str, Builder], what: str) -> None:
        """Pop arguments and a name, and build the inert node that stands for the call."""
        arguments, target = self.pop(), self.pop()
        if not isinstance(target, Global) or target.name not in makers:
            named = target.name if isinstance(target, Global) else type(target).__name__
            self.refuse(f"it {what} {named}")
        if type(arguments) is not tuple:
            self.refuse(f"the arguments of {target.name} are no tuple")
        self.made(makers[target.name](self, arguments))
