"""Dictionaries and attribute bags of a few known classes, as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from latentedit.weights.machine import Builder, Machine
from latentedit.weights.nodes import InertObject, Value


def dictionary(machine: Machine, arguments: tuple[Value, ...]) -> dict[str | int, Value]:
    """``OrderedDict()``, ``OrderedDict([(key, value), …])`` or ``EasyDict()`` → a dictionary."""
    made: dict[str | int, Value] = {}
    if len(arguments) == 1 and type(arguments[0]) is list:
        for pair in arguments[0]:
            if type(pair) not in (list, tuple) or len(pair) != 2:
                machine.refuse("a dictionary is made from something that is no pair")
            machine.fill(made, list(pair))
    elif arguments:
        machine.refuse("a dictionary is made from something that is no list of pairs")
    return made


def items(machine: Machine, arguments: tuple[Value, ...]) -> list[Value]:
    """``set([…])`` → the list."""
    if len(arguments) != 1 or type(arguments[0]) is not list:
        machine.refuse("a set is made from something that is no list")
    return list(arguments[0])


def empty_object(class_name: str) -> Builder:
    """A builder of instances of `class_name`, still without state."""

    def build(machine: Machine, arguments: tuple[Value, ...]) -> InertObject:
        machine.expect(not arguments, f"{class_name} is made with arguments")
        return InertObject(class_name, {})

    return build


def network_node(machine: Machine, arguments: tuple[Value, ...]) -> InertObject:
    """A pickled network, from its argument ``{type, version, module_src, class_name, state}``.

    It keeps class name and state. The source code `module_src` is hashed and dropped.
    """
    meta = arguments[0] if len(arguments) == 1 else None
    if type(meta) is not dict:
        machine.refuse("a network is described by something that is no dictionary")
    name, version, state = meta.get("class_name"), meta.get("version"), meta.get("state")
    if type(name) is not str or type(version) is not int or type(state) is not dict:
        machine.refuse("a network's description lacks its class name, version or state")
    text = meta.get("module_src", "")
    if type(text) is not str:
        machine.refuse("a network's program text is no text")
    return InertObject(name, state, machine.source.text_digest(text))


def ignore_attributes(machine: Machine, target: Value, state: Value) -> Value:
    """BUILD of a dictionary: drop its attributes, such as `_metadata` of a state dict."""
    machine.expect(type(state) is dict, "the attributes of a dictionary are not one")
    return target


def set_attributes(machine: Machine, target: InertObject, state: Value) -> InertObject:
    """BUILD of an object: set its state, as plain data."""
    if type(state) is not dict:
        machine.refuse(f"the state of {target.class_name} is no dictionary")
    machine.expect(not target.state, f"the state of {target.class_name} is set twice")
    target.state = state
    return target


DICTIONARY_CALLS: Mapping[str, Builder] = {
    "collections.OrderedDict": dictionary,
    "dnnlib.util.EasyDict": dictionary,
    "builtins.set": items,
    "__builtin__.set": items,
}
UPDATES: Mapping[type, Callable[[Machine, Value, Value], Value]] = {
    dict: ignore_attributes,
    InertObject: set_attributes,
}
