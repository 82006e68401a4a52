"""The StyleGAN3 generator in NVIDIA's .pkl: its configuration, and every weight under its name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from latentedit import InertObject, NetworkFile
from latentedit_stylegan import keys
from latentedit_stylegan.alias_free.synthesis import filters
from latentedit_stylegan.alias_free_architecture import AliasFreeArchitecture
from latentedit_stylegan.layouts import (
    Arrays,
    Found,
    Layout,
    architecture_of,
    count,
    refuse,
    statement,
    weights_of,
)

STYLEGAN3 = Layout("stylegan3", keys.nvidia, re.compile("(?!)"), ())
FILTER_TOLERANCE = 1e-5
SETTINGS: Mapping[str, str] = {
    "use_radial_filters": "radial",
    **{
        name: name
        for name in (
            *("channel_base", "channel_max", "num_layers", "num_critical", "first_cutoff"),
            *("first_stopband", "last_stopband_rel", "margin_size", "output_scale", "conv_kernel"),
            *("filter_size", "lrelu_upsampling", "conv_clamp"),
        )
    },
}
"""Their names of what decides the synthesis network, and ours."""


def from_stylegan3(
    file: NetworkFile, network: InertObject, arrays: Arrays, modules: Mapping[str, InertObject]
) -> Found:
    """The averaged generator ``G_ema``.

    Raises:
        RefusedFile: its weights or filters are not those of the configuration that it states.
    """
    state = network.state
    mapping = modules.get("mapping.fc0")
    architecture = architecture_of(
        file,
        AliasFreeArchitecture,
        z_dim=state.get("z_dim"),
        w_dim=state.get("w_dim"),
        c_dim=state.get("c_dim", 0),
        mapping_lr=mapping.state.get("bias_gain", 0.01) if mapping else 0.01,
        mapping_layers=count(arrays, r"mapping\.fc(\d{1,4})\.weight"),
        resolution=state.get("img_resolution"),
        **_settings(network, modules),
    )
    weights = weights_of(file, STYLEGAN3, architecture, arrays)
    difference = _filter_difference(architecture, weights)
    if not difference <= FILTER_TOLERANCE:  # also true for NaN
        refuse(file, f"its filters differ by {difference:.1e} from those of its configuration")
    kind = "R" if architecture.radial else "T"
    statements = (
        statement(f"StyleGAN3, configuration {kind},", STYLEGAN3, architecture, weights),
        f"a network of class {network.class_name}, whose program text (sha256 "
        f"{network.source_sha256[:12]}) was not run",
        "the averaged generator G_ema",
        f"its low-pass filters equal our design of them within {difference:.1e}",
        "not compared with images of the published implementation",
    )
    return Found(STYLEGAN3.name, architecture, weights, statements)


def _settings(network: InertObject, modules: Mapping[str, InertObject]) -> dict[str, Any]:
    """What the generator was made with, then what its synthesis network was, by our names."""
    settings: dict[str, Any] = {}
    for module in (network, modules.get("synthesis")):
        made_with = module.state.get("_init_kwargs") if module else None
        for theirs, value in made_with.items() if type(made_with) is dict else ():
            if theirs in SETTINGS:
                settings[SETTINGS[theirs]] = value
    return settings


def _filter_difference(architecture: AliasFreeArchitecture, weights: Arrays) -> float:
    made = filters(architecture)
    return max(
        (float(np.abs(weights[name] - kernel.numpy()).max()) for name, kernel in made.items()),
        default=0.0,
    )
