"""The templates of the pages, and how they are filled in."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


def render(name: str, **values: Any) -> str:
    """The template `name` with `values`; text is escaped, a missing value is an error."""
    environment = Environment(
        loader=PackageLoader("latentedit.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(name).render(**values)
