"""Attributes described by text prompts and read by a CLIP network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import normalize

from latentedit import (
    AttributeEstimator,
    AttributeSchema,
    FingerprintMismatch,
    InputError,
    Options,
    fingerprint,
)
from latentedit_faces.calibration import Curve
from latentedit_faces.clip_network import GET, ClipNetwork
from latentedit_faces.declarations import Declaration, read_declaration
from latentedit_faces.prompts import Prompted, PromptedAttributes

LICENCE = "of whoever published the network: see its model card; of transformers: Apache-2.0"


class PromptOptions(Options):
    """A CLIP network and its prompts.

    Args:
        model: a folder with a CLIP network in the format of transformers, with safetensors.
        attributes: attributes with their prompts: a list, or a YAML file with the list.
        temperature: divisor of the similarities in the softmax over an attribute's prompts.
    """

    model: Path
    attributes: PromptedAttributes
    temperature: float = Field(default=1.0, gt=0)


class ClipOptions(PromptOptions):
    """Options of `faces-clip`.

    Args:
        model, attributes, temperature: as above.
        calibration: a folder by ``latentedit train faces-clip``; zero-shot if not given.
    """

    calibration: Path | None = None


class Calibration(Declaration):
    """The file that calibration writes: a curve for each attribute.

    Args:
        scores: fingerprint of the network and prompts that were calibrated.
        held_out: error of each attribute on pictures that its curve was not fitted to.
        zero_shot: the same without calibration, on the same pictures.
        labels: sha256 of the labels.
    """

    scores: str
    curves: dict[str, Curve]
    held_out: dict[str, dict[str, float]]
    zero_shot: dict[str, dict[str, float]]
    labels: str


class PromptScores:
    """Scores of images on prompts: the similarity to the texts for an attribute's values.

    similarity(v) = logit scale · cos(image, mean of the texts of v) / temperature
    value         = Σ_v v · softmax(similarity)_v
    score         = similarity(high) − similarity(low) of two values; else the value
    """

    def __init__(self, network: ClipNetwork, attributes: tuple[Prompted, ...], temperature: float):
        self._network, self.attributes, self._temperature = network, attributes, temperature
        self.schema = AttributeSchema(tuple(a.attribute(a.ends) for a in attributes))
        self._texts = torch.stack(
            [
                normalize(network.embed_texts(texts).mean(0), dim=0)
                for attribute in attributes
                for texts in attribute.prompts.values()
            ]
        )
        self.fingerprint = fingerprint(
            {
                "clip": network.fingerprint,
                "prompts": [
                    [a.name, [[v, list(t)] for v, t in a.prompts.items()]] for a in attributes
                ],
                "schema": self.schema.to_json(),
                "temperature": temperature,
            }
        )

    def similarities(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, K) for all K prompted values."""
        embedded = self._network.embed_images(images)
        scale = self._network.logit_scale / self._temperature
        return scale * embedded @ self._texts.to(embedded).T

    def values(self, similarities: Tensor) -> Tensor:
        """(N, K) → (N, A), zero-shot, between each attribute's outermost prompted values."""
        parts = [
            similarities[:, columns].softmax(1) @ similarities.new_tensor(attribute.values)
            for attribute, columns in zip(self.attributes, self._columns(), strict=True)
        ]
        return torch.stack(parts, 1)

    def scores(self, similarities: Tensor) -> Tensor:
        """(N, K) → (N, A), the inputs of the attributes' calibration curves."""
        values = self.values(similarities)
        for a, columns in enumerate(self._columns()):
            if columns.stop - columns.start == 2:
                values[:, a] = similarities[:, columns.stop - 1] - similarities[:, columns.start]
        return values

    def _columns(self) -> list[slice]:
        ends = np.cumsum([len(attribute.values) for attribute in self.attributes]).tolist()
        return [slice(*pair) for pair in zip([0, *ends[:-1]], ends, strict=True)]


class ClipAttributes(AttributeEstimator):
    """Attributes described in words: zero-shot, or calibrated on the user's own labels.

    Radford et al., "Learning transferable visual models from natural language supervision", ICML
    2021, for zero-shot prediction.
    """

    Options: ClassVar[type[ClipOptions]] = ClipOptions

    def __init__(self, options: ClipOptions | None = None) -> None:
        if options is None:
            raise InputError(f"faces-clip needs the options model and attributes; for model, {GET}")
        network = ClipNetwork(options.model, "faces-clip")
        self._scores = PromptScores(network, options.attributes, options.temperature)
        self._calibration = (
            None if options.calibration is None else self._calibrated(options.calibration)
        )
        self.schema = self._scores.schema
        curves = {} if self._calibration is None else self._calibration.model_dump()["curves"]
        self.fingerprint = fingerprint({"scores": self._scores.fingerprint, "curves": curves})

    def estimate(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, A) in natural units."""
        similarities = self._scores.similarities(images)
        if self._calibration is None:
            return self._scores.values(similarities)
        scores = self._scores.scores(similarities).double().cpu().numpy()
        prompts = similarities.double().cpu().numpy()
        columns = [
            self._calibration.curves[name](scores[:, i], prompts)
            for i, name in enumerate(self.schema.names)
        ]
        return torch.from_numpy(np.stack(columns, 1)).to(similarities)

    def card(self) -> dict[str, Any]:
        """Licence, and where calibrated the error on pictures that were held out."""
        if self._calibration is None:
            return {"licence": LICENCE}
        return {
            "licence": LICENCE,
            "held_out": self._calibration.held_out,
            "zero_shot": self._calibration.zero_shot,
        }

    def _calibrated(self, path: Path) -> Calibration:
        found = read_declaration(Calibration, path)
        if found.scores != self._scores.fingerprint:
            raise FingerprintMismatch(
                "network or set of prompts",
                f"the calibration {path}",
                found.scores[:12],
                "faces-clip",
                self._scores.fingerprint[:12],
            )
        if missing := set(self._scores.schema.names) - set(found.curves):
            raise InputError(f"{path} has no curve for {sorted(missing)[0]!r}; calibrate again")
        return found
