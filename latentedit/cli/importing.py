"""``latentedit import``."""

from __future__ import annotations

from pathlib import Path

import click

from latentedit.cli.console import err, say
from latentedit.errors import InputError
from latentedit.registry import Registry


@click.command("import")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--as", "importer", default="stylegan2", show_default=True, help="The plugin that reads it."
)
@click.option("--out", "folder", required=True, type=click.Path(path_type=Path), help="New folder.")
def import_(file: Path, importer: str, folder: Path) -> None:
    """Read FILE without running anything in it, and write safetensors and a manifest.

    NVIDIA's .pkl of StyleGAN2 (PyTorch and TensorFlow) and StyleGAN3, rosinality's .pt and
    genforce's .pth files of StyleGAN2 are understood; with --as styleflow, released checkpoints of
    StyleFlow.

    \b
    Examples:
      latentedit import stylegan2-ffhq-256.pkl --out G
      latentedit import modellarge10k.pt --as styleflow --out F
    """
    if not file.is_file():
        raise InputError(f"there is no file {file}")
    imports = Registry.discover().load("importer", importer)
    with err.status(f"reading {file}"):
        imported = imports(file, folder)
    say(str(imported), next_step=imported.next_step)
