"""What `areas.toml` says: which sources are changed, and which tests speak for each."""

from __future__ import annotations

import subprocess
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path


@dataclass(frozen=True)
class Area:
    """Sources, and the test files that would see a fault in them."""

    sources: tuple[str, ...]
    tests: tuple[str, ...]


@dataclass(frozen=True)
class Group:
    """Areas that answer to one bar."""

    name: str
    bar: float
    count: int
    areas: tuple[Area, ...]

    def tests_of(self, source: str) -> list[str]:
        """A source's own doctests too, which its area's tests may lack."""
        return sorted({test for a in self.areas if source in a.sources for test in a.tests})

    @property
    def sources(self) -> list[str]:
        return sorted({source for area in self.areas for source in area.sources})


@dataclass(frozen=True)
class Plan:
    """The whole of it.

    Args:
        factor: how many times the seconds of the tests without a fault a mutant has,
        slack_seconds: and so many seconds more.
        preload: modules that are loaded once, for all mutants.
        packages: what is under test, and must not be among them.
        import_from: folders that the packages are imported from.
        helpers: files that tests use.
        built: patterns of ignored files that belong into a copy, where they are there.
    """

    groups: dict[str, Group]
    factor: float
    slack_seconds: float
    preload: tuple[str, ...]
    packages: tuple[str, ...]
    import_from: tuple[str, ...]
    helpers: tuple[str, ...]
    built: tuple[str, ...]


def read_plan(path: Path, root: Path) -> Plan:
    """Globs are resolved below `root`; a pattern that finds nothing is an error.

    Raises:
        SystemExit: no file is like a pattern.
    """
    said = tomllib.loads(path.read_text(encoding="utf-8"))
    groups = {
        name: Group(
            name,
            group["bar"],
            group["count"],
            tuple(
                Area(_files(root, area["sources"], path), _files(root, area["tests"], path))
                for area in group["areas"]
            ),
        )
        for name, group in said["groups"].items()
    }
    s = said["settings"]
    return Plan(
        groups,
        s["factor"],
        s["slack_seconds"],
        tuple(s["preload"]),
        tuple(s["packages"]),
        tuple(s["import_from"]),
        _files(root, s["helpers"], path),
        tuple(s["built"]),
    )


def touched(root: Path, since: str) -> dict[str, set[int]]:
    """Lines of each file that are not as in the commit `since`; all lines of a new file."""
    diff = _git(root, "diff", "--unified=0", "--no-color", "--no-ext-diff", "--relative", since)
    lines: dict[str, set[int]] = {}
    current: set[int] = set()
    for line in diff.splitlines():
        if line.startswith("+++ "):
            current = lines.setdefault(line[4:].removeprefix("b/"), set())
        elif line.startswith("@@ "):
            start, _, length = line.split(" ")[2].removeprefix("+").partition(",")
            current |= set(range(int(start), int(start) + int(length or 1)))
    for new in _git(root, "ls-files", "--others", "--exclude-standard").splitlines():
        if new.endswith(".py"):
            count = len((root / new).read_text(encoding="utf-8").splitlines())
            lines[new] = set(range(1, count + 1))
    return lines


def chosen(path: str, patterns: list[str]) -> bool:
    """Whether a path is one of the patterns, or below one."""
    return not patterns or any(
        fnmatch(path, pattern) or path.startswith(pattern.rstrip("/") + "/") for pattern in patterns
    )


def _files(root: Path, patterns: list[str], said_in: Path) -> tuple[str, ...]:
    wanted = [pattern for pattern in patterns if not pattern.startswith("!")]
    unwanted = [pattern[1:] for pattern in patterns if pattern.startswith("!")]
    found: set[str] = set()
    for pattern in wanted:
        paths = {p.relative_to(root).as_posix() for p in root.glob(pattern) if p.is_file()}
        if not paths:
            raise SystemExit(f"{said_in}: no file is like {pattern}")
        found |= paths
    return tuple(sorted(p for p in found if not any(fnmatch(p, u) for u in unwanted)))


def _git(root: Path, *words: str) -> str:
    found = subprocess.run(["git", *words], cwd=root, capture_output=True, text=True, check=False)
    if found.returncode:
        raise SystemExit(f"git {' '.join(words)}: {found.stderr.strip()}")
    return found.stdout
