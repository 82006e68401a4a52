"""Training of an estimator on labelled pictures: ``latentedit train faces-trained``."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal, cast

import torch
from pydantic import Field
from torch import Tensor

from latentedit import (
    EstimatorTrainer,
    Options,
    TrainedEstimator,
    new_folder,
    write_json,
    write_tensors,
)
from latentedit_faces.calibration import Ridge, calibrate
from latentedit_faces.declarations import DeclaredAttributes
from latentedit_faces.features import Features, open_features
from latentedit_faces.held_out import check_enough, figures
from latentedit_faces.labels import LabelledImages, labelled_images
from latentedit_faces.pictures import read_picture
from latentedit_faces.small_net import SIDE, fit_small_net

CONFIG, WEIGHTS = "estimator.json", "model.safetensors"
ProgressCallback = Callable[[float, str], None]


class TrainingOptions(Options):
    """Options of the trainer `faces-trained`.

    Args:
        features: ``cnn`` trains a small network on the pictures. ``clip`` and ``onnx`` fit a ridge
            regression on the features of a frozen network, which needs far fewer pictures.
        model: the frozen network: a folder with a CLIP model, or the contract of an ONNX model.
        attributes: columns with their kinds, ranges and units. By default all columns, with kinds
            and ranges inferred from the labels.
        folds: number of folds of the cross-validation, for ``clip`` and ``onnx``.
        held_out: share of held-out pictures, for ``cnn``.
        epochs: passes over the pictures, for ``cnn``.
    """

    features: Literal["cnn", "clip", "onnx"] = "cnn"
    model: Path | None = None
    attributes: DeclaredAttributes = ()
    folds: int = Field(default=5, ge=2, le=20)
    held_out: float = Field(default=0.25, gt=0, lt=0.9)
    epochs: int = Field(default=40, ge=1)
    seed: int = 0


@dataclass(frozen=True)
class Learnt:
    """Weights, and error figures on held-out pictures."""

    tensors: dict[str, Tensor]
    held_out: dict[str, dict[str, float]]
    recipe: dict[str, Any]


class FacesTrainer(EstimatorTrainer):
    """Trains an estimator on labelled pictures, and measures R² on held-out ones."""

    Options: ClassVar[type[TrainingOptions]] = TrainingOptions

    def __init__(self, options: TrainingOptions | None = None) -> None:
        self.options = options or TrainingOptions()

    def train(
        self,
        images: Path,
        labels: Path | None,
        out: Path,
        progress: ProgressCallback = lambda fraction, message: None,
    ) -> TrainedEstimator:
        labelled = labelled_images(images, labels, self.options.attributes)
        for attribute, column in zip(labelled.schema, labelled.values.T, strict=True):
            check_enough(column[~column.isnan()].double().numpy(), attribute)
        kind, fingerprint = self.options.features, ""
        if kind == "cnn":
            learnt = self._train_net(labelled, progress)
        else:
            features = open_features(kind, self.options.model)
            fingerprint = features.fingerprint
            learnt = self._fit_ridge(features, labelled, progress)
        with new_folder(out) as temporary:
            digest = write_tensors(temporary / WEIGHTS, learnt.tensors)
            config = {
                "format": 1,
                "schema": labelled.schema.to_json(),
                "features": kind,
                "model": "" if self.options.model is None else str(self.options.model.resolve()),
                "model_fingerprint": fingerprint,
                "weights_sha256": digest,
                "labels_sha256": labelled.digest,
                "recipe": learnt.recipe,
                "held_out": learnt.held_out,
            }
            write_json(temporary / CONFIG, config)
        return TrainedEstimator("faces-trained", {"folder": str(out)}, learnt.held_out)

    def _fit_ridge(
        self, features: Features, labelled: LabelledImages, progress: ProgressCallback
    ) -> Learnt:
        rows = []
        for i, file in enumerate(labelled.files):
            rows.append(features(read_picture(file)[None]))
            progress((i + 1) / len(labelled.files), "looking")
        numbers = torch.cat(rows).double().cpu().numpy()
        weights, biases, held_out, penalties = [], [], {}, {}
        for attribute, column in zip(labelled.schema, labelled.values.T, strict=True):
            known = (~column.isnan()).numpy()
            found, held_out[attribute.name] = calibrate(
                "ridge",
                numbers[known, 0],
                numbers[known],
                column.double().numpy()[known],
                attribute,
                count=self.options.folds,
                seed=self.options.seed,
            )
            curve = cast(Ridge, found)  # what "ridge" gives
            weights.append(curve.weights)
            biases.append(curve.intercept)
            penalties[attribute.name] = curve.penalty
        tensors = {"weight": torch.tensor(weights), "bias": torch.tensor(biases)}
        recipe = {"fit": "ridge", "folds": self.options.folds, "penalty": penalties}
        return Learnt(tensors, held_out, recipe)

    def _train_net(self, labelled: LabelledImages, progress: ProgressCallback) -> Learnt:
        options = self.options
        images, values = labelled.load(SIDE), labelled.values
        order = torch.randperm(len(images), generator=torch.Generator().manual_seed(options.seed))
        held, fit = order.split([n := max(round(options.held_out * len(order)), 1), len(order) - n])
        middle = values[fit].nanmean(0)
        spread = (values[fit] - middle).square().nanmean(0).sqrt().clamp_min(1e-6)
        net = fit_small_net(
            images[fit],
            (values[fit] - middle) / spread,
            epochs=options.epochs,
            seed=options.seed,
            progress=progress,
        )
        predicted = (net(images[held]) * spread + middle).double().numpy()
        held_out = {}
        for i, attribute in enumerate(labelled.schema):
            truth = values[held, i].double().numpy()
            known = ~values[held, i].isnan().numpy()
            held_out[attribute.name] = figures(truth[known], predicted[known, i], attribute)
        tensors = {f"net.{name}": tensor for name, tensor in net.state_dict().items()}
        recipe = options.model_dump(include={"epochs", "held_out", "seed"}) | {"fit": "cnn"}
        return Learnt(tensors | {"middle": middle, "spread": spread}, held_out, recipe)
