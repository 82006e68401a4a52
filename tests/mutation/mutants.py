"""Every place where a fault can be put, and a sample of them that a seed decides."""

from __future__ import annotations

import ast
import difflib
import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cosmic_ray.ast import ast_nodes, get_ast
from cosmic_ray.ast.ast_query import ASTQuery
from cosmic_ray.mutating import mutate_code

from mutation.irrelevant import irrelevant, within
from mutation.operators import operators


@dataclass(frozen=True)
class Place:
    """Where one kind of fault can be put in.

    Args:
        path: of the source, from the root.
        line: from 1.
        kind: of fault, a key of `operators.KINDS` or `operators.OWN`.
        choices: (operator, occurrence in the file) of each fault that can be put in here.
        name: the same as long as the line and what it stands in stay the same.
    """

    path: str
    start: tuple[int, int]
    end: tuple[int, int]
    kind: str
    function: str
    choices: tuple[tuple[str, int], ...]
    name: str


@dataclass(frozen=True)
class Mutant:
    """A fault, and the code of the file that has it."""

    place: Place
    operator: str
    occurrence: int
    original: str
    mutated: str
    code: str
    digest: str

    @property
    def id(self) -> str:
        """Another one as soon as anything in the file is another."""
        return _digest(self.place.path, self.digest, self.operator, str(self.occurrence))


def places(root: Path, paths: Iterable[str]) -> list[Place]:
    """Of all sources, those left out that `irrelevant` names."""
    return [place for path in sorted(set(paths)) for place in _places_of(root, path)]


def sample(root: Path, found: Iterable[Place], count: int | None, seed: int) -> Iterator[Mutant]:
    """`count` places, each with one fault; all of them if None.

    Places are ranked by a digest of what they are, not drawn by number: a change to one function
    leaves the sample elsewhere as it was, and a smaller sample is the beginning of a larger.
    """
    sources: dict[str, str] = {}
    made = 0
    for place in sorted(found, key=lambda place: _digest(str(seed), place.name)):
        if made == count:
            return
        source = sources.setdefault(place.path, (root / place.path).read_text(encoding="utf-8"))
        if mutant := _mutant(place, source, seed):
            made += 1
            yield mutant


def _places_of(root: Path, path: str) -> Iterator[Place]:
    source = (root / path).read_text(encoding="utf-8")
    skipped, lines = irrelevant(source), source.splitlines()
    chosen = operators()
    occurrences: Counter[str] = Counter()
    choices: dict[tuple[str, tuple[int, int], tuple[int, int]], list[tuple[str, int]]]
    choices, functions = defaultdict(list), {}
    for node in ast_nodes(get_ast(source)):
        marker = node.parent is not None and node.parent.type == "parameters"  # ``*`` and ``/``
        for name, (kind, operator) in chosen.items():
            for start, end in operator.mutation_positions(node):
                if not marker:
                    choices[kind, start, end].append((name, occurrences[name]))
                functions[kind, start, end] = ASTQuery(node).get_definition_name() or ""
                occurrences[name] += 1
    same: Counter[str] = Counter()
    for key, found in choices.items():
        kind, start, end = key
        if within(start, skipped):
            continue
        what = _digest(path, functions[key], kind, lines[start[0] - 1].strip(), str(start[1]))
        same[what] += 1
        name = f"{what} {same[what]}"
        yield Place(path, start, end, kind, functions[key], tuple(found), name)


def _mutant(place: Place, source: str, seed: int) -> Mutant | None:
    """None where no choice gives other code that can be read."""
    before = ast.dump(ast.parse(source))
    for name, occurrence in sorted(
        place.choices, key=lambda choice: _digest(str(seed), place.name, *map(str, choice))
    ):
        code = mutate_code(source, operators()[name][1], occurrence)
        try:
            if code is None or ast.dump(ast.parse(code)) == before:
                continue
        except SyntaxError:
            continue
        original, mutated = _changed(source, code)
        return Mutant(place, name, occurrence, original, mutated, code, _digest(source))
    return None


def _changed(source: str, code: str) -> tuple[str, str]:
    """The lines that differ, each side on one line."""
    old, new = source.splitlines(), code.splitlines()
    left: list[str] = []
    right: list[str] = []
    for tag, a, b, c, d in difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if tag != "equal":
            left += old[a:b]
            right += new[c:d]
    return " ".join(" ".join(left).split()), " ".join(" ".join(right).split())


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()
