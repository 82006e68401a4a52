"""The opcodes of pickle, each as what it does to a `Machine`, and the loop that runs them.

The opcodes are those of Python's pickletools documentation, protocols 0 to 5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from latentedit.weights.machine import Machine, Vocabulary
from latentedit.weights.nodes import Value, check_tree
from latentedit.weights.source import MAX_DEPTH, Cursor

MAX_INTEGER_BYTES = 64


def run_pickle(cursor: Cursor, vocabulary: Vocabulary) -> Value:
    """The value that a pickle stands for, free of cycles and at most 1,000 deep.

    Args:
        cursor: at its first opcode; afterwards behind its last.
        vocabulary: of its format.

    Raises:
        RefusedFile: the pickle is damaged, or does what its format does not.
    """
    machine = Machine(cursor, vocabulary)
    while True:
        machine.opcode_at = cursor.at
        cursor.source.count_opcode(cursor.at)
        act = _DISPATCH[cursor.byte()]
        if act is None:
            return _result(machine)
        act(machine)


def _result(machine: Machine) -> Value:
    if len(machine.stack) != 1 or machine.marks:
        machine.refuse(f"it stops with {len(machine.stack)} values on the stack instead of one")
    check_tree(machine.stack[0], machine.source, machine.opcode_at)
    return machine.stack[0]


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
