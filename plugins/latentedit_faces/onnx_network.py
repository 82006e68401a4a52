"""An ONNX model that runs on images as its contract describes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from latentedit import CorruptArtefact, InputError, UnknownName, file_digest, fingerprint
from latentedit_faces.declarations import read_declaration
from latentedit_faces.onnx_contract import InputContract, OnnxContract
from latentedit_faces.optional import library
from latentedit_faces.pictures import check_images, cropped, resized

INSTALL = "pip install 'latentedit[faces]', or pip install onnxruntime"
BATCH = 64


class OnnxNetwork:
    """A model and its contract, on the CPU, with torch's number of threads.

    Attributes:
        contract: the content of the YAML file.
        fingerprint: SHA-256 of the model's bytes and of the contract.
    """

    def __init__(self, path: Path, meanings: tuple[str, ...], needed_by: str) -> None:
        self.contract = read_declaration(OnnxContract, path)
        if self.contract.output.meaning not in meanings:
            raise InputError(
                f"{needed_by} reads models whose output means {' or '.join(meanings)}; {path} says "
                f"{self.contract.output.meaning!r}"
            )
        model = path.parent / self.contract.model
        if not model.is_file():
            raise InputError(
                f"{path} describes {model}, which is not there: put the .onnx file beside it"
                + (f" (from {self.contract.source})" if self.contract.source else "")
            )
        digest = file_digest(model)
        if self.contract.sha256 not in ("", digest):
            raise CorruptArtefact(
                f"{model} has sha256 {digest[:12]}…, {path} records "
                f"{self.contract.sha256[:12]}…: it is another file. Get the right one"
            )
        described = self.contract.model_dump(
            mode="json", exclude={"model", "licence", "source", "sha256"}
        )
        self.fingerprint = fingerprint({"onnx": digest, "contract": described})
        self._path, self._session = model, _session(model, needed_by)
        self._input = self._named(self.contract.input.name, self._session.get_inputs(), "input")
        self._check_input(path)

    def output_names(self) -> list[str]:
        return [output.name for output in self._session.get_outputs()]

    def __call__(self, images: Tensor, names: list[str]) -> list[Tensor]:
        """(N, 3, H, W) in [-1, 1] → for each named output (N, F), float32 on the CPU."""
        wanted = [self._named(name, self._session.get_outputs(), "output") for name in names]
        prepared = prepare(check_images(images), self.contract.input)
        if not len(prepared):
            blank = np.zeros((self._batch or 1, *prepared.shape[1:]), np.float32)
            return [torch.from_numpy(output[:0]) for output in self._run(blank, wanted)]
        rows = self._batch or BATCH
        parts = [self._run(prepared[i : i + rows], wanted) for i in range(0, len(prepared), rows)]
        return [torch.from_numpy(np.concatenate(part)) for part in zip(*parts, strict=True)]

    def _run(self, prepared: NDArray[np.float32], names: list[str]) -> list[NDArray[np.float32]]:
        count, fixed = len(prepared), self._batch
        if fixed and count < fixed:
            prepared = np.concatenate([prepared, prepared[-1:].repeat(fixed - count, 0)])
        try:
            outputs = self._session.run(names, {self._input: prepared})
        except (
            Exception
        ) as error:  # onnxruntime has one exception class per fault, none of them public
            raise InputError(
                f"{self._path} does not run on an input of shape {prepared.shape}: "
                f"{str(error)[:300]}. Check size and layout in its contract"
            ) from None
        for name, output in zip(names, outputs, strict=True):
            if len(output) != len(prepared):
                raise InputError(
                    f"output {name!r} of {self._path} has shape {output.shape} for "
                    f"{len(prepared)} images; it needs a row an image"
                )
        return [np.asarray(o, np.float32).reshape(len(prepared), -1)[:count] for o in outputs]

    @property
    def _batch(self) -> int:
        """The model's fixed batch size; 0 for any number of images."""
        first = self._shape[0] if self._shape else None
        return first if isinstance(first, int) and first > 0 else 0

    @property
    def _shape(self) -> list[Any]:
        found = next(i for i in self._session.get_inputs() if i.name == self._input)
        return list(found.shape)

    def _named(self, name: str, valid: list[Any], what: str) -> str:
        names = [each.name for each in valid]
        if not name and (what == "output" or len(names) == 1):
            return str(names[0])
        if name not in names:
            raise UnknownName(f"{what} of {self._path}", name, names)
        return name

    def _check_input(self, path: Path) -> None:
        expected = _input_shape(self.contract.input)
        fixed = self._shape[1:]
        if len(fixed) != 3 or any(
            isinstance(has, int) and has != wanted
            for has, wanted in zip(fixed, expected, strict=True)
        ):
            raise InputError(
                f"{self._path} takes an input of shape {self._shape}; the contract {path} makes "
                f"[N, {', '.join(map(str, expected))}]. Correct its size or layout"
            )


def prepare(images: Tensor, contract: InputContract) -> NDArray[np.float32]:
    """(N, 3, H, W) in [-1, 1] → the model's input.

    >>> contract = InputContract(size=(1, 1), colours="bgr", mean=0, scale=255)
    >>> prepare(torch.tensor([1.0, 0.0, -1.0]).view(1, 3, 1, 1), contract).ravel().tolist()
    [0.0, 0.5, 1.0]
    """
    pixels = (resized(cropped(images.detach().cpu(), contract.crop), contract.size) + 1) * 127.5
    if contract.colours == "bgr":
        pixels = pixels.flip(1)
    mean, scale = (torch.tensor(v).reshape(-1, 1, 1) for v in (contract.mean, contract.scale))
    ready = (pixels - mean) / scale
    if contract.layout == "nhwc":
        ready = ready.permute(0, 2, 3, 1)
    return ready.contiguous().numpy()


def _input_shape(contract: InputContract) -> tuple[int, int, int]:
    height, width = contract.size
    return (3, height, width) if contract.layout == "nchw" else (height, width, 3)


def _session(model: Path, needed_by: str) -> Any:
    runtime = library("onnxruntime", needed_by=needed_by, install=INSTALL)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    try:
        return runtime.InferenceSession(
            model.read_bytes(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # as above
        raise CorruptArtefact(
            f"onnxruntime cannot load {model}: {str(error)[:300]}. The weights have to be in the "
            "one file"
        ) from None
