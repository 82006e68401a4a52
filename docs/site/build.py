"""Build the documentation as a site that needs no network.

    python docs/site/build.py --out runs/site

The pages of `docs/`, the guide, the changelog and the cards are gathered in one folder. Pages that
are written from the code stand beside them. Sphinx makes HTML of all, and refuses dead links.
"""

from __future__ import annotations

import argparse
import inspect
import os
import posixpath
import re
import shutil
import sys
import tempfile
from pathlib import Path

from sphinx.cmd.build import build_main

import latentedit
from latentedit import Registry
from latentedit.testing.describe import describe

ROOT = Path(__file__).resolve().parents[2]
OUTSIDE = {
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "plugins/latentedit_synthface/CARD.md": "cards/synthface.md",
    "plugins/latentedit_synthface/network/CARD.md": "cards/synthface-net.md",
}
"""Pages outside `docs/` that the site has, and where."""
LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
GROUP = re.compile(r"^# (.+)\n((?:from .+\n|\n)+)", re.MULTILINE)
EXPORT = re.compile(r" as (\w+)$", re.MULTILINE)


def main() -> int:
    """0 if the site is whole; 1 for a dead link or a notebook that fails."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--out", type=Path, default=Path("runs/site"), help="folder of the site")
    parser.add_argument("--no-notebooks", action="store_true", help="show notebooks without output")
    said = parser.parse_args()
    mode = "off" if said.no_notebooks else "force"
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # of notebooks: threads that wait take time
    how = ["-q", "-E", "-W", "--keep-going", "-c", str(Path(__file__).parent)]
    with tempfile.TemporaryDirectory() as folder:
        gather(Path(folder))
        failed = build_main([*how, "-D", f"nb_execution_mode={mode}", folder, str(said.out)])
    if not failed:
        print(f"next: open {said.out / 'index.html'} in a browser")
    return failed


def gather(folder: Path) -> None:
    """Write the sources of every page of the site into `folder`."""
    pages = {f"docs/{path.relative_to(ROOT / 'docs')}": path for path in pages_of(ROOT / "docs")}
    places = {name: name.removeprefix("docs/") for name in pages} | OUTSIDE
    shutil.copytree(
        ROOT / "docs", folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("*.md")
    )
    for name, place in places.items():
        page = folder / place
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(with_links((ROOT / name).read_text("utf-8"), name, places, folder), "utf-8")
    reference = folder / "reference"
    reference.mkdir(exist_ok=True)
    (reference / "python.md").write_text(python_page(), "utf-8")
    (reference / "plugins.md").write_text(plugins_page(), "utf-8")


def pages_of(folder: Path) -> list[Path]:
    """The pages of `docs/`; its other folders hold parts of pages."""
    return sorted(
        [*folder.glob("*.md"), *folder.glob("notebooks/*.md"), *folder.glob("reference/*")]
    )


def with_links(text: str, name: str, places: dict[str, str], folder: Path) -> str:
    """The page `name` with links that hold in the site; links to other files become plain text.

    Args:
        places: the place in the site of each page, by its path in the checkout.
        folder: of the site's sources, into which pictures are copied.
    """
    here, there = posixpath.dirname(name), posixpath.dirname(places[name])

    def link(found: re.Match[str]) -> str:
        picture, words, target, anchor = found.groups(default="")
        if "://" in target or target.startswith("mailto:"):
            return found[0]
        path = posixpath.normpath(posixpath.join(here, target))
        if path in places:
            return f"[{words}]({posixpath.relpath(places[path], there or '.')}{anchor})"
        if not picture and not path.startswith("docs/"):
            return f"{words} (`{path}`)"
        if path.startswith("docs/"):
            return f"{picture}[{words}]({posixpath.relpath(path[5:], there or '.')})"
        copied = folder / "pictures" / path.replace("/", "-")
        copied.parent.mkdir(exist_ok=True)
        shutil.copy(ROOT / path, copied)
        return f"![{words}]({posixpath.relpath(f'pictures/{copied.name}', there or '.')})"

    return LINK.sub(link, text)


def python_page() -> str:
    """Every public name of `latentedit`, in the groups of its stub."""
    stub = (Path(latentedit.__file__).parent / "__init__.pyi").read_text("utf-8")
    parts = ["# Python\n\nEvery name here is imported from `latentedit`.\n"]
    for title, lines in GROUP.findall(stub):
        names = EXPORT.findall(lines)
        if names:
            parts += [f"## {title}\n", "```{eval-rst}", *map(directive, names), "```\n"]
    return "\n".join(parts)


def directive(name: str) -> str:
    """The documentation of one public name, as autodoc writes it."""
    value = getattr(latentedit, name)
    if inspect.isclass(value):
        return f".. autoclass:: latentedit.{name}\n   :members:\n   :exclude-members: Options\n"
    return f".. auto{'function' if inspect.isfunction(value) else 'data'}:: latentedit.{name}\n"


def plugins_page() -> str:
    """Every bundled plugin, with its options."""
    registry = Registry.discover()
    parts = [
        "# Plugins and their options\n",
        "`latentedit plugins show NAME` prints the same for every installed plugin.\n",
    ]
    ours = [origin for origin in registry.origins if origin.distribution == "latentedit"]
    specs = [spec for origin in ours for spec in origin.specs]
    for kind in dict.fromkeys(spec.kind for spec in specs):
        parts.append(f"## {kind}\n")
        for spec in sorted((s for s in specs if s.kind == kind), key=lambda s: s.name):
            found = describe(registry, spec.name, kind)
            parts += [f"### {spec.name}\n", f"{spec.summary}\n", f"```text\n{found.meaning}\n```\n"]
            if found.options:
                parts += ["| option | type | default | meaning |", "|---|---|---|---|"]
                parts += [
                    "| " + " | ".join(map(in_table, (o.name, o.type, o.default, o.meaning))) + " |"
                    for o in found.options
                ]
                parts.append("")
    return "\n".join(parts)


def in_table(words: str) -> str:
    """Text that stands in a cell of a table as it is."""
    plain = " ".join(words.split()).replace("|", "\\|")
    return re.sub(r"([<>*_\[\]{}$])", r"\\\1", plain)


if __name__ == "__main__":
    sys.exit(main())
