"""Import of published networks for `stylegan2` and `stylegan3`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from latentedit import (
    EnvironmentFault,
    InputError,
    WeightImporter,
    new_folder,
    read_network,
    read_tensors,
    write_json,
    write_tensors,
)
from latentedit_stylegan.alias_free.generator import StyleGAN3, StyleGAN3Options
from latentedit_stylegan.alias_free_architecture import AliasFreeArchitecture
from latentedit_stylegan.architecture import Architecture
from latentedit_stylegan.generator import StyleGAN2, StyleGAN2Options
from latentedit_stylegan.layouts import Found
from latentedit_stylegan.manifest import (
    MANIFEST,
    WEIGHTS,
    AliasFreeManifest,
    AnyManifest,
    Manifest,
    Parity,
)
from latentedit_stylegan.mapping import MappingNetwork
from latentedit_stylegan.reading import find_generator

LICENCE = (
    "Importing changes no licence: the weights stay under that of whoever published them. NVIDIA's "
    "networks are for non-commercial use."
)
_MANIFESTS: Mapping[type, Callable[..., AnyManifest]] = {
    Architecture: Manifest,
    AliasFreeArchitecture: AliasFreeManifest,
}
PARITY_SEED, PARITY_IMAGES = 0, 2
MEAN_SEED, MEAN_CODES = 0, 10_000
"""Number of codes for measuring the mean of w, if a file does not contain it."""


@dataclass(frozen=True)
class Imported:
    """The result of a successful import.

    Args:
        folder: what the option `path` of `stylegan2` or `stylegan3` takes.
        fingerprint: of the generator built with that option alone.
        manifest: the record next to the weights.
    """

    folder: Path
    fingerprint: str
    manifest: AnyManifest

    @property
    def next_step(self) -> str:
        return (
            f"latentedit bank make --generator {self.manifest.generator} "
            f"--generator-option path={self.folder} --labeller ESTIMATOR --out B"
        )

    def __str__(self) -> str:
        parity = self.manifest.parity
        lines = (
            *self.manifest.found,
            f"sha256 of the file {self.manifest.source_sha256}",
            f"fingerprint {self.fingerprint}",
            f"{parity.images} images from the written weights differ by "
            f"{parity.largest_difference:.1e} from those in memory",
            self.manifest.licence,
        )
        return "\n".join(lines)


class NetworkImporter(WeightImporter):
    """Reads StyleGAN2 and StyleGAN3; see `import_network`."""

    def read(self, file: Path, out: Path) -> Imported:
        return import_network(file, out)


def import_network(file: str | Path, out: str | Path) -> Imported:
    """Read `file` without running anything in it, and write the generator in it to a new folder.

    Args:
        file: a .pkl of stylegan2-ada-pytorch, of stylegan3 or of TensorFlow's stylegan2, a .pt of
            rosinality, or a .pth of genforce.
        out: a folder that does not exist yet; it appears whole or not at all.

    Raises:
        RefusedFile: the file is damaged, hostile, or holds something else.
        Unsupported: it holds a network of another kind.
    """
    source, out = read_network(file), Path(out)
    found = find_generator(source)
    weights = {name: torch.tensor(array) for name, array in found.weights.items()}
    statements = found.statements
    if "mapping.w_avg" not in weights:
        weights["mapping.w_avg"] = _mean_of_w(found, weights)
        statements += (f"no mean of w: measured on {MEAN_CODES:,} codes, seed {MEAN_SEED}",)
    with new_folder(out) as temporary:
        digest = write_tensors(temporary / WEIGHTS, weights)
        manifest = _MANIFESTS[type(found.architecture)](
            source=source.path.name,
            source_sha256=source.sha256,
            source_format=f"{source.format}, {found.layout}",
            licence=LICENCE,
            found=statements,
            architecture=found.architecture,
            weights_sha256=digest,
            parity=_parity(found, weights, temporary),
        )
        write_json(temporary / MANIFEST, manifest.model_dump(mode="json"))
        fingerprint = _generator(found, weights, out).fingerprint
    return Imported(out, fingerprint, manifest)


def _generator(found: Found, weights: Mapping[str, Tensor], path: Path) -> StyleGAN2 | StyleGAN3:
    architecture = found.architecture
    first_class = 0 if architecture.c_dim else None
    if isinstance(architecture, AliasFreeArchitecture):
        options = StyleGAN3Options(path=path, class_index=first_class)
        return StyleGAN3.from_weights(architecture, weights, options)
    return StyleGAN2.from_weights(
        architecture, weights, StyleGAN2Options(path=path, class_index=first_class)
    )


@torch.no_grad()
def _parity(found: Found, weights: Mapping[str, Tensor], folder: Path) -> Parity:
    """Compare images from the weights in memory with images from the weights on disk."""
    ours = _generator(found, weights, folder)
    again = _generator(found, read_tensors(folder / WEIGHTS), folder)
    codes = ours.sample(PARITY_IMAGES, PARITY_SEED)
    images = ours.unclipped(codes)
    if not bool(images.isfinite().all()):
        raise InputError(
            "the network's images are not finite: its weights are damaged. Download it again"
        )
    difference = (images - again.unclipped(codes)).abs().max().item()
    if difference > 0 or ours.fingerprint != again.fingerprint:
        raise EnvironmentFault(
            f"weights written to {folder.parent} and read again make other images (difference "
            f"{difference:.1e}): the disk or the memory is faulty. Nothing was kept."
        )
    return Parity(seed=PARITY_SEED, images=PARITY_IMAGES, largest_difference=difference)


@torch.no_grad()
def _mean_of_w(found: Found, weights: Mapping[str, Tensor]) -> Tensor:
    width = found.architecture.w_dim
    mapping = MappingNetwork(found.architecture, {**weights, "mapping.w_avg": torch.zeros(width)})
    rng = torch.Generator().manual_seed(MEAN_SEED)
    shape = (MEAN_CODES // 10, found.architecture.z_dim)  # all at once would take 10 times as much
    parts = (torch.randn(shape, generator=rng) for _ in range(10))
    return torch.stack([mapping(z).sum(0) for z in parts]).sum(0) / MEAN_CODES
