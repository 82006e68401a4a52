"""The shape of a StyleGAN2 network: its layers, and every weight by name.

Karras et al., "Analyzing and improving the image quality of StyleGAN", CVPR 2020 (section 4 for the
skip architecture).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field, field_validator, model_validator

from latentedit import Options
from latentedit_stylegan.costs import LayerCost, check_cost

Shape = tuple[int, ...]
MAX_RESOLUTION = 4_096
MAX_WIDTH = 16_384


class MappingArchitecture(Options):
    """What decides a mapping network.

    Args:
        z_dim, w_dim: width of a code.
        c_dim: classes; 0 for an unconditional network.
        mapping_layers: depth of the mapping network.
        mapping_lr: learning-rate multiplier of the mapping network, a factor of its weights.
    """

    z_dim: int = Field(ge=1, le=MAX_WIDTH)
    w_dim: int = Field(ge=1, le=MAX_WIDTH)
    c_dim: int = Field(default=0, ge=0, le=1_000_000)
    mapping_layers: int = Field(ge=1, le=64)
    mapping_lr: float = Field(default=0.01, gt=0, le=1)

    def mapping_widths(self) -> list[tuple[int, int]]:
        """Inputs and outputs of each layer of the mapping network."""
        first = self.z_dim + (self.w_dim if self.c_dim else 0)
        inputs = [first] + [self.w_dim] * (self.mapping_layers - 1)
        return [(width, self.w_dim) for width in inputs]

    def mapping_shapes(self) -> dict[str, Shape]:
        """Every weight of the mapping network."""
        table: dict[str, Shape] = {"mapping.w_avg": (self.w_dim,)}
        if self.c_dim:
            table["mapping.embed.weight"] = (self.w_dim, self.c_dim)
            table["mapping.embed.bias"] = (self.w_dim,)
        for i, (inputs, outputs) in enumerate(self.mapping_widths()):
            table[f"mapping.fc{i}.weight"] = (outputs, inputs)
            table[f"mapping.fc{i}.bias"] = (outputs,)
        return table


class Architecture(MappingArchitecture):
    """What decides a network's weights and arithmetic.

    Args:
        channels: feature maps at each resolution, 4, 8, … up to that of the image.
        conv_clamp: largest magnitude behind each convolution; None for no limit.
    """

    channels: dict[int, int]
    conv_clamp: float | None = Field(default=None, gt=0)

    @field_validator("channels")
    @classmethod
    def _one_for_each_resolution(cls, channels: dict[int, int]) -> dict[int, int]:
        expected = [4 << i for i in range(len(channels))]
        if sorted(channels) != expected or not 8 <= max(channels, default=0) <= MAX_RESOLUTION:
            raise ValueError(f"feature maps are given for resolutions 4, 8, … {MAX_RESOLUTION}")
        if not all(1 <= width <= MAX_WIDTH for width in channels.values()):
            raise ValueError(f"a layer has 1 to {MAX_WIDTH} feature maps")
        return dict(sorted(channels.items()))

    @model_validator(mode="after")
    def _is_affordable(self) -> Architecture:
        check_cost(self.shapes(), (layer.cost for layer in self.layers()))
        return self

    @property
    def resolution(self) -> int:
        return max(self.channels)

    @property
    def num_ws(self) -> int:
        return 2 * int(math.log2(self.resolution)) - 2

    @property
    def num_styles(self) -> int:
        return sum(layer.inputs for layer in self.layers())

    def layers(self) -> list[Layer]:
        """The synthesis layers in the order in which they run, each with its row of W+.

        A block's convolutions and its RGB layer read rows i, i + 1, i + 2, and i advances by the
        number of convolutions, so that an RGB layer shares its row with the next convolution.
        """
        made, row, before = [], 0, 0
        for resolution, width in self.channels.items():
            block = f"synthesis.b{resolution}"
            if before:
                made.append(Layer(f"{block}.conv0", row, resolution, before, width, up=True))
                row += 1
            made.append(Layer(f"{block}.conv1", row, resolution, width, width))
            row, before = row + 1, width
            made.append(Layer(f"{block}.torgb", row, resolution, width, 3, kernel=1))
        return made

    def shapes(self) -> Mapping[str, Shape]:
        """Every weight of the network."""
        table = self.mapping_shapes()
        table["synthesis.b4.const"] = (self.channels[4], 4, 4)
        for layer in self.layers():
            table |= layer.shapes(self.w_dim)
        return table


@dataclass(frozen=True)
class Layer:
    """One convolution of the synthesis network.

    Args:
        name: prefix of its weights.
        row: the row of W+ that it reads.
        resolution: of its output.
        inputs, outputs: feature maps; a layer has `inputs` styles.
        kernel: 3, or 1 for an RGB layer.
        up: doubles the resolution.
    """

    name: str
    row: int
    resolution: int
    inputs: int
    outputs: int
    kernel: int = 3
    up: bool = False

    @property
    def to_rgb(self) -> bool:
        return self.kernel == 1

    @property
    def cost(self) -> LayerCost:
        made = self.outputs * self.resolution**2
        return LayerCost(made, made, made * self.inputs * self.kernel**2)

    def shapes(self, w_dim: int) -> dict[str, Shape]:
        table: dict[str, Shape] = {
            f"{self.name}.weight": (self.outputs, self.inputs, self.kernel, self.kernel),
            f"{self.name}.bias": (self.outputs,),
            f"{self.name}.affine.weight": (self.inputs, w_dim),
            f"{self.name}.affine.bias": (self.inputs,),
        }
        if not self.to_rgb:
            table[f"{self.name}.noise_strength"] = ()
            table[f"{self.name}.noise_const"] = (self.resolution, self.resolution)
        return table
