"""Few modules at the top, short functions and modules, and tests that use public names alone."""

from __future__ import annotations

import ast
import re
import statistics
from collections.abc import Iterator
from pathlib import Path

import pytest

import latentedit

CORE = Path(latentedit.__file__).parent
ROOT = CORE.parent
TESTS = ROOT / "tests"
OURS = ("latentedit", "workshop")
TOP_MODULES, TOP_FOLDERS = 6, 14
LONGEST_MODULE, LONGEST_BODY, MEDIAN_BODY, NINTH_DECILE = 350, 55, 6, 19
"""In lines."""
OF_OTHERS = ("_asdict", "_fields", "_make", "_replace", "_repr_html_")
"""Public names of named tuples and of notebooks, which begin with ``_``."""


def sources() -> list[Path]:
    found = [*CORE.rglob("*.py"), *(ROOT / "plugins").rglob("*.py")]
    return sorted(path for path in found if "__pycache__" not in path.parts)


def bodies(text: str) -> Iterator[tuple[str, int]]:
    """Name of each function, and the lines of its body; the docstring is none of them."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            said = node.body[1:] if ast.get_docstring(node) is not None else node.body
            last = node.end_lineno or node.lineno
            yield node.name, last - said[0].lineno + 1 if said else 0


def folders() -> list[Path]:
    return sorted({path.parent for path in CORE.rglob("*.py")})


def test_the_top_of_the_core_has_few_modules_and_folders() -> None:
    entries = ("__init__.py", "__main__.py")  # the names that Python itself looks for
    modules = [path.name for path in CORE.glob("*.py") if path.name not in entries]
    rooms = [path for path in folders() if path.parent == CORE]
    assert len(modules) <= TOP_MODULES, modules
    assert len(rooms) <= TOP_FOLDERS, rooms


@pytest.mark.parametrize(
    "folder", [path for path in folders() if path != CORE], ids=lambda path: path.name
)
def test_a_folder_says_in_one_sentence_what_it_holds(folder: Path) -> None:
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text("utf-8"))) or ""
    first = " ".join(said.split("\n\n")[0].split())
    assert re.fullmatch(r"[A-Z][^.!?]*\.", first), f"{folder}/__init__.py begins with {first!r}"


def test_functions_are_short() -> None:
    lengths = {
        f"{path.relative_to(ROOT)} {name}": length
        for path in sources()
        for name, length in bodies(path.read_text("utf-8"))
    }
    assert {name: length for name, length in lengths.items() if length > LONGEST_BODY} == {}
    assert statistics.median(lengths.values()) <= MEDIAN_BODY
    assert statistics.quantiles(lengths.values(), n=10)[-1] <= NINTH_DECILE


def test_modules_are_short() -> None:
    lengths = {path: len(path.read_text("utf-8").splitlines()) for path in sources()}
    assert {path for path, length in lengths.items() if length > LONGEST_MODULE} == set()


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("def f():\n    return 1", 1),
        ('def f():\n    """Says."""', 0),
        ('def f(\n    a,\n    b,\n):\n    """Says."""\n\n    a()\n\n    return b', 3),
    ],
)
def test_lines_of_a_body_are_counted_without_head_and_docstring(text: str, length: int) -> None:
    assert dict(bodies(text)) == {"f": length}


def private(name: str) -> bool:
    return name.startswith("_") and not name.endswith("__") and name not in OF_OTHERS


def touched(text: str) -> Iterator[str]:
    """Private names of this project that the text of a test imports, reads, calls or replaces."""
    tree = ast.parse(text)
    own = {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
    }
    own |= {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(OURS):
            yield from (alias.name for alias in node.names if private(alias.name))
            yield from (part for part in (node.module or "").split(".") if private(part))
        elif isinstance(node, ast.Attribute) and private(node.attr):
            if ast.unparse(node) != "os._exit" and not (
                ast.unparse(node.value) == "self" and node.attr in own
            ):
                yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            # the target of a monkeypatch, written as text
            if re.fullmatch(r"(latentedit\w*|workshop)(\.\w+)*\._\w*[^_\W]", node.value):
                yield node.value
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("setattr", "getattr")):
            yield from (
                argument.value
                for argument in node.args
                if isinstance(argument, ast.Constant)
                and isinstance(argument.value, str)
                and private(argument.value)
            )


@pytest.mark.parametrize(
    "path", sorted(TESTS.rglob("*.py")), ids=lambda path: str(path.relative_to(TESTS))
)
def test_a_test_touches_no_private_name(path: Path) -> None:
    assert list(touched(path.read_text("utf-8"))) == []


@pytest.mark.parametrize(
    "text",
    [
        "from latentedit.registry import _names",
        "from latentedit_linear._axes import label",
        "import latentedit.registry as r\nr._names('a')",
        "fitted.editor._noise",
        "class T(Editor):\n    def f(self): return self._noise",
        "monkeypatch.setattr('latentedit.registry" + "._names', None)",
        "monkeypatch.setattr(registry, '_names', None)",
        "getattr(registry, '_names')",
    ],
)
def test_a_private_name_is_found(text: str) -> None:
    assert list(touched(text))


@pytest.mark.parametrize(
    "text",
    [
        "from toy import _rows",
        "import os\nos._exit(1)",
        "figures[0]._replace(share=0.1)",
        "class T:\n    def f(self): return self._g()\n    def _g(self): return 1",
        "monkeypatch.setattr('latentedit.__version__', '2')",
    ],
)
def test_a_name_of_the_test_itself_is_none(text: str) -> None:
    assert not list(touched(text))
