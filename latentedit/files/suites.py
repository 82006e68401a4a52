"""Where the shipped suites are."""

from __future__ import annotations

from pathlib import Path

import latentedit


def suite_folder() -> Path:
    """Inside an installed package, or beside it in a checkout."""
    package = Path(latentedit.__file__).parent
    installed = package / "suites"
    return installed if installed.is_dir() else package.parent / "benchmarks" / "suites"


def suite_names() -> list[str]:
    return sorted(file.stem for file in suite_folder().glob("*.yaml"))
