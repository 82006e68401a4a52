"""Which tests run a line. They are asked first: one of them finds nearly every fault."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from coverage import CoverageData


class Lines:
    """What `coverage` recorded of each test file, in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def file(self, test_file: str) -> Path:
        """Where the lines of a test file's tests are kept."""
        return self.folder / f"{hashlib.sha256(test_file.encode()).hexdigest()[:16]}.coverage"

    def forget(self, test_file: str) -> Path:
        """The same, of which nothing is left."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.file(test_file).unlink(missing_ok=True)
        return self.file(test_file)

    def tests(self, test_file: str, source: str, line: int) -> list[str]:
        """Those that run the line. A line in the middle of a statement may have no record of its
        own: then those of the last line before it."""
        ran = _contexts(self.file(test_file), source)
        before = [number for number in ran if number <= line]
        return [name for name in ran[max(before)] if name] if before else []


@cache
def _contexts(file: Path, source: str) -> dict[int, list[str]]:
    if not file.is_file():
        return {}
    data = CoverageData(str(file))
    data.read()
    return data.contexts_by_lineno(source)
