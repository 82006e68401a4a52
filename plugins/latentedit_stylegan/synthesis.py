"""The synthesis network: styles in, images out, with skip connections of RGB images.

A modulated and demodulated convolution (equations 1 and 3 of the StyleGAN2 paper),

    y_o = Σ_i w'_oi * x_i,    w'_oi = s_i w_oi / √(Σ_ik s_i² w_oik² + ε),

is computed as

    y_o = d_o · Σ_i w_oi * (s_i x_i),    d_o = 1 / √(Σ_i s_i² e_oi + ε),    e_oi = Σ_k w_oik².

The whole batch then shares the weights of one convolution, between two scalings by channel.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu_, linear, pad

from latentedit_stylegan.architecture import Architecture, Layer
from latentedit_stylegan.mapping import EPSILON, GAIN, SLOPE
from latentedit_stylegan.precision import exact_convolutions

FILTER = (1.0, 3.0, 3.0, 1.0)
"""Taps of the separable low-pass filter of up-sampling, before normalisation."""
UP_GAIN = 4.0
"""Gain that compensates the zeros inserted by up-sampling: 2 in each direction."""

WORKING_BYTES = {"cpu": 16 << 20, "cuda": 1 << 30}
"""Limit on a layer's output for all images of a batch. On one core, 256-pixel images are 6 % faster
one by one than four at a time; 32-pixel images are 3 times faster in batches of twelve."""


@dataclass(frozen=True)
class _Weights:
    """The prepared weights of one layer.

    Args:
        affine: (inputs, w_dim), runtime gain included, and (inputs,).
        kernel: (outputs, inputs, 3, 3) of a convolution, or (inputs, outputs, 3, 3) of one that
            up-samples; (3, inputs) of an RGB layer, runtime gain included.
        bias: (outputs, 1, 1), or (3,) for RGB layers.
        energy: (inputs, outputs) Σ_k w², of a convolution.
        noise: (1, R, R) of a convolution, or (N, 1, R, R) with one map per image; None if its
            strength is 0.
    """

    affine: tuple[Tensor, Tensor]
    kernel: Tensor
    bias: Tensor
    energy: Tensor
    noise: Tensor | None


class SynthesisNetwork:
    """Layers of one network on one device, laid out channels last.

    Args:
        weights: as `Architecture.shapes` names them.
        noise: add the network's fixed noise.
    """

    def __init__(
        self, architecture: Architecture, weights: Mapping[str, Tensor], noise: bool = True
    ) -> None:
        self.layers = architecture.layers()
        self.clamp = architecture.conv_clamp
        self.const = weights["synthesis.b4.const"]
        self._weights = {
            layer.name: _prepared(layer, weights, architecture.w_dim, noise)
            for layer in self.layers
        }
        taps = torch.tensor(FILTER, device=self.const.device) / sum(FILTER)
        self._filter = UP_GAIN * taps[:, None] * taps

    def affines(self) -> list[Tensor]:
        """(inputs, w_dim) of every layer, runtime gain included."""
        return [self._weights[layer.name].affine[0] for layer in self.layers]

    def styles(self, rows: Tensor) -> Tensor:
        """(N, L, w_dim) → (N, ΣD) styles of all layers, in the order in which they run."""
        parts = []
        for layer in self.layers:
            matrix, bias = self._weights[layer.name].affine
            parts.append(linear(rows[:, layer.row], matrix, bias))
        return torch.cat(parts, 1)

    def __call__(self, styles: Tensor, together: bool = False) -> Tensor:
        """(N, ΣD) → (N, 3, R, R), not clipped.

        Args:
            together: compute all images in one batch, as needed for one noise map per image.
        """
        at_once = max(1, len(styles)) if together else self._at_once(styles.device)
        with exact_convolutions(styles.device):
            parts = [self._run(part) for part in styles.split(at_once)]
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _at_once(self, device: torch.device) -> int:
        """Number of images per batch, such that a layer's output fits into `WORKING_BYTES`."""
        widest = max(layer.outputs * layer.resolution**2 for layer in self.layers)
        return max(1, WORKING_BYTES.get(device.type, WORKING_BYTES["cpu"]) // (4 * widest))

    def _run(self, styles: Tensor) -> Tensor:
        x = self.const.expand(len(styles), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        image: Tensor | None = None
        parts = styles.split([layer.inputs for layer in self.layers], 1)
        for layer, style in zip(self.layers, parts, strict=True):
            if layer.to_rgb:
                rgb = self._to_rgb(x, style, self._weights[layer.name])
                image = rgb if image is None else self._doubled(image) + rgb
            else:
                x = self._convolve(x, style, layer, self._weights[layer.name])
        if image is None:  # an architecture always ends with an RGB layer
            raise RuntimeError("a network without RGB layers")
        return image.contiguous()

    def _convolve(self, x: Tensor, style: Tensor, layer: Layer, weights: _Weights) -> Tensor:
        # The gain of the activation is folded into demodulation, bias and noise: √2 · lrelu(y) =
        # lrelu(√2 · y). This saves one pass over the feature maps.
        demodulation = (style.square() @ weights.energy + EPSILON).rsqrt() * GAIN
        x = x * style[:, :, None, None]
        if layer.up:
            # A transposed convolution inserts the zeros of up-sampling and convolves in one pass.
            x = self._filtered(conv_transpose2d(x, weights.kernel, stride=2), padding=1)
        else:
            x = conv2d(x, weights.kernel, padding=1)
        x = torch.addcmul(weights.bias, x, demodulation[:, :, None, None])
        if weights.noise is not None:
            x = x.add_(weights.noise)
        x = leaky_relu_(x, SLOPE)
        return x if self.clamp is None else self._clamped(x, self.clamp)

    def _to_rgb(self, x: Tensor, style: Tensor, weights: _Weights) -> Tensor:
        """(N, C, R, R) → (N, 3, R, R)."""
        # A 1×1 convolution is a matrix product over pixels. In channels-last layout the permuted
        # view has no copy, so one batched product with a small matrix per image is fastest.
        matrix = weights.kernel * style[:, None]
        pixels = x.permute(0, 2, 3, 1).flatten(1, 2)
        rgb = torch.baddbmm(weights.bias.expand(len(x), 1, -1), pixels, matrix.mT)
        image = rgb.unflatten(1, x.shape[2:]).permute(0, 3, 1, 2)
        return image if self.clamp is None else self._clamped(image, self.clamp)

    def _doubled(self, image: Tensor) -> Tensor:
        """(N, 3, R, R) → (N, 3, 2R, 2R): insert zeros, then apply the low-pass filter."""
        n, c, height, width = image.shape
        spread = image.new_zeros(n, c, height, 2, width, 2)
        spread[:, :, :, 0, :, 0] = image
        return self._filtered(pad(spread.reshape(n, c, 2 * height, 2 * width), (2, 1, 2, 1)))

    def _filtered(self, x: Tensor, padding: int = 0) -> Tensor:
        channels = x.shape[1]
        kernel = self._filter.expand(channels, 1, 4, 4)
        return conv2d(x, kernel, padding=padding, groups=channels)

    @staticmethod
    def _clamped(x: Tensor, limit: float) -> Tensor:
        # In place where autograd needs no copy of the input.
        return x.clamp(-limit, limit) if x.requires_grad else x.clamp_(-limit, limit)


def _prepared(layer: Layer, weights: Mapping[str, Tensor], w_dim: int, noise: bool) -> _Weights:
    def get(name: str) -> Tensor:
        return weights[f"{layer.name}.{name}"]

    affine = (get("affine.weight") / math.sqrt(w_dim), get("affine.bias"))
    kernel, bias = get("weight"), get("bias")
    if layer.to_rgb:
        scaled = kernel[:, :, 0, 0] / math.sqrt(layer.inputs)
        return _Weights(affine, scaled, bias, scaled, None)
    energy = kernel.square().sum((2, 3)).T.contiguous()
    if layer.up:
        kernel = kernel.transpose(0, 1)
    strength = GAIN * get("noise_strength")
    return _Weights(
        affine,
        kernel.contiguous(memory_format=torch.channels_last),
        GAIN * bias[:, None, None],
        energy,
        strength * get("noise_const").unsqueeze(-3) if noise and bool(strength != 0) else None,
    )
