"""The estimator that ``latentedit train faces-trained`` writes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from latentedit import (
    AttributeEstimator,
    AttributeSchema,
    CorruptArtefact,
    FingerprintMismatch,
    InputError,
    Options,
    file_digest,
    fingerprint,
    read_json,
    read_tensors,
)
from latentedit_faces.features import open_features
from latentedit_faces.pictures import check_images, resized
from latentedit_faces.small_net import SIDE, small_net
from latentedit_faces.training import CONFIG, WEIGHTS

Reader = Callable[[Tensor], Tensor]


class TrainedOptions(Options):
    """Options of the estimator `faces-trained`.

    Args:
        folder: a folder by ``latentedit train faces-trained``.
        model: the new place of the frozen network, if it was moved after training.
    """

    folder: Path
    model: Path | None = None


class TrainedFaces(AttributeEstimator):
    """Estimates attributes with a model trained on a user's labelled pictures."""

    Options: ClassVar[type[TrainedOptions]] = TrainedOptions

    def __init__(self, options: TrainedOptions | None = None) -> None:
        if options is None:
            raise InputError(
                "faces-trained needs the option folder: what `latentedit train faces-trained "
                "--images FOLDER --labels CSV --out E` wrote"
            )
        self._config = _read_config(options.folder)
        tensors = read_tensors(options.folder / WEIGHTS)
        self.schema = AttributeSchema.from_json(self._config["schema"])
        self.fingerprint = fingerprint(
            {k: self._config[k] for k in ("schema", "features", "model_fingerprint")}, tensors
        )
        try:
            self._read = self._reader(tensors, options)
        except (KeyError, RuntimeError) as error:
            raise CorruptArtefact(
                f"{options.folder} does not hold the weights that {CONFIG} describes: {error}"
            ) from None

    def estimate(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in [-1, 1] → (N, A) in natural units, linear: not clamped to a range."""
        return self._read(check_images(images))

    def card(self) -> dict[str, Any]:
        """Recipe, and the error on pictures that were held out."""
        return {key: self._config[key] for key in ("features", "recipe", "held_out")}

    def _reader(self, tensors: dict[str, Tensor], options: TrainedOptions) -> Reader:
        return (
            _net_reader(tensors, len(self.schema))
            if self._config["features"] == "cnn"
            else self._linear_reader(tensors, options)
        )

    def _linear_reader(self, tensors: dict[str, Tensor], options: TrainedOptions) -> Reader:
        features = open_features(
            self._config["features"], options.model or Path(self._config["model"])
        )
        if features.fingerprint != self._config["model_fingerprint"]:
            raise FingerprintMismatch(
                "frozen network",
                str(options.folder),
                self._config["model_fingerprint"][:12],
                str(options.model or self._config["model"]),
                features.fingerprint[:12],
            )
        weight, bias = tensors["weight"], tensors["bias"]

        def read(images: Tensor) -> Tensor:
            rows = features(images)
            return rows @ weight.to(rows).T + bias.to(rows)

        return read


def _net_reader(tensors: dict[str, Tensor], outputs: int) -> Reader:
    net = small_net(outputs).eval().requires_grad_(False)
    net.load_state_dict(
        {k.removeprefix("net."): t for k, t in tensors.items() if k.startswith("net.")}
    )
    middle, spread = tensors["middle"], tensors["spread"]

    @torch.no_grad()
    def read(images: Tensor) -> Tensor:
        edge = min(images.shape[2:])
        top, left = ((length - edge) // 2 for length in images.shape[2:])
        square = images[:, :, top : top + edge, left : left + edge]
        values: Tensor = net.to(images.device)(resized(square, (SIDE, SIDE)))
        return values * spread.to(values) + middle.to(values)

    return read


def _read_config(folder: Path) -> dict[str, Any]:
    if not (folder / CONFIG).is_file():
        raise InputError(
            f"{folder} is no trained estimator: it has no {CONFIG}. Make one with: latentedit "
            f"train faces-trained --images FOLDER --labels CSV --out {folder}"
        )
    config = read_json(folder / CONFIG)
    keys = {"schema", "features", "model", "model_fingerprint", "weights_sha256", "held_out"}
    if not isinstance(config, dict) or config.get("format") != 1 or keys - set(config):
        raise CorruptArtefact(f"{folder / CONFIG} is not what this version writes; train again")
    if file_digest(folder / WEIGHTS) != config["weights_sha256"]:
        raise CorruptArtefact(f"{folder / WEIGHTS} was changed or cut; train again")
    return config
