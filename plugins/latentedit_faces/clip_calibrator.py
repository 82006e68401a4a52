"""Calibration of prompts on labelled pictures: ``latentedit train faces-clip``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
import yaml
from pydantic import Field

from latentedit import (
    Attribute,
    EstimatorTrainer,
    InputError,
    TrainedEstimator,
    new_folder,
    write_json,
)
from latentedit_faces.calibration import Curve, Method, calibrate
from latentedit_faces.clip_attributes import Calibration, PromptOptions, PromptScores
from latentedit_faces.clip_network import GET, ClipNetwork
from latentedit_faces.declarations import DeclaredAttribute
from latentedit_faces.held_out import Numbers, figures
from latentedit_faces.labels import LabelledImages, labelled_images
from latentedit_faces.pictures import read_picture

CALIBRATION, PROMPTS = "calibration.json", "prompts.yaml"


class CalibratorOptions(PromptOptions):
    """Options of the trainer `faces-clip`.

    Args:
        model, attributes, temperature: as of the estimator.
        method: one method for all attributes; by default logistic for binary and isotonic for
            continuous ones.
        folds: number of folds of the cross-validation that measures the error.
        seed: of the assignment of pictures to folds.
    """

    method: Method | Literal["auto"] = "auto"
    folds: int = Field(default=5, ge=2, le=20)
    seed: int = 0


class ClipCalibrator(EstimatorTrainer):
    """Fits a curve from the scores of prompts to labels, and measures it on held-out pictures."""

    Options: ClassVar[type[CalibratorOptions]] = CalibratorOptions

    def __init__(self, options: CalibratorOptions | None = None) -> None:
        if options is None:
            raise InputError(f"faces-clip needs the options model and attributes; for model, {GET}")
        self.options = options

    def train(
        self,
        images: Path,
        labels: Path | None,
        out: Path,
        progress: Callable[[float, str], None] = lambda fraction, message: None,
    ) -> TrainedEstimator:
        options = self.options
        declared = tuple(
            DeclaredAttribute(**a.model_dump(exclude={"prompts"})) for a in options.attributes
        )
        labelled = labelled_images(images, labels, declared)
        network = ClipNetwork(options.model, "faces-clip")
        found = PromptScores(network, options.attributes, options.temperature)
        similarities = _similarities(found, labelled, progress)
        calibration = self._fit(found, similarities, labelled)
        with new_folder(out) as temporary:
            write_json(temporary / CALIBRATION, calibration.model_dump(mode="json"))
            prompts = [a.model_dump(mode="json") for a in options.attributes]
            (temporary / PROMPTS).write_text(yaml.safe_dump(prompts, allow_unicode=True), "utf-8")
        chosen: dict[str, Any] = {
            "model": str(options.model),
            "attributes": str(out / PROMPTS),
            "calibration": str(out / CALIBRATION),
        }
        if options.temperature != 1:
            chosen["temperature"] = options.temperature
        return TrainedEstimator("faces-clip", chosen, calibration.held_out)

    def _fit(
        self, found: PromptScores, similarities: torch.Tensor, labelled: LabelledImages
    ) -> Calibration:
        scores, values = found.scores(similarities), found.values(similarities)
        curves: dict[str, Curve] = {}
        held_out, zero_shot = {}, {}
        for i, attribute in enumerate(found.schema):
            truth = labelled.values[:, labelled.schema.columns(attribute.name).start]
            rows = ~truth.isnan()
            column = _numbers(truth[rows])
            curves[attribute.name], held_out[attribute.name] = calibrate(
                self._method(attribute),
                _numbers(scores[rows, i]),
                _numbers(similarities[rows]),
                column,
                attribute,
                count=self.options.folds,
                seed=self.options.seed,
            )
            zero_shot[attribute.name] = figures(column, _numbers(values[rows, i]), attribute)
        return Calibration(
            scores=found.fingerprint,
            curves=curves,
            held_out=held_out,
            zero_shot=zero_shot,
            labels=labelled.digest,
        )

    def _method(self, attribute: Attribute) -> Method:
        if self.options.method != "auto":
            if self.options.method == "logistic" and attribute.kind != "binary":
                raise InputError(
                    f"a logistic curve gives probabilities, and {attribute.name!r} is continuous; "
                    "choose isotonic or ridge"
                )
            return self.options.method
        return "logistic" if attribute.kind == "binary" else "isotonic"


def _similarities(
    found: PromptScores, labelled: LabelledImages, progress: Callable[[float, str], None]
) -> torch.Tensor:
    parts = []
    for i, file in enumerate(labelled.files):
        parts.append(found.similarities(read_picture(file)[None]))
        progress((i + 1) / len(labelled.files), "looking")
    return torch.cat(parts)


def _numbers(tensor: torch.Tensor) -> Numbers:
    return tensor.double().cpu().numpy()
