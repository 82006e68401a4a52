"""Every generated table, figure and sentence of README.md and docs, from shipped results.

    python benchmarks/figures.py write                              # make figures
    python benchmarks/figures.py check                              # make figures-check, CI
    python benchmarks/figures.py keep runs/quickstart runs/field    # ship the results of new runs

What stands between ``<!-- TABLE of RESULT -->`` and ``<!-- end -->`` is generated. `check` fails
where a page is not as `write` writes it, and where a figure stands outside of such a block in a
section that must have none.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

import coverage_tables
import inversion
import machinery
import machinery_tables
import million
import photograph
import protocols
import speed
import studio
import study
import study_page
import two_worlds
from run_pictures import PICTURES
from shipped import RESULTS, ROOT, Shipped, keep
from study_figures import read_rows
from suite_sentences import SENTENCES
from suite_tables import TABLES

from latentedit.benchmark.results.reading import Run
from latentedit.files.artefacts import write_bytes
from workshop.synthface.worlds import written

BLOCK = re.compile(r"(<!-- ([a-z -]+ of [a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
WITHOUT_FIGURES = {
    "README.md": "Results",
    "docs/field.md": "",
    "docs/invert.md": "Accuracy",
    "docs/reliability.md": "",
    "docs/scale.md": "",
    "docs/styleflow.md": "",
}
"""Pages, and the beginning of the heading of the section, where all figures are generated."""
FIGURE = re.compile(r"(?<![\w./-])[+−-]?\d+(?:\.\d+(?!\w|\.\d)| ?%)")
"""A decimal number or a percentage."""


def worlds() -> str:
    return written(ROOT / "docs")


def speeds() -> str:
    return speed.page(speed.table())


PUBLISHED = ("real-quick", "real")
"""Runs on published networks, which are compared with the field of the embedded world."""
WHOLE: dict[str, Callable[[], str]] = {"docs/worlds.md": worlds, "docs/speed.md": speeds}
"""Pages that are generated as a whole."""


def pages() -> list[Path]:
    first = (ROOT / name for name in ("README.md", "CONTRIBUTING.md"))
    return [path for path in (*first, *sorted((ROOT / "docs").glob("*.md"))) if path.is_file()]


@cache
def _shipped(name: str) -> Shipped:
    return Shipped.read(RESULTS / name)


def blocks() -> dict[str, Callable[[], str]]:
    """What writes each block, by its title."""
    runs = sorted(path.parent.name for path in RESULTS.glob("*/facts.json"))
    found: dict[str, Callable[[], str]] = {
        f"{title} of {run}": partial(_written, write, run)
        for run in runs
        for title, write in (TABLES | SENTENCES).items()
    }
    found["latencies of studio"] = studio.table
    others = {"coverage": coverage_tables.tables(), "study": _study(), "protocols": _protocols()}
    others["torture"] = {"commands": _torture}
    if inversion.FIGURES.is_file():
        others["inversion"] = inversion.tables()
    if machinery.FIGURES.is_file():
        others["machinery"] = machinery_tables.tables()
    if million.RESULT.is_file():
        others["million"] = {"run": million.table}
    if photograph.KEPT.is_file():
        others["photograph"] = photograph.tables()
    for name in PUBLISHED:
        if name in runs:
            others[name] = two_worlds.tables(_shipped("field"), _shipped(name))
    for result, tables in others.items():
        found |= {f"{title} of {result}": write for title, write in tables.items()}
    return found


def _study() -> dict[str, Callable[[], str]]:
    figures = study.read_figures(RESULTS.parent / "study")
    return {title: partial(write, figures) for title, write in study_page.TABLES.items()}


def _protocols() -> dict[str, Callable[[], str]]:
    folder = RESULTS.parent / "protocols"
    taus = read_rows(folder / protocols.TAUS, protocols.Tau)
    scores = read_rows(folder / protocols.SCORES, protocols.Score)
    return {
        "facts": partial(protocols.facts, taus, scores),
        "taus": partial(protocols.table_of_taus, taus),
    }


def _torture() -> str:
    """The commands of ``make torture``, with their amounts."""
    makefile = (Path(__file__).parents[1] / "Makefile").read_text(encoding="utf-8")
    rule = re.search(r"^torture:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)
    if rule is None:
        raise SystemExit("the Makefile has no target 'torture'")
    values = dict(re.findall(r"^(\w+) := (.*)$", makefile, re.MULTILINE))
    commands = rule[1].replace("\t", "").replace("$(BIN)/", "")
    commands = re.sub(r"\$\((\w+)\)", lambda match: values[match[1]], commands)
    return f"```\n{commands}```"


def _written(write: Callable[[Shipped], str], run: str) -> str:
    return write(_shipped(run))


def generated(path: Path) -> str:
    """The page at `path` as the shipped results have it."""
    whole = WHOLE.get(str(path.relative_to(ROOT)))
    return whole() if whole else filled(path.read_text(encoding="utf-8"))


def filled(page: str) -> str:
    """`page` with its blocks as the shipped results have them."""
    known = blocks()

    def block(match: re.Match[str]) -> str:
        start, title, end = match.groups()
        if title not in known:
            raise SystemExit(f"a page asks for {title!r}; there are {', '.join(sorted(known))}")
        return f"{start}{known[title]()}\n{end}"

    return BLOCK.sub(block, page)


def faults() -> Iterator[str]:
    """Pages that `write` would change, and figures outside of blocks where none may be."""
    for path in pages():
        page, name = path.read_text(encoding="utf-8"), str(path.relative_to(ROOT))
        if generated(path) != page:
            yield f"{name} differs from the results in docs/results; write it with: make figures"
        if name in WITHOUT_FIGURES:
            for figure in typed_figures(page, WITHOUT_FIGURES[name]):
                yield f"{name}: {figure!r} is typed; generate it, or leave it out"


def typed_figures(page: str, section: str = "") -> list[str]:
    """Figures outside of blocks and code, in the sections whose heading begins with `section`."""
    prose = BLOCK.sub("", page)
    prose = re.sub(r"^```.*?^```|`[^`]*`|\]\([^)]*\)", "", prose, flags=re.DOTALL | re.MULTILINE)
    parts = re.split(r"^##? ", prose, flags=re.MULTILINE)
    return [
        match[0] for part in parts if part.startswith(section) for match in FIGURE.finditer(part)
    ]


def write() -> None:
    for path in pages():
        page = path.read_text(encoding="utf-8")
        if (new := generated(path)) != page:
            write_bytes(path, new.encode())
            print(f"wrote {path.relative_to(ROOT)}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("write", "check", "keep"))
    parser.add_argument("runs", type=Path, nargs="*", help="finished runs whose results are kept")
    given = parser.parse_args()
    if given.what == "check":
        if found := list(faults()):
            raise SystemExit("\n".join(found))
        return
    if given.what == "keep":
        for folder in given.runs:
            run = Run(folder)
            keep(run, RESULTS / run.suite.name)
            if draw := PICTURES.get(run.suite.name):
                draw(folder)
    write()


if __name__ == "__main__":
    main()
