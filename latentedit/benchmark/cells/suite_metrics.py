"""The metrics that a suite adds, measured at a matched effect."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from latentedit.benchmark.cells.bench import BATCH, Bench
from latentedit.editing import guard
from latentedit.interfaces.metric import EditMetric, EditsSeen, Seen

ARRAY = "metric {}"
"""Name of the array of a metric, in an edit cell after ``matched_``."""
FEWEST = 2
"""Images in the smallest set that a metric of sets is asked for."""


def suite_metrics(
    bench: Bench,
    edits: EditsSeen,
    reached: Tensor,
    images: tuple[tuple[Tensor, str], tuple[Tensor, str]],
) -> dict[str, Tensor]:
    """Every metric of the suite at one effect: (N,) by image, or () by set.

    Args:
        edits: N images before and after, without the images themselves.
        reached: (N,) which of them have the effect. A set has only those.
        images: codes and space, before and after, from which images are made in batches.
    """
    metrics = bench.metrics
    by_image = {name: metric for name, metric in metrics.items() if metric.of == "image"}
    parts = [
        {
            name: guard.measure(name, metric, part)
            for part in [_shown(bench, edits, images, rows)]
            for name, metric in by_image.items()
        }
        for rows in (torch.arange(len(reached)).split(BATCH) if by_image else ())
    ]
    found = {name: torch.cat([part[name] for part in parts]) for name in by_image}
    return {
        ARRAY.format(k): v for k, v in (found | _of_sets(bench, edits, reached, images)).items()
    }


def _of_sets(
    bench: Bench,
    edits: EditsSeen,
    reached: Tensor,
    images: tuple[tuple[Tensor, str], tuple[Tensor, str]],
) -> dict[str, Tensor]:
    of_sets: Mapping[str, EditMetric] = {
        name: metric for name, metric in bench.metrics.items() if metric.of == "set"
    }
    rows = reached.nonzero()[:, 0]
    if not of_sets or len(rows) < FEWEST:
        return dict.fromkeys(of_sets, torch.tensor(float("nan")))
    whole = _shown(bench, edits, images, rows)
    return {name: guard.measure(name, metric, whole) for name, metric in of_sets.items()}


@torch.no_grad()
def _shown(
    bench: Bench,
    edits: EditsSeen,
    images: tuple[tuple[Tensor, str], tuple[Tensor, str]],
    rows: Tensor,
) -> EditsSeen:
    """The edits of some rows, with their images."""
    before, after = (
        Seen(
            torch.cat([bench.images(batch, space) for batch in codes[rows].split(BATCH)]),
            seen.codes[rows],
            seen.attributes[rows],
            {name: embedded[rows] for name, embedded in seen.embeddings.items()},
        )
        for seen, (codes, space) in zip((edits.before, edits.after), images, strict=True)
    )
    known = (edits.schema, edits.sigma, edits.attribute, edits.seed)
    return EditsSeen(before, after, edits.target[rows], *known)
