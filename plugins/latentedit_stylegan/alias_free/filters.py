"""Low-pass filters by the window method with Kaiser's window, and resampling with them.

Oppenheim and Schafer, "Discrete-time signal processing", section 7.5 for the window; appendix C of
the StyleGAN3 paper for the radially symmetric filter.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import conv2d, conv_transpose2d, pad


def attenuation(taps: int, width: float, rate: float) -> float:
    """Attenuation beyond the transition band in decibels, of a filter with this number of taps.

    Args:
        width: of the whole transition band, in the unit of `rate`.
    """
    return 2.285 * (taps - 1) * math.pi * width / (rate / 2) + 7.95


def kaiser_window(taps: int, width: float, rate: float) -> Tensor:
    """(taps,) float64 Kaiser window that reaches `attenuation`."""
    decibels = attenuation(taps, width, rate)
    if decibels > 50:
        beta = 0.1102 * (decibels - 8.7)
    else:
        over = max(decibels - 21, 0.0)
        beta = 0.5842 * over**0.4 + 0.07886 * over
    return torch.kaiser_window(taps, periodic=False, beta=beta, dtype=torch.float64)


def lowpass(taps: int, cutoff: float, width: float, rate: float) -> Tensor:
    """(taps,) float64 coefficients, which sum to 1: a windowed sinc.

    Args:
        cutoff: frequency at which half of the amplitude passes.
        width: of the transition band around it.
        rate: samples in the length in which `cutoff` counts oscillations.
    """
    at = _places(taps) / rate
    made = torch.sinc(2 * cutoff * at) * kaiser_window(taps, width, rate)
    return made / made.sum()


def radial_lowpass(taps: int, cutoff: float, width: float, rate: float) -> Tensor:
    """(taps, taps) float64 coefficients, which sum to 1: a windowed jinc, the same in all
    directions,

        f(r) ∝ J₁(2π · cutoff · r) / (π r).
    """
    at = _places(taps) / rate
    r = torch.hypot(at[:, None], at)
    safe = r.clamp(min=1e-12)
    jinc = torch.special.bessel_j1(2 * math.pi * cutoff * safe) / (math.pi * safe)
    window = kaiser_window(taps, width, rate)
    made = torch.where(r > 0, jinc, cutoff) * window[:, None] * window
    return made / made.sum()


def _places(taps: int) -> Tensor:
    return torch.arange(taps, dtype=torch.float64) - (taps - 1) / 2


def upsampled(x: Tensor, kernel: Tensor | None, factor: int, padding: tuple[int, int]) -> Tensor:
    """(N, C, H, W) → (N, C, H', W'), up-sampled by `factor`, with the amplitude kept.

    It inserts `factor` − 1 zeros after each sample, pads (or crops, if negative), and filters.

        H' = factor · H + Σ padding − taps + 1

    Args:
        kernel: (taps,), or None for no filter, allowed only for `factor` 1.
        padding: before and after, the same in both directions.
    """
    before, behind = padding
    taps = 1
    if kernel is not None:
        channels, taps = x.shape[1], len(kernel)
        row = (kernel * factor).expand(channels, 1, 1, taps)
        x = conv_transpose2d(x, row, stride=(1, factor), groups=channels)
        x = conv_transpose2d(x, row.mT, stride=(factor, 1), groups=channels)
    first, last = before - (taps - 1), behind - (taps - factor)
    return pad(x, (first, last, first, last)) if first or last else x


def downsampled(x: Tensor, kernel: Tensor | None, factor: int) -> Tensor:
    """(N, C, H, W) → (N, C, H', W'): filter, then keep every `factor`-th sample.

    Args:
        kernel: (taps,), (taps, taps), or None for no filter, allowed only for `factor` 1.
    """
    if kernel is None:
        return x
    channels = x.shape[1]
    if kernel.ndim == 2:
        full = kernel.flip(0, 1).expand(channels, 1, -1, -1)
        return conv2d(x, full, stride=factor, groups=channels)
    row = kernel.flip(0).expand(channels, 1, 1, -1)
    x = conv2d(x, row, stride=(1, factor), groups=channels)
    return conv2d(x, row.mT, stride=(factor, 1), groups=channels)
