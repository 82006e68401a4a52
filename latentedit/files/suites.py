"""Where suites are."""

from __future__ import annotations

import os
from pathlib import Path

import latentedit
from latentedit.errors import InputError, UnknownName


def suite_folder() -> Path:
    """Inside an installed package, or beside it in a checkout."""
    package = Path(latentedit.__file__).parent
    installed = package / "suites"
    return installed if installed.is_dir() else package.parent / "benchmarks" / "suites"


def suite_names() -> list[str]:
    return sorted(file.stem for file in suite_folder().glob("*.yaml"))


def find_suite(name_or_path: str) -> Path:
    """A suite file by path, such as a run's ``suite.json``, or by the name of a shipped one.

    Raises:
        UnknownName: neither; lists the shipped suites.
    """
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml", ".json") or os.sep in name_or_path:
        if not path.exists():
            raise InputError(f"there is no suite file {path}")
        return path
    shipped = {file.stem: file for file in sorted(suite_folder().glob("*.yaml"))}
    if name_or_path not in shipped:
        raise UnknownName("suite", name_or_path, shipped)
    return shipped[name_or_path]
