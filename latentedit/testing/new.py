"""A new package with a working plugin, as a start for authors."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, PackageLoader, StrictUndefined

from latentedit.benchmark.suite_keys import example_tasks
from latentedit.errors import InputError, LatentEditError, UnknownName
from latentedit.files.artefacts import new_folder, write_bytes
from latentedit.interfaces.generator import IMAGES
from latentedit.registry import Registry

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
FILES = {
    "pyproject.toml": "pyproject.toml.jinja",
    "{package}/__init__.py": "package.py.jinja",
    "tests/test_contract.py": "contract.py.jinja",
}
"""Of a package of any kind; the code itself is in a module of the kind's name."""
FOR_EDITORS = {"README.md": "README.md.jinja", "suite.yaml": "suite.yaml.jinja"}
TASKS = 2
"""Of the suite, which is small: it is the first that an author runs."""
ARTICLES = {
    "editor": "an editor",
    "generator": "a generator",
    "estimator": "an estimator",
    "identity": "an identity encoder",
    "metric": "a metric",
}
"""The kinds of which a package can be written, in words."""


def write_package(
    name: str,
    folder: Path,
    registry: Registry | None = None,
    generator: str | None = None,
    kind: str = "editor",
) -> list[Path]:
    """Write the package of a plugin called `name`; return its files.

    Args:
        registry: where the plugins of the package's suite are found; the installed ones if not
            given.
        generator: whose images the suite edits; the first one that names its companions if not
            given.
        kind: of the plugin, one of `ARTICLES`. Only the package of an editor has a suite.

    Raises:
        UnknownName: there is no package of this kind.
        InputError: the name is none for a plugin, or `folder` holds something; or `generator`
            names no companions.
    """
    if kind not in ARTICLES:
        raise UnknownName("kind", kind, ARTICLES)
    if not _NAME.fullmatch(name):
        raise InputError(
            "a plugin's name is lower case letters, digits and single hyphens, for instance "
            f"my-{kind}; received {name!r}"
        )
    registry = registry or Registry.discover()
    words = {
        "name": name,
        "kind": kind,
        "module": kind,
        "article": ARTICLES[kind],
        "package": "latentedit_" + name.replace("-", "_"),
        "title": "".join(part.capitalize() for part in name.split("-")),
        "rival": next(iter(registry.specs("editor")), "EDITOR"),
        **(_models(registry, generator) if kind == "editor" or generator else {}),
    }
    templates = Environment(
        loader=PackageLoader("latentedit.testing", "template"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        autoescape=False,  # noqa: S701  (Python and TOML, not HTML)
    )
    own = FOR_EDITORS if kind == "editor" else {"README.md": "README-other.md.jinja"}
    files = FILES | {f"{{package}}/{kind}.py": f"{kind}.py.jinja"} | own
    written = [Path(path.format(**words)) for path in files]
    with new_folder(folder) as temporary:
        for path, template in zip(written, files.values(), strict=True):
            text = templates.get_template(template).render(words)
            write_bytes(temporary / path, text.encode())
    return [folder / path for path in written]


def _models(registry: Registry, generator: str | None) -> dict[str, Any]:
    """What the suite edits; placeholders where no installed generator names its companions."""
    if generator is not None:
        registry.find("generator", generator)
        if (found := _models_of(registry, generator)) is None:
            raise InputError(
                f"{generator} names no labeller, judge and identity encoder; leave out "
                "--generator, then change the suite that is written"
            )
        return found
    for name in registry.specs("generator"):
        with suppress(LatentEditError):  # one that cannot be imported serves no suite
            if (found := _models_of(registry, name)) is not None:
                return found
    models = {kind: kind.upper() for kind in ("generator", "labeller", "judge", "identity")}
    tasks = ["{attribute: ATTRIBUTE, change: {sigma: 1.0}}"]
    return models | {"images": IMAGES.many, "tasks": tasks}


def _models_of(registry: Registry, generator: str) -> dict[str, Any] | None:
    """Generator, its companions, tasks in their schema, and what its images show."""
    model = registry.load("generator", generator)
    if model.companions is None:
        return None
    tasks = example_tasks(registry.estimator(model.companions.labeller).schema)[:TASKS]
    return {
        "generator": generator,
        "labeller": model.companions.labeller,
        "judge": model.companions.judge,
        "identity": ", ".join(model.companions.identity),
        "images": model.subject.many,
        "tasks": [yaml.safe_dump(task, default_flow_style=True).strip() for task in tasks],
    }
