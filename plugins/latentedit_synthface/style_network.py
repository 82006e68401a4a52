"""The style-based network of ``synthface-net``: a mapping network and a modulated synthesis."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, interpolate, leaky_relu, linear, pixel_shuffle

W_DIM = 512
NUM_WS = 10
CODE_SCORES = 48
"""Coordinates read from a row of W+: the scores of 41 factors and seven companions."""
_SLOPE = 0.2
_GAIN = 2**0.5
_FEATURES = 128
"""Curved functions of a bent row that styles are read from, beside the row itself."""
_STYLE_GAIN = 0.5
"""Spread of a style at first, where all it is read from has unit variance. In 500 steps of 16
images 0.15, 0.5 and 1 reached 20.0, 20.6 and 18.5 dB on held-out codes."""
_SIDES = (4, 4, 8, 8, 16, 16, 32, 32, 32, 32)
"""Height and width of the features that each row of W+ modulates."""
_WIDTHS = (128, 128, 128, 128, 96, 96, 48, 48, 48, 48)
"""Channels that each row of W+ modulates."""
_SUBPIXELS = 2
"""The last convolution writes this many pixels a feature along each side."""
WAVES = 2
"""Patterns finer than features: strands of hair, coarse and fine, and folds of old skin."""
_LAST = (3 * _SUBPIXELS**2, 2 * WAVES)
"""What the last convolution writes: pixels, and phases and heights of waves."""
_TURN = 20.0
"""Phase in radians that a unit of the last convolution stands for."""


class Dense(nn.Module):
    """A linear layer whose weights have unit variance and are scaled when used, so that all
    layers learn at one rate (Karras et al. 2018, section 4.1)."""

    def __init__(self, inputs: int, outputs: int, bias: float = 0.0, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.full((outputs,), bias))
        self.gain = gain / inputs**0.5

    @property
    def scaled(self) -> Tensor:
        """(outputs, inputs), the matrix that is applied."""
        matrix: Tensor = self.weight * self.gain
        return matrix

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = linear(x, self.scaled, self.bias)
        return out


class MappingNetwork(nn.Module):
    """z → w: four dense layers after z is brought to length √512.

    The result is centred and of unit spread: `centre` and `scale` are found once, when the network
    is frozen.
    """

    def __init__(self, layers: int = 4) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Dense(W_DIM, W_DIM, gain=_GAIN) for _ in range(layers))
        self.register_buffer("centre", torch.zeros(W_DIM))
        self.register_buffer("scale", torch.ones(()))
        self.centre: Tensor
        self.scale: Tensor

    def forward(self, z: Tensor) -> Tensor:
        """(N, 512) → (N, 512), mean 0 and mean square 1 over the prior."""
        x = z * torch.rsqrt(z.square().mean(1, keepdim=True) + 1e-8)
        for layer in self.layers:
            x = leaky_relu(layer(x), _SLOPE)
        return (x - self.centre) * self.scale


class ModulatedConvolution(nn.Module):
    """Scale channels by styles, convolve, scale the result back to unit variance, add, bend.

    The scaling of weights of Karras et al. 2020, section 2.2, done to the activations instead:

        y_o = lrelu(d_o · Σ_i W_oi ∗ (s_i x_i) + b_o),  d_o = √2 (Σ_i,k s_i² W²_oik)^(−1/2)

    Args:
        demodulated: without it y_o = Σ_i W_oi ∗ (s_i x_i) + b_o, for a layer that writes pixels.
    """

    def __init__(self, channels_in: int, channels: int, demodulated: bool = True) -> None:
        super().__init__()
        self.style = Dense(CODE_SCORES + _FEATURES, channels_in, bias=1.0, gain=_STYLE_GAIN)
        fan_in = channels_in * 9
        self.weight = nn.Parameter(torch.randn(channels, channels_in, 3, 3) / fan_in**0.5)
        self.bias = nn.Parameter(torch.zeros(channels))
        self.demodulated = demodulated

    def forward(self, x: Tensor, styles: Tensor) -> Tensor:
        """(N, C, H, W) and styles (N, C) → (N, O, H, W). Where no gradient is wanted, x is
        overwritten: fresh memory for what is scaled took a seventh of the time."""
        reuse = not torch.is_grad_enabled()
        scale = styles[:, :, None, None].to(x.dtype)
        x = torch.mul(x, scale, out=x if reuse else None)
        if not self.demodulated:
            return conv2d(x, self.weight, self.bias, padding=1)
        y = conv2d(x, self.weight, padding=1)
        power = linear(styles.square(), self.weight.square().sum((2, 3)))
        back = _GAIN * torch.rsqrt(power + 1e-8)
        bias, back = self.bias[:, None, None].to(y.dtype), back[:, :, None, None].to(y.dtype)
        y = torch.addcmul(bias, y, back, out=y if reuse else None)
        return leaky_relu(y, _SLOPE, inplace=True)


class SynthesisNetwork(nn.Module):
    """Ten bent rows of W+, coarse to fine → an image of 64 × 64 pixels.

    Convolutions come before upsampling, which makes them four times cheaper. The last row
    modulates a convolution that writes four pixels at once, and waves that darken and lighten:

        image + 1 = (pixels + 1) · (1 + Σ_k height_k · sin(phase_k))

    Hair is striped more finely than features lie apart. Phases are smooth where stripes are not:
    they can be learned at half the resolution and drawn up.

    Styles are affine in a row and in features of it, lrelu(C row + c), alike for all rows: colours
    are curved functions of their factors, and few layers are left to bend them.
    """

    def __init__(self) -> None:
        super().__init__()
        self.const = nn.Parameter(torch.randn(_WIDTHS[0], _SIDES[0], _SIDES[0]))
        self.curve = Dense(CODE_SCORES, _FEATURES)
        nn.init.normal_(self.curve.bias)
        layers = [ModulatedConvolution(a, b) for a, b in pairwise(_WIDTHS)]
        layers.append(ModulatedConvolution(_WIDTHS[-1], sum(_LAST), demodulated=False))
        self.layers = nn.ModuleList(layers)

    def rows(self) -> list[ModulatedConvolution]:
        """The layer that each row of W+ modulates."""
        return cast(list[ModulatedConvolution], list(self.layers))

    def styles(self, bent: Tensor) -> list[Tensor]:
        """Bent rows (N, 10, 48) → ten (N, C_r)."""
        features = torch.cat([bent, leaky_relu(self.curve(bent), _SLOPE)], dim=2)
        pairs = zip(self.rows(), features.unbind(1), strict=True)
        return [layer.style(row) for layer, row in pairs]

    def style_weights(self) -> list[Tensor]:
        """Ten (C_r, 48), the derivative of styles at a bent row of zeros."""
        slopes = torch.where(self.curve.bias > 0, 1.0, _SLOPE)
        features = torch.cat([torch.eye(CODE_SCORES), slopes[:, None] * self.curve.scaled])
        return [layer.style.scaled @ features for layer in self.rows()]

    def forward(self, styles: list[Tensor]) -> Tensor:
        """Ten (N, C_r) → (N, 3, 64, 64), about [-1, 1]."""
        return self.drawn(styles)[0]

    def drawn(self, styles: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Ten (N, C_r) → images (N, 3, 64, 64) and phases of waves (N, 2, 64, 64) in radians."""
        x = self.const.expand(len(styles[0]), -1, -1, -1)
        x = x.clone(memory_format=torch.channels_last)
        *rows, last = self.rows()
        for layer, style, side in zip(rows, styles[:-1], _SIDES[:-1], strict=True):
            if x.shape[-1] != side:
                x = interpolate(x, scale_factor=2, mode="bilinear")
            x = layer(x, style)
        with torch.autocast(x.device.type, enabled=False):
            written = last(x.float(), styles[-1].float())
            pixels, waves = written.split(_LAST, dim=1)
            waves = waves.contiguous(memory_format=torch.channels_last)
            waves = interpolate(waves, scale_factor=_SUBPIXELS, mode="bilinear").contiguous()
            phases, heights = _TURN * waves[:, :WAVES], waves[:, WAVES:]
            shade = (heights * phases.sin()).sum(1, keepdim=True)
            plain = pixel_shuffle(pixels.contiguous(), _SUBPIXELS)
            return torch.addcmul(shade, plain, 1 + shade), phases


def architecture() -> dict[str, Any]:
    """What the network is made of, for its card."""
    return {
        "w_dim": W_DIM,
        "features": _FEATURES,
        "sides": list(_SIDES),
        "widths": list(_WIDTHS),
        "waves": WAVES,
        "turn": _TURN,
    }
