"""What a run of `telling_world` must come to: its closed form again, in plain numpy.

Codes are kept as scores u of (N, 4, 24). Nothing here calls a measure of `latentedit`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import telling_world as world
import torch
import toy
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]

Reading = Callable[[Array], Array]
"""Scores (N, 4, 24) to what somebody reads off them."""

_TOY = toy.ToyGenerator()
BASIS = _TOY.basis.double().numpy()
DEVIATIONS = _TOY.deviations.double().numpy()
CENTRE = _TOY.w_avg.double().numpy()
MIDDLE, SCALE = toy.MIDDLE.double().numpy(), toy.SCALE.double().numpy()
ROWS, READ_FROM = 4, np.array([1, 2, 0, 3, 3, 3, 0, 1, 2, 3, 0, 1, 2, 3])
LEAK, SCAR = world.LEAK.double().numpy(), world.SCAR.double().numpy()
LABEL_GAIN, LABEL_OFFSET, LABEL_MIXUP, JUDGE_GAIN, JUDGE_OFFSET = (
    part.double().numpy()
    for part in (
        world.LABEL_GAIN,
        world.LABEL_OFFSET,
        world.LABEL_MIXUP,
        world.JUDGE_GAIN,
        world.JUDGE_OFFSET,
    )
)
ATTRIBUTES = {"age": [0], "glasses": [1], "yaw": [2], "lighting": [3, 4, 5]}
RECOGNISERS = {"narrow": (slice(0, 3), world.NARROW), "broad": (slice(3, 8), world.WIDE)}
EVALUATIONS = {"straight": 1, "leaky": 3, "wary": 1, "no-edit": 0}
GRID = np.linspace(0, 1, 21)
CLOSE = 1e-5
"""No figure lies this near to a threshold, so that rounding decides nothing."""


def drawn(n: int, seed: int, psi: float, correlation: float) -> Array:
    """(n, 4, 24) scores of sampled faces; only the second score is correlated, with the first."""
    z = torch.randn(n, 24, generator=torch.Generator().manual_seed(seed)).double().numpy()
    u = psi * z
    u[:, 1] = psi * (correlation * z[:, 0] + np.sqrt(1 - correlation**2) * z[:, 1])
    return np.repeat(u[:, None], ROWS, 1)


def photographed() -> tuple[Array, Array]:
    """(N, 14) scores that the photographs show, and (N, 4, 24) scores that were found for them."""
    u = drawn(world.N_PHOTOS, world.PHOTO_SEED, 1.0, 0.0)[:, 0, :14]
    shown = world.SPAN * (np.round((u / world.SPAN + 1) * 127.5) / 127.5 - 1)
    found = np.zeros((len(shown), ROWS, 24))
    found[:, :, :14] = 0.8 * shown[:, None] + 0.1 * np.arange(1, ROWS + 1)[:, None]
    return shown, found


def scores(u: Array) -> Array:
    found = np.stack([u[:, READ_FROM[k], k] for k in range(14)], 1)
    assert np.nanmax(np.abs(found)) < world.SPAN, "an image cannot show such a score"
    return found


def truth(u: Array) -> Array:
    return MIDDLE + SCALE * scores(u)[:, :6]


def identity(u: Array) -> Array:
    return scores(u)[:, 6:]


def labels(u: Array) -> Array:
    found = LABEL_GAIN * truth(u) + LABEL_OFFSET + LABEL_MIXUP * identity(u)[:, :6]
    assert np.abs(found[:, 0] % 1 - 0.5).min() > 1e-5, "an age lies between two years"
    found[:, 0] = np.round(found[:, 0])
    return found


def judged(u: Array) -> Array:
    return JUDGE_GAIN * truth(u) + JUDGE_OFFSET


def features(u: Array) -> Array:
    """What distances of sets are measured in; the constant one is left out."""
    return np.column_stack([2 * scores(u)[:, 0], identity(u)[:, :3]])


def codes(u: Array) -> Array:
    return CENTRE + (u * DEVIATIONS) @ BASIS


def pixels(u: Array) -> Array:
    return scores(u) / world.SPAN


def cosine(first: Array, second: Array) -> Array:
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return (first * second).sum(1) / lengths


def images(u: Array) -> Array:
    """(N, 3, 8, 8) attributes in the first channel, identity in the second."""
    found = np.zeros((len(u), 3, 64))
    found[:, 0, :6], found[:, 1, :8] = pixels(u)[:, :6], pixels(u)[:, 6:14]
    return found.reshape(-1, 3, 8, 8)


def as_bytes(shown: Array) -> Array:
    """Images in [-1, 1] as levels of 0 to 255."""
    return np.round((np.clip(shown, -1, 1) + 1) * 127.5)


def structure(first: Array, second: Array) -> Array:
    """SSIM in every window of 7 × 7 pixels, by its definition."""
    c1, c2, found = 0.02**2, 0.06**2, []
    for top in (0, 1):
        for left in (0, 1):
            cut = (..., slice(top, top + 7), slice(left, left + 7))
            x, y = (i[cut].reshape(len(i), 3, 49) for i in (first, second))
            mx, my = x.mean(2), y.mean(2)
            joint = ((x - mx[..., None]) * (y - my[..., None])).mean(2)
            above = (2 * mx * my + c1) * (2 * joint + c2)
            found.append(above / (mx**2 + my**2 + c1) / (x.var(2) + y.var(2) + c2))
    return np.mean(found, axis=(0, 2))


def angle(first: Array, second: Array) -> Array:
    return np.degrees(np.arccos(np.clip(cosine(first, second), -1, 1)))


def look(yaw: Array) -> Array:
    return np.column_stack([np.sin(np.radians(yaw)), np.cos(np.radians(yaw))])


def matched_strength(effects: Array, wanted: float) -> Array:
    """Where a line through the origin with `effects` at the strengths reaches `wanted`."""
    slope = effects[1]
    np.testing.assert_allclose(effects, np.outer(world.STRENGTHS, slope), atol=1e-9)
    top = slope * world.STRENGTHS[-1]
    assert np.abs(top - wanted).min() > CLOSE, "a face just reaches an effect"
    return np.where(top >= wanted, wanted / np.where(slope > 0, slope, 1), np.nan)


def mean(values: Any, axis: int = 0) -> Array:
    """Mean of what is there, NaN where nothing is."""
    values = np.asarray(values)
    known = ~np.isnan(values)
    with np.errstate(invalid="ignore"):
        return np.where(known, values, 0).sum(axis) / known.sum(axis)


@dataclass(frozen=True)
class Oracle:
    """Everything that a suite of `telling_world` must come to.

    Args:
        suite: as plain data.
        photographs: whether it edits the photographs.
    """

    suite: dict[str, Any]
    photographs: bool = False

    @cached_property
    def fit(self) -> Array:
        return drawn(world.N_FIT, world.BANK_SEED, world.PSI, world.CORRELATION)

    @cached_property
    def test(self) -> Array:
        if self.photographs:
            return photographed()[1]
        seed = world.BANK_SEED + 1_000_000_007
        return drawn(world.N_TEST, seed, world.PSI, world.CORRELATION)

    @cached_property
    def sigma(self) -> Array:
        return labels(self.fit).std(0, ddof=1)

    @property
    def entrants(self) -> list[str]:
        return [*self.suite["editors"], *self.suite["controls"]]

    def task(self, name: str) -> dict[str, Any]:
        return next(task for task in self.suite["tasks"] if task["name"] == name)

    @property
    def tasks(self) -> list[str]:
        return [entry["name"] for entry in self.suite["tasks"] + self.suite["sequences"]]

    def asked(self, task: dict[str, Any]) -> tuple[Array, Array]:
        """Which faces, and by how much."""
        values, column = labels(self.test), ATTRIBUTES[task["attribute"]][0]
        kept = np.full(len(values), True)
        for name, (low, high) in task.get("among", {}).items():
            among = values[:, ATTRIBUTES[name][0]]
            kept &= (low <= among) & (among <= high)
        faces = np.flatnonzero(kept)
        now = values[faces, column]
        if task["change"] == "flip":
            return faces, np.where(now < 0.5, 1.0, 0.0) - now
        fitted = np.sort(labels(self.fit)[:, column])
        middle = fitted[(len(fitted) - 1) // 2]
        return faces, np.where(now < middle, 1.0, -1.0) * task["change"]

    def edited(
        self,
        name: str,
        seed: int,
        u: Array,
        source: Array,
        target: Array,
        layers: list[int] | None = None,
    ) -> Array:
        """(N, 4, 24) scores after an edit of (N, 4, 24), row by row."""
        t = np.zeros((len(u), 1, 24))
        t[:, 0, :6] = (target - source) / SCALE
        total = t.sum(2, keepdims=True)
        if name == "leaky":
            push = t + LEAK * total + SCAR * np.abs(total)
        elif name == "seedy":
            pull = labels(self.fit)[:, 0].mean() / 70
            push = (1 - 0.23 * seed) * t + (1 + seed / 2) * pull * LEAK * total
        elif name == "wary":
            share = 0.6 + 0.4 * u[:, :, 23:] + 0.1 * (source[:, None, 1:2] - 0.5) / 0.15
            push = np.clip(share, 0.05, 1.5) * t + 0.5 * LEAK * total
            push[:, :, 23:] += 0.3 * total
        else:
            push = t * (name == "straight")
        moved = np.where(served(name, u)[:, None, None], u + push, u)
        if layers is not None:
            still = [row for row in range(ROWS) if row not in layers]
            moved[:, still] = u[:, still]
        return moved

    def cell(self, name: str, seed: int, task_name: str) -> Cell:
        return Cell(self, name, seed, self.task(task_name))

    @cached_property
    def tables(self) -> dict[tuple[str, str, str, float], Array]:
        """(editor, task, metric, effect) → (seeds, faces), NaN where there is no number."""
        seeds, found = self.suite["seeds"], {}
        for name in self.entrants:
            for i, seed in enumerate(seeds):
                of_task = {t["name"]: Cell(self, name, seed, t) for t in self.suite["tasks"]}
                of_task |= {s["name"]: Chain(self, name, seed, s) for s in self.suite["sequences"]}
                for task, cell in of_task.items():
                    for (metric, effect), values in cell.values.items():
                        empty = np.full((len(seeds), len(self.test)), np.nan)
                        table = found.setdefault((name, task, metric, effect), empty)
                        table[i, cell.faces] = values
        return found

    def seeds_of(self, name: str, metric: str, effect: float, task: str) -> Array:
        """(seeds, faces) of one task, or with each face's tasks averaged."""
        tables = [
            table
            for (of, at, what, r), table in self.tables.items()
            if (of, what, r) == (name, metric, effect) and task in (at, "all tasks")
        ]
        return mean(tables) if tables else np.full((len(self.suite["seeds"]), 1), np.nan)

    def faces_of(self, name: str, metric: str, effect: float, task: str) -> Array:
        """(faces,) with fit seeds averaged first, then tasks."""
        tables = [
            mean(table)
            for (of, at, what, r), table in self.tables.items()
            if (of, what, r) == (name, metric, effect) and task in (at, "all tasks")
        ]
        return mean(tables) if tables else np.full(len(self.test), np.nan)

    @cached_property
    def gaussian(self) -> tuple[Any, Array, Array, Array]:
        """p(w), and mean, slope and covariance of p(w | a), of the fit split with its labels."""
        w, a = codes(self.fit)[:, 0], labels(self.fit)
        both = np.cov(np.column_stack([w, a]), rowvar=False, ddof=0)
        ridge = 1e-3 * np.trace(both[:24, :24]) / 24 * np.eye(24)
        of_labels = both[24:, 24:] + 1e-9 * np.trace(both[24:, 24:]) / 6 * np.eye(6)
        slope = np.linalg.solve(of_labels, both[24:, :24])
        left = both[:24, :24] - both[:24, 24:] @ slope
        plain = stats.multivariate_normal(w.mean(0), both[:24, :24] + ridge)
        return plain, w.mean(0) - a.mean(0) @ slope, slope, left + ridge


class Cell:
    """One editor, seed and task."""

    def __init__(self, oracle: Oracle, name: str, seed: int, task: dict[str, Any]) -> None:
        self.oracle, self.name, self.seed, self.task = oracle, name, seed, task
        self.faces, self.change = oracle.asked(task)
        self.column = ATTRIBUTES[task["attribute"]][0]
        self.others = [k for k in ATTRIBUTES if k != task["attribute"]]
        self.u = oracle.test[self.faces]
        self.source = labels(oracle.test)[self.faces]

    def at(self, strengths: Array | float) -> Array:
        return self._edit(self.u, self.source, self.target(strengths))

    def target(self, strengths: Array | float) -> Array:
        target = self.source.copy()
        target[:, self.column] += strengths * self.change
        return target

    def _edit(self, u: Array, source: Array, target: Array) -> Array:
        layers = self.task.get("layers")
        return self.oracle.edited(self.name, self.seed, u, source, target, layers)

    def effect(self, u: Array) -> Array:
        return (judged(u) - judged(self.u))[:, self.column] / self.change

    def similarity(self, u: Array, which: slice) -> Array:
        return cosine(identity(self.u)[:, which], identity(u)[:, which])

    def changes(self, u: Array, read: Reading) -> dict[str, Array]:
        """|change| / σ of each attribute."""
        moved = np.abs(read(u) - read(self.u)) / self.oracle.sigma
        return {k: moved[:, columns].mean(1) for k, columns in ATTRIBUTES.items()}

    def leakage(self, u: Array, read: Reading) -> Array:
        changes = self.changes(u, read)
        return np.mean([changes[k] for k in self.others], 0)

    @cached_property
    def grid(self) -> list[Array]:
        return [self.at(s) for s in world.STRENGTHS]

    @cached_property
    def effects(self) -> Array:
        return np.stack([self.effect(u) for u in self.grid])

    def strengths(self, wanted: float) -> Array:
        return matched_strength(self.effects, wanted)

    def along(self, values: list[Array], start: float) -> Array:
        """(21, N) `values` at the strengths, drawn along achieved effect, linear in between."""
        s = [0.0, *world.STRENGTHS]
        stacked = np.stack([np.full(len(self.faces), start), *values])
        at = np.stack([self.strengths(r) if r > 0 else 0 * self.change for r in GRID])
        curves = [np.interp(at[:, i], s, stacked[:, i]) for i in range(len(self.faces))]
        return np.where(np.isnan(at), np.nan, np.stack(curves, 1))

    def similarities_along(self, name: str) -> Array:
        which, _ = RECOGNISERS[name]
        return self.along([self.similarity(u, which) for u in self.grid], 1.0)

    def leakage_along(self) -> Array:
        return self.along([self.leakage(u, judged) for u in self.grid], 0.0)

    @cached_property
    def values(self) -> dict[tuple[str, float], Array]:
        found = {(k, 0.0): v for k, v in self._unmatched().items()}
        for r in self.oracle.suite["effects"]:
            found |= {(k, r): v for k, v in self._matched(r).items()}
        return found

    def _unmatched(self) -> dict[str, Array]:
        sigma, k = self.oracle.sigma[self.column], self.column
        asked = self.source[:, k] + self.change
        there = self.at(1.0)
        back = self._edit(there, self.target(1.0), self.source)
        both = np.where(served(self.name, self.u) & served(self.name, there), 0.0, np.nan)
        found = {
            "target error": np.abs(judged(self.at(1.0))[:, k] - asked) / sigma,
            "round-trip error": both + apart(self.u, back),
            "round-trip error in pixels": both
            + 127.5 * np.abs(pixels(back) - pixels(self.u)).sum(1) / (3 * 8 * 8),
        }
        for name, (which, _) in RECOGNISERS.items():
            lost = 1 - self.similarity(back, which)
            found[f"round-trip error in identity · {name}"] = both + lost
            curve = np.nan_to_num(self.similarities_along(name))
            found[f"edit–identity area · {name}"] = ((curve[1:] + curve[:-1]) / 2 / 20).sum(0)
        return found

    def _matched(self, r: float) -> dict[str, Array]:
        at = self.strengths(r)
        reached = ~np.isnan(at)
        u = self.at(np.nan_to_num(at))
        wanted, seen = judged(self.u), judged(u)
        wanted[:, self.column] += r * self.change
        likely, far = self._likelihood(u, self.target(r))
        imagined = self.u.copy()
        imagined[:, :, self.column] = u[:, :, self.column]
        found = {
            "distance to the counterfactual": 127.5
            * np.abs(pixels(u) - pixels(imagined)).sum(1)
            / (3 * 8 * 8),
            **self._inside_and_outside(u, imagined),
            "true effect": (truth(u) - truth(self.u))[:, self.column] / self.change,
            "structural similarity to the counterfactual": structure(images(u), images(imagined)),
            "attribute leakage": self.leakage(u, judged),
            "true leakage": self.leakage(u, truth),
            "true identity drift": np.sqrt(((identity(u) - identity(self.u)) ** 2).mean(1)),
            "pose error": angle(look(wanted[:, 2]), look(seen[:, 2])),
            "lighting error": angle(wanted[:, 3:], seen[:, 3:]),
            "log-likelihood": likely,
            "Mahalanobis distance": far,
        }
        for name, (which, threshold) in RECOGNISERS.items():
            similarity = self.similarity(u, which)
            assert np.abs(similarity - threshold)[reached].min(initial=1) > 1e-6
            found[f"identity similarity · {name}"] = similarity
            to_it = cosine(identity(imagined)[:, which], identity(u)[:, which])
            found[f"identity similarity to the counterfactual · {name}"] = to_it
            found[f"identity accuracy · {name}"] = (similarity > threshold).astype(float)
            if self.oracle.photographs:
                photos = photographed()[0][self.faces, 6:][:, which]
                to_photo = cosine(photos, identity(u)[:, which])
                found[f"identity similarity to the photo · {name}"] = to_photo
        counted = {
            f"identity with failures · {name}": found[f"identity similarity · {name}"] * reached
            for name in RECOGNISERS
        }
        found = {k: np.where(reached, v, np.nan) for k, v in found.items()}
        found["kernel distance"] = self.distances(r)["kernel"]
        return found | counted | {"reach": reached.astype(float)}

    def _inside_and_outside(self, u: Array, imagined: Array) -> dict[str, Array]:
        """Distances over the pixels whose bytes the counterfactual changes, and over the rest."""
        shown, plain, wished = (images(v) for v in (u, self.u, imagined))
        apart = np.abs(shown - wished).mean(1) * 127.5
        may = (as_bytes(wished) != as_bytes(plain)).any(1)
        with np.errstate(invalid="ignore"):
            return {
                f"distance {where} what may change": (apart * mask).sum((1, 2)) / mask.sum((1, 2))
                for where, mask in (("inside", may), ("outside", ~may))
            }

    def _likelihood(self, u: Array, target: Array) -> tuple[Array, Array]:
        """log p(w | a) and the Mahalanobis distance, a dimension; rows of W+ averaged."""
        plain, start, slope, left = self.oracle.gaussian
        expected = start + target @ slope
        noise = stats.multivariate_normal(np.zeros(24), left)
        gaps = codes(u) - plain.mean
        far = np.einsum("nri,ij,nrj->nr", gaps, np.linalg.inv(plain.cov), gaps) / 24
        return noise.logpdf(codes(u) - expected[:, None]).mean(1) / 24, np.sqrt(far).mean(1)

    def distances(self, r: float) -> dict[str, Any]:
        """Of the faces that reach r, before and after; NaN where they are fewer than 50."""
        at = self.strengths(r)
        reached, kernel = ~np.isnan(at), np.full(len(at), np.nan)
        if reached.sum() < 50:
            return {"kernel": kernel, "frechet": np.nan, "faces": int(reached.sum())}
        spread = features(self.oracle.test).std(0, ddof=1)
        x = features(self.u)[reached] / spread
        y = features(self.at(np.nan_to_num(at)))[reached] / spread
        kernel[reached] = pseudo_values(x, y)
        return {"kernel": kernel, "frechet": frechet(x, y), "faces": int(reached.sum())}


class Chain:
    """One editor, seed and sequence of edits."""

    def __init__(self, oracle: Oracle, name: str, seed: int, sequence: dict[str, Any]) -> None:
        self.oracle, self.name, self.seed = oracle, name, seed
        tasks = [oracle.task(edit) for edit in sequence["edits"]]
        asked = [oracle.asked(task) for task in tasks]
        self.faces = np.array(sorted(set.intersection(*(set(f.tolist()) for f, _ in asked))))
        self.requests = [
            (
                ATTRIBUTES[task["attribute"]][0],
                change[np.searchsorted(faces, self.faces)],
                task.get("layers"),
            )
            for task, (faces, change) in zip(tasks, asked, strict=True)
        ]
        self.u = oracle.test[self.faces]

    def done(self, requests: list[tuple[int, Array, Any]]) -> tuple[Array, Array]:
        """Scores after all requests, and 0 for each face, or NaN where one of them was refused."""
        u, now = self.u, labels(self.oracle.test)[self.faces]
        all_served = np.zeros(len(u))
        for column, change, layers in requests:
            target, ok = now.copy(), served(self.name, u)
            target[:, column] += change
            u = self.oracle.edited(self.name, self.seed, u, now, target, layers)
            now, all_served = np.where(ok[:, None], target, now), np.where(ok, all_served, np.nan)
        return u, all_served

    @cached_property
    def values(self) -> dict[tuple[str, float], Array]:
        a, b, c = self.requests
        orders = [(a, b, c), (a, c, b), (b, a, c), (b, c, a), (c, a, b), (c, b, a)]
        done = [self.done(list(order)) for order in orders]
        ends = [judged(u) / self.oracle.sigma for u, _ in done]
        gaps = [
            np.mean([np.abs(x - y)[:, k].mean(1) for k in ATTRIBUTES.values()], 0)
            for i, x in enumerate(ends)
            for y in ends[:i]
        ]
        in_every_order = np.sum([ok for _, ok in done], 0)
        found = {("edit consistency", 0.0): np.mean(gaps, 0) + in_every_order}
        for n in (1, 2, 3):
            first = self.requests[:n]
            undone = [(k, -change, rows) for k, change, rows in first[::-1]]
            back, ok = self.done([*first, *undone])
            edits = "1 edit" if n == 1 else f"{n} edits"
            found[f"drift · {edits}", 0.0] = ok + apart(self.u, back)
            for name, (which, _) in RECOGNISERS.items():
                lost = 1 - cosine(identity(self.u)[:, which], identity(back)[:, which])
                found[f"drift in identity · {edits} · {name}", 0.0] = ok + lost
        return found


def served(name: str, u: Array) -> Array:
    """(N,) which of the faces (N, 4, 24) an editor edits: all, but for one that is wary."""
    refused: Array = (u[:, :, 22] > 0.6).any(1) & (name == "wary")
    return ~refused


def apart(u: Array, back: Array) -> Array:
    """|w'' − w| / |w| over all rows."""
    gaps = codes(back) - codes(u)
    return np.sqrt((gaps**2).sum((1, 2)) / (codes(u) ** 2).sum((1, 2)))


def frechet(x: Array, y: Array) -> float:
    """The Fréchet distance of Gaussians, by the eigenvalues of the product of covariances."""
    c, d = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    roots = np.sqrt(np.linalg.eigvals(c @ d).astype(complex)).real.sum()
    return float(((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(c) + np.trace(d) - 2 * roots)


def pseudo_values(x: Array, y: Array) -> Array:
    """By face, N D − (N − 1) D without it, of the unbiased squared kernel distance D."""

    def k(a: Array, b: Array) -> Array:
        return (a @ b.T / a.shape[1] + 1) ** 3

    def distance(keep: Array) -> float:
        n, h = len(keep), pairs[np.ix_(keep, keep)]
        return float((h.sum() - np.trace(h)) / (n * (n - 1)))

    pairs, n = k(x, x) + k(y, y) - k(x, y) - k(y, x), len(x)
    whole, every = distance(np.arange(n)), np.arange(n)
    return np.array([n * whole - (n - 1) * distance(np.delete(every, i)) for i in range(n)])
