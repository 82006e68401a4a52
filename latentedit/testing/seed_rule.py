"""The rule of an editor that declares that no seed changes its edits."""

from __future__ import annotations

from dataclasses import replace

import torch

from latentedit.editing import guard
from latentedit.testing.case import IMAGES, Case
from latentedit.testing.rules import Broken


def needs_no_seed_if_it_says_so(case: Case) -> None:
    """An editor declared not `seeded` makes the same edits after a fit with another seed."""
    if case.fitted.seeded:
        return
    runtime, editor = replace(case.runtime, seed=case.seed + 1), case.new()
    guard.fit(case.name, editor, case.images(IMAGES, case.seed), runtime)
    other = guard.edit(case.name, editor, *case.request, runtime).codes
    if not torch.equal(other, case.edited):
        raise Broken(
            f"seeded = False is declared, and seeds {case.seed} and {case.seed + 1} give other "
            "edits; declare seeded = True, or draw no random numbers"
        )
