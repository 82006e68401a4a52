"""``synthface-net``: a trained style-based network that draws the faces of SynthFace."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from copy import copy
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.func import functional_call

from latentedit import (
    CodeSpaces,
    Companions,
    CorruptArtefact,
    EnvironmentFault,
    Generator,
    Options,
    Subject,
    Truth,
    Tunable,
    UnknownName,
    Unsupported,
    fingerprint,
    read_tensors,
)
from latentedit_synthface.code_factors import CodeFactors, described
from latentedit_synthface.counterfactual import scores_with
from latentedit_synthface.factors import IDENTITY, factors_from_scores
from latentedit_synthface.generator import WORLD, joint_distribution
from latentedit_synthface.memory import keep_heap
from latentedit_synthface.schema import SCHEMA
from latentedit_synthface.style_network import (
    NUM_WS,
    W_DIM,
    MappingNetwork,
    SynthesisNetwork,
    architecture,
)

NETWORK = Path(__file__).parent / "network"
_BATCH = 32
"""Images per batch; batches of 12 took 8 % longer and batches of 16 took 4 % longer."""
_SYNTHESIS = "synthesis."
_OF_STYLES = (".style.", ".curve.")


class SynthFaceNetOptions(Options):
    """Options of the network.

    Args:
        precision: of the synthesis network's arithmetic: ``float32``, or ``bf16``, about a third
            faster where the processor has it and off by a third of a level in 256 on average.
    """

    precision: Literal["float32", "bf16"] = "float32"


class SynthFaceNet(Generator):
    """Faces of SynthFace drawn by a style-based network (Karras et al. 2020), 64 × 64 pixels.

        z → mapping network → w → ten equal rows of W+
        row r  →  u = Hᵀ w_r  →  bent = warp(u)  →  f = (bent, lrelu(C bent + c))
               →  styles s_r = A_r f + b_r  →  image

    The last row also writes phases and heights of two waves, which draw strands of hair and folds
    of the skin more finely than its features lie apart (`SynthesisNetwork`).

    A face's factors are a fixed, curved function of w, its bent coordinates, and the network
    learned from the renderer to draw them. `truth` says what a code stands for, exactly; the
    picture follows it as far as the network learned, which is measured on its card, and less well
    far from sampled codes. What a code stands for whose rows differ within a group, coarse, middle
    or fine, is a convention: no training saw one. The bend stands between w and the affines, where
    StyleGAN has nothing: convolutions cannot learn it in an hour, and without it factor scores
    would be linear in w.
    """

    Options: ClassVar[type[SynthFaceNetOptions]] = SynthFaceNetOptions
    has_styles: ClassVar[bool] = True
    has_counterfactuals: ClassVar[bool] = True
    subject: ClassVar[Subject] = Subject("face", "faces")
    companions: ClassVar[Companions | None] = Companions(
        labeller="synthface-net-labeller",
        judge="synthface-net-judge",
        identity=("synthface-identity-contrastive", "synthface-identity-regression"),
    )
    resolution = 64

    def __init__(self, options: SynthFaceNetOptions | None = None, folder: Path = NETWORK) -> None:
        self.options = SynthFaceNetOptions() if options is None else options
        self.card, tensors = _read(folder)
        self.fingerprint = fingerprint(
            {
                "architecture": architecture(),
                "code_factors": described(),
                "world": WORLD,
                "joint": joint_distribution(),
                **self.options.model_dump(),
            },
            tensors,
        )
        self._host = {name: tensor.float() for name, tensor in tensors.items()}
        self._parts = lru_cache(maxsize=2)(self._parts_on)
        self._widths = [layer.style.weight.shape[0] for layer in self._synthesis().rows()]
        self.spaces: Mapping[str, tuple[int, ...]] = MappingProxyType(
            {"z": (W_DIM,), "w": (W_DIM,), "w+": (NUM_WS, W_DIM), "s": (sum(self._widths),)}
        )
        self._in = CodeSpaces("synthface-net", self.spaces)

    def sample(self, n: int, seed: int, space: str = "w", truncation_psi: float = 1.0) -> Tensor:
        """(n, \\*shape) codes; truncation moves w towards its mean, which is 0: ψ w."""
        z = self._in.draw(n, seed, space, truncation_psi)
        if space == "z":
            return z
        return self.convert(truncation_psi * self.convert(z, "z", "w"), "w", space)

    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        steps = (self._w_of_z, self._rows_of_w, self._styles_of_rows)
        return self._in.walk(codes, source, target, steps)

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        """(N, \\*shape) codes → (N, 3, 64, 64) images in [-1, 1]; differentiable."""
        keep_heap()
        styles = self.convert(codes, space, "s").float()
        if len(styles) == 0:
            return styles.new_zeros(0, 3, self.resolution, self.resolution)
        return torch.cat([self._images(part) for part in styles.split(_BATCH)])

    def scores(self, codes: Tensor, space: str = "w") -> Tensor:
        """(N, \\*shape) codes of z, w or w+ → (N, 41) scores of the factors they stand for."""
        if space == "s":
            raise Unsupported(
                "synthface-net reads factors off codes of z, w and w+; s codes do not tell them. "
                "Keep the w code."
            )
        scores: Tensor = self._parts(codes.device)[2](self.convert(codes, space, "w+"))
        return scores

    def truth(self, codes: Tensor, space: str = "w") -> Truth:
        """Attributes (N, 17) in natural units and identity (N, 14) in scores, of the face that the
        code stands for. Where rows of W+ differ, coarse, middle and fine factors come from the
        mean of the rows of their group, which the picture need not follow."""
        scores = self.scores(codes, space)
        attributes = factors_from_scores(scores)[:, : SCHEMA.width]
        return Truth(attributes, scores[:, IDENTITY], SCHEMA)

    def codes_with(self, scores: Tensor, codes: Tensor) -> Tensor:
        """Codes (N, 512) of W moved as little as stands for the scores (N, 41)."""
        moved: Tensor = self._parts(codes.device)[2].moved(codes, scores)
        return moved

    def counterfactual(self, codes: Tensor, attributes: Tensor, space: str = "w") -> Tensor:
        """Exact in what a code of W stands for; the picture follows as far as it was learned."""
        if space != "w":
            raise Unsupported(f"synthface-net has counterfactuals in w, not in {space!r}")
        wanted = scores_with(self.scores(codes), attributes)
        asked = (attributes != self.truth(codes).attributes).any(1, keepdim=True)
        return torch.where(asked, self.codes_with(wanted, codes), codes)

    def tunable(self) -> Tunable:
        """The synthesis network's weights but for those that styles are made with; it adds no
        noise."""
        return Tunable({name: self._host[name].clone() for name in self._tunable_names()}, {})

    def synthesize_with(
        self, tensors: Mapping[str, Tensor], codes: Tensor, space: str = "w"
    ) -> Tensor:
        """(N, \\*shape) codes → (N, 3, 64, 64), not clipped; differentiable in both."""
        self._check_names(tensors)
        styles = self.convert(codes, space, "s").float()
        replaced = {name.removeprefix(_SYNTHESIS): t for name, t in tensors.items()}
        network, rows = self._parts(codes.device)[1], list(styles.split(self._widths, dim=1))
        images: Tensor = functional_call(network, replaced, (rows,))
        return images.float()

    def tuned(self, tensors: Mapping[str, Tensor]) -> SynthFaceNet:
        self._check_names(tensors)
        other = copy(self)
        other._host = self._host | {name: t.detach().cpu() for name, t in tensors.items()}
        other.fingerprint = fingerprint({"tuned": self.fingerprint}, other._host)
        other._parts = lru_cache(maxsize=2)(other._parts_on)
        return other

    def _tunable_names(self) -> list[str]:
        return [
            name
            for name in self._host
            if name.startswith(_SYNTHESIS) and not any(part in name for part in _OF_STYLES)
        ]

    def _check_names(self, tensors: Mapping[str, Tensor]) -> None:
        known = self._tunable_names()
        if unknown := sorted(set(tensors) - set(known)):
            raise UnknownName("tensor", unknown[0], known, "of synthface-net")

    def style_weights(self) -> list[Tensor]:
        """Ten matrices (C_r, 512), one a row of W+: the derivative of its styles at the mean of w,
        where the warp is flat."""
        head = self._parts(torch.device("cpu"))[2].head
        return [weights.detach() @ head.T for weights in self._synthesis().style_weights()]

    def style_rows(self) -> Tensor:
        return torch.arange(NUM_WS).repeat_interleave(torch.tensor(self._widths))

    def describe(self) -> dict[str, Any]:
        return {**super().describe(), **architecture(), **self.options.model_dump()}

    def _w_of_z(self, z: Tensor) -> Tensor:
        w: Tensor = self._parts(z.device)[0](z.float())
        return w

    def _rows_of_w(self, w: Tensor) -> Tensor:
        return w[:, None].expand(-1, NUM_WS, -1).contiguous()

    def _styles_of_rows(self, rows: Tensor) -> Tensor:
        _, synthesis, reader = self._parts(rows.device)
        return torch.cat(synthesis.styles(reader.bent(rows.float())), dim=1)

    def _images(self, styles: Tensor) -> Tensor:
        synthesis = self._parts(styles.device)[1]
        fast = self.options.precision == "bf16"
        with torch.autocast(styles.device.type, torch.bfloat16, enabled=fast):
            images: Tensor = synthesis(list(styles.split(self._widths, dim=1)))
        return images.float().clamp(-1, 1)

    def _synthesis(self) -> SynthesisNetwork:
        return self._parts(torch.device("cpu"))[1]

    def _parts_on(
        self, device: torch.device
    ) -> tuple[MappingNetwork, SynthesisNetwork, CodeFactors]:
        parts = MappingNetwork(), SynthesisNetwork(), CodeFactors()
        for part, name in zip(parts, ("mapping", "synthesis", "reader"), strict=True):
            start = f"{name}."
            own = {k.removeprefix(start): t for k, t in self._host.items() if k.startswith(start)}
            part.load_state_dict(own)
            part.requires_grad_(False).eval().to(device)
            part.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        return parts


def _read(folder: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Card and half-precision weights, checked against each other."""
    path = folder / "generator.safetensors"
    if not path.exists():
        raise EnvironmentFault(f"there is no {path}; install the package again")
    card: dict[str, Any] = json.loads(path.with_suffix(".json").read_text("utf-8"))
    if hashlib.sha256(path.read_bytes()).hexdigest() != card["sha256"]:
        raise CorruptArtefact(
            f"{path} is not the file that generator.json describes; install the package again"
        )
    return card, read_tensors(path)
