"""Default plugins of commands, and example names for messages."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

from latentedit.errors import InputError, LatentEditError

if TYPE_CHECKING:
    from latentedit.data.attributes import Attribute, AttributeSchema
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
    """A target that is possible in `schema`: of its first attribute that is one number, a round
    number near the upper end, or one standard deviation more where that is the unit. Where all are
    vectors, a named value of the first.

    >>> from latentedit import Attribute, AttributeSchema
    >>> age = Attribute("age", "continuous", 0.0, 70.0, "years")
    >>> yaw = Attribute("yaw", "continuous", -10.0, 10.0, "σ")
    >>> [example_setting(AttributeSchema((attribute,))) for attribute in (age, yaw)]
    ['age=65', 'yaw+=1']
    """
    for attribute in schema:
        if attribute.kind == "binary":
            return f"{attribute.name}={attribute.high:g}"
        if attribute.kind != "vector":
            return f"{attribute.name}{_example_value(attribute)}"
    first = next(iter(schema))
    return f"{first.name}={next(iter(first.named), 'VALUE')}"


def _example_value(attribute: Attribute) -> str:
    width = attribute.high - attribute.low
    if attribute.unit == "σ" or not 0 < width < math.inf:
        return "+=1"
    step = 10 ** math.floor(math.log10(width)) / 2
    value = round((attribute.low + 0.9 * width) / step) * step
    return f"={min(value, attribute.high):g}"


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
