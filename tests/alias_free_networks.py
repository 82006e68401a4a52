"""Small StyleGAN3 networks with random weights."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pickles
import torch
from torch import Tensor

from latentedit_stylegan.alias_free.synthesis import filters
from latentedit_stylegan.alias_free_architecture import AliasFreeArchitecture

SMALL = {"channel_base": 256, "channel_max": 12, "num_layers": 5, "num_critical": 2}
ROTATING = {**SMALL, "conv_kernel": 1, "use_radial_filters": True}


def architecture(settings: Mapping[str, object], **more: object) -> AliasFreeArchitecture:
    renamed = {{"use_radial_filters": "radial"}.get(k, k): v for k, v in settings.items()}
    shape = {"z_dim": 8, "w_dim": 10, "mapping_layers": 2, "resolution": 32, **more}
    return AliasFreeArchitecture.model_validate({**shape, **renamed})


def random_weights(of: AliasFreeArchitecture, seed: int = 0) -> dict[str, np.ndarray]:
    """Weights as training starts from them, biases and magnitudes moved away from their start."""
    rng = np.random.default_rng(seed)
    table: dict[str, np.ndarray] = {}
    for name, shape in of.shapes().items():
        table[name] = rng.standard_normal(shape)
        if name.startswith("mapping.fc"):
            table[name] *= 100
        elif name.endswith("magnitude_ema"):
            table[name] = np.asarray(rng.uniform(0.5, 2))
        elif name.endswith(".bias"):
            table[name] = 0.1 * table[name] + (".affine." in name)
    table["synthesis.input.affine.bias"] = np.array([1.0, 0, 0, 0])
    table["synthesis.input.affine.weight"] *= 0
    table["synthesis.input.transform"] = np.eye(3)
    table["synthesis.input.freqs"] *= of.first_cutoff / 2
    made = {name: array.astype("<f4") for name, array in table.items()}
    return made | {name: kernel.numpy() for name, kernel in filters(of).items()}


def tensors(weights: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in weights.items()}


def pickled(
    settings: Mapping[str, object], weights: Mapping[str, np.ndarray], **more: object
) -> bytes:
    return pickles.nvidia_pickle(weights, resolution=32, settings=settings, **more)  # type: ignore[arg-type]
