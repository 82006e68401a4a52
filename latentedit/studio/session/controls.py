"""Controls for any page, made from what schema, editors and generator declare."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import torch

from latentedit.data.attributes import Attribute
from latentedit.errors import LatentEditError
from latentedit.studio.session.faces import default_inverter
from latentedit.studio.session.workbench import Workbench


@dataclass(frozen=True)
class Axis:
    """A line between two opposite values of a vector attribute, such as two ways of light.

    Args:
        low, high: names of the values at its ends.
        direction: half of their difference.
    """

    low: str
    high: str
    direction: tuple[float, ...]


@dataclass(frozen=True)
class Control:
    """How to ask for values of one attribute.

    Args:
        attribute: its range, unit, kind and named values.
        ends: names of the lowest and the highest value of a binary attribute, otherwise empty.
        step: of a slider, in natural units.
        centre: of the axes; empty where there are none.
        axes: see `axes_of`.
    """

    attribute: Attribute
    ends: tuple[str, ...]
    step: float
    centre: tuple[float, ...] = ()
    axes: tuple[Axis, ...] = ()


def controls(bench: Workbench) -> list[Control]:
    """One control per attribute of the schema, in its order."""
    found = []
    for attribute in bench.bank.schema:
        centre, axes = axes_of(attribute)
        step = _step(attribute)
        found.append(Control(attribute, ends_of(attribute), step, centre, axes))
    return found


def ends_of(attribute: Attribute) -> tuple[str, ...]:
    """Names of both ends of a binary attribute: its own named values, or made of its name.

    >>> ends_of(Attribute("glasses", "binary", 0, 1))
    ('no glasses', 'glasses')
    """
    if attribute.kind != "binary":
        return ()
    named = {value[0]: name for name, value in attribute.named.items()}
    low, high = attribute.low, attribute.high
    return named.get(low, f"no {attribute.name}"), named.get(high, attribute.name)


def axes_of(attribute: Attribute) -> tuple[tuple[float, ...], tuple[Axis, ...]]:
    """Centre and axes of a vector attribute: its named values ``a-to-b`` and ``b-to-a``.

    A value at x in [-1, 1] on each axis is centre + Σ x_i direction_i, within the range.

    >>> light = Attribute("light", "vector", -1, 1, size=2,
    ...                   named={"left-to-right": (0.5, -1), "right-to-left": (0.5, 1)})
    >>> axes_of(light)
    ((0.5, 0.0), (Axis(low='left-to-right', high='right-to-left', direction=(0.0, 1.0)),))
    """
    axes, centres = [], []
    for name, value in attribute.named.items():
        match = re.fullmatch(r"(.+)-to-(.+)", name)
        opposite = f"{match[2]}-to-{match[1]}" if match else ""
        if opposite in attribute.named and name < opposite:
            low, high = torch.tensor(value), torch.tensor(attribute.named[opposite])
            centres.append((low + high) / 2)
            axes.append(Axis(name, opposite, tuple(((high - low) / 2).tolist())))
    if not axes:
        return (), ()
    return tuple(torch.stack(centres).mean(0).tolist()), tuple(axes)


def presets(bench: Workbench) -> list[str]:
    """Names of the installed layer presets that fit the bank's generator."""
    found = []
    for name in bench.registry.names("layers"):
        try:
            preset = bench.registry.load("layers", name)
            preset.rows(next(iter(preset.by_attribute)), bench.generator.num_ws)
        except LatentEditError:
            continue
        found.append(name)
    return found


def abilities(bench: Workbench) -> dict[str, Any]:
    """What can be asked for, as plain data: rows of W+, presets, samplers, photographs, truth."""
    try:
        rows = bench.generator.num_ws
    except LatentEditError:
        rows = 0
    editors = bench.editors.items()
    return {
        "rows": rows,
        "presets": presets(bench) if rows else [],
        "samplers": [name for name, fitted in editors if fitted.editor.samplable],
        "photographs": default_inverter(bench) is not None,
        "counterfactuals": bench.generator.has_counterfactuals,
    }


def _step(attribute: Attribute) -> float:
    """A hundredth of the range or more, as 1, 2 or 5 times a power of ten.

    >>> _step(Attribute("age", "continuous", 0, 70, "years"))
    1.0
    """
    fine = (attribute.high - attribute.low) / 100
    power = 10.0 ** int(f"{fine:e}".split("e")[1])
    return next(m * power for m in (1, 2, 5, 10) if m * power >= fine * (1 - 1e-9))
