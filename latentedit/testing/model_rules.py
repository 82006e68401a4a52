"""The rules of estimators, identity encoders and metrics, one function each.

A function returns where the rule is kept. Where it is not, it raises `Broken` with what was found
and what to do.
"""

from __future__ import annotations

import math
import re
from typing import Any

import torch
from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.editing import guard
from latentedit.errors import PluginFault
from latentedit.testing.model_case import MetricCase, ModelCase
from latentedit.testing.rules import Broken

CLOSE = 1e-3
"""Largest difference between values that count as one, as a share of their spread."""
NORM = 1e-4
"""Largest distance of a norm from 1."""


def says_what_it_reads(case: ModelCase) -> None:
    """A schema and a fingerprint are declared."""
    if not isinstance(getattr(case.model, "schema", None), AttributeSchema):
        raise Broken("schema is missing or no AttributeSchema; name the columns of estimate")
    _check_fingerprint(case.model)


def says_who_counts_as_one_person(case: ModelCase) -> None:
    """A threshold of the cosine and a fingerprint are declared."""
    threshold = getattr(case.model, "same_person_threshold", None)
    if not isinstance(threshold, float) or not -1 < threshold < 1:
        raise Broken(
            f"same_person_threshold is {threshold!r}; it is a cosine between -1 and 1, with a "
            "false accept rate of 1e-3 on images that the encoder was not trained on"
        )
    _check_fingerprint(case.model)


def reads_images(case: ModelCase) -> None:
    """Finite float32 values, a row an image, of many images and of one."""
    width = case.model.schema.width if case.kind == "estimator" else None
    for n in (len(case.images), 1):
        _check_values(case.method, case.read(case.model, case.images[:n]), n, width)


def describes_images_by_features(case: ModelCase) -> None:
    """`features` returns finite float32 numbers (N, F); `described` returns them and the values."""
    with torch.no_grad():
        found = case.model.features(case.images)
        _check_values("features", found, len(case.images), None)
        both, values = case.model.described(case.images), case.model.estimate(case.images)
    if not (_alike(both.values, values) and _alike(both.features, found)):
        raise Broken("described returns other numbers than estimate and features; return theirs")


def _alike(numbers: Tensor, others: Tensor) -> bool:
    return numbers.shape == others.shape and torch.allclose(numbers, others, rtol=1e-4, atol=1e-5)


def returns_unit_vectors(case: ModelCase) -> None:
    """Embeddings have norm 1, and differ between images."""
    norms = case.values.norm(dim=1)
    if not bool(((norms - 1).abs() <= NORM).all()):
        raise Broken(
            f"embeddings have norms from {float(norms.min()):.4g} to {float(norms.max()):.4g}; "
            "return torch.nn.functional.normalize(embeddings)"
        )
    if bool((case.values == case.values[:1]).all()):
        raise Broken("embed returns one vector for all images; read the images")


def changes_nothing_around_it(case: ModelCase) -> None:
    """It leaves images and the process as they are, and repeats itself."""
    given, model = case.images.clone(), case.model
    try:
        with guard.pure(case.name, case.method):
            again = case.read(model, given)
    except PluginFault as fault:
        raise Broken(str(fault)) from fault
    if not torch.equal(given, case.images):
        raise Broken(f"{case.method} changed its images in place; work on a copy")
    if not torch.equal(again, case.values):
        raise Broken(f"{case.method} returned two results for one image; leave nothing to chance")


def treats_images_one_by_one(case: ModelCase) -> None:
    """An image has the same values alone and among others."""
    alone = torch.cat([case.read(case.model, image[None]) for image in case.images])
    if (gap := _apart(alone, case.values)) > CLOSE:
        raise Broken(
            f"{case.method} returns other values for an image alone than in a batch, by {gap:.2g} "
            "of their spread; take no statistics over the batch, and call eval() on networks"
        )


def is_named_by_its_fingerprint(case: ModelCase | MetricCase) -> None:
    """Two instances have one fingerprint and one result; other options have another one."""
    mine = case.model if isinstance(case, ModelCase) else case.metric
    twin = case.new()
    if twin.fingerprint != mine.fingerprint:
        raise Broken(
            "two instances with the same options have two fingerprints; make it from weights and "
            "configuration alone"
        )
    read = case.read(twin, case.images) if isinstance(case, ModelCase) else case.measure(twin)
    if _apart(read, case.values) > CLOSE:
        raise Broken("two instances with one fingerprint return two results")
    if case.other is not None and case.new(case.other).fingerprint == mine.fingerprint:
        raise Broken(
            f"options {dict(case.other)} make the same fingerprint as {dict(case.options)}; hash "
            "every option and every weight that changes results"
        )


def says_what_it_measures(case: MetricCase) -> None:
    """Unit, direction, formula, smallest difference, needs and fingerprint are declared."""
    metric = case.metric
    for name in ("unit", "formula"):
        if not isinstance(getattr(metric, name, None), str) or not getattr(metric, name).strip():
            raise Broken(f"{name} is missing or empty; tables and reports show it")
    if not isinstance(getattr(metric, "higher_is_better", ""), bool | None):
        raise Broken("higher_is_better is missing; declare True, False, or None to describe only")
    smallest = getattr(metric, "smallest_difference", "missing")
    numeric = isinstance(smallest, (int, float)) and 0 < smallest < math.inf
    if smallest is not None and not numeric:
        raise Broken(
            f"smallest_difference is {smallest!r}; declare a number above 0, in the unit, or None "
            "for a figure without verdicts"
        )
    if metric.of not in ("image", "set"):
        raise Broken(f"of is {metric.of!r}; declare 'image' or 'set'")
    _check_fingerprint(metric)


def measures_edits(case: MetricCase) -> None:
    """`measure` is pure and repeats itself; it returns float numbers, one an image or one."""
    try:
        again = case.measure(case.metric)
    except PluginFault as fault:
        raise Broken(str(fault)) from fault
    if not torch.equal(again.nan_to_num(), case.values.nan_to_num()):
        raise Broken("measure returned two results for the same edits; draw from edits.seed alone")
    if bool(case.values.isnan().all()):
        raise Broken(
            "measure returned NaN only; return numbers for images with embeddings, and declare in "
            f"needs all that it reads; it declares {', '.join(sorted(case.metric.needs))}"
        )


def measures_images_one_by_one(case: MetricCase) -> None:
    """An image has the same number alone and among others; a metric of sets is not asked."""
    if case.metric.of == "set":
        return
    rows = range(case.values.shape[-1])
    alone = torch.cat([case.measure(case.metric, case.only(row)) for row in rows], -1)
    if (gap := _apart(alone, case.values)) > CLOSE:
        raise Broken(
            f"measure returns another number for an image alone than in a batch, by {gap:.2g} of "
            "their spread; take no statistics over the batch, or declare of = 'set'"
        )


def _check_fingerprint(model: Any) -> None:
    found = getattr(model, "fingerprint", None)
    if not re.fullmatch("[0-9a-f]{64}", str(found)):
        raise Broken(
            f"fingerprint is {found!r}; make it by latentedit.fingerprint(configuration, weights)"
        )


def _check_values(what: str, values: Any, n: int, width: int | None) -> None:
    if not isinstance(values, Tensor):
        raise Broken(f"{what} returned {type(values).__name__}, not Tensor")
    shape = (n, values.shape[-1] if width is None and values.ndim else width)
    if tuple(values.shape) != shape or values.dtype != torch.float32:
        raise Broken(
            f"{what} of {n} images returned {values.dtype} of shape {tuple(values.shape)}; return "
            f"torch.float32 of shape ({n}, {'F' if width is None else width})"
        )
    if not bool(values.isfinite().all()):
        raise Broken(f"{what} returned NaN or infinity")


def _apart(first: Tensor, second: Tensor) -> float:
    """Largest difference, as a share of the spread of `second`."""
    gap = (first.nan_to_num() - second.nan_to_num()).abs().max()
    spread = second.nan_to_num().std() if second.numel() > 1 else second.nan_to_num().abs()
    return float(gap / spread.clamp_min(1e-12)) if gap > 0 else 0.0
