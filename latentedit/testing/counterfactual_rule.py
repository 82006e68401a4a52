"""The rule of a generator that changes one attribute of an image and nothing else."""

from __future__ import annotations

from contextlib import suppress

import torch
from torch import Tensor

from latentedit.errors import Unsupported
from latentedit.testing.generator_case import GeneratorCase
from latentedit.testing.generator_rules import asked, check_kind, known
from latentedit.testing.rules import Broken

CHANGED = 1e-2
"""Largest error of a counterfactual on a median image, in standard deviations of the truth."""


def changes_one_attribute_if_it_says_so(case: GeneratorCase) -> None:
    """`counterfactual` is there exactly where `has_counterfactuals` says so. It brings attributes
    to those of another image of the world, one at a time, and leaves the rest of the truth."""
    generator, tried = case.generator, False
    for space, codes in case.codes.items():
        with suppress(Unsupported):
            truth = generator.truth(codes, space)
            if truth.attributes.shape[1] != truth.schema.width:
                return  # another rule says so
            still = asked(case, "counterfactual", codes, truth.attributes, space)
            tried = True
            if not torch.equal(still, codes):
                raise Broken(f"counterfactual of {space} moved codes of which nothing was asked")
            _change_each(case, codes, space)
    if tried != generator.has_counterfactuals:
        raise Broken(
            f"has_counterfactuals is {generator.has_counterfactuals}; declare True exactly where "
            "counterfactual returns codes"
        )


def _change_each(case: GeneratorCase, codes: Tensor, space: str) -> None:
    """Each image gets one value of the next image, column after column."""
    before = known(case, codes, space)
    sigma = before.std(0).clamp_min(1e-6)
    attributes = case.generator.truth(codes, space).attributes
    for column in range(attributes.shape[1]):
        wanted = attributes.clone()
        wanted[:, column] = attributes[:, column].roll(1)
        found = asked(case, "counterfactual", codes, wanted, space)
        check_kind(f"counterfactual of {space}", found, tuple(codes.shape))
        expected = torch.cat([wanted, before[:, attributes.shape[1] :]], 1)
        gap = float(((known(case, found, space) - expected) / sigma).abs().median(0).values.max())
        if gap > CHANGED:
            raise Broken(
                f"counterfactual of {space} that asks for another value of column {column} leaves "
                f"the truth {gap:.2g} σ from it; change that one and nothing else"
            )
