"""StyleGAN3's synthesis network: styles in, images out.

A layer (figure 4b and section 3.2 of the paper) is

    y = down(clamp(√2 · lrelu(up(conv(x) + b)))),

with a convolution that is modulated and demodulated as in StyleGAN2. Its input is first divided by
its root mean square, as measured in training (`magnitude_ema`, appendix F).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, leaky_relu, linear

from latentedit_stylegan.alias_free.filters import (
    downsampled,
    lowpass,
    radial_lowpass,
    upsampled,
)
from latentedit_stylegan.alias_free_architecture import (
    FOURIER_STYLES,
    AliasFreeArchitecture,
    AliasFreeLayer,
)
from latentedit_stylegan.mapping import EPSILON, GAIN, SLOPE
from latentedit_stylegan.precision import exact_convolutions
from latentedit_stylegan.synthesis import WORKING_BYTES


class FourierInput:
    """Sinusoids on the image and its margin, rotated and translated as w determines.

        x_c(p) = a_c sin(2π (f_c · (R p + t) + φ_c)),    a_c = 1 up to the first cutoff, then less

    Args:
        weights: as `AliasFreeArchitecture.shapes` names them.
    """

    def __init__(self, architecture: AliasFreeArchitecture, weights: Mapping[str, Tensor]) -> None:
        self.signal = architecture.layers()[0].before
        names = ("freqs", "phases", "transform", "weight", "affine.weight", "affine.bias")
        self.freqs, self.phases, self.transform, mixing, affine, self.affine_bias = (
            weights[f"synthesis.input.{name}"] for name in names
        )
        self.mixing = mixing / math.sqrt(len(mixing))
        self.affine = affine / math.sqrt(architecture.w_dim)

    def styles(self, w: Tensor) -> Tensor:
        """(N, w_dim) → (N, 4): cosine and sine of a rotation, not normalised, and a translation."""
        return linear(w, self.affine, self.affine_bias)

    def __call__(self, style: Tensor) -> Tensor:
        """(N, 4) → (N, C, size, size)."""
        signal = self.signal
        moves = self._transforms(style)
        freqs = self.freqs @ moves[:, :2, :2]
        phases = self.phases + (self.freqs @ moves[:, :2, 2:])[:, :, 0]
        excess = (freqs.norm(dim=2) - signal.cutoff) / (signal.rate / 2 - signal.cutoff)
        at = (torch.arange(signal.size, device=style.device) + (1 - signal.size) / 2) / signal.rate
        angles = freqs[:, :, :1, None] * at + freqs[:, :, 1:, None] * at[:, None]
        waves = torch.sin(2 * math.pi * (angles + phases[:, :, None, None]))
        # Frequencies above the cutoff, which a rotation can produce, fade out up to Nyquist.
        waves = waves * (1 - excess).clamp(0, 1)[:, :, None, None]
        return torch.einsum("oc,nchw->nohw", self.mixing, waves)

    def _transforms(self, style: Tensor) -> Tensor:
        """(N, 4) → (N, 3, 3) maps of image positions; the network's own transform comes first."""
        unit = style / style[:, :2].norm(dim=1, keepdim=True)
        cosine, sine, x, y = unit.unbind(1)
        zero, one = torch.zeros_like(x), torch.ones_like(x)
        turn = torch.stack([cosine, -sine, zero, sine, cosine, zero, zero, zero, one], 1)
        move = torch.stack([one, zero, -x, zero, one, -y, zero, zero, one], 1)
        return turn.view(-1, 3, 3) @ move.view(-1, 3, 3) @ self.transform


@dataclass(frozen=True)
class _Weights:
    """The prepared weights of one layer.

    Args:
        affine: (inputs, w_dim), runtime gain included, and (inputs,).
        kernel: (outputs, inputs, k, k); with demodulation, of mean square 1 for each output.
        energy: (inputs, outputs) Σ_k w²; None for the RGB layer, which is not demodulated.
        gain: of the input.
    """

    affine: tuple[Tensor, Tensor]
    kernel: Tensor
    bias: Tensor
    energy: Tensor | None
    gain: Tensor
    up_filter: Tensor | None
    down_filter: Tensor | None


class AliasFreeSynthesis:
    """Layers of one network on one device.

    Args:
        weights: as `AliasFreeArchitecture.shapes` names them.
    """

    def __init__(self, architecture: AliasFreeArchitecture, weights: Mapping[str, Tensor]) -> None:
        self.layers = architecture.layers()
        self.clamp, self.scale = architecture.conv_clamp, architecture.output_scale
        self.input = FourierInput(architecture, weights)
        self._weights = [_prepared(layer, weights, architecture.w_dim) for layer in self.layers]

    def affines(self) -> list[Tensor]:
        """(D_l, w_dim) of the input and every layer, runtime gain included."""
        return [self.input.affine, *(weights.affine[0] for weights in self._weights)]

    def styles(self, rows: Tensor) -> Tensor:
        """(N, L, w_dim) → (N, ΣD) styles of the input and all layers."""
        parts = [self.input.styles(rows[:, 0])]
        for layer, weights in zip(self.layers, self._weights, strict=True):
            parts.append(linear(rows[:, layer.row], *weights.affine))
        return torch.cat(parts, 1)

    def __call__(self, styles: Tensor) -> Tensor:
        """(N, ΣD) → (N, 3, R, R), not clipped."""
        widest = max(layer.after.channels * layer.after.size**2 for layer in self.layers)
        at_once = max(1, _room(styles) // (4 * widest))
        with exact_convolutions(styles.device):
            parts = [self._run(part) for part in styles.split(at_once)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _run(self, styles: Tensor) -> Tensor:
        widths = [FOURIER_STYLES, *(layer.inputs for layer in self.layers)]
        first, *parts = styles.split(widths, 1)
        x = self.input(first)
        for layer, weights, style in zip(self.layers, self._weights, parts, strict=True):
            x = self._filtered(_convolved(x, style, layer, weights), layer, weights)
        return x * self.scale

    def _filtered(self, x: Tensor, layer: AliasFreeLayer, weights: _Weights) -> Tensor:
        """Bias, up-sampling, activation and down-sampling, for groups of feature maps in turn.

        The up-sampled maps of a group fit into the cache. A 256-pixel image takes 3.1 s on one core
        this way, and 5.5 s with all maps at once.
        """
        maps = (x + weights.bias).flatten(0, 1)[None]
        side = layer.after.size * layer.down + layer.down_taps
        at_once = max(1, _room(x) // (4 * side**2))
        parts = [self._resampled(part, layer, weights) for part in maps.split(at_once, 1)]
        return torch.cat(parts, 1).view(*x.shape[:2], *parts[0].shape[2:])

    def _resampled(self, x: Tensor, layer: AliasFreeLayer, weights: _Weights) -> Tensor:
        x = upsampled(x, weights.up_filter, layer.up, layer.padding)
        if not layer.to_rgb:
            x = leaky_relu(x, SLOPE) * GAIN
        if self.clamp is not None:
            x = x.clamp(-self.clamp, self.clamp)
        return downsampled(x, weights.down_filter, layer.down)


def _room(x: Tensor) -> int:
    """Limit in bytes on the feature maps that are processed together."""
    return WORKING_BYTES.get(x.device.type, WORKING_BYTES["cpu"])


def _convolved(x: Tensor, style: Tensor, layer: AliasFreeLayer, weights: _Weights) -> Tensor:
    """One convolution with shared weights, between two scalings by image and channel."""
    if weights.energy is not None:
        # Demodulation cancels the style's magnitude; normalised, it stays in range for 16 bits.
        style = style * (style.square().mean(1, keepdim=True) + EPSILON).rsqrt()
    y = x * (style * weights.gain)[:, :, None, None]
    y = conv2d(y, weights.kernel, padding=layer.kernel - 1)
    if weights.energy is None:
        return y
    return y * (style.square() @ weights.energy + EPSILON).rsqrt()[:, :, None, None]


def _prepared(layer: AliasFreeLayer, weights: Mapping[str, Tensor], w_dim: int) -> _Weights:
    def get(name: str) -> Tensor:
        return weights[f"{layer.name}.{name}"]

    kernel, energy = get("weight"), None
    if layer.to_rgb:
        kernel = kernel / math.sqrt(layer.inputs)
    else:
        kernel = kernel * kernel.square().mean((1, 2, 3), keepdim=True).rsqrt()
        energy = kernel.square().sum((2, 3)).T.contiguous()
    return _Weights(
        affine=(get("affine.weight") / math.sqrt(w_dim), get("affine.bias")),
        kernel=kernel,
        bias=get("bias")[:, None, None],
        energy=energy,
        gain=get("magnitude_ema").rsqrt(),
        up_filter=get("up_filter") if layer.up_taps > 1 else None,
        down_filter=get("down_filter") if layer.down_taps > 1 else None,
    )


def filters(architecture: AliasFreeArchitecture) -> dict[str, Tensor]:
    """The designed low-pass filters of an architecture, by their names among its weights."""
    made: dict[str, Tensor] = {}
    for layer in architecture.layers():
        before, after = layer.before, layer.after
        if layer.up_taps > 1:
            made[f"{layer.name}.up_filter"] = lowpass(
                layer.up_taps, before.cutoff, 2 * before.half_width, layer.rate
            )
        if layer.down_taps > 1:
            design = radial_lowpass if layer.radial else lowpass
            made[f"{layer.name}.down_filter"] = design(
                layer.down_taps, after.cutoff, 2 * after.half_width, layer.rate
            )
    return {name: kernel.float() for name, kernel in made.items()}
