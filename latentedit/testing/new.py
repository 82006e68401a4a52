"""A package with a working editor, for an author to begin from."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from latentedit.errors import InputError
from latentedit.files.artefacts import new_folder

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
FILES = {
    "pyproject.toml": "pyproject.toml.jinja",
    "README.md": "README.md.jinja",
    "{package}/__init__.py": "package.py.jinja",
    "{package}/editor.py": "editor.py.jinja",
    "tests/test_contract.py": "contract.py.jinja",
    "suite.yaml": "suite.yaml.jinja",
}


def write_package(name: str, folder: Path) -> list[Path]:
    """Write the package of an editor called `name`; return its files.

    Raises:
        InputError: the name is none for an editor, or `folder` holds something.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            "an editor's name is lower case letters, digits and single hyphens, for instance "
            f"my-editor; received {name!r}"
        )
    words = {
        "name": name,
        "package": "latentedit_" + name.replace("-", "_"),
        "title": "".join(part.capitalize() for part in name.split("-")),
    }
    templates = Environment(
        loader=PackageLoader("latentedit.testing", "template"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,  # noqa: S701  (Python and TOML, not HTML)
    )
    written = [Path(path.format(**words)) for path in FILES]
    with new_folder(folder) as temporary:
        for path, template in zip(written, FILES.values(), strict=True):
            (temporary / path).parent.mkdir(parents=True, exist_ok=True)
            text = templates.get_template(template).render(words)
            (temporary / path).write_text(text, encoding="utf-8")
    return [folder / path for path in written]
