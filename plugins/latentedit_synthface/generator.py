"""SynthFace: a generator that renders images from known, entangled functions of the code."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar

import torch
from pydantic import Field, field_validator
from torch import Tensor

from latentedit import (
    CodeSpaces,
    Companions,
    Generator,
    Options,
    Subject,
    Truth,
    Unsupported,
    fingerprint,
)
from latentedit_synthface.counterfactual import scores_with
from latentedit_synthface.factors import IDENTITY, NAMES, factors_from_scores
from latentedit_synthface.renderer import render
from latentedit_synthface.schema import SCHEMA
from latentedit_synthface.warp import GaussianWarp, orthogonal

WORLD = "synthface-1"
"""Version of the world, part of every fingerprint; it changes if equal codes give other images."""

ARITHMETIC = 3
"""Version of the images' last bits, part of the fingerprint. Compiled code and torch have the same
bits. Those of version 2 depended on torch's sine, and differ by 7e-7 at most."""

W_DIM = 512
STYLES = 32
"""Styles of one row; a row's factors are the first of them, after the warp."""

CURVATURE = {"linear": 0.0, "default": 0.175, "curved": 0.35}
"""Presets, by how well a linear probe on 8,000 codes of W explains the eight attributes (mean R²):

    linear    1.00 of their scores, 0.75 of their values in natural units
    default   0.88                  0.65
    curved    0.58                  0.43

Even in the linear world the values are no linear function of w, since people mostly have glasses or
have none.
"""

ROWS: tuple[tuple[str, ...], ...] = (
    ("yaw", "hair_volume"),
    ("pitch", "face_width", "face_height", "jaw"),
    ("hair_length", "fringe", "parting", "brow"),
    ("gender", "nose_width", "nose_length", "eye_distance"),
    ("glasses", "eye_size", "gaze"),
    ("age", "baldness", "lips"),
    ("expression", "beard", "mouth_width"),
    ("skin", "hair_lightness", "hair_redness", "eye_hue", "light_0", "light_1"),
    (
        "light_2",
        "light_3",
        "light_4",
        "background_lightness",
        "background_hue",
        "background_saturation",
    ),
    ("light_5", "light_6", "light_7", "light_8", "clothes_hue", "clothes_lightness"),
)
"""The factors that each row of a W+ code decides, coarse to fine, the strongest first."""

_LEADING = 7
"""Styles a row takes from the leading principal components: its factors and some companions."""
_SPECTRUM_KNEE = 23.0
"""Components after which the spectrum falls: the first 100 of 512 hold 85 % of the variance."""
_ENTANGLED_COMPONENTS = 1.0
"""Degree to which principal components are mixtures of factors instead of single ones."""
_Z_CURVATURE = 0.35
_Z_LAYERS = 3
_STYLE_LAYERS = 4
_ROW_DECAY, _PLACE_DECAY, _COMPANION_GAIN = 0.95, 0.8, 0.1
"""Norms of the affines' rows. Visible factors have the largest weights, which closed-form editors
assume of trained networks."""


@dataclass(frozen=True)
class _World:
    """The fixed matrices of one world, made on the CPU in float64 and rounded once.

    Args:
        w_avg: (512,) the mean of w.
        spread: (512, 512) standard-normal coordinates u to w − w_avg, as u @ spread.
        affines: (10, 32, 512) and biases (10, 32): row r of W+ to its styles.
        gains: (10, 32) standard deviation of each style.
        bend_z, bend_styles: what curves z → u, and styles → scores.
    """

    w_avg: Tensor
    spread: Tensor
    affines: Tensor
    biases: Tensor
    gains: Tensor
    bend_z: GaussianWarp
    bend_styles: GaussianWarp


@lru_cache(maxsize=4)
def _world(seed: int) -> _World:
    rng = torch.Generator().manual_seed(seed)
    deviations = _spectrum()
    rotation = orthogonal(W_DIM, rng)
    w_avg = torch.randn(W_DIM, generator=rng, dtype=torch.float64) * 0.3
    components = _style_components(rng)
    whitening = (components / deviations) @ rotation.T
    norms = _style_norms()
    gains = norms / whitening.norm(dim=-1)
    affines = gains[..., None] * whitening
    return _World(
        w_avg=w_avg.float(),
        spread=(deviations[:, None] * rotation.T).float(),
        affines=affines.float(),
        biases=-(affines @ w_avg).float(),
        gains=gains.float(),
        bend_z=GaussianWarp(1, W_DIM, _Z_LAYERS, rng),
        bend_styles=GaussianWarp(len(ROWS), STYLES, _STYLE_LAYERS, rng),
    )


def _spectrum() -> Tensor:
    """(512,) standard deviations of the principal components of w, of mean square one:
    σᵢ ∝ 1 / (1 + i / 23)."""
    falling = 1 / (1 + torch.arange(W_DIM, dtype=torch.float64) / _SPECTRUM_KNEE)
    return falling / falling.square().mean().sqrt()


def _style_components(rng: torch.Generator) -> Tensor:
    """(10, 32, 512) orthonormal rows: each style in standardised principal components.

    The leading styles of the rows take turns over the leading components, each a mixture of its
    neighbours; the companions are spread over all the others.
    """
    rows = len(ROWS)
    leading = rows * _LEADING
    noise = torch.randn(leading, leading, generator=rng, dtype=torch.float64) / leading**0.5
    u, _, vt = torch.linalg.svd(
        torch.eye(leading, dtype=torch.float64) + _ENTANGLED_COMPONENTS * noise
    )
    rest = orthogonal(W_DIM - leading, rng)[: rows * (STYLES - _LEADING)]
    components = torch.zeros(rows, STYLES, W_DIM, dtype=torch.float64)
    components[:, :_LEADING, :leading] = (u @ vt).reshape(_LEADING, rows, leading).transpose(0, 1)
    components[:, _LEADING:, leading:] = rest.reshape(rows, STYLES - _LEADING, -1)
    return components


def _style_norms() -> Tensor:
    """(10, 32) norms of the rows of the affines."""
    norms = torch.full((len(ROWS), STYLES), _COMPANION_GAIN, dtype=torch.float64)
    for row, names in enumerate(ROWS):
        for place in range(len(names)):
            norms[row, place] = _ROW_DECAY**row * _PLACE_DECAY**place
    return norms


def joint_distribution() -> str:
    """sha256 of the table that the attributes' joint distribution comes from."""
    return hashlib.sha256(Path(__file__).with_name("copula.json").read_bytes()).hexdigest()


def _factor_places() -> Tensor:
    """(41,) where each factor's score lies in the flattened (10, 32) styles."""
    place = {name: r * STYLES + i for r, names in enumerate(ROWS) for i, name in enumerate(names)}
    return torch.tensor([place[name] for name in NAMES])


class SynthFaceOptions(Options):
    """Options of the world.

    Args:
        curvature: nonlinearity of attributes in w: a number from 0 to 1, or a preset, ``linear``
            (0), ``default`` or ``curved``.
        resolution: height and width of the images, in pixels.
        supersampling: rays per pixel, along each side.
        world_seed: seed of the fixed matrices; another seed is another world.
    """

    curvature: float = Field(default=CURVATURE["default"], ge=0, le=1)
    resolution: int = Field(default=64, ge=8, le=1024)
    supersampling: int = Field(default=2, ge=1, le=4)
    world_seed: int = Field(default=0, ge=0)

    @field_validator("curvature", mode="before")
    @classmethod
    def _preset(cls, value: Any) -> Any:
        if isinstance(value, str) and value not in CURVATURE:
            raise ValueError(f"curvature is a number from 0 to 1 or one of {list(CURVATURE)}")
        return CURVATURE[value] if isinstance(value, str) else value


class SynthFace(Generator):
    """Faces rendered from factors that are an exact, entangled function of the code.

        z ~ N(0, I)  →  u = warp(z)  →  w = w_avg + Σ u  →  ten equal rows of W+
        row r  →  styles s_r = A_r w_r + b_r  →  scores = warp(s_r / gains_r)  →  factors  →  image

    Both warps keep the normal distribution, so the 41 scores of a sampled face are independent
    standard normals; the joint distribution of the attributes comes from `factors_from_scores`.
    In coordinates in which w has unit covariance the rows of all A_r are orthonormal up to their
    gains. `truth` reads attributes and identity off any code, edited ones too.
    """

    Options: ClassVar[type[SynthFaceOptions]] = SynthFaceOptions
    has_styles: ClassVar[bool] = True
    has_counterfactuals: ClassVar[bool] = True
    subject: ClassVar[Subject] = Subject("face", "faces")
    companions: ClassVar[Companions | None] = Companions(
        labeller="synthface-labeller",
        judge="synthface-judge",
        identity=("synthface-identity-contrastive", "synthface-identity-regression"),
    )
    spaces: Mapping[str, tuple[int, ...]] = MappingProxyType(
        {"z": (W_DIM,), "w": (W_DIM,), "w+": (len(ROWS), W_DIM), "s": (len(ROWS) * STYLES,)}
    )

    def __init__(self, options: SynthFaceOptions | None = None) -> None:
        self.options = SynthFaceOptions() if options is None else options
        self.resolution = self.options.resolution
        made_by = {"world": WORLD, "arithmetic": ARITHMETIC, "joint": joint_distribution()}
        self.fingerprint = fingerprint(made_by | self.options.model_dump())
        self._world = _world(self.options.world_seed)
        self._places = _factor_places()
        self._in = CodeSpaces("synthface", self.spaces)

    def sample(self, n: int, seed: int, space: str = "w", truncation_psi: float = 1.0) -> Tensor:
        """(n, \\*shape) codes; truncation moves w towards its mean: w_avg + ψ (w − w_avg)."""
        z = self._in.draw(n, seed, space, truncation_psi)
        if space == "z":
            return z
        w = self.convert(z, "z", "w")
        w = self._world.w_avg + truncation_psi * (w - self._world.w_avg)
        return self.convert(w, "w", space)

    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        steps = (self._w_of_z, self._rows_of_w, self._styles_of_rows)
        return self._in.walk(codes, source, target, steps)

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        """(N, \\*shape) codes → (N, 3, H, W) images in [-1, 1]; differentiable."""
        factors = factors_from_scores(self.scores(codes, space))
        return render(factors, self.options.resolution, self.options.supersampling)

    def scores(self, codes: Tensor, space: str = "w") -> Tensor:
        """(N, \\*shape) codes → (N, 41) scores of the factors, in the order of `NAMES`."""
        bent = self._bent(self.convert(codes, space, "s"))
        return bent.flatten(1)[:, self._places.to(codes.device)]

    def _bent(self, styles: Tensor) -> Tensor:
        """(N, 320) styles → (N, 10, 32), of which the scores are a part."""
        whitened = styles.unflatten(1, (len(ROWS), STYLES)) / self._world.gains.to(styles)
        return self._world.bend_styles(whitened, self.options.curvature)

    def counterfactual(self, codes: Tensor, attributes: Tensor, space: str = "w") -> Tensor:
        """Exact: both maps from code to factors are onto, and both are inverted.

            s' = gains · warp⁻¹(scores')
            w' = w + Δ A Σ,  Δ = (s' − s) / gains²  (in W+, row r by A_r)

        The move is the shortest in standard deviations of w, since A Σ Aᵀ = diag(gains²).
        """
        if space not in ("w", "w+", "s"):
            raise Unsupported(f"synthface has counterfactuals in w, w+ and s, not in {space!r}")
        styles = self.convert(codes, space, "s")
        bent, before = self._bent(styles), self.scores(codes, space)
        after = scores_with(before, attributes)
        wanted = bent.flatten(1).clone()
        wanted[:, self._places.to(codes.device)] = after
        gains = self._world.gains.to(codes)
        white = self._world.bend_styles.inverse(wanted.view_as(bent), self.options.curvature)
        change = white * gains - styles.view_as(bent)
        asked = (attributes != self.truth(codes, space).attributes).any(1)
        change = change * asked[:, None, None]
        if space == "s":
            return styles + change.flatten(1)
        affines, spread = self._world.affines.to(codes), self._world.spread.to(codes)
        moves = torch.einsum("nrd,rdi->nri", change / gains.square(), affines) @ spread.T @ spread
        return codes + (moves.sum(1) if space == "w" else moves)

    def truth(self, codes: Tensor, space: str = "w") -> Truth:
        """Attributes (N, 17) in natural units and identity (N, 14) in scores, exact."""
        scores = self.scores(codes, space)
        attributes = factors_from_scores(scores)[:, : SCHEMA.width]
        return Truth(attributes, scores[:, IDENTITY], SCHEMA)

    def style_weights(self) -> list[Tensor]:
        """Ten affines A_r (32, 512), one a row of W+."""
        return list(self._world.affines.clone())

    def style_rows(self) -> Tensor:
        return torch.arange(len(ROWS)).repeat_interleave(STYLES)

    def describe(self) -> dict[str, Any]:
        made_by = {"world": WORLD, "arithmetic": ARITHMETIC}
        return {**super().describe(), **made_by, **self.options.model_dump()}

    def _w_of_z(self, z: Tensor) -> Tensor:
        bent = self._world.bend_z(z[:, None], _Z_CURVATURE)[:, 0]
        return self._world.w_avg.to(z) + bent @ self._world.spread.to(z)

    def _rows_of_w(self, w: Tensor) -> Tensor:
        return w[:, None].expand(-1, len(ROWS), -1).contiguous()

    def _styles_of_rows(self, rows: Tensor) -> Tensor:
        styles = torch.einsum("nri,rdi->nrd", rows, self._world.affines.to(rows))
        return (styles + self._world.biases.to(rows)).flatten(1)
