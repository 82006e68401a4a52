"""What a reader needs to make the same run again, as ``provenance.json`` records it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from latentedit.files.records import StrictRecord, read_record
from latentedit.interfaces.generator import Subject
from latentedit.measures.definitions import Metric

PROVENANCE = "provenance.json"


class BankProvenance(StrictRecord):
    """The run's bank: how it was sampled, by which generator, and who labelled it.

    Args:
        fit, test: numbers of images.
        space: where codes were sampled, if not in the generator's home space.
        truncation_psi: None for imported codes, whose truncation is not known.
        origin: the importer of imported codes.
        subject: what the images show, as a noun and its plural; None in runs of earlier versions,
            which showed faces.
        photographs: hash of the bank of photographs that were edited; None for sampled images.
        without_face: sampled images that the labeller could not read, and that were replaced.
        unstored: whether the bank keeps of the images to edit only the seeds.
    """

    hash: str
    seed: int
    truncation_psi: float | None = None
    fit: int
    test: int
    photographs: str | None = None
    space: str | None = None
    without_face: int | None = None
    unstored: bool | None = None
    origin: str | None = None
    subject: list[str] | None = None
    generator: str
    generator_options: dict[str, Any]
    generator_fingerprint: str
    labeller: str
    labeller_options: dict[str, Any]
    labeller_fingerprint: str

    @property
    def shown(self) -> Subject:
        """What the images show."""
        return Subject("face", "faces") if self.subject is None else Subject(*self.subject)

    @model_serializer(mode="wrap")
    def _without_what_is_none(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        return {
            name: value
            for name, value in fields.items()
            if value is not None or name == "truncation_psi"
        }


class JudgeProvenance(StrictRecord):
    """The judge, with what its card says of held-out images.

    Args:
        code: digest over version and source of its plugin; "" in runs of earlier versions.
    """

    name: str
    options: dict[str, Any]
    fingerprint: str
    code: str = ""
    card: dict[str, Any]


class RecogniserProvenance(StrictRecord):
    """A recogniser, with what its card says of held-out images.

    Args:
        threshold: similarity above which two images count as one individual.
        code: as in `JudgeProvenance`.
    """

    name: str
    options: dict[str, Any]
    fingerprint: str
    code: str = ""
    threshold: float
    card: dict[str, Any]


class MetricProvenance(StrictRecord):
    """A metric that the suite adds; see `EditMetric`.

    Args:
        code: as in `JudgeProvenance`.
    """

    name: str
    options: dict[str, Any]
    fingerprint: str
    code: str = ""
    unit: str
    higher_is_better: bool | None
    formula: str
    smallest_difference: float | None

    @property
    def definition(self) -> Metric:
        return Metric(
            self.name, self.unit, self.higher_is_better, self.formula, self.smallest_difference
        )


class Provenance(StrictRecord):
    """Versions, models and data of a run.

    Args:
        plugins: versions by kind and name.
        batch: images that are synthesized and judged together.
        bounds: the controls that are floor and ceiling, where there are any.
        left_out: why an installed control is not in the run, by name.
        matched_by: the judge by whom effects were matched, where another one scored them.
        terms: licences of generator and estimators, by name, where they state one.
        merged: of a run that was made of others, how many cells it has of each.
    """

    latentedit: str
    python: str
    packages: dict[str, str]
    bank: BankProvenance
    judge: JudgeProvenance
    identity: list[RecogniserProvenance]
    metrics: list[MetricProvenance] = Field(default=[])
    plugins: dict[str, str]
    threads: int
    batch: int
    bounds: dict[str, str] = Field(default_factory=dict)
    left_out: dict[str, str] = Field(default_factory=dict)
    matched_by: str | None = None
    terms: dict[str, str] = Field(default_factory=dict)
    merged: dict[str, int] = Field(default_factory=dict)

    @model_serializer(mode="wrap")
    def _without_what_is_empty(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields: dict[str, Any] = write(self)
        return {k: v for k, v in fields.items() if k not in ("metrics", "terms", "merged") or v}


def read_provenance(folder: Path) -> Provenance:
    """Of the run in `folder`; raises as `read_record` does."""
    return read_record(folder / PROVENANCE, Provenance)
