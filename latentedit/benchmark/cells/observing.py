"""What judge, recognisers and generator observe on the edits of one task, whoever made them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from latentedit.benchmark.cells.against_counterfactual import (
    AgainstCounterfactual,
    Counterfactuals,
)
from latentedit.benchmark.cells.asked import Asked
from latentedit.benchmark.cells.bench import Bench, Observation
from latentedit.benchmark.cells.distances import distances
from latentedit.benchmark.cells.suite_metrics import Sources, recorded_at_effect, suite_metrics
from latentedit.benchmark.task import Task
from latentedit.data.images import images_to_bytes
from latentedit.interfaces.metric import EditsSeen, Seen
from latentedit.measures.metrics import (
    identity_drift,
    identity_similarity,
    round_trip_error,
)

SPACE = "codes_space"
"""Of a cell that keeps codes: their space, by its place among the generator's."""
SEEN = "seen"
"""Of a cell of a shard, after ``matched_``: the judge's features of edited faces."""
PICTURES = "pictures"
"""End of the names of arrays that hold every image as bytes."""


class TaskObserver:
    """Observes edits of the images that a task is asked of.

    Args:
        before: what was observed on the unedited test images, by name; rows are test images.
        faces: (N,) rows of the test split.
        change: (N,) what is asked of each, in natural units.
        space: of the edited codes.
        seed: of the fit.

    Attributes:
        asked: the change with labels and readings of the unedited images.
        began: (N, \\*shape) their codes in `space`.
        counterfactuals: of the unedited images.
    """

    def __init__(
        self,
        bench: Bench,
        task: Task,
        before: Mapping[str, Tensor],
        faces: Tensor,
        change: Tensor,
        space: str,
        seed: int,
    ) -> None:
        self.bench, self.task, self.faces, self.change, self.space, self.seed = (
            bench, task, faces, change, space, seed,
        )  # fmt: skip
        test = bench.bank.split("test")
        self._originals, source = test.rows(faces)
        self._originals_space = test.space
        self.began = bench.converted(self._originals, test.space, space)
        self.counterfactuals = Counterfactuals(bench, task.attribute, self._originals, test.space)
        judged, self._identity, self._features = (
            before[name][faces] for name in ("judged", "identity", "features")
        )
        column = test.schema.columns(task.attribute).start
        self.asked = Asked(source, judged, change, column)
        self._truth = before["truth"][faces] if self._identity.shape[1] else None
        self._all_features = before["features"]
        self._embeddings = before["embeddings"][:, faces]
        photos = before.get("photo_embeddings")
        self._photos = None if photos is None else photos[:, faces]

    def unedited(self) -> dict[str, Tensor]:
        """Which images were asked for which change, and pictures of the first of them."""
        bench = self.bench
        shown = self._originals[: bench.suite.show_images]
        found = {
            "faces": self.faces,
            "change": self.change,
            "source": self.asked.source[:, self.asked.column].clone(),
            "images": images_to_bytes(bench.renderer.synthesize(shown, self._originals_space)),
        }
        if bench.suite.keep_codes:
            found[SPACE] = torch.tensor(list(bench.generator.spaces).index(self.space))
        return found

    def seen(self, codes: Tensor) -> dict[str, Tensor]:
        """What is observed on edited codes (N, \\*shape)."""
        observed = self.bench.look(codes, self.space, self._shown(0))
        return self._described(observed) | self._kept(codes, observed.images)

    def seen_matched(self, codes: Tensor, at: Tensor, wanted: float) -> dict[str, Tensor]:
        """The same, and more, at the strengths `at` (N,) that match the effect `wanted`."""
        against = AgainstCounterfactual(self.counterfactuals, codes, self.space)
        show = self.bench.suite.show_images
        observed = self.bench.look(
            codes, self.space, self._shown(show), features=True, also=against.see
        )
        likelihood, mahalanobis = self.bench.likelihood(
            codes, self.space, self.asked.target(wanted * self.change, self.asked.every)
        )
        found = {
            "strength": at,
            "likelihood": likelihood,
            "mahalanobis": mahalanobis,
            **self._described(observed),
            **self.distances(observed.features, ~at.isnan()),
            **against.arrays,
        }
        return {
            **found,
            **self.suite_metrics(wanted, codes, observed.judged, observed.embeddings, found),
            **self._kept(codes, observed.images),
            "images": observed.images[:show],
        }

    def suite_metrics(
        self,
        wanted: float,
        edited: Tensor,
        judged: Tensor,
        embeddings: Tensor,
        found: Mapping[str, Tensor],
    ) -> dict[str, Tensor]:
        """The metrics that the suite adds, of codes edited to the effect `wanted`.

        Args:
            judged: (N, A) and
            embeddings: (E, N, D) what judge and recognisers say of them; no embeddings where no
                metric needs them.
            found: what is observed on them besides, by name.
        """
        bench = self.bench
        if not bench.metrics:
            return {}
        names, nothing = tuple(map(str, bench.suite.identity)), edited.new_empty(len(edited), 0)
        before, after = (
            Seen(nothing, codes, values, dict(zip(names, embedded, strict=False)))
            for codes, values, embedded in (
                (self.began, self.asked.judged, self._embeddings),
                (edited, judged, embeddings),
            )
        )
        edits = EditsSeen(
            before,
            after,
            self.asked.target(wanted * self.change, self.asked.every),
            bench.bank.schema,
            bench.sigma,
            self.task.attribute,
            self.seed,
            effect=wanted,
            recorded=recorded_at_effect(
                found,
                self.change,
                [encoder.same_person_threshold for encoder in bench.recognisers],
                self._truth,
            ),
            axes={"recogniser": names},
        )
        sources = Sources(
            (self._originals, self._originals_space),
            (edited, self.space),
            self.counterfactuals.in_space,
        )
        return suite_metrics(bench, edits, ~found["strength"].isnan(), sources)

    def seen_back(self, codes: Tensor, served: Tensor) -> dict[str, Tensor]:
        """How far codes (N, \\*shape) of edits that were undone are from where they began.

        Args:
            served: (N,) False for images that the editor refused on either way; theirs are NaN.
        """
        embeddings, pixels, images = self.bench.images_compared(
            codes, self.space, self._originals, self._originals_space, self._shown(0)
        )
        found = {
            "round_trip": where_served(served, round_trip_error(self.began, codes)),
            "round_trip_identity": self.lost_in_identity(embeddings, served),
            "round_trip_pixels": where_served(served, pixels),
        }
        kept = self._kept(codes, images)
        return found | {f"round_trip_{name}": array for name, array in kept.items()}

    def _shown(self, shown: int) -> int:
        """How many images to keep: all, or as many as `shown`."""
        return len(self.faces) if self.bench.suite.keep_images else shown

    def _kept(self, codes: Tensor, images: Tensor) -> dict[str, Tensor]:
        """The edits, as differences, so that no edit is exactly no edit; and the images."""
        suite, found = self.bench.suite, dict[str, Tensor]()
        if suite.keep_codes:
            edits = codes - self.began
            found["codes"] = edits if suite.keep_codes == "float32" else edits.half()
        return found | ({PICTURES: images} if suite.keep_images else {})

    def _described(self, observed: Observation) -> dict[str, Tensor]:
        found = {
            "effect": self.asked.effect(observed.judged, self.asked.every),
            "judged": observed.judged,
            "truth": observed.truth,
            "drift": identity_drift(self._identity, observed.identity),
        }
        return found | self.similarities(observed.embeddings)

    def similarities(self, embeddings: Tensor) -> dict[str, Tensor]:
        """Of embeddings (E, N, D) of edited images: (E, N) to the unedited ones, and to photos."""
        found = {"similarity": identity_similarity(self._embeddings, embeddings)}
        if self._photos is not None:
            found["photo_similarity"] = identity_similarity(self._photos, embeddings)
        return found

    def distances(self, features: Tensor, reached: Tensor) -> dict[str, Tensor]:
        """Of the judge's features (N, F) of edited images, as sets; see `distances`.

        A shard is no set of its own: its features are kept, and compared with those of all shards.
        """
        if self.bench.suite.shard is not None:
            return {SEEN: features}
        return distances(self._features, features, reached, self._all_features.std(0))

    def lost_in_identity(self, embeddings: Tensor, served: Tensor) -> Tensor:
        """(E, N) by which edits that were undone show another individual; NaN where not served."""
        return where_served(served, 1 - identity_similarity(self._embeddings, embeddings))


def where_served(served: Tensor, values: Tensor) -> Tensor:
    """Values (…, N), and NaN for images that the editor refused."""
    return torch.where(served, values, float("nan"))


def stacked(
    once: Mapping[str, Tensor],
    grid: Sequence[Mapping[str, Tensor]],
    matched: Sequence[Mapping[str, Tensor]],
) -> dict[str, Tensor]:
    """The arrays of a cell: what is there once, at every strength, and at every effect."""
    arrays = dict(once)
    for name in grid[0]:
        arrays[name] = torch.stack([found[name] for found in grid])
    for name in matched[0]:
        arrays[f"matched_{name}"] = torch.stack([found[name] for found in matched])
    return arrays
