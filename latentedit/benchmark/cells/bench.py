"""The models of a suite, and what judge and recognisers observe on images."""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from latentedit.benchmark.cells.asked import FEWEST
from latentedit.benchmark.cells.kept import KeptBatches
from latentedit.benchmark.suite import Suite
from latentedit.data.bank import LatentBank
from latentedit.data.images import images_to_bytes
from latentedit.editing.generators import build_generator, build_renderer
from latentedit.errors import InputError, Unsupported
from latentedit.interfaces.estimators import AttributeEstimator, IdentityEncoder
from latentedit.interfaces.generator import Generator
from latentedit.interfaces.metric import EditMetric
from latentedit.interfaces.runtime import Progress
from latentedit.measures.likelihood import CodeDensity
from latentedit.measures.metrics import pixel_error
from latentedit.registry import Registry
from latentedit.sampling.drawing import drawable

BATCH = 64
"""Images synthesized and judged together; part of every cell's key."""
KEPT_BYTES = 64 * 2**20
"""Of images, and again of what was read off them: so much of the latest batches is kept."""


@dataclass(frozen=True)
class Observation:
    """What judge, recognisers and the generator itself say of N images.

    Args:
        judged: (N, A) by the judge.
        embeddings: (E, N, D) by each recogniser, zero-padded to one width.
        truth: (N, A) exact values, or the judge's where the generator does not know them.
        identity: (N, F) exact identity scores; F is 0 where the generator does not know them.
        features: (N, F) by the judge, for distances between sets; F is 0 where not asked for.
        images: the first `show` images, (M, 3, H, W) as bytes.
    """

    judged: Tensor
    embeddings: Tensor
    truth: Tensor
    identity: Tensor
    features: Tensor
    images: Tensor


def check_reads(judge: AttributeEstimator, name: str, bank: LatentBank) -> None:
    """Raise `InputError` unless `judge` reads the attributes with which `bank` is labelled."""
    if judge.schema != bank.schema:
        raise InputError(
            f"judge {name} reads {', '.join(judge.schema.names)}; the bank is "
            f"labelled with {', '.join(bank.schema.names)}"
        )


@torch.no_grad()
def judged(judge: AttributeEstimator, renderer: Generator, codes: Tensor, space: str) -> Tensor:
    r"""(N, A) what `judge` makes of the images of codes (N, \*shape)."""
    images = (renderer.synthesize(batch, space) for batch in codes.split(BATCH))
    return torch.cat([judge.estimate(shown) for shown in images])


class Bench:
    """The models of a suite and the images it edits."""

    def __init__(self, suite: Suite, bank: LatentBank, registry: Registry) -> None:
        self.suite, self.bank, self.registry = suite, drawable(bank, registry), registry
        self.kept_images, self.kept_readings = KeptBatches(KEPT_BYTES), KeptBatches(KEPT_BYTES)

    def of_shard(self, shard: int | None) -> Bench:
        """The same models, with only the test faces of a shard of the suite; where cells of a
        suite with shards have none, those of its first."""
        if self.suite.shard is None:
            return self
        part = copy(self)
        part.bank = self.bank.with_test(self.suite.shards[shard or 0])
        return part

    @property
    def fewest(self) -> int:
        """Faces that a task must leave in a cell; other shards may have what one lacks."""
        return FEWEST if self.suite.shard is None else 0

    @cached_property
    def generator(self) -> Generator:
        return build_generator(self.registry, self.bank.generator)

    @cached_property
    def renderer(self) -> Generator:
        """What makes the test images: the generator, or what it was tuned to."""
        return build_renderer(self.registry, self.bank, self.generator)

    @cached_property
    def judge(self) -> AttributeEstimator:
        judge = self.registry.estimator(self.suite.judge.plugin, self.suite.judge.options)
        if judge.fingerprint == self.bank.labeller.fingerprint:
            raise InputError(
                f"judge {self.suite.judge} has the labeller's fingerprint: it is the same model"
            )
        check_reads(judge, str(self.suite.judge), self.bank)
        return judge

    @cached_property
    def recognisers(self) -> list[IdentityEncoder]:
        return [self.registry.identity(use.plugin, use.options) for use in self.suite.identity]

    @cached_property
    def metrics(self) -> dict[str, EditMetric]:
        """Those that the suite adds, by the name that results have.

        Raises:
            InputError: one is not measured at matched effects.
        """
        uses, registry = self.suite.metrics, self.registry
        found = {str(use): registry.metric(use.plugin, use.options) for use in uses}
        for name, metric in found.items():
            if metric.at != "effect":
                raise InputError(
                    f"{name} is measured at a {metric.at}; suites add metrics of matched effects"
                )
        return found

    @cached_property
    def sigma(self) -> Tensor:
        """(A,) standard deviation of the labels over the fit split."""
        return self.bank.split("fit").attributes.std(0).clamp_min(1e-6)

    @cached_property
    def density(self) -> CodeDensity | None:
        """Of the codes of the fit split; None where one code is more than a vector."""
        split = self.bank.split("fit")
        return CodeDensity.fit(split.batches()) if len(split.code_shape) == 1 else None

    @torch.no_grad()
    def look(
        self,
        codes: Tensor,
        space: str,
        show: int = 0,
        progress: Progress | None = None,
        features: bool = False,
        also: Callable[[int, Tensor, Tensor], None] | None = None,
    ) -> Observation:
        """Synthesize and judge (N, \\*shape) codes in batches of fixed size.

        Args:
            show: how many images to keep.
            features: whether to take the judge's features too.
            also: called with the number of each batch's first image, the images (M, 3, H, W) of the
                batch and their embeddings (E, M, D).
        """
        parts = []
        for start in range(0, len(codes), BATCH):
            batch = codes[start : start + BATCH]
            if features:
                judged, described = self._described(batch, space)
            else:
                judged = self._judged(batch, space)
                described = judged[:, :0]
            embeddings, images = self.embedded(batch, space), self.images(batch, space)
            if also is not None:
                also(start, images, embeddings)
            shown = images_to_bytes(images[: max(0, show - start)])
            truth, identity = self._truth(batch, space, judged)
            parts.append(Observation(judged, embeddings, truth, identity, described, shown))
            if progress is not None:
                progress(min(start + BATCH, len(codes)) / len(codes), "looking")
        return Observation(
            torch.cat([part.judged for part in parts]),
            torch.cat([part.embeddings for part in parts], 1),
            torch.cat([part.truth for part in parts]),
            torch.cat([part.identity for part in parts]),
            torch.cat([part.features for part in parts]),
            torch.cat([part.images for part in parts]),
        )

    def judged(self, codes: Tensor, space: str) -> Tensor:
        """(N, A) what the judge, and nobody else, makes of (N, \\*shape) codes."""
        return torch.cat([self._judged(batch, space) for batch in codes.split(BATCH)])

    def images(self, batch: Tensor, space: str) -> Tensor:
        """(M, 3, H, W) of a batch of codes; drawn once while it is kept."""
        return self.kept_images.result(
            "image", batch, space, lambda: self.renderer.synthesize(batch, space)
        )

    def embedded(self, batch: Tensor, space: str) -> Tensor:
        """(E, M, D) of the images of a batch, by each recogniser."""
        return self.kept_readings.result(
            "identity", batch, space, lambda: self.embeddings(self.images(batch, space))
        )

    @torch.no_grad()
    def _judged(self, batch: Tensor, space: str) -> Tensor:
        return self.kept_readings.result(
            "judge", batch, space, lambda: self.judge.estimate(self.images(batch, space))
        )

    def _described(self, batch: Tensor, space: str) -> tuple[Tensor, Tensor]:
        """(M, A) what the judge makes of a batch, and (M, F) its features."""

        def both() -> Tensor:
            found = self.judge.described(self.images(batch, space))
            return torch.cat([found.values, found.features], 1)

        found = self.kept_readings.result("judge and features", batch, space, both)
        return found[:, : self.bank.schema.width], found[:, self.bank.schema.width :]

    def embeddings(self, images: Tensor) -> Tensor:
        """(E, N, D) by each recogniser, zero-padded to one width."""
        if not self.recognisers:
            return images.new_zeros(0, len(images), 1)
        return torch.nn.utils.rnn.pad_sequence(
            [encoder.embed(images).T for encoder in self.recognisers], batch_first=True
        ).mT

    @torch.no_grad()
    def photo_embeddings(self) -> Tensor:
        """(E, N, D) of the photographs themselves; N is 0 where the test images were sampled."""
        parts = self.bank.photographs.split(BATCH)
        found = [self.embeddings(part) for part in parts if len(part)]
        return torch.cat(found, 1) if found else torch.zeros(len(self.recognisers), 0, 1)

    @torch.no_grad()
    def images_compared(
        self, codes: Tensor, space: str, others: Tensor, other_space: str, show: int = 0
    ) -> tuple[Tensor, Tensor, Tensor]:
        """(E, N, D) embeddings of the images of `codes`, (N,) mean difference of their images to
        those of `others`, in levels of 0 to 255, and the first `show` images, as bytes."""
        embeddings, errors, shown = list[Tensor](), list[Tensor](), list[Tensor]()
        for batch, other in zip(codes.split(BATCH), others.split(BATCH), strict=True):
            images = self.images(batch, space)
            embeddings.append(self.embedded(batch, space))
            errors.append(pixel_error(self.images(other, other_space), images))
            shown.append(images_to_bytes(images[: max(0, show - BATCH * len(shown))]))
        return torch.cat(embeddings, 1), torch.cat(errors), torch.cat(shown)

    @cached_property
    def _scores(self) -> int:
        """F, how many identity scores the generator knows of codes of the bank's space; else 0."""
        codes = self.bank.split("fit").rows(torch.zeros(1, dtype=torch.long))[0]
        return self._truth(codes, self.bank.space, codes)[1].shape[1]

    def converted(self, codes: Tensor, space: str, target: str) -> Tensor:
        """Codes of `space` in the space `target`."""
        return codes if space == target else self.generator.convert(codes, space, target)

    def likelihood(self, codes: Tensor, space: str, attributes: Tensor) -> tuple[Tensor, Tensor]:
        """Log-likelihood given `attributes` (N, A), and Mahalanobis distance, of codes: 2 × (N,).

        The rows of a W+ code count one by one and are averaged. NaN where the space is another
        one than the bank's, and does not map to it.
        """
        density, home = self.density, self.bank.space
        unknown = codes.new_full((len(codes),), float("nan"))
        if density is None:
            return unknown, unknown
        if self.generator.row_spaces.get(space) == home:
            rows = codes.shape[1]
            flat, asked = codes.flatten(0, 1), attributes.repeat_interleave(rows, 0)
            likely, far = density.log_likelihood(flat, asked), density.mahalanobis(flat)
            return likely.view(-1, rows).mean(1), far.view(-1, rows).mean(1)
        try:
            codes = self.converted(codes, space, home)
        except Unsupported:
            return unknown, unknown
        return density.log_likelihood(codes, attributes), density.mahalanobis(codes)

    def _truth(self, codes: Tensor, space: str, judged: Tensor) -> tuple[Tensor, Tensor]:
        try:
            truth = self.generator.truth(codes, space)
        except Unsupported:
            if space == self.bank.space or self._scores == 0:
                return judged, judged.new_empty(len(codes), 0)
            unknown = float("nan")
            return torch.full_like(judged, unknown), judged.new_full(
                (len(codes), self._scores), unknown
            )
        return truth.schema.select(truth.attributes, self.bank.schema.names), truth.identity
