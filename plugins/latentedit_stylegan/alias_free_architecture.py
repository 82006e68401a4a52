"""The shape of a StyleGAN3 network: each layer's rates, cutoffs, sizes and filters.

Section 3.2 and appendix F of the paper: cutoffs and stopbands grow geometrically from layer to
layer and stop growing at the critically sampled ones; sampling rates are powers of two.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field, model_validator

from latentedit_stylegan.architecture import (
    MAX_RESOLUTION,
    MAX_WIDTH,
    Architecture,
    MappingArchitecture,
    Shape,
)
from latentedit_stylegan.costs import LayerCost, check_cost

FOURIER_STYLES = 4
"""Cosine and sine of a rotation and two translations: what the input reads from w."""
MAX_TAPS = 512
"""The published networks have filters of up to 48 taps."""


class AliasFreeArchitecture(MappingArchitecture):
    """What decides a network's weights and arithmetic; the defaults are configuration T.

    Args:
        resolution: of an image, a power of two.
        channel_base: feature maps × cutoff × 2, before `channel_max`.
        channel_max: most feature maps.
        num_layers: synthesis layers without the input and the RGB layer.
        num_critical: critically sampled layers at the end.
        first_cutoff, first_stopband: of the first layer, in oscillations across an image.
        last_stopband_rel: stopband of the last layers, as a multiple of their cutoff.
        margin_size: samples beyond each edge of the image.
        output_scale: factor of the RGB layer's output.
        conv_kernel: 3 in configuration T, 1 in R.
        filter_size: taps of a low-pass filter for each sample of the lower rate.
        lrelu_upsampling: factor by which signals are up-sampled around a leaky ReLU.
        radial: down-sampling filters are radially symmetric: False in T, True in R.
        conv_clamp: largest magnitude behind each leaky ReLU; None for no limit.
    """

    resolution: int = Field(ge=16, le=MAX_RESOLUTION)
    channel_base: float = Field(default=32_768, gt=0, le=1e9)
    channel_max: int = Field(default=512, ge=1, le=MAX_WIDTH)
    num_layers: int = Field(default=14, ge=2, le=64)
    num_critical: int = Field(default=2, ge=0, le=64)
    first_cutoff: float = Field(default=2.0, ge=0.5, le=MAX_RESOLUTION)
    first_stopband: float = Field(default=2**2.1, gt=0.5, le=MAX_RESOLUTION)
    last_stopband_rel: float = Field(default=2**0.3, gt=1, le=16)
    margin_size: int = Field(default=10, ge=0, le=256)
    output_scale: float = Field(default=0.25, gt=0, le=1e3)
    conv_kernel: int = Field(default=3, ge=1, le=7)
    filter_size: int = Field(default=6, ge=1, le=32)
    lrelu_upsampling: int = Field(default=2, ge=1, le=8)
    radial: bool = False
    conv_clamp: float | None = Field(default=256.0, gt=0)

    @model_validator(mode="after")
    def _is_possible(self) -> AliasFreeArchitecture:
        if self.resolution & (self.resolution - 1):
            raise ValueError(f"resolution is a power of two, received {self.resolution}")
        if self.num_critical >= self.num_layers:
            raise ValueError("fewer layers are critically sampled than there are")
        if self.first_cutoff > self.resolution / 2 or self.first_stopband <= self.first_cutoff:
            raise ValueError("the first cutoff lies below its stopband and half the resolution")
        if any(signal.half_width <= 0 for signal in self._signals()):
            raise ValueError("the cutoff of each layer lies below its stopband")
        layers = self.layers()
        if (taps := max(max(layer.up_taps, layer.down_taps) for layer in layers)) > MAX_TAPS:
            raise ValueError(f"a filter has at most {MAX_TAPS} taps, received {taps}")
        check_cost(self.shapes(), (layer.cost for layer in layers))
        return self

    @property
    def num_ws(self) -> int:
        return self.num_layers + 2

    @property
    def num_styles(self) -> int:
        return FOURIER_STYLES + sum(layer.inputs for layer in self.layers())

    def layers(self) -> list[AliasFreeLayer]:
        """The synthesis layers, RGB layer last; layer i reads row i + 1 of W+, the input row 0."""
        signals = self._signals()
        made = []
        for i, after in enumerate(signals):
            made.append(self._layer(i, signals[max(i - 1, 0)], after))
        return made

    def _layer(self, i: int, before: Signal, after: Signal) -> AliasFreeLayer:
        to_rgb = i == self.num_layers
        critical = i >= self.num_layers - self.num_critical
        widened = 1 if to_rgb else self.lrelu_upsampling
        rate = max(before.rate, after.rate) * widened
        up, down = rate // before.rate, rate // after.rate
        return AliasFreeLayer(
            name=f"synthesis.L{i}_{after.size}_{after.channels}",
            row=i + 1,
            before=before,
            after=after,
            rate=rate,
            up_taps=self.filter_size * up if up > 1 and not to_rgb else 1,
            down_taps=self.filter_size * down if down > 1 and not to_rgb else 1,
            radial=self.radial and not critical,
            kernel=1 if to_rgb else self.conv_kernel,
            to_rgb=to_rgb,
        )

    def _signals(self) -> list[Signal]:
        """What each layer puts out; the input puts out what the first layer does."""
        highest, signals = self.resolution / 2, []
        growing = self.num_layers - self.num_critical
        for i in range(self.num_layers + 1):
            share = min(i / growing, 1.0)
            cutoff = self.first_cutoff * (highest / self.first_cutoff) ** share
            last = highest * self.last_stopband_rel
            stopband = self.first_stopband * (last / self.first_stopband) ** share
            rate = 1 << math.ceil(math.log2(min(2 * stopband, self.resolution)))
            is_last = i >= self.num_layers - 1
            size = self.resolution if is_last else rate + 2 * self.margin_size
            width = round(min(self.channel_base / 2 / cutoff, self.channel_max))
            channels = 3 if i == self.num_layers else max(width, 1)
            half_width = max(stopband, rate / 2) - cutoff
            signals.append(Signal(channels, size, rate, cutoff, half_width))
        return signals

    def shapes(self) -> Mapping[str, Shape]:
        """Every weight of the network, filters included."""
        table, width = self.mapping_shapes(), self._signals()[0].channels
        table |= {
            "synthesis.input.weight": (width, width),
            "synthesis.input.transform": (3, 3),
            "synthesis.input.freqs": (width, 2),
            "synthesis.input.phases": (width,),
            "synthesis.input.affine.weight": (FOURIER_STYLES, self.w_dim),
            "synthesis.input.affine.bias": (FOURIER_STYLES,),
        }
        for layer in self.layers():
            table |= layer.shapes(self.w_dim)
        return table


AnyArchitecture = Architecture | AliasFreeArchitecture


@dataclass(frozen=True)
class Signal:
    """Feature maps as samples of continuous functions on the image and a margin around it.

    Args:
        size: samples in each direction, margin included.
        rate: samples across the image.
        cutoff: highest frequency that passes, in oscillations across the image.
        half_width: from the cutoff to the stopband.
    """

    channels: int
    size: int
    rate: int
    cutoff: float
    half_width: float


@dataclass(frozen=True)
class AliasFreeLayer:
    """A modulated convolution and a filtered leaky ReLU.

    Args:
        name: prefix of its weights.
        row: the row of W+ that it reads.
        before, after: its input and its output.
        rate: at which the leaky ReLU works.
        up_taps, down_taps: of its filters; 1 for no filter.
        radial: its down-sampling filter is radially symmetric.
        kernel: size of its convolution.
    """

    name: str
    row: int
    before: Signal
    after: Signal
    rate: int
    up_taps: int
    down_taps: int
    radial: bool
    kernel: int
    to_rgb: bool

    @property
    def inputs(self) -> int:
        return self.before.channels

    @property
    def up(self) -> int:
        return self.rate // self.before.rate

    @property
    def down(self) -> int:
        return self.rate // self.after.rate

    @property
    def padding(self) -> tuple[int, int]:
        """Samples before and behind the up-sampled ones, such that the output has its size and the
        same centre as the input."""
        needed = (self.after.size - 1) * self.down + 1 + self.up_taps + self.down_taps - 2
        total = needed - (self.before.size + self.kernel - 1) * self.up
        before = (total + self.up) // 2
        return before, total - before

    @property
    def cost(self) -> LayerCost:
        """Feature maps are up-sampled in groups, so one at least is held at its full size."""
        width, side = self.after.channels, self.after.size * self.down + self.down_taps
        kept, widened = width * self.after.size**2, width * side**2
        wide = (self.before.size + self.kernel - 1) ** 2
        rows = side * self.after.size * width
        down = kept * self.down_taps**2 if self.radial else 2 * rows * self.down_taps
        convolved = wide * width * self.inputs * self.kernel**2
        return LayerCost(
            largest=max(kept, side**2),
            maps=max(widened, wide * width),
            products=convolved + 2 * widened * self.up_taps + down,
        )

    def shapes(self, w_dim: int) -> dict[str, Shape]:
        table: dict[str, Shape] = {
            f"{self.name}.weight": (self.after.channels, self.inputs, self.kernel, self.kernel),
            f"{self.name}.bias": (self.after.channels,),
            f"{self.name}.magnitude_ema": (),
            f"{self.name}.affine.weight": (self.inputs, w_dim),
            f"{self.name}.affine.bias": (self.inputs,),
        }
        if self.up_taps > 1:
            table[f"{self.name}.up_filter"] = (self.up_taps,)
        if self.down_taps > 1:
            table[f"{self.name}.down_filter"] = (self.down_taps,) * (1 + self.radial)
        return table
