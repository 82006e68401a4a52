"""An interpreter of pickle opcodes that calls nothing: it moves plain values between a stack and
their containers, and hands the file's names to the functions of a `Vocabulary`, or refuses them.

The opcodes are those of Python's pickletools documentation, protocols 0 to 5.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NoReturn, TypeAlias

from latentedit.weights.nodes import Global, Value, check_tree
from latentedit.weights.source import MAX_DEPTH, MAX_MEMO, MAX_STACK, Cursor

MAX_INTEGER_BYTES = 64
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
    """Runs one pickle of a file.

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

    def run(self) -> Value:
        """The value that the pickle stands for, free of cycles and at most 1,000 deep."""
        source, cursor = self.source, self.cursor
        while True:
            self.opcode_at = cursor.at
            source.count_opcode(cursor.at)
            act = _DISPATCH[cursor.byte()]
            if act is None:
                return self._result()
            act(self)

    def _result(self) -> Value:
        if len(self.stack) != 1 or self.marks:
            self.refuse(f"it stops with {len(self.stack)} values on the stack instead of one")
        check_tree(self.stack[0], self.source, self.opcode_at)
        return self.stack[0]

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


def _constant(value: Value) -> Callable[[Machine], None]:
    return lambda machine: machine.push(value)


def _unsigned(size: int) -> Callable[[Machine], None]:
    return lambda machine: machine.made(machine.cursor.unsigned(size))


def _text(size: int) -> Callable[[Machine], None]:
    def act(machine: Machine) -> None:
        machine.made(machine.cursor.text(machine.cursor.unsigned(size)))

    return act


def _bytes(size: int) -> Callable[[Machine], None]:
    def act(machine: Machine) -> None:
        machine.made(machine.cursor.take(machine.cursor.unsigned(size)))

    return act


def _long(size: int) -> Callable[[Machine], None]:
    def act(machine: Machine) -> None:
        length = machine.cursor.signed(size) if size == 4 else machine.cursor.unsigned(size)
        machine.expect(0 <= length <= MAX_INTEGER_BYTES, f"an integer claims {length} bytes")
        machine.made(machine.cursor.signed(length))

    return act


def _tuple_of(count: int) -> Callable[[Machine], None]:
    def act(machine: Machine) -> None:
        machine.made(tuple([machine.pop() for _ in range(count)][::-1]))

    return act


def _put(size: int) -> Callable[[Machine], None]:
    return lambda machine: machine.remember(machine.cursor.unsigned(size))


def _get(size: int) -> Callable[[Machine], None]:
    return lambda machine: machine.recall(machine.cursor.unsigned(size))


def _decimal(machine: Machine, text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,20}", text):
        machine.refuse("an integer is not written in at most 20 decimal digits")
    return int(text)


def _int_line(machine: Machine) -> None:
    text = machine.cursor.line()
    booleans = {"00": False, "01": True}
    machine.made(booleans[text] if text in booleans else _decimal(machine, text))


def _long_line(machine: Machine) -> None:
    machine.made(_decimal(machine, machine.cursor.line().removesuffix("L")))


def _float_line(machine: Machine) -> None:
    text = machine.cursor.line()
    if not re.fullmatch(r"[-+0-9.eE]{1,40}|-?inf|nan", text):
        machine.refuse("a float is not written as one")
    try:
        machine.made(float(text))
    except ValueError:
        machine.refuse("a float is not written as one")


def _string_line(machine: Machine) -> None:
    quoted = re.fullmatch(r"""(["'])([ -\[\]-~]*)\1""", machine.cursor.line())
    if quoted is None:
        machine.refuse("a string is not quoted, or has escapes")
    machine.made(quoted[2])


def _unicode_line(machine: Machine) -> None:
    text = machine.cursor.line()
    machine.expect("\\" not in text, "a line of text has escapes")
    machine.made(text)


def _global_line(machine: Machine) -> None:
    module = machine.cursor.line()
    machine.name(module, machine.cursor.line())


def _stack_global(machine: Machine) -> None:
    name, module = machine.pop(), machine.pop()
    machine.name(module, name)


def _mark(machine: Machine) -> None:
    machine.expect(len(machine.marks) < MAX_DEPTH, f"it sets more than {MAX_DEPTH} marks")
    machine.marks.append(len(machine.stack))


def _pop(machine: Machine) -> None:
    if machine.marks and machine.marks[-1] == len(machine.stack):
        machine.marks.pop()
    else:
        machine.pop()


def _list(machine: Machine) -> None:
    machine.made(machine.pop_to_mark())


def _tuple(machine: Machine) -> None:
    machine.made(tuple(machine.pop_to_mark()))


def _dict(machine: Machine) -> None:
    items = machine.pop_to_mark()
    made: dict[str | int, Value] = {}
    machine.fill(made, items)
    machine.made(made)


def _append(machine: Machine) -> None:
    item = machine.pop()
    machine.extend(machine.top(), [item])


def _appends(machine: Machine) -> None:
    items = machine.pop_to_mark()
    machine.extend(machine.top(), items)


def _set_item(machine: Machine) -> None:
    value, key = machine.pop(), machine.pop()
    machine.fill(machine.top(), [key, value])


def _set_items(machine: Machine) -> None:
    items = machine.pop_to_mark()
    machine.fill(machine.top(), items)


def _build(machine: Machine) -> None:
    state, target = machine.pop(), machine.pop()
    update = machine.vocabulary.updates.get(type(target))
    if update is None:
        machine.refuse(f"it sets the state of a {type(target).__name__}")
    machine.push(update(machine, target, state))


def _persistent(machine: Machine) -> None:
    if machine.vocabulary.persistent is None:
        machine.refuse("it has a persistent identifier, which this format does not use")
    machine.made(machine.vocabulary.persistent(machine, machine.pop()))


def _protocol(machine: Machine) -> None:
    version = machine.cursor.byte()
    machine.expect(version <= 5, f"it claims pickle protocol {version}; 0 to 5 exist")


def _frame(machine: Machine) -> None:
    length = machine.cursor.unsigned(8)
    left = machine.cursor.end - machine.cursor.at
    machine.expect(length <= left, f"a frame claims {length} bytes where {left} are left")


_STOP = ord(".")

TABLE: Mapping[int, Callable[[Machine], None]] = {
    0x80: _protocol,
    0x95: _frame,
    # constants and numbers
    ord("N"): _constant(None),
    0x88: _constant(True),
    0x89: _constant(False),
    ord("I"): _int_line,
    ord("L"): _long_line,
    ord("F"): _float_line,
    ord("J"): lambda machine: machine.made(machine.cursor.signed(4)),
    ord("K"): _unsigned(1),
    ord("M"): _unsigned(2),
    0x8A: _long(1),
    0x8B: _long(4),
    ord("G"): lambda machine: machine.made(machine.cursor.big_endian_float()),
    # text and bytes
    ord("S"): _string_line,
    ord("V"): _unicode_line,
    ord("U"): _text(1),
    ord("T"): _text(4),
    0x8C: _text(1),
    ord("X"): _text(4),
    0x8D: _text(8),
    ord("C"): _bytes(1),
    ord("B"): _bytes(4),
    0x8E: _bytes(8),
    0x96: _bytes(8),
    # containers; sets become lists
    ord("]"): lambda machine: machine.made([]),
    ord("}"): lambda machine: machine.made({}),
    ord(")"): _constant(()),
    0x8F: lambda machine: machine.made([]),
    ord("("): _mark,
    ord("l"): _list,
    ord("t"): _tuple,
    0x85: _tuple_of(1),
    0x86: _tuple_of(2),
    0x87: _tuple_of(3),
    ord("d"): _dict,
    0x91: _list,
    ord("a"): _append,
    ord("e"): _appends,
    0x90: _appends,
    ord("s"): _set_item,
    ord("u"): _set_items,
    # stack and memo
    ord("0"): _pop,
    ord("1"): lambda machine: machine.pop_to_mark().clear(),
    ord("2"): lambda machine: machine.push(machine.top()),
    ord("p"): lambda machine: machine.remember(_decimal(machine, machine.cursor.line())),
    ord("q"): _put(1),
    ord("r"): _put(4),
    0x94: lambda machine: machine.remember(len(machine.memo)),
    ord("g"): lambda machine: machine.recall(_decimal(machine, machine.cursor.line())),
    ord("h"): _get(1),
    ord("j"): _get(4),
    # names, and what is made of them
    ord("c"): _global_line,
    0x93: _stack_global,
    ord("R"): lambda machine: machine.build(machine.vocabulary.calls, "calls"),
    0x81: lambda machine: machine.build(machine.vocabulary.news, "makes an instance of"),
    ord("b"): _build,
    ord("Q"): _persistent,
}

REFUSED: Mapping[int, str] = {
    ord("i"): "the opcode INST calls a class",
    ord("o"): "the opcode OBJ calls a class",
    0x92: "the opcode NEWOBJ_EX calls a class",
    0x82: "the opcode EXT1 names an extension",
    0x83: "the opcode EXT2 names an extension",
    0x84: "the opcode EXT4 names an extension",
    ord("P"): "the opcode PERSID names something outside the file",
    0x97: "the opcode NEXT_BUFFER reads outside the file",
    0x98: "the opcode READONLY_BUFFER reads outside the file",
}


def _refuse_opcode(code: int) -> Callable[[Machine], None]:
    what = REFUSED.get(code, f"0x{code:02x} is no opcode that is read")
    return lambda machine: machine.refuse(what)


_DISPATCH: Sequence[Callable[[Machine], None] | None] = [
    None if code == _STOP else TABLE.get(code, _refuse_opcode(code)) for code in range(256)
]
