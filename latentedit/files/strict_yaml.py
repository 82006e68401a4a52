"""The one reader of YAML: plain data in bounded time and memory."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any, NoReturn

import yaml

from latentedit.errors import CorruptArtefact
from latentedit.files.regular import read_bytes

YAML_BYTES = 64 << 10
MAX_DEPTH = 32
MAX_DIGITS = 30

_INT = re.compile(r"[-+]?[0-9]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_INFINITE = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_NULL = ("", "~", "null", "Null", "NULL")


def read_yaml(text: str, where: str, *, number_keys: bool = False) -> Any:
    """Plain data from YAML text, by the core schema of YAML 1.2.

    Numbers are decimal: ``040`` is 40, ``5e1`` is 50.0. ``yes``, ``0x20``, ``1_000`` and dates are
    text. Keys are text, and none occurs twice.

    Args:
        where: for messages.
        number_keys: allow numbers as keys.

    Raises:
        CorruptArtefact: the text is not YAML, has more than 64 KiB or 32 levels, or uses tags,
            aliases or merge keys.

    >>> read_yaml("{a: 040, b: 5e1, c: yes}", "suite")
    {'a': 40, 'b': 50.0, 'c': 'yes'}
    """
    if len(text) > YAML_BYTES or len(text.encode("utf-8", "surrogatepass")) > YAML_BYTES:
        raise CorruptArtefact(
            f"{where} is not YAML that is read: it has more than {YAML_BYTES:,} bytes"
        )
    loader: _Loader | None = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return None if node is None else _value(node, number_keys)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        raise CorruptArtefact(f"{where} is not YAML that is read: {error}") from None
    finally:
        if loader is not None:
            loader.dispose()


def read_yaml_file(path: Path, *, number_keys: bool = False) -> Any:
    """Plain data from a YAML file in UTF-8; see `read_yaml`.

    Raises:
        InputError: there is no such regular file, or it has more than 64 KiB.
        CorruptArtefact: as `read_yaml`.
    """
    try:
        text = read_bytes(path, YAML_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise CorruptArtefact(f"{path} is not YAML that is read: {error}") from None
    return read_yaml(text, str(path), number_keys=number_keys)


class _Loader(yaml.SafeLoader):
    """Composes nodes without tags and aliases, to a bounded depth. Nothing is constructed."""

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        # Nested aliases can expand a short text to gigabytes ("billion laughs").
        if isinstance(event, yaml.AliasEvent):
            _refuse("aliases are not allowed here", event)
        if getattr(event, "tag", None) is not None:
            _refuse("tags are not allowed here", event)
        if self.depth >= MAX_DEPTH:
            _refuse(f"more than {MAX_DEPTH} levels", event)
        self.depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self.depth -= 1


def _value(node: yaml.Node, number_keys: bool) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return _scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(each, number_keys) for each in node.value]
    found: dict[Any, Any] = {}
    for key_node, value_node in node.value:
        key = _scalar(key_node) if isinstance(key_node, yaml.ScalarNode) else None
        number = isinstance(key, (int, float)) and not isinstance(key, bool)
        if not (isinstance(key, str) or (number_keys and number)):
            shown = repr(key_node.value)[:80]
            _refuse(f"the key {shown} is not text; write it in quotes", key_node)
        if key == "<<" and key_node.style is None:
            _refuse("merge keys (<<) are not allowed here", key_node)
        if key in found:
            _refuse(f"key {key!r} occurs twice", key_node)
        found[key] = _value(value_node, number_keys)
    return found


def _scalar(node: yaml.ScalarNode) -> str | int | float | bool | None:
    text: str = node.value
    if node.style is not None:  # quoted, or a block
        return text
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if _FLOAT.fullmatch(text):
        if len(text) > MAX_DIGITS:
            _refuse(f"a number of more than {MAX_DIGITS} characters", node)
        number = int(text) if _INT.fullmatch(text) else float(text)
        if not math.isfinite(number):
            _refuse(f"{text} is too large a number", node)
        return number
    if _INFINITE.fullmatch(text):
        return float(text.replace(".", ""))
    return text


def _refuse(what: str, at: Any) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=what, problem_mark=at.start_mark)
