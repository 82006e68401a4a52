"""Images to edit: of a bank, of a seed, sampled with attributes, or found for a photograph."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import Field
from torch import Tensor

from latentedit.data.bank import LatentBank
from latentedit.errors import InputError, PluginFault, Unsupported
from latentedit.files.records import StrictRecord
from latentedit.interfaces.generator import IMAGES
from latentedit.interfaces.runtime import SEEDS, Progress, silent
from latentedit.photos.align import read_photograph
from latentedit.photos.invert import InversionPlan, invert_photographs
from latentedit.sampling.make import label
from latentedit.studio.session.workbench import Workbench


class BankFace(StrictRecord):
    """A test image of the bank."""

    kind: Literal["bank"] = "bank"
    index: int = Field(ge=0)


class SeedFace(StrictRecord):
    """The first image that the bank's generator draws with a seed."""

    kind: Literal["seed"] = "seed"
    seed: int = Field(ge=0, lt=SEEDS)


class GivenFace(StrictRecord):
    """An image by its code, for those that no index and no seed names.

    Args:
        title: where it came from, in words.
        shape: of its code.
        codes: its numbers, in the order of memory.
        values: (A,) its attributes.
    """

    kind: Literal["given"] = "given"
    title: str = Field(max_length=200)
    space: str
    shape: tuple[int, ...]
    codes: tuple[float, ...]
    values: tuple[float, ...]


Origin = BankFace | SeedFace | GivenFace


@dataclass(frozen=True)
class Face:
    """One image.

    Args:
        codes: (1, \\*shape) in `space`.
        values: (1, A) its attributes, by the bank's labeller, natural units.
        origin: what makes it again.
        noun: for what images of the generator show.
    """

    codes: Tensor
    space: str
    values: Tensor
    origin: Origin
    noun: str = IMAGES.one

    @property
    def title(self) -> str:
        """Where it came from, in words."""
        match self.origin:
            case BankFace(index=index):
                return f"{self.noun} {index}"
            case SeedFace(seed=seed):
                return f"seed {seed}"
            case GivenFace(title=title):
                return title


def no_such_index(bench: Workbench, index: int) -> InputError:
    """The error that names the rows of the bank's test split."""
    shown = bench.generator.subject.many
    return InputError(f"{shown} go from 0 to {len(bench.test) - 1}, received {index}")


def face_of(bench: Workbench, origin: Origin) -> Face:
    """The image that `origin` describes.

    Raises:
        InputError: the bank has no such image, or the code has another shape.
    """
    match origin:
        case BankFace(index=index):
            if index >= len(bench.test):
                raise no_such_index(bench, index)
            codes, values = bench.test.rows(torch.tensor([index]))
            return Face(codes, bench.test.space, values, origin, bench.generator.subject.one)
        case SeedFace(seed=seed):
            psi = float(bench.bank.sampling.get("truncation_psi", 1.0))
            space = bench.bank.space
            codes = bench.generator.sample(1, seed, space, psi)
            return Face(codes, space, _labels(bench, codes, space), origin)
        case GivenFace():
            return _given(bench, origin)


def sampled_face(
    bench: Workbench, editor: str, seed: int, values: Mapping[str, Any] | None = None
) -> Face:
    """A new image with given attributes, drawn by an editor that can sample.

    Args:
        editor: name of its column.
        values: wanted attributes; the others are those of an image of the fit split, by `seed`.

    Raises:
        Unsupported: the editor draws no samples.
        OutOfRange: an attribute value outside its range.
    """
    if not 0 <= seed < SEEDS:
        raise InputError(f"a seed is from 0 to {SEEDS - 1}, received {seed}")
    fitted, fit = bench.editor(editor), bench.bank.split("fit")
    _, like = fit.rows(torch.tensor([seed % len(fit)]))
    wanted = bench.bank.schema.changed(_in_range(bench, like), **(values or {}))
    codes = fitted.sample(wanted, seed)
    labels = _labels(bench, codes, fitted.space)
    title = f"sampled by {editor}, seed {seed}"
    return Face(codes, fitted.space, labels, _origin(title, codes, fitted.space, labels))


def photograph_face(
    bench: Workbench,
    path: Path,
    *,
    inverter: str | None = None,
    options: Mapping[str, Any] | None = None,
    name: str | None = None,
    progress: Progress = silent,
) -> Face:
    """The image of a photograph, as an installed inverter finds it.

    Args:
        path: a picture file; its central square is used.
        inverter: plugin; `default_inverter` if not given.
        options: of the inverter.
        name: of the photograph, if the file has another one.

    Raises:
        Unsupported: no inverter is installed that has perceptual losses of its own.
        InputError: there is no such file, or it is too large.
        CorruptArtefact: it is not a readable picture.
    """
    photo = read_photograph(path, bench.generator.resolution)
    chosen = inverter or default_inverter(bench)
    losses: Mapping[str, float] = bench.registry.load("inverter", chosen).losses if chosen else {}
    if chosen is None or not losses:
        raise Unsupported(
            f"{chosen or 'every installed inverter'} has no perceptual loss of its own; "
            "install one that has, or find the code with: latentedit invert"
        )
    bank = bench.bank
    plan = InversionPlan(
        generator=(bank.generator.name, bank.generator.options),
        labeller=(bank.labeller.name, bank.labeller.options),
        losses=losses,
        inverter=(chosen, dict(options or {})),
    )
    with tempfile.TemporaryDirectory() as folder:
        found: LatentBank = invert_photographs(
            bench.registry,
            [photo],
            Path(folder) / "bank",
            plan,
            generator=bench.generator,
            progress=progress,
        )
        split = found.split("test")
        codes, values = split.rows(torch.tensor([0]))
    title = f"photograph {name or path.name}"[:200]
    return Face(codes, split.space, values, _origin(title, codes, split.space, values))


def default_inverter(bench: Workbench) -> str | None:
    """The first installed inverter with perceptual losses of its own; None if there is none."""
    for name in bench.registry.names("inverter"):
        with suppress(PluginFault):  # one that cannot be imported is no help here
            if bench.registry.load("inverter", name).losses:
                return name
    return None


def _labels(bench: Workbench, codes: Tensor, space: str) -> Tensor:
    return label(codes, bench.generator, bench.labeller, space=space)


def _in_range(bench: Workbench, values: Tensor) -> Tensor:
    """Labels (N, A), moved into the attributes' ranges; an estimate may lie outside."""
    kept = values.clone()
    for attribute in bench.bank.schema:
        kept[:, bench.bank.schema.columns(attribute.name)].clamp_(attribute.low, attribute.high)
    return kept


def _origin(title: str, codes: Tensor, space: str, values: Tensor) -> GivenFace:
    return GivenFace(
        title=title,
        space=space,
        shape=tuple(codes.shape[1:]),
        codes=tuple(codes.float().flatten().tolist()),
        values=tuple(values.float().flatten().tolist()),
    )


def _given(bench: Workbench, origin: GivenFace) -> Face:
    shape = bench.generator.spaces.get(origin.space)
    codes, values = torch.tensor(origin.codes), torch.tensor(origin.values)
    fits = shape is not None and origin.shape == tuple(shape)
    if not fits or codes.numel() != torch.Size(origin.shape).numel():
        raise InputError(
            f"the code of {origin.title!r} is of {origin.space} and has shape {origin.shape}; "
            f"{bench.bank.generator.name} has {dict(bench.generator.spaces)}"
        )
    if values.shape != (bench.bank.schema.width,):
        raise InputError(
            f"{origin.title!r} has {len(values)} attribute values, and the bank has "
            f"{bench.bank.schema.width}"
        )
    if not bool(codes.isfinite().all() and values.isfinite().all()):
        raise InputError(f"the code of {origin.title!r} holds NaN or infinity")
    return Face(codes.view(1, *origin.shape), origin.space, values[None], origin)
