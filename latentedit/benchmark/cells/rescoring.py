"""What other models observe on the edits that a finished cell kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from latentedit.benchmark.cells.bench import BATCH, Bench
from latentedit.benchmark.cells.observing import PICTURES, SPACE, TaskObserver
from latentedit.benchmark.task import Task
from latentedit.data.images import bytes_to_images
from latentedit.errors import InputError
from latentedit.measures.metrics import identity_similarity

NEGLIGIBLE = 1e-5
"""Difference of codes, in standard deviations of the unedited ones, that shows in no image. Half
precision rounds an edit of one standard deviation by fifty times as much."""


@dataclass(frozen=True)
class Replaced:
    """Which models of a run are others now. What depends on none of them stays as it was."""

    judge: bool
    identity: bool
    metrics: bool


class EditsKept(TaskObserver):
    """The edits of a finished cell, to be observed by models of which some are others.

    Args:
        kept: the cell's own arrays. Its images and matched strengths stay.
        pictures: its images as bytes; empty where it kept none, so that codes are rendered again.
        seed: of the cell's fit.

    Raises:
        InputError: it kept no codes.
    """

    def __init__(
        self,
        bench: Bench,
        task: Task,
        before: Mapping[str, Tensor],
        kept: Mapping[str, Tensor],
        pictures: Mapping[str, Tensor],
        seed: int,
        replaced: Replaced,
    ) -> None:
        if "codes" not in kept:
            raise InputError(
                f"task {task.name!r} has no edited codes; run its suite again with keep_codes: true"
            )
        space = list(bench.generator.spaces)[int(kept[SPACE])]
        super().__init__(bench, task, before, kept["faces"], kept["change"], space, seed)
        self._kept_arrays, self._pictures, self._replaced = kept, pictures, replaced
        self._reads_truth = before["identity"].shape[1] == 0
        self._in_half = kept["codes"].dtype == torch.float16
        self._compared = any("embeddings" in m.needs for m in bench.metrics.values())

    def arrays(self) -> dict[str, Tensor]:
        """All arrays of the cell; those that the other models decide are new."""
        kept, effects = self._kept_arrays, self.bench.suite.effects
        grid = [self._described_again(self._look("", i)) for i in range(len(kept["codes"]))]
        matched = [self._matched(i, wanted) for i, wanted in enumerate(effects)]
        found = {name: torch.stack([part[name] for part in grid]) for name in grid[0]}
        for name in matched[0]:
            found[f"matched_{name}"] = torch.stack([part[name] for part in matched])
        if self._replaced.identity:
            embeddings = self._embeddings_undone()
            served = ~kept["round_trip"].isnan()
            found["round_trip_identity"] = self.lost_in_identity(embeddings, served)
        return dict(kept) | found

    def _matched(self, i: int, wanted: float) -> dict[str, Tensor]:
        """At the i-th effect."""
        kept, seen = self._kept_arrays, self._look("matched_", i)
        found, reached = self._described_again(seen), ~kept["matched_strength"][i].isnan()
        if self._replaced.judge:
            found |= self.distances(seen.features, reached)
        if self._replaced.identity and "matched_counterfactual_similarity" in kept:
            others = self._embeddings_of_counterfactuals(i, seen.embeddings)
            similarity = identity_similarity(others, seen.embeddings)
            found["counterfactual_similarity"] = similarity
        if self.bench.metrics:
            judged = seen.judged if self._replaced.judge else kept["matched_judged"][i]
            codes, start = self._codes("matched_", i), "matched_"
            known = {n.removeprefix(start): a[i] for n, a in kept.items() if n.startswith(start)}
            found |= self.suite_metrics(wanted, codes, judged, seen.embeddings, known | found)
        return found

    def _look(self, start: str, i: int) -> _Looked:
        """By the models that are others, and by those whose word a metric of the suite needs."""
        judged, embedded, features = list[Tensor](), list[Tensor](), list[Tensor]()
        matched, bench = bool(start), self.bench
        embedding = self._replaced.identity or (matched and self._compared)
        if not (self._replaced.judge or embedding):
            return _Looked(*[torch.empty(0)] * 3)
        for images in self._images(start, i):
            if self._replaced.judge and matched:
                described = bench.judge.described(images)
                judged.append(described.values)
                features.append(described.features)
            elif self._replaced.judge:
                judged.append(bench.judge.estimate(images))
            if embedding:
                embedded.append(bench.embeddings(images))
        return _Looked(_joined(judged), _joined(embedded, 1), _joined(features))

    def _described_again(self, seen: _Looked) -> dict[str, Tensor]:
        found: dict[str, Tensor] = {}
        if self._replaced.judge:
            found |= {
                "judged": seen.judged,
                "effect": self.asked.effect(seen.judged, self.asked.every),
            }
            found |= {"truth": seen.judged} if self._reads_truth else {}
        if self._replaced.identity:
            found |= self.similarities(seen.embeddings)
        return found

    def _codes(self, start: str, i: int | None) -> Tensor:
        edits = self._kept_arrays[f"{start}codes"]
        return self.began + (edits if i is None else edits[i]).float()

    def _images(self, start: str, i: int) -> Iterator[Tensor]:
        """Batches (M, 3, H, W) of the edits that were kept under names that begin with `start`."""
        shown = self._pictures.get(f"{start}{PICTURES}")
        if shown is not None:
            return _batches(shown[i])
        return self._drawn(self._codes(start, i), self.space)

    def _drawn(self, codes: Tensor, space: str) -> Iterator[Tensor]:
        """The same of codes; edits that no strength changes are drawn once."""
        for batch in codes.split(BATCH):
            yield self.bench.images(batch, space)

    def _embeddings_undone(self) -> Tensor:
        """(E, N, D) of the edits that were undone."""
        known = [(self.began, self._embeddings)]
        shown = self._pictures.get(f"round_trip_{PICTURES}")
        return self._embeddings_of(self._codes("round_trip_", None), self.space, known, shown)

    def _embeddings_of_counterfactuals(self, i: int, edited: Tensor) -> Tensor:
        """(E, N, D) of the counterfactuals at the i-th effect, where edits have `edited`."""
        shown = self._pictures.get(f"matched_counterfactual_{PICTURES}")
        if shown is not None:
            return self._embedded(_batches(shown[i]))
        codes, space = self._codes("matched_", i), self.counterfactuals.space
        others = self.counterfactuals.of(codes, self.space)
        if others is None:
            return torch.full_like(edited, float("nan"))
        known = [(self._originals, self._embeddings)]
        known += [(codes, edited)] if space == self.space else []
        return self._embeddings_of(others, space, known)

    def _embeddings_of(
        self,
        codes: Tensor,
        space: str,
        known: Sequence[tuple[Tensor, Tensor]],
        shown: Tensor | None = None,
    ) -> Tensor:
        """(E, N, D) of the images of codes (N, \\*shape) of `space`.

        Args:
            known: codes of that space, and their embeddings. If edits were kept in half precision,
                an image of one of these, but for a negligible difference, is not looked at again.
            shown: (N, 3, H, W) the images as bytes, where they were kept.
        """
        found, unknown = known[0][1].clone(), torch.ones(len(codes), dtype=torch.bool)
        for others, embeddings in known if self._in_half else ():
            gap = (codes - others).flatten(1).abs().amax(1)
            near = unknown & (gap < NEGLIGIBLE * self.began.std())
            found[:, near] = embeddings[:, near]
            unknown &= ~near
        if bool(unknown.any()):
            if shown is None:
                images = self._drawn(codes[unknown], space)
            else:
                images = _batches(shown[unknown])
            found[:, unknown] = self._embedded(images)
        return found

    def _embedded(self, images: Iterator[Tensor]) -> Tensor:
        return torch.cat([self.bench.embeddings(batch) for batch in images], 1)


class _Looked(NamedTuple):
    """Judged (N, A), embeddings (E, N, D) and features (N, F); empty where nobody looked."""

    judged: Tensor
    embeddings: Tensor
    features: Tensor


def _batches(shown: Tensor) -> Iterator[Tensor]:
    """Batches (M, 3, H, W) of images (N, 3, H, W) of bytes."""
    return map(bytes_to_images, shown.split(BATCH))


def _joined(parts: list[Tensor], dim: int = 0) -> Tensor:
    return torch.cat(parts, dim) if parts else torch.empty(0)
