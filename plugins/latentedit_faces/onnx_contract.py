"""The contract of an ONNX model: a YAML file that describes its input and output.

model: recogniser.onnx
licence: non-commercial research only
input: {size: [112, 112], colours: rgb, mean: 127.5, scale: 127.5}
output: {meaning: embedding, same_person_threshold: 0.28}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from latentedit_faces.declarations import Declaration, DeclaredAttribute
from latentedit_faces.pictures import WHOLE

Share = Annotated[float, Field(ge=0, le=1)]
Three = float | tuple[float, float, float]


class InputContract(Declaration):
    """Conversion of an image in [-1, 1] to the model's input.

        pixel = (image + 1) · 127.5, from 0 to 255;   input = (pixel − mean) / scale

    Args:
        size: height and width in pixels.
        name: name of the model's input; not needed if there is only one.
        layout: order of the axes.
        colours: order of the channels.
        mean, scale: one number, or one for each channel in the model's order.
        crop: top, left, bottom and right of the cropped part of the image, as shares of its sides.
    """

    size: tuple[Annotated[int, Field(ge=1, le=4096)], Annotated[int, Field(ge=1, le=4096)]]
    name: str = ""
    layout: Literal["nchw", "nhwc"] = "nchw"
    colours: Literal["rgb", "bgr"] = "rgb"
    mean: Three = 127.5
    scale: Three = 127.5
    crop: tuple[Share, Share, Share, Share] = WHOLE

    @model_validator(mode="after")
    def _sound(self) -> InputContract:
        scales = self.scale if isinstance(self.scale, tuple) else (self.scale,)
        if 0 in scales:
            raise ValueError("scale divides: it cannot be 0")
        if not (self.crop[0] < self.crop[2] and self.crop[1] < self.crop[3]):
            raise ValueError("crop is top, left, bottom, right, as shares from 0 to 1")
        return self


class Readout(DeclaredAttribute):
    """An attribute, with its computation from the model's raw output.

        value = offset + gain · activation(raw)

    Args:
        output: name of the output; the first one by default.
        columns: the used numbers of a row; all by default.
        column: index within `columns` of the attribute's number; an expectation uses all.
        activation: ``none``; ``sigmoid``; ``softmax`` over `columns`; ``expectation``, the mean of
            0, 1, 2, … under that softmax, as for an age network with one class per year.
        gain, offset: into the attribute's unit.
    """

    output: str = ""
    columns: tuple[Annotated[int, Field(ge=0)], ...] = ()
    column: int = Field(default=0, ge=0)
    activation: Literal["none", "sigmoid", "softmax", "expectation"] = "none"
    gain: float = 1.0
    offset: float = 0.0


class EmbeddingOutput(Declaration):
    """A recogniser's output: rows are embeddings, which are normalised here.

    Args:
        same_person_threshold: cosine at a false accept rate of 1e-3, of this model with this crop.
    """

    meaning: Literal["embedding"]
    same_person_threshold: float = Field(gt=-1, lt=1)
    name: str = ""


class AttributesOutput(Declaration):
    meaning: Literal["attributes"]
    attributes: tuple[Readout, ...] = Field(min_length=1)


class FeaturesOutput(Declaration):
    """Features for another model that is trained on them."""

    meaning: Literal["features"]
    name: str = ""


class LandmarksOutput(Declaration):
    """Points: x, y or x, y, z after each other, in the cropped image, y downwards.

    Args:
        unit: ``pixels`` of the input, ``shares`` of its sides from 0 to 1, or ``signed`` from
            -1 to 1.
        axes: numbers a point; only the first two are used.
        points: by name, the index of each landmark that is used.
    """

    meaning: Literal["landmarks"]
    unit: Literal["pixels", "shares", "signed"] = "pixels"
    axes: Literal[2, 3] = 2
    points: dict[str, Annotated[int, Field(ge=0)]] = Field(min_length=4)
    name: str = ""


class OnnxContract(Declaration):
    """The whole file.

    Args:
        model: the .onnx file, beside this one.
        licence: what its publisher allows; shown wherever the model is used.
        source: the place where the file was published.
        sha256: of the .onnx file; if given, another file is refused.
    """

    model: Path
    licence: str = Field(min_length=1)
    input: InputContract
    output: EmbeddingOutput | AttributesOutput | FeaturesOutput | LandmarksOutput = Field(
        discriminator="meaning"
    )
    source: str = ""
    sha256: str = ""
