"""A new package with a working editor, as a start for authors."""

from __future__ import annotations

import re
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from latentedit.errors import InputError, LatentEditError
from latentedit.files.artefacts import new_folder
from latentedit.interfaces.generator import Companions
from latentedit.registry import Registry

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
FILES = {
    "pyproject.toml": "pyproject.toml.jinja",
    "README.md": "README.md.jinja",
    "{package}/__init__.py": "package.py.jinja",
    "{package}/editor.py": "editor.py.jinja",
    "tests/test_contract.py": "contract.py.jinja",
    "suite.yaml": "suite.yaml.jinja",
}


def write_package(
    name: str, folder: Path, registry: Registry | None = None, generator: str | None = None
) -> list[Path]:
    """Write the package of an editor called `name`; return its files.

    Args:
        registry: where the plugins of the package's suite are found; the installed ones if not
            given.
        generator: whose images the suite edits; the first one that names its companions if not
            given.

    Raises:
        InputError: the name is none for an editor, or `folder` holds something; or `generator`
            names no companions.
    """
    if not _NAME.fullmatch(name):
        raise InputError(
            "an editor's name is lower case letters, digits and single hyphens, for instance "
            f"my-editor; received {name!r}"
        )
    registry = registry or Registry.discover()
    words = {
        "name": name,
        "package": "latentedit_" + name.replace("-", "_"),
        "title": "".join(part.capitalize() for part in name.split("-")),
        "rival": next(iter(registry.specs("editor")), "EDITOR"),
        **_models(registry, generator),
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


def _models(registry: Registry, generator: str | None) -> dict[str, str]:
    """Generator, labeller, judge and recogniser of the suite; placeholders where none is there."""
    if generator is not None:
        registry.find("generator", generator)
    for name in registry.specs("generator") if generator is None else (generator,):
        if (found := _companions(registry, name)) is not None:
            models = {"labeller": found.labeller, "judge": found.judge}
            return models | {"generator": name, "identity": found.identity[0]}
    if generator is not None:
        raise InputError(
            f"{generator} names no labeller, judge and identity encoder; leave out --generator, "
            "then change the suite that is written"
        )
    return {kind: kind.upper() for kind in ("generator", "labeller", "judge", "identity")}


def _companions(registry: Registry, generator: str) -> Companions | None:
    try:
        found: Companions | None = registry.load("generator", generator).companions
    except LatentEditError:
        return None  # one that cannot be imported serves no suite
    return found
