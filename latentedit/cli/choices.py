"""Default plugins of commands, and example names for messages."""

from __future__ import annotations

from typing import TYPE_CHECKING

from latentedit.errors import InputError, LatentEditError
from latentedit.registry import Registry

if TYPE_CHECKING:
    from latentedit.data.attributes import AttributeSchema
    from latentedit.interfaces.generator import Companions, Subject


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
