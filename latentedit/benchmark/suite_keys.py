"""The keys of a suite as a page and as a commented file, both generated from the models."""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import yaml
from annotated_types import Ge, Gt, Le, Lt, MaxLen, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from latentedit.benchmark.bank_plan import BankPlan
from latentedit.benchmark.plugin_use import ModelUse, PluginUse
from latentedit.benchmark.statistics_plan import StatisticsPlan
from latentedit.benchmark.suite import Suite
from latentedit.benchmark.suite_parts import Limits, Tune
from latentedit.benchmark.suite_parts import Sequence as TaskSequence
from latentedit.benchmark.task import QuantileChange, SigmaChange, Task
from latentedit.data.attributes import AttributeSchema
from latentedit.errors import InputError
from latentedit.interfaces.editor import ANY_FLAT
from latentedit.registry import Registry

SECTIONS: Mapping[type[BaseModel], str] = {
    Suite: "A suite",
    BankPlan: "Bank",
    PluginUse: "Plugin",
    ModelUse: "Model",
    Task: "Task",
    SigmaChange: "Change in standard deviations",
    QuantileChange: "Change to a quantile",
    TaskSequence: "Sequence",
    Tune: "Tuning",
    StatisticsPlan: "Statistics",
    Limits: "Limits",
}
"""The models of a suite, with the heading of each one's part of the page."""

HEAD = """# Keys of a suite

<!-- Written by: latentedit bench keys > docs/suites.md -->

A suite is a YAML file that holds the whole protocol of a comparison. `latentedit bench new` writes
a commented one, and `latentedit bench run SUITE --out FOLDER` computes it. An unknown key is an
error that names the nearest valid one. A generator is its name, or a mapping with its options; so
are labellers, judges, identity encoders and metrics.
"""

WORDS: Mapping[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Any: "anything",
    type(None): "nothing",
}
BOUNDS: Mapping[type, tuple[str, str]] = {
    Ge: ("ge", "≥ {}"),
    Gt: ("gt", "> {}"),
    Le: ("le", "≤ {}"),
    Lt: ("lt", "< {}"),
    MinLen: ("min_length", "at least {}"),
    MaxLen: ("max_length", "at most {}"),
}
EDITORS, TASKS = 2, 3
"""How many of each a new suite has at most."""


def key_page() -> str:
    """Every key of a suite as Markdown, a table a model."""
    parts = [HEAD]
    for model, heading in SECTIONS.items():
        said = " ".join((model.__doc__ or "").split("\n\n")[0].split())
        lines = ["| key | value | if not given | meaning |", "|---|---|---|---|", *_rows(model)]
        parts.append(f"## {heading}\n\n{said}\n\n" + "\n".join(lines) + "\n")
    return "\n".join(parts)


def _rows(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        limits = ", ".join(_bounds(field.metadata))
        value = _in_words(field.annotation) + (f", {limits}" if limits else "")
        yield f"| `{name}` | {value} | {_default(field)} | {field.description} |"


def _bounds(metadata: Sequence[Any]) -> list[str]:
    return [
        said.format(getattr(bound, attribute))
        for bound in metadata
        for attribute, said in [BOUNDS.get(type(bound), ("", ""))]
        if said
    ]


def _in_words(annotation: Any) -> str:
    """A type as a reader of YAML would call it."""
    if annotation in WORDS:
        return WORDS[annotation]
    if isinstance(annotation, type) and annotation in SECTIONS:
        heading = SECTIONS[annotation].lower()
        return f"[{heading}](#{heading.replace(' ', '-')})"
    kind, parts = get_origin(annotation), get_args(annotation)
    if kind is Annotated:
        return ", ".join([_in_words(parts[0]), *_bounds(parts[1:])])
    if kind in (Union, types.UnionType):
        return " or ".join(_in_words(part) for part in parts if part is not type(None))
    if kind is Literal:
        return " or ".join(f"`{part}`" for part in parts)
    if kind is dict:
        return f"mapping of names to {_in_words(parts[1])}"
    if kind is tuple and Ellipsis not in parts:
        return f"list of {len(parts)} of {_in_words(parts[0])}"
    return f"list of {_in_words(parts[0])}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.default
    if isinstance(value, BaseModel):
        return "its own defaults"
    if value is None or value in ("", {}, []):
        return "none"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def new_suite(registry: Registry, name: str, generator: str, editors: Sequence[str] = ()) -> str:
    """A commented suite that runs as it is.

    Args:
        generator: the images; its companions label and judge them.
        editors: to compare; the first ones that edit its home space if none are given.

    Raises:
        UnknownName: there is no such plugin.
        InputError: the generator recommends no labeller and judge.
    """
    model = registry.load("generator", generator)
    companions = model.companions
    if companions is None:
        raise InputError(
            f"{generator} recommends no labeller and judge. Choose another --generator, or set "
            "companions in its class"
        )
    chosen = list(editors) or _first_editors(registry, registry.generator(generator).home)
    for editor in chosen:
        registry.find("editor", editor)
    data = {
        "name": name,
        "summary": f"{', '.join(chosen)} on images of {generator}",
        "bank": {
            "generator": generator,
            "labeller": companions.labeller,
            "n_fit": 1000,
            "n_test": 60,
        },
        "judge": companions.judge,
        "identity": list(companions.identity),
        "editors": {editor: {"plugin": editor} for editor in chosen},
        "tasks": example_tasks(registry.estimator(companions.labeller).schema),
    }
    Suite.model_validate(data)
    return _commented(data)


def _first_editors(registry: Registry, space: str) -> list[str]:
    found = [
        name
        for name in registry.names("editor")
        if {space, ANY_FLAT} & set(registry.load("editor", name).spaces)
        and registry.load("editor", name).needs <= {"attributes"}
    ]
    return found[:EDITORS]


def example_tasks(schema: AttributeSchema) -> list[dict[str, Any]]:
    """The first attributes of `schema` that are one number, each with a change for all images."""
    change = {"binary": "flip", "continuous": {"sigma": 1.0}}
    return [
        {"attribute": attribute.name, "change": change[attribute.kind]}
        for attribute in schema
        if attribute.kind in change
    ][:TASKS]


def _commented(data: Mapping[str, Any]) -> str:
    """`data` as YAML, each key under its meaning; keys that are not given as comments."""
    lines = ["# Every key: docs/suites.md. Keys in comments have their defaults."]
    for name, field in Suite.model_fields.items():
        given = {name: data.get(name, _plain(field.default))}
        text = yaml.safe_dump(given, sort_keys=False, allow_unicode=True, width=98).rstrip()
        if name not in data:
            text = "\n".join(f"# {line}" for line in text.splitlines())
        lines += ["", f"# {field.description}", text]
    return "\n".join(lines) + "\n"


def _plain(value: Any) -> Any:
    return value.model_dump(mode="json") if isinstance(value, BaseModel) else value
