"""The metrics that a suite adds, measured at a matched effect."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from latentedit.benchmark.cells.bench import BATCH, Bench
from latentedit.data.images import images_to_bytes
from latentedit.editing import guard
from latentedit.interfaces.metric import RECORDED, EditMetric, EditsSeen

ARRAY = "metric {}"
"""Name of the array of a metric, in an edit cell after ``matched_``."""
FEWEST = 2
"""Images in the smallest set that a metric of sets is asked for."""
Codes = tuple[Tensor, str]
"""(N, \\*shape) codes and their space."""


@dataclass(frozen=True)
class Sources:
    """What images of N edits are made of.

    Args:
        before, after: codes of the unedited and of the edited images.
        counterfactuals: by the edited codes, codes of the counterfactuals, or None.
    """

    before: Codes
    after: Codes
    counterfactuals: Callable[[Tensor, str], Codes | None]

    @cached_property
    def others(self) -> Codes | None:
        """Codes of the counterfactuals."""
        return self.counterfactuals(*self.after)


def recorded_at_effect(
    found: Mapping[str, Tensor],
    change: Tensor,
    thresholds: Iterable[float],
    truth_before: Tensor | None,
) -> dict[str, Tensor]:
    """What a metric may need of what was recorded at an effect; see `RECORDED`.

    Args:
        found: by name, as cells hold it after ``matched_``.
        change: (N,) that strength 1 asks for.
        thresholds: of the identity encoders.
        truth_before: (N, A) of the unedited images; None where the truth is not known.
    """
    known = {name: found[name] for name in RECORDED["effect"] if name in found}
    known |= {"change": change, "threshold": torch.tensor([float(t) for t in thresholds])}
    if truth_before is not None:
        return known | {"truth_before": truth_before}
    return {name: array for name, array in known.items() if name not in ("truth", "drift")}


def suite_metrics(
    bench: Bench, edits: EditsSeen, reached: Tensor, sources: Sources
) -> dict[str, Tensor]:
    """Every metric of the suite at one effect: (N,) by image, or () by set.

    Args:
        edits: N images before and after, without the images themselves.
        reached: (N,) which of them have the effect. A set has only those.
    """
    by_image = {name: metric for name, metric in bench.metrics.items() if metric.of == "image"}
    parts = [
        {
            name: guard.measure(name, metric, part)
            for part in [_shown(bench, by_image, edits, sources, rows)]
            for name, metric in by_image.items()
        }
        for rows in (torch.arange(len(reached)).split(BATCH) if by_image else ())
    ]
    found = {name: torch.cat([part[name] for part in parts], -1) for name in by_image}
    return {
        ARRAY.format(k): v for k, v in (found | _of_sets(bench, edits, reached, sources)).items()
    }


def _of_sets(
    bench: Bench, edits: EditsSeen, reached: Tensor, sources: Sources
) -> dict[str, Tensor]:
    of_sets = {name: metric for name, metric in bench.metrics.items() if metric.of == "set"}
    rows = reached.nonzero()[:, 0]
    if not of_sets or len(rows) < FEWEST:
        return dict.fromkeys(of_sets, torch.tensor(float("nan")))
    whole = _shown(bench, of_sets, edits, sources, rows)
    return {name: guard.measure(name, metric, whole) for name, metric in of_sets.items()}


@torch.no_grad()
def _shown(
    bench: Bench,
    metrics: Mapping[str, EditMetric],
    edits: EditsSeen,
    sources: Sources,
    rows: Tensor,
) -> EditsSeen:
    """The edits of some rows, with their images where a metric needs them."""
    part, needs = edits.take(rows), frozenset().union(*(m.needs for m in metrics.values()))
    if not needs & {"images", "may_change"}:
        return part
    before, after = (
        replace(seen, images=_images(bench, codes, rows))
        for seen, codes in ((part.before, sources.before), (part.after, sources.after))
    )
    recorded = dict(part.recorded)
    if "may_change" in needs and sources.others is not None:
        pictures = (_images(bench, sources.others, rows), before.images)
        shown, unedited = map(images_to_bytes, pictures)
        recorded["may_change"] = (shown != unedited).any(1)
    return replace(part, before=before, after=after, recorded=recorded)


def _images(bench: Bench, codes: Codes, rows: Tensor) -> Tensor:
    """(M, 3, H, W) of some rows."""
    batches = codes[0][rows].split(BATCH)
    return torch.cat([bench.images(batch, codes[1]) for batch in batches])
