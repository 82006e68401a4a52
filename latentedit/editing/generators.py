"""The generator and the labeller of a record or bank, and codes as an editor takes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from latentedit.data.bank import LatentBank, ModelReference
from latentedit.editing.keys import code_of
from latentedit.errors import FingerprintMismatch
from latentedit.files.artefacts import Digest
from latentedit.interfaces.estimators import AttributeEstimator
from latentedit.interfaces.generator import Generator
from latentedit.registry import Registry


def build_generator(registry: Registry, reference: ModelReference) -> Generator:
    """The generator of `reference`, refused if it is no longer the same one."""
    generator = registry.generator(reference.name, reference.options)
    _check_same("generator", generator.fingerprint, reference)
    return generator


def build_labeller(
    registry: Registry, reference: ModelReference, notify: Callable[[str], None] = lambda text: None
) -> AttributeEstimator:
    """The labeller of `reference`, refused if it is no longer the same one.

    Args:
        notify: is told, in a sentence, that it has other code than it had.
    """
    labeller = registry.estimator(reference.name, reference.options)
    _check_same("labeller", labeller.fingerprint, reference)
    if told := other_code(registry, reference):
        notify(told)
    return labeller


def model_reference(
    registry: Registry, kind: str, name: str, options: Mapping[str, Any], fingerprint: Digest
) -> ModelReference:
    """What a record says of a model that is built here."""
    return ModelReference(name, options, fingerprint, code_of(registry, kind, name))


def other_code(registry: Registry, labeller: ModelReference) -> str:
    """In a sentence, that the installed labeller has another version or source than the one that
    labelled a bank; empty if it is the same, is not installed, or if the bank does not say."""
    if labeller.name not in registry.names("estimator"):
        return ""
    installed = code_of(registry, "estimator", labeller.name)
    for field, before in labeller.code.items():
        if installed.get(field) != before:
            return (
                f"{labeller.name} labelled the bank with another {field}: {before[:12]}, and "
                f"{installed.get(field, 'none')[:12]} is installed. What it reads now may differ "
                "from the labels. Label the bank anew with: latentedit bank label"
            )
    return ""


def _check_same(what: str, installed: Digest, reference: ModelReference) -> None:
    if installed != reference.fingerprint:
        raise FingerprintMismatch(
            what, f"installed {reference.name}", installed[:12], "the record", str(reference)
        )


def build_renderer(
    registry: Registry, bank: LatentBank, generator: Generator | None = None
) -> Generator:
    """What makes a bank's test images: its generator, or that one as it was tuned to
    the photographs that the bank holds.

    Args:
        generator: the bank's, where it is built already.
    """
    generator = generator or build_generator(registry, bank.generator)
    expected = (bank.inversion or {}).get("tuned")
    if expected is None:
        return generator
    tuned = generator.tuned(bank.tensors("tuning"))
    if tuned.fingerprint != expected:
        raise FingerprintMismatch(
            "tuned generator",
            f"{bank.folder}/tuning.safetensors",
            tuned.fingerprint[:12],
            "bank.json",
            str(expected)[:12],
        )
    return tuned


def codes_for(
    editor_space: str, codes: Tensor, space: str, generator: Generator
) -> tuple[Tensor, str]:
    """Codes as an editor of `editor_space` takes them, and their space: an editor of W is given
    codes of W+ as they are, row by row."""
    if space == editor_space or generator.row_spaces.get(space) == editor_space:
        return codes, space
    return generator.convert(codes, space, editor_space), editor_space
