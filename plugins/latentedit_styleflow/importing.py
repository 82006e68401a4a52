"""Import of released checkpoints for the option `weights`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from latentedit import (
    InputError,
    StrictRecord,
    WeightImporter,
    check_digest,
    file_digest,
    new_folder,
    read_record,
    read_state_dict,
    read_tensors,
    write_json,
    write_tensors,
)
from latentedit_styleflow.checkpoint import from_released, to_released
from latentedit_styleflow.flow import ContinuousFlow
from latentedit_styleflow.solver import Solver

WEIGHTS, MANIFEST = "weights.safetensors", "manifest.json"
LICENCE = (
    "Importing changes no licence: the published weights are CC BY-NC-SA 4.0, for non-commercial "
    "use."
)


class FlowManifest(StrictRecord):
    """What stands beside imported weights.

    Args:
        source: name of the imported file.
        source_sha256: of the imported file.
        found: a plain statement about what the file held.
        licence: a reminder.
        weights_sha256: of the weights that were written.
    """

    source: str
    source_sha256: str
    found: str
    licence: str
    weights_sha256: str


@dataclass(frozen=True)
class ImportedFlow:
    """A successful import: `folder` is a value for the option `weights` of ``styleflow``."""

    folder: Path
    statement: str

    @property
    def next_step(self) -> str:
        return f"latentedit fit styleflow --bank BANK --option weights={self.folder} --out EDITOR"

    def __str__(self) -> str:
        return f"{self.statement}\n{LICENCE}"


class CheckpointImporter(WeightImporter):
    """Reads released flows; see `import_checkpoint`."""

    def read(self, file: Path, out: Path) -> ImportedFlow:
        return import_checkpoint(file, out)


def import_checkpoint(file: str | Path, out: str | Path) -> ImportedFlow:
    """Read a released flow without executing code from the file, and write it to a new folder.

    Args:
        file: what ``torch.save`` wrote of the release's state dict, such as ``modellarge10k.pt``.
        out: a folder that does not exist yet; it is written completely or not at all.

    Raises:
        RefusedFile: the file is damaged, hostile, or not a plain state dict.
        InputError: its keys or shapes are not those of a released flow.
    """
    arrays = read_state_dict(file)
    flow = from_released({name: torch.tensor(array) for name, array in arrays.items()})
    statement = _statement(flow)
    with new_folder(Path(out)) as temporary:
        manifest = FlowManifest(
            source=Path(file).name,
            source_sha256=file_digest(Path(file)),
            found=statement,
            licence=LICENCE,
            weights_sha256=write_tensors(temporary / WEIGHTS, to_released(flow)),
        )
        write_json(temporary / MANIFEST, manifest.model_dump())
    return ImportedFlow(Path(out), statement)


def read_imported(folder: Path, solver: Solver) -> ContinuousFlow:
    """The flow that `import_checkpoint` wrote.

    Raises:
        InputError: the folder holds no import.
        CorruptArtefact: a field of its manifest is missing or invalid, or the folder holds another
            file than was written.
    """
    if not (folder / MANIFEST).is_file():
        raise InputError(
            f"{folder} is not an imported flow: it has no {MANIFEST}. "
            f"Make one with: latentedit import FILE --as styleflow --out {folder}"
        )
    wanted = read_record(folder / MANIFEST, FlowManifest).weights_sha256
    check_digest(folder / WEIGHTS, wanted, MANIFEST, "Import the file again.")
    return from_released(read_tensors(folder / WEIGHTS), solver).float().requires_grad_(False)


def _statement(flow: ContinuousFlow) -> str:
    parameters = sum(p.numel() for block in flow.blocks for p in block.parameters())
    hidden = " × ".join(str(width) for width in flow.hidden)
    return (
        f"a flow of {len(flow.blocks)} block(s) over codes of {flow.dim} numbers under "
        f"{flow.condition} attribute columns, hidden layers {hidden}, {parameters:,} parameters"
    )
