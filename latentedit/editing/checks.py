"""Checks of what is asked of an editor, before it is asked."""

from __future__ import annotations

import re
from collections.abc import Container
from contextlib import suppress
from typing import Any

import torch
from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.data.bank import LatentBank, ModelReference
from latentedit.errors import (
    EnvironmentFault,
    FingerprintMismatch,
    InputError,
    LatentEditError,
    Unsupported,
)
from latentedit.interfaces.editor import ANY_FLAT
from latentedit.interfaces.generator import Generator
from latentedit.registry import Registry


def check_device(device: str) -> None:
    """Raise `EnvironmentFault` where `device` is not there."""
    found = re.fullmatch(r"cpu(?::0)?|cuda(?::([0-9]{1,3}))?", device)
    if found is None:
        raise InputError(f"device is cpu or cuda, received {device!r}")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise EnvironmentFault(
            "no CUDA device was found; leave out --device cuda, or install a CUDA build of torch "
            "on a machine with a GPU that CUDA supports"
        )
    if found[1] and int(found[1]) >= torch.cuda.device_count():
        raise EnvironmentFault(
            f"there is no {device}; this machine has cuda:0 to cuda:{torch.cuda.device_count() - 1}"
        )


def chosen_space(
    registry: Registry,
    name: str,
    spaces: tuple[str, ...],
    bank: LatentBank,
    asked: str | None,
    generator: Generator,
) -> str:
    """The space where the editor `name` is fitted on `bank`.

    Args:
        spaces: that the editor declares.
        asked: by the caller; None for the bank's own space or the editor's first choice.

    Raises:
        InputError: the editor does not edit the space that was asked for.
        Unsupported: the generator does not have the space.
    """
    if asked is not None and asked not in spaces and ANY_FLAT not in spaces:
        raise InputError(f"{name} edits {', '.join(spaces)}, received space {asked!r}")
    space = asked or _own_choice(spaces, bank, generator)
    check_space(registry, name, space, bank.generator)
    if space not in generator.spaces:
        raise Unsupported(
            f"{name} edits {space}, and {bank.generator.name} has the spaces "
            f"{', '.join(generator.spaces)}; editors of any space name ANY_FLAT in `spaces`"
        )
    return space


def _own_choice(spaces: tuple[str, ...], bank: LatentBank, generator: Generator) -> str:
    """The bank's space if the editor names it; else the first named one that the bank's codes can
    be converted to; else the bank's, for an editor of `ANY_FLAT`."""
    if bank.space in spaces or ANY_FLAT not in spaces:
        return bank.space if bank.space in spaces else spaces[0]
    one = bank.split("fit").rows(torch.zeros(1, dtype=torch.long))[0]
    for space in spaces:
        if space in generator.spaces:
            with suppress(Unsupported):
                generator.convert(one, bank.space, space)
                return space
    return bank.space


def check_space(registry: Registry, editor: str, space: str, reference: ModelReference) -> None:
    """Raise `Unsupported` where `editor` edits styles and the generator has none."""
    if space == "s" and not registry.load("generator", reference.name).has_styles:
        raise Unsupported(
            f"{editor} edits S, the space of styles, and {reference.name} has no styles; "
            f"generators with S: {plugins_able(registry, 'generator', 'has_styles')}"
        )


def check_counterfactuals(
    registry: Registry, editor: str, needs: Container[str], generator: str
) -> None:
    """Raise `Unsupported` where `editor` needs counterfactuals and the generator has none."""
    if "counterfactual" not in needs:
        return
    if not registry.load("generator", generator).has_counterfactuals:
        raise Unsupported(
            f"{editor} asks the generator for the same image with one attribute changed, and "
            f"{generator} does not know its world so well; generators that do: "
            f"{plugins_able(registry, 'generator', 'has_counterfactuals')}"
        )


def plugins_able(registry: Registry, kind: str, ability: str) -> str:
    """The plugins of `kind` whose class attribute `ability` is true, for a message."""
    found = []
    for name in registry.names(kind):
        with suppress(LatentEditError):  # one that cannot be imported is no help here
            if getattr(registry.load(kind, name), ability):
                found.append(name)
    return ", ".join(found) or "(none is installed)"


def as_floats(**given: Any) -> tuple[Tensor, ...]:
    """Nested lists, numpy arrays and tensors of numbers as tensors of floats.

    Floating tensors are returned unchanged; other numbers become float32.

    Raises:
        InputError: one holds something else than numbers, or has no rows.
    """
    found = []
    for what, value in given.items():
        try:
            tensor = torch.as_tensor(value)
        except (TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{what} must be numbers of shape (N, …): {error}") from None
        if tensor.ndim < 2 or tensor.is_complex():
            raise InputError(f"{what} has one row per image, received shape {tuple(tensor.shape)}")
        floating = isinstance(value, Tensor) and tensor.is_floating_point()
        found.append(tensor if floating else tensor.float())
    return tuple(found)


def check_request(
    schema: AttributeSchema, n: int, source: Tensor, target: Tensor, extrapolate: bool
) -> None:
    """Refuse source and target (N, A) that have another shape, or targets outside their range.

    Args:
        n: how many codes are edited.
        extrapolate: allow any finite target.

    Raises:
        InputError: another shape; or a target that is not finite.
        OutOfRange: a target outside an attribute's range.
    """
    for what, values in (("source", source), ("target", target)):
        if values.shape != (n, schema.width):
            raise InputError(
                f"{what} has shape {tuple(values.shape)}, expected "
                f"({n}, {schema.width}): {', '.join(schema.column_names)}"
            )
    if extrapolate:
        if not bool(target.isfinite().all()):
            raise InputError("target holds NaN or infinity")
        return
    changed = torch.where(target == source, target.new_tensor(0.0), target)
    for attribute in schema:
        columns = schema.columns(attribute.name)
        moved = (target != source)[:, columns]
        if bool(moved.any()):
            attribute.check(changed[:, columns][moved])


def check_bank(
    bank: LatentBank, editor: str, generator: ModelReference, schema: AttributeSchema
) -> None:
    """Raise `FingerprintMismatch` where `bank` has another generator or other attributes.

    Args:
        editor: its name, for the message.
        generator, schema: what the editor was fitted for.
    """
    if bank.generator.fingerprint != generator.fingerprint:
        raise FingerprintMismatch(
            "generator",
            f"editor {editor}",
            str(generator),
            f"bank {bank.folder}",
            str(bank.generator),
        )
    if bank.schema != schema:
        raise FingerprintMismatch(
            "attribute schema",
            f"editor {editor}",
            ", ".join(schema.names),
            f"bank {bank.folder}",
            ", ".join(bank.schema.names),
        )
