"""The mapping network, z → w."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor
from torch.nn.functional import leaky_relu, linear

from latentedit_stylegan.architecture import MappingArchitecture

EPSILON = 1e-8
SLOPE = 0.2
GAIN = math.sqrt(2)
"""Gain after a leaky ReLU, by convention √2; it roughly keeps the second moment of its input."""


def normalized(x: Tensor) -> Tensor:
    """x / √(mean x² + ε), by row: (N, D) → (N, D)."""
    return x * (x.square().mean(1, keepdim=True) + EPSILON).rsqrt()


class MappingNetwork:
    """z / ‖z‖ [, embedding of the class] → fully connected layers with leaky ReLU → w.

        y = √2 · lrelu(x · (lr / √fan_in) Wᵀ + lr · b)

    Args:
        weights: as `MappingArchitecture.mapping_shapes` names them.
    """

    def __init__(self, architecture: MappingArchitecture, weights: Mapping[str, Tensor]) -> None:
        lr = architecture.mapping_lr
        self.layers = [
            (
                weights[f"mapping.fc{i}.weight"] * (lr / math.sqrt(inputs)),
                weights[f"mapping.fc{i}.bias"] * lr,
            )
            for i, (inputs, _) in enumerate(architecture.mapping_widths())
        ]
        self.w_avg = weights["mapping.w_avg"]
        self.embeddings = self._embeddings(weights) if architecture.c_dim else None

    @staticmethod
    def _embeddings(weights: Mapping[str, Tensor]) -> Tensor:
        """(C, w_dim) normalised embedding of each class."""
        table = weights["mapping.embed.weight"]
        return normalized(table.T / math.sqrt(table.shape[1]) + weights["mapping.embed.bias"])

    def __call__(self, z: Tensor, class_index: int | None = None) -> Tensor:
        """(N, z_dim) → (N, w_dim), not truncated."""
        x = normalized(z)
        if self.embeddings is not None:
            x = torch.cat([x, self.embeddings[class_index].expand(len(x), -1)], 1)
        for weight, bias in self.layers:
            x = leaky_relu(linear(x, weight, bias), SLOPE) * GAIN
        return x
