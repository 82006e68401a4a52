"""The pages of the project: their Python runs, and what they link to or name exists."""

from __future__ import annotations

import doctest
import importlib.util
import re
from collections import Counter
from pathlib import Path

import pytest

from latentedit.measures.definitions import METRICS
from latentedit.plugin import KINDS

ROOT = Path(__file__).parent.parent
FOLDERS = ("docs", "examples", "plugins", "workshop")
DOCUMENTS = sorted(
    [*ROOT.glob("*.md"), *(path for name in FOLDERS for path in (ROOT / name).rglob("*.md"))]
)
GLOSSARY = ROOT / "docs" / "glossary.md"
TOP = ("latentedit", "plugins", "workshop", "benchmarks", "tests", "examples", "docs")
PACKAGE = re.compile(r"(?<![\w./-])(?:latentedit(?:_[a-z]+)?|workshop)(?:\.[A-Za-z_]\w*)+")
"""A dotted name under a package of this project."""
PATH = re.compile(rf"(?<![\w./-])(?:{'|'.join(TOP)})/[\w./*-]*\w/?")
"""A path from the root of the checkout."""
WITH_EXAMPLES = [path for path in DOCUMENTS if ">>>" in path.read_text()]


def title(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", WITH_EXAMPLES, ids=title)
def test_the_python_in_documents_runs(
    document: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    found = doctest.testfile(str(document), module_relative=False, optionflags=flags)
    assert found.attempted > 0
    assert found.failed == 0


def test_the_readme_and_the_guide_have_examples() -> None:
    assert {"README.md", "CONTRIBUTING.md"} <= {path.name for path in WITH_EXAMPLES}


def prose(text: str) -> str:
    """The text without its blocks of code."""
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text: str) -> set[str]:
    """The anchors of a page's headings: lower case, hyphens for spaces, no other signs."""
    found: Counter[str] = Counter()
    made = set()
    for heading in re.findall(r"^#+ (.*)$", prose(text), re.MULTILINE):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        anchor = re.sub(r"[^\w\- ]", "", words).strip().replace(" ", "-")
        made.add(f"{anchor}-{found[anchor]}" if found[anchor] else anchor)
        found[anchor] += 1
    return made


def dead_links(document: Path) -> list[str]:
    """Relative links to a file that is missing, or to a heading that its page lacks."""
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)", prose(document.read_text("utf-8"))):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        name, _, anchor = target.partition("#")
        path = document.parent / name if name else document
        if not path.exists() or (anchor and anchor not in anchors(path.read_text("utf-8"))):
            dead.append(target)
    return dead


def is_there(name: str) -> bool:
    """Whether a dotted name is a module, or a public name of one."""
    module, _, attribute = name.rpartition(".")
    try:
        if importlib.util.find_spec(name) is not None:
            return True
    except ModuleNotFoundError:
        pass
    try:
        return hasattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError:
        return False


def missing(text: str) -> set[str]:
    """Paths and dotted names in `text` that do not exist."""
    paths = {path for path in PATH.findall(text) if not list(ROOT.glob(path.rstrip("/")))}
    return paths | {name for name in PACKAGE.findall(text) if not is_there(name)}


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
def test_every_relative_link_leads_to_a_file_and_a_heading(document: Path) -> None:
    assert dead_links(document) == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=title)
def test_every_path_and_module_that_a_page_names_exists(document: Path) -> None:
    text = re.sub(r"https?://\S+", "", document.read_text("utf-8"))
    text = text.replace("latentedit.plugins", "")  # the entry-point group
    assert missing(text) == set()


def test_a_dead_link_and_a_missing_path_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# A *b* c\n[a](#a-b-c) [b](#b) [c](c.md) [d](page.md#d) [e](https://e.org/e)")
    assert dead_links(page) == ["#b", "c.md", "page.md#d"]
    assert missing(
        "`latentedit/errors.py`, `plugins/latentedit_linear/`, `latentedit.plugin`, "
        "`latentedit.plugin.KINDS`, `latentedit/mistakes.py`, `latentedit.nothing`, "
        "`latentedit.plugin.NOTHING`"
    ) == {"latentedit/mistakes.py", "latentedit.nothing", "latentedit.plugin.NOTHING"}


TERM = re.compile(r"- \*\*([^*]+)\*\*: .+\.")


def test_the_glossary_has_one_line_a_term_in_alphabetical_order() -> None:
    introduction, lines = GLOSSARY.read_text("utf-8").split("\n- ", 1)
    assert introduction.startswith("# Glossary\n")
    rows = ("- " + lines).rstrip("\n").split("\n")
    assert [row for row in rows if not TERM.fullmatch(row)] == []
    terms = TERM.findall("\n".join(rows))
    assert terms == sorted(terms, key=str.lower)
    assert len(set(terms)) == len(terms)


@pytest.mark.parametrize("name", [*METRICS, *(kind.replace("-", " ") for kind in KINDS)])
def test_the_glossary_has_every_metric_and_every_kind_of_plugin(name: str) -> None:
    terms = [term.lower() for term in TERM.findall(GLOSSARY.read_text("utf-8"))]
    wanted = name.lower()
    assert any(wanted.startswith(term) or term.startswith(f"{wanted} ") for term in terms)


def test_the_guide_has_a_row_for_each_folder_of_the_core() -> None:
    core = ROOT / "latentedit"
    folders = {f"{path.parent.name}/" for path in core.glob("*/__init__.py")}
    rows = re.findall(r"^\| `([a-z_]+/)` \|", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.M)
    assert folders - set(rows) == set()


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_readme_and_guide_link_to_the_glossary(page: str) -> None:
    assert "](docs/glossary.md)" in (ROOT / page).read_text("utf-8")


def test_every_make_target_that_the_documents_name_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in DOCUMENTS:
        named = re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+)", document.read_text(), re.MULTILINE)
        assert {a or b for a, b in named} <= targets, document
