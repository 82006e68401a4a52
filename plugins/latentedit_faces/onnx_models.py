"""Estimators and recognisers in ONNX files."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, cast

import torch
from torch import Tensor
from torch.nn.functional import normalize

from latentedit import AttributeEstimator, IdentityEncoder, InputError, Options
from latentedit_faces.declarations import declared_schema
from latentedit_faces.onnx_contract import AttributesOutput, EmbeddingOutput, OnnxContract, Readout
from latentedit_faces.onnx_network import OnnxNetwork


class OnnxOptions(Options):
    """Options of `faces-onnx` and `faces-onnx-identity`.

    Args:
        contract: the YAML file that describes the model beside it.
    """

    contract: Path


class OnnxAttributes(AttributeEstimator):
    """Reads attributes off images with an ONNX model."""

    Options: ClassVar[type[OnnxOptions]] = OnnxOptions

    def __init__(self, options: OnnxOptions | None = None) -> None:
        self._network = OnnxNetwork(_path(options, "faces-onnx"), ("attributes",), "faces-onnx")
        self._readouts = cast(AttributesOutput, self._network.contract.output).attributes
        self.schema = declared_schema(self._readouts)
        self.fingerprint = self._network.fingerprint

    def estimate(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, A) in natural units; not clamped to a range."""
        names = list(dict.fromkeys(readout.output for readout in self._readouts))
        outputs = dict(zip(names, self._network(images, names), strict=True))
        values = [read_attribute(outputs[r.output], r) for r in self._readouts]
        return torch.stack(values, 1).to(images.device)

    def card(self) -> dict[str, Any]:
        """Licence and source, as the contract states them."""
        return stated(self._network.contract)


class OnnxIdentity(IdentityEncoder):
    """Recognises people with an ONNX model, such as an ArcFace network.

    Deng et al., "ArcFace: Additive angular margin loss for deep face recognition", CVPR 2019.
    """

    Options: ClassVar[type[OnnxOptions]] = OnnxOptions

    def __init__(self, options: OnnxOptions | None = None) -> None:
        name = "faces-onnx-identity"
        self._network = OnnxNetwork(_path(options, name), ("embedding",), name)
        self._output = cast(EmbeddingOutput, self._network.contract.output)
        self.same_person_threshold = self._output.same_person_threshold
        self.fingerprint = self._network.fingerprint

    def embed(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, E), unit norm."""
        (rows,) = self._network(images, [self._output.name])
        return normalize(rows, dim=1).to(images.device)

    def card(self) -> dict[str, Any]:
        """Licence and source, as the contract states them."""
        return stated(self._network.contract)


def read_attribute(raw: Tensor, readout: Readout) -> Tensor:
    """(N, F) numbers of a model → (N,) values of one attribute.

    >>> years = Readout(name="age", low=0, high=2, activation="expectation")
    >>> read_attribute(torch.tensor([[0.0, 0.0, 0.0]]), years).tolist()
    [1.0]
    """
    columns = readout.columns or tuple(range(raw.shape[1]))
    if max(columns) >= raw.shape[1] or readout.column >= len(columns):
        raise InputError(
            f"attribute {readout.name!r} reads column {readout.column} of {len(columns)}, and the "
            f"model's output has {raw.shape[1]} numbers a row"
        )
    chosen = raw[:, list(columns)]
    if readout.activation == "expectation":
        found = chosen.softmax(1) @ torch.arange(len(columns), dtype=chosen.dtype)
    elif readout.activation == "softmax":
        found = chosen.softmax(1)[:, readout.column]
    else:
        found = chosen[:, readout.column]
        found = found.sigmoid() if readout.activation == "sigmoid" else found
    return readout.offset + readout.gain * found


def stated(contract: OnnxContract) -> dict[str, Any]:
    return {"licence": contract.licence, "source": contract.source}


def _path(options: OnnxOptions | None, name: str) -> Path:
    if options is None:
        raise InputError(
            f"{name} needs a model: give the option contract, the YAML file that describes it"
        )
    return options.contract
