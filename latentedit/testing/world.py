"""A linear world in which everything is known in closed form.

    u ~ N(0, R)                     24 scores: 6 of attributes, 8 of identity, 10 of nothing
    w = w_avg + Σ_j σ_j u_j q_j     q_j orthonormal, σ_j falling
    attributes = M w + b            m_k = scale_k / σ_k · a_k, where a_k = q_k
    identity_i = q_{6+i} · (w − w_avg) / σ_{6+i}

Two options couple the first two attributes, age and glasses. `correlation` is the entry R_01, which
leaves the generator as it is and gives glasses to old ones more often; `entanglement` is the
cosine a_0 · a_1, which makes every move along one move the other.

Images are 3 × 8 × 8: the first channel holds the attributes, the second the identity, both scaled
into [-1, 1], so that `ToyEstimator` and `ToyIdentity` read exact values off them.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import (
    Attribute,
    AttributeEstimator,
    AttributeSchema,
    CodeSpaces,
    Generator,
    IdentityEncoder,
    Options,
    Split,
    Subject,
    Truth,
    Unsupported,
    fingerprint,
)

SCHEMA = AttributeSchema(
    (
        Attribute("age", "continuous", 0.0, 70.0, "years"),
        Attribute("glasses", "binary", 0.0, 1.0),
        Attribute("yaw", "continuous", -40.0, 40.0, "degrees"),
        Attribute("lighting", "vector", -1.5, 1.5, size=3),
    )
)
MIDDLE = torch.tensor([35.0, 0.5, 0.0, 0.0, 0.0, 0.0])
SCALE = torch.tensor([10.0, 0.15, 12.0, 0.4, 0.4, 0.4])
"""Standard deviation of each attribute."""

A, IDENTITY, W_DIM, ROWS, RESOLUTION = SCHEMA.width, 8, 24, 4, 8
ROW_OF = torch.tensor([1, 2, 0, 3, 3, 3, *(i % ROWS for i in range(IDENTITY))])
"""The row of a W+ code that decides each attribute and each identity score."""

_SPAN = 16.0
"""Standard deviations between the middle of an attribute and the end of its pixel's range."""


class ToyOptions(Options):
    correlation: float = Field(default=0.0, gt=-1, lt=1)
    entanglement: float = Field(default=0.0, gt=-1, lt=1)
    world_seed: int = 0


class ToyGenerator(Generator):
    """Codes to images by one affine map.

    Attributes:
        matrix, offset: (A, D) M and (A,) b of attributes = M w + b.
        directions: (A, D) a_k, the rows of M at unit norm.
        basis, deviations: (D, D) rows q_j and (D,) σ_j; without correlation, the principal axes.
        covariance: (D, D) of sampled w.
    """

    Options: ClassVar[type[ToyOptions]] = ToyOptions
    spaces: Mapping[str, tuple[int, ...]] = MappingProxyType(
        {"z": (W_DIM,), "w": (W_DIM,), "w+": (ROWS, W_DIM), "s": (A + IDENTITY,)}
    )
    has_styles: ClassVar[bool] = True
    has_counterfactuals: ClassVar[bool] = True
    subject: ClassVar[Subject] = Subject("face", "faces")
    resolution = RESOLUTION

    def __init__(self, options: ToyOptions | None = None) -> None:
        self.options = ToyOptions() if options is None else options
        self.fingerprint = fingerprint({"world": "toy-1", **self.options.model_dump()})
        rng = torch.Generator().manual_seed(self.options.world_seed)
        square = torch.randn(W_DIM, W_DIM, generator=rng, dtype=torch.float64)
        self.basis = torch.linalg.qr(square).Q.T.float()
        self.deviations = 2 * 0.85 ** torch.arange(W_DIM)
        self.w_avg = torch.randn(W_DIM, generator=rng) * 0.3
        self.directions = self._directions()
        self.matrix = (SCALE / self.deviations[:A])[:, None] * self.directions
        self.offset = MIDDLE - self.matrix @ self.w_avg
        self._mixing = self._mix()
        self.covariance = self._mixing @ self._mixing.T

    def _directions(self) -> Tensor:
        directions: Tensor = self.basis[:A].clone()
        cosine = self.options.entanglement
        directions[1] = cosine * directions[0] + (1 - cosine**2) ** 0.5 * directions[1]
        return directions

    def _mix(self) -> Tensor:
        """(D, D) such that w − w_avg = mix @ z."""
        correlation = torch.eye(W_DIM)
        correlation[0, 1] = correlation[1, 0] = self.options.correlation
        scores = torch.linalg.cholesky(correlation)
        mixing: Tensor = self.basis.T @ (self.deviations[:, None] * scores)
        return mixing

    def sample(self, n: int, seed: int, space: str = "w", truncation_psi: float = 1.0) -> Tensor:
        z = torch.randn(n, W_DIM, generator=torch.Generator().manual_seed(seed))
        return self.convert(truncation_psi * z, "z", space)

    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        steps = (self._w_of_z, self._rows_of_w, self._styles_of_rows)
        return CodeSpaces("toy", self.spaces).walk(codes, source, target, steps)

    def _w_of_z(self, z: Tensor) -> Tensor:
        return self.w_avg.to(z) + z @ self._mixing.to(z).T

    def _rows_of_w(self, w: Tensor) -> Tensor:
        return w[:, None].expand(-1, ROWS, -1).contiguous()

    def _styles_of_rows(self, rows: Tensor) -> Tensor:
        pairs = zip(rows.unbind(1), self.style_weights(), strict=True)
        return torch.cat([row @ weight.to(row).T for row, weight in pairs], 1)

    def scores(self, codes: Tensor, space: str = "w") -> Tensor:
        """(N, A + 8) attributes and identity in standard deviations from the middle."""
        if space == "s":
            return self._scores_of_styles(self.convert(codes, space, "s"))
        read = torch.cat([self.directions, self.basis[A : A + IDENTITY]])
        read = read / self.deviations[: A + IDENTITY, None]
        rows = self.convert(codes, space, "w+")[:, ROW_OF.to(codes.device)] - self.w_avg.to(codes)
        return (rows * read.to(codes)).sum(-1)

    def _scores_of_styles(self, styles: Tensor) -> Tensor:
        """Score i is (s − s_avg) / σ_i² in the one channel that is made for it."""
        s_avg = self.convert(self.w_avg[None], "w", "s").to(styles)
        channel = self.channels()
        return (styles - s_avg)[:, channel] / self.deviations[: A + IDENTITY].to(styles).square()

    def channels(self) -> Tensor:
        """(A + 8,) the channel of S that decides each attribute and each identity score."""
        return ROW_OF.argsort(stable=True).argsort()

    def style_rows(self) -> Tensor:
        return ROW_OF.sort().values

    def truth(self, codes: Tensor, space: str = "w") -> Truth:
        scores = self.scores(codes, space)
        attributes = MIDDLE.to(codes) + SCALE.to(codes) * scores[:, :A]
        return Truth(attributes, scores[:, A:], SCHEMA)

    def counterfactual(self, codes: Tensor, attributes: Tensor, space: str = "w") -> Tensor:
        """w' = w + R⁺ Δu, with R the directions that the scores are read along and Δu the change of
        the scores; row by row in W+, channel by channel in S."""
        change = (attributes - self.truth(codes, space).attributes) / SCALE.to(codes)
        change = torch.cat([change, change.new_zeros(len(change), IDENTITY)], 1)
        if space == "s":
            moved = codes.clone()
            moved[:, self.channels()] += change * self.deviations[: A + IDENTITY].to(codes).square()
            return moved
        if space == "w":
            return codes + change @ self._dual(torch.arange(A + IDENTITY)).to(codes)
        if space != "w+":
            raise Unsupported(f"the toy world has counterfactuals in w, w+ and s, not in {space!r}")
        of_row = [ROW_OF.eq(row).nonzero()[:, 0] for row in range(ROWS)]
        moves = [change[:, scores] @ self._dual(scores).to(codes) for scores in of_row]
        return codes + torch.stack(moves, 1)

    def _dual(self, scores: Tensor) -> Tensor:
        """(K, D) the shortest moves that raise one of `scores` by 1 and leave the others."""
        read = torch.cat([self.directions, self.basis[A : A + IDENTITY]])
        dual: Tensor = torch.linalg.pinv((read / self.deviations[: A + IDENTITY, None])[scores])
        return dual.T

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        scores = (self.scores(codes, space) / _SPAN).clamp(-1, 1)
        images = codes.new_zeros(len(codes), 3, RESOLUTION * RESOLUTION)
        images[:, 0, :A] = scores[:, :A]
        images[:, 1, :IDENTITY] = scores[:, A:]
        shown: Tensor = images.unflatten(2, (RESOLUTION, RESOLUTION))
        return shown

    def style_weights(self) -> list[Tensor]:
        """Four affines: row r's attribute and identity directions, scaled by σ. Without
        entanglement the eigenvectors of Σ AᵀA are therefore the q_j, in their order."""
        weights = torch.cat([self.directions, self.basis[A : A + IDENTITY]])
        weights = weights * self.deviations[: A + IDENTITY, None]
        return [weights[row == ROW_OF] for row in range(ROWS)]


class ToyEstimator(AttributeEstimator):
    """Reads the attributes off the first channel. This one labels."""

    schema = SCHEMA
    fingerprint = fingerprint({"estimator": "toy-labeller"})

    def estimate(self, images: Tensor) -> Tensor:
        return MIDDLE.to(images) + SCALE.to(images) * _SPAN * images[:, 0].flatten(1)[:, :A]


class ToyIdentity(IdentityEncoder):
    """The second channel as a unit vector."""

    same_person_threshold = 0.9
    fingerprint = fingerprint({"identity": "toy-identity"})

    def embed(self, images: Tensor) -> Tensor:
        return torch.nn.functional.normalize(images[:, 1].flatten(1)[:, :IDENTITY], dim=1)


def toy_split(n: int, seed: int, correlation: float = 0.0, entanglement: float = 0.0) -> Split:
    """n images of the toy world in W with their exact attributes, in memory."""
    generator = ToyGenerator(ToyOptions(correlation=correlation, entanglement=entanglement))
    codes = generator.sample(n, seed)
    return Split("w", SCHEMA, ((codes, generator.truth(codes).attributes),))
