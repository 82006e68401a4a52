"""Default plugins of commands, and example names for messages."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from latentedit.errors import InputError, LatentEditError

if TYPE_CHECKING:
    from latentedit.data.attributes import AttributeSchema
    from latentedit.editing.fitted import FittedEditor
    from latentedit.interfaces.generator import Companions, Generator, Subject
    from latentedit.registry import Registry


def companions_of(registry: Registry, generator: str) -> Companions | None:
    """The default plugins for images of `generator`; None if it declares none."""
    found: Companions | None = registry.load("generator", generator).companions
    return found


def labeller_of(registry: Registry, generator: str, named: str | None) -> str:
    """The labeller `named`, or the default labeller of `generator`.

    Raises:
        InputError: there is neither; lists the installed estimators.
    """
    if named is not None:
        return named
    companions = companions_of(registry, generator)
    if companions is None:
        installed = ", ".join(registry.names("estimator")) or "(none is installed)"
        raise InputError(
            f"{generator} has no default labeller; choose an estimator with --labeller. "
            f"Installed: {installed}"
        )
    return companions.labeller


def subject_of(registry: Registry, generator: str) -> Subject:
    """What the images of `generator` show; images, if it cannot be imported."""
    from latentedit.interfaces.generator import IMAGES

    try:
        found: Subject = registry.load("generator", generator).subject
    except LatentEditError:
        return IMAGES
    return found


def judge_of(registry: Registry, generator: str, named: str | None) -> str:
    """The judge `named`, or the default judge of `generator`.

    Raises:
        InputError: there is neither; lists the installed estimators.
    """
    companions = companions_of(registry, generator)
    if named is None and companions is None:
        installed = ", ".join(registry.names("estimator")) or "(none is installed)"
        raise InputError(
            f"{generator} has no default judge; choose an estimator with --judge. "
            f"Installed: {installed}"
        )
    return named or (companions.judge if companions else "")


def example(registry: Registry, kind: str) -> str:
    """The name of the first plugin of `kind`, or a placeholder, for a suggested command."""
    return next(iter(registry.specs(kind)), kind.upper())


def example_setting(schema: AttributeSchema) -> str:
    """A target that is possible in `schema`, such as ``age=65``: a number of its first attribute
    that is one number, near the upper end; a name of a value, if there are only vectors.

    >>> from latentedit import Attribute, AttributeSchema
    >>> example_setting(AttributeSchema((Attribute("age", "continuous", 0.0, 70.0, "years"),)))
    'age=65'
    """
    for attribute in schema:
        if attribute.kind == "binary":
            return f"{attribute.name}={attribute.high:g}"
        if attribute.kind != "vector":
            value = attribute.low + 0.93 * (attribute.high - attribute.low)
            return f"{attribute.name}={value:.2g}"
    return f"{schema.names[0]}=VALUE"


def drawing_generator(fitted: FittedEditor, folder: Path) -> Generator:
    """What draws the images of a fitted editor.

    Raises:
        InputError: it was saved without its generator.
    """
    if fitted.runtime.generator is None:
        raise InputError(
            f"{folder} was saved without its generator, which draws the picture; "
            "fit the editor again"
        )
    return fitted.runtime.generator


def layer_subset(
    layers: str | None, registry: Registry, generator: Generator
) -> tuple[int, ...] | str | None:
    """Rows of W+, or the name of a preset, as ``--layers`` has them."""
    from latentedit.cli.targets import parse_rows

    if layers is None or layers in registry.names("layers"):
        return layers
    return tuple(parse_rows(layers, generator.num_ws, "--layers"))
