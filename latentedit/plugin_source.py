"""A fingerprint of a plugin's source code, which can change without a new version."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.machinery import all_suffixes
from importlib.metadata import Distribution, PackageNotFoundError, distributions, version
from importlib.util import find_spec
from pathlib import Path

_CORE = __name__.partition(".")[0]


def source_digest(target: str) -> str:
    """SHA-256 over the files of the package of ``"package.module:Class"``.

    Data files count too, such as weights that a package brings along. Hidden files and compiled
    Python files do not. The package is found but not imported. The result is "" if it cannot be
    found.

    >>> len(source_digest("latentedit.plugin:PluginSpec"))
    64
    >>> source_digest("no_such_package:Class")
    ''
    """
    files = list(_files(_package(target)))
    if not files:
        return ""
    digest = hashlib.sha256()
    for name, file in files:
        digest.update(f"{name}\n".encode())
        digest.update(_file_digest(file, *_stamp(file)))
    return digest.hexdigest()


def imported_versions(target: str) -> dict[str, str]:
    """By name, what the package of ``"package.module:Class"`` imports from other packages.

    The value is the version of an installed package, or the source digest of a package that was
    not installed. Python's own modules and packages that are missing are left out. Imports are
    read from the source, and nothing is imported. Of a plugin in latentedit itself those of its
    module count: what the command line imports decides no result.

    >>> versions = imported_versions("latentedit.data.images:pictures")
    >>> "click" in versions, versions["PIL"].partition(" ")[0]
    (False, 'pillow')
    """
    package = _package(target)
    module = target.split(":", maxsplit=1)[0].replace(".", "/")
    roots: set[str] = set()
    for name, file in _files(package):
        if package == _CORE and name not in (f"{module}.py", f"{module}/__init__.py"):
            continue
        if file.suffix == ".py":
            roots |= _imports(file, *_stamp(file))
    others = sorted(roots - {package} - set(sys.stdlib_module_names))
    found = {root: _version(root) or source_digest(root) for root in others}
    return {root: known for root, known in found.items() if known}


def _package(target: str) -> str:
    return target.split(":", maxsplit=1)[0].split(".", maxsplit=1)[0]


def _files(package: str) -> Iterator[tuple[str, Path]]:
    """The files of a package with their names in it, in order."""
    try:
        found = find_spec(package)
    except ValueError:  # a module that was run as a script has no spec
        return
    if found is None or (found.origin is None and not found.submodule_search_locations):
        return
    # A package without __init__.py may be found twice, by a relative and an absolute path.
    homes = found.submodule_search_locations or [str(found.origin)]
    for root in sorted({Path(home).resolve() for home in homes}):
        for file in [root] if root.is_file() else sorted(root.rglob("*")):
            parts = file.relative_to(root.parent).parts
            hidden = any(part.startswith(".") or part == "__pycache__" for part in parts)
            if file.is_file() and not hidden and file.suffix != ".pyc":
                yield "/".join(parts), file


def _stamp(file: Path) -> tuple[int, int, int]:
    """What changes when a file is written, so that it is read once a process."""
    found = file.stat()
    return found.st_mtime_ns, found.st_size, found.st_ino


@cache
def _file_digest(file: Path, *stamp: int) -> bytes:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").digest()


@cache
def _imports(file: Path, *stamp: int) -> frozenset[str]:
    """The first names of all absolute imports in a Python file; none if it is not valid Python."""
    try:
        tree = ast.parse(file.read_bytes())
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return frozenset()
    statements = list(_statements(tree))
    names = [alias.name for node in statements if isinstance(node, ast.Import)
             for alias in node.names]  # fmt: skip
    names += [node.module for node in statements
              if isinstance(node, ast.ImportFrom) and node.module and not node.level]  # fmt: skip
    return frozenset(name.split(".", maxsplit=1)[0] for name in names)


def _statements(tree: ast.Module) -> Iterator[ast.AST]:
    """Every statement of a file, at any depth.

    No expression is visited: none holds a statement, and they are most of a file.
    """
    waiting: list[ast.AST] = [tree]  # a long chain of elif is deeper than calls may be
    for node in waiting:
        yield node
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            waiting += getattr(node, field, ())


@cache
def installed_version(package: str) -> str:
    """The version of an installed distribution, read once a process.

    Raises:
        PackageNotFoundError: it is not installed.
    """
    return version(package)


@cache
def _version(package: str) -> str:
    """Of the installed distribution that has `package`; "" if there is none."""
    try:
        return installed_version(package)
    except (PackageNotFoundError, ValueError):
        having = (found for found in distributions() if _has(found, package))
        names = sorted({found.metadata["Name"] for found in having})
        return ", ".join(f"{name} {version(name)}" for name in names)


def _has(distribution: Distribution, package: str) -> bool:
    """Whether it installs `package`, by the list that it declares or else by its files.

    `importlib.metadata.packages_distributions` says the same of all packages. It parses the lists
    of all files for that, which takes every process of a run 0.2 s.
    """
    if declared := (distribution.read_text("top_level.txt") or "").split():
        return package in declared
    files = "\n" + (distribution.read_text("RECORD") or "")
    ends = ("/", *(f"{suffix}," for suffix in all_suffixes()))
    return any(f"\n{package}{end}" in files for end in ends)
