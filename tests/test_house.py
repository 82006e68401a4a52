"""The core names no plugin, method, domain or vendor."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import latentedit
from latentedit import Registry
from latentedit.plugin import INTERFACES, KINDS

CORE = Path(latentedit.__file__).parent
SUFFIXES = (".py", ".pyi", ".jinja", ".js", ".css", ".yaml")

WORDS = (
    "styleflow",
    "stylegan",
    "stylespace",
    "interfacegan",
    "ganspace",
    "synthface",
    "rosinality",
    "genforce",
    "arcface",
    "ffhq",
    "dlib",
    "nvidia",
    "hugging ?face",
    "openai",
    "https?://",
)
"""Methods, networks, data sets, vendors and addresses: found inside longer words too."""
EVERYDAY = ("logistic", "optimisation", "pyramid", "ray", "regression", "released")
"""Names of plugins that are plain words too: what counts is such a word alone in quotes, as in
``"ray"``, or after an option, as in ``--executor ray``."""

ALLOWED = {
    ("measures/metrics.py", "styleflow"): "cites the paper that a metric is taken from",
    ("plugin_source.py", "dlib"): "Python's own name for the list of its modules",
    ("testing/rules.py", "ray"): "a library that no plugin may import when it is listed",
}
"""File and name, with the reason why it may stand there."""


def bundled_names() -> set[str]:
    """Every name under which this distribution's plugins are offered; not what is built in."""
    core = {origin.name for origin in Registry().origins}
    origins = Registry.discover({}).origins
    mine = [o for o in origins if o.distribution == "latentedit" and o.name not in core]
    return {spec.name for origin in mine for spec in origin.specs}


def mentions(text: str, names: set[str]) -> Iterator[str]:
    """The names and words that `text` holds, in lower case."""
    for word in WORDS:
        yield from re.findall(word, text, re.IGNORECASE)
    for name in sorted(names - set(EVERYDAY)):
        yield from re.findall(rf"(?<![\w-]){re.escape(name)}(?![\w-])", text)
    for name in sorted(names & set(EVERYDAY)):
        quoted = rf"""["'`]{name}["'`=]|--[a-z-]+[ =]{name}\b"""
        yield from (name for _ in re.findall(quoted, text))


def sources() -> list[Path]:
    return sorted(path for path in CORE.rglob("*") if path.suffix in SUFFIXES)


def test_the_core_names_no_plugin_method_or_vendor() -> None:
    names = bundled_names()
    found = {
        (str(path.relative_to(CORE)), mention.lower())
        for path in sources()
        for mention in mentions(path.read_text("utf-8"), names)
    }
    assert found - set(ALLOWED) == set()
    assert set(ALLOWED) - found == set(), "an exception that nothing needs any more"


@pytest.mark.parametrize(
    "text",
    [
        "latentedit fit styleflow --bank B",
        'default="synthface-labeller"',
        "as in StyleGAN2's code",
        'executor: str = "ray"',
        "bench run field --executor ray",
        'losses = {"pyramid": 1.0}',
        "get it from https://example.org",
        "a no-edit row",
        "trained on FFHQ",
    ],
)
def test_a_mention_is_found(text: str) -> None:
    assert list(mentions(text, bundled_names()))


@pytest.mark.parametrize(
    "text", ["a local change", "least-squares regression", "resamples: int = 2000", "an array"]
)
def test_a_plain_word_is_no_mention(text: str) -> None:
    assert not list(mentions(text, bundled_names()))


def test_the_names_are_those_of_the_bundled_plugins() -> None:
    names = bundled_names()
    assert {"styleflow", "no-edit", "synthface", "stylegan2-ffhq", "released", "ray"} <= names
    assert set(EVERYDAY) <= names


def test_every_kind_has_an_interface_that_the_bundled_plugins_implement() -> None:
    registry = Registry.discover({})
    assert tuple(INTERFACES) == KINDS
    for kind in KINDS:
        assert registry.names(kind), f"no bundled plugin shows how a {kind} is written"
        for name in registry.names(kind):
            registry.load(kind, name)
