"""Fitted editors: checks, layers, saving and loading, the same for every method."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.data.bank import LatentBank, ModelReference
from latentedit.editing import guard
from latentedit.editing.checkpoints import checkpoint_in, fit_key, remove_checkpoint
from latentedit.editing.checks import (
    as_floats,
    check_bank,
    check_counterfactuals,
    check_device,
    check_request,
    chosen_space,
    plugins_able,
)
from latentedit.editing.conversion import converted_split
from latentedit.editing.generators import build_generator, build_labeller
from latentedit.editing.layers import LayerPreset, edited_in_rows
from latentedit.editing.saved import read_editor, write_editor
from latentedit.editing.shapes import flat_codes, flat_split
from latentedit.editing.sharing import fetched_editor
from latentedit.errors import InputError, Unsupported
from latentedit.files.artefacts import Digest
from latentedit.interfaces.editor import Edited, Editor, Runtime
from latentedit.interfaces.generator import Generator
from latentedit.interfaces.runtime import Log, Progress
from latentedit.registry import Registry


@dataclass(frozen=True)
class FittedEditor:
    """An editor with what it was fitted on, ready to edit codes of that generator.

    Args:
        name: the plugin's name.
        space: the space that it edits.
        schema: the columns of `source` and `target`.
        generator, labeller: what the bank was made with.
        bank_hash: which images it was fitted on.
        figures: what fitting reported, seconds included.
        registry: where layer presets are found by name.
        checkpoint: the state of its fit on disk, which `save` removes.
    """

    name: str
    editor: Editor
    space: str
    schema: AttributeSchema
    generator: ModelReference
    labeller: ModelReference
    bank_hash: Digest
    seed: int
    runtime: Runtime
    figures: Mapping[str, float] = field(default_factory=dict)
    registry: Registry = field(default_factory=Registry, repr=False, compare=False)
    checkpoint: Path | None = field(default=None, repr=False, compare=False)

    def edit(
        self,
        codes: Any,
        source: Any,
        target: Any,
        *,
        layers: tuple[int, ...] | str | None = None,
        extrapolate: bool = False,
    ) -> Edited:
        """Codes whose images show `target` where they showed `source`.

        Args:
            codes: (N, \\*shape) in `space`; or, for an editor of W, W+ codes (N, L, D), whose rows
                are edited one by one (rows that are equal, once).
            source, target: (N, A), natural units. Like `codes`, they may be nested lists or numpy
                arrays.
            layers: W+ rows that take the edit, or the name of a preset that has rows for each
                changed attribute; the others stay. The result is then in W+, or in S, whose
                channels belong to rows, for an editor of S.
            extrapolate: allow targets outside an attribute's range.

        Raises:
            OutOfRange: a target that is not finite, or outside its range.
            PluginFault: the editor broke its contract.
        """
        codes, source, target = as_floats(codes=codes, source=source, target=target)
        check_request(self.schema, len(codes), source, target, extrapolate)
        home, device = codes.device, self.runtime.device
        codes, source, target = codes.to(device), source.to(device), target.to(device)
        edited = (self._edit_rows if self._by_row(codes) else self._call)(codes, source, target)
        if layers is not None:
            edited = self._restrict(codes, edited, layers, source, target)
        ok = None if edited.ok is None else edited.ok.to(home)
        return replace(edited, codes=edited.codes.to(home), ok=ok)

    def _call(self, codes: Tensor, source: Tensor, target: Tensor) -> Edited:
        runtime = _declared(self.editor, self.runtime)
        given = flat_codes(self.editor, codes)
        edited = guard.edit(self.name, self.editor, given, source, target, runtime)
        return replace(edited, codes=edited.codes.view(codes.shape))

    def _by_row(self, codes: Tensor) -> bool:
        """Whether `codes` are rows of codes of the editor's space, as the generator declares."""
        generator = self.runtime.generator
        if generator is None or tuple(codes.shape[1:]) == generator.spaces.get(self.space):
            return False
        return generator.holds_rows(codes) and (
            generator.row_spaces[generator.row_space] == self.space
        )

    def _edit_rows(self, codes: Tensor, source: Tensor, target: Tensor) -> Edited:
        n, rows = codes.shape[:2]
        if bool((codes == codes[:, :1]).all()):
            once = self._call(codes[:, 0].contiguous(), source, target)
            return replace(once, codes=once.codes[:, None].expand(codes.shape).contiguous())
        per_row = (values.repeat_interleave(rows, 0) for values in (source, target))
        flat = self._call(codes.flatten(0, 1), *per_row)
        ok = flat.served.view(n, rows).all(1)  # an image is refused if one of its rows is
        whole = ok.view(n, *[1] * (codes.ndim - 1))
        kept = torch.where(whole, flat.codes.view(codes.shape), codes)
        return replace(flat, codes=kept, ok=ok)

    def sample(self, attributes: Tensor, seed: int = 0) -> Tensor:
        """New codes (N, \\*shape) whose images have `attributes` (N, A), the same for equal seeds.

        Raises:
            Unsupported: the editor draws no samples.
            OutOfRange: an attribute value outside its range.
        """
        if not self.editor.samplable:
            raise Unsupported(
                f"{self.name} edits images and draws no new ones; editors that do: "
                f"{plugins_able(self.registry, 'editor', 'samplable')}"
            )
        self.schema.check(attributes)
        runtime = replace(_declared(self.editor, self.runtime), seed=seed)
        asked = attributes.to(self.runtime.device)
        codes = guard.sample(self.name, self.editor, asked, runtime)
        generator = self.runtime.generator
        if generator is not None:
            codes = codes.view(len(codes), *generator.spaces[self.space])
        return codes.to(attributes.device)

    def _restrict(
        self,
        codes: Tensor,
        edited: Edited,
        layers: tuple[int, ...] | str,
        source: Tensor,
        target: Tensor,
    ) -> Edited:
        """Keep the edit in the W+ rows `layers` only; of a preset, those of what changes."""
        generator = self.runtime.generator
        if generator is None:
            raise InputError("a layer subset needs the generator, to know its W+ rows")
        if isinstance(layers, str):
            preset: LayerPreset = self.registry.load("layers", layers)
            changed = self.schema.changing(source, target)
            layers = preset.all_rows(changed, generator.num_ws)
        kept = edited_in_rows(generator, self.space, codes, edited.codes, layers)
        return replace(edited, codes=kept)

    def check_bank(self, bank: LatentBank) -> None:
        """Raise `FingerprintMismatch` unless `bank` holds codes of this editor's generator."""
        check_bank(bank, self.name, self.generator, self.schema)

    def save(self, folder: str | Path) -> None:
        """Write ``config.json``, ``model.safetensors`` and a model card to a new folder.

        The checkpoint of its fit is removed then.
        """
        config = {
            "editor": self.name,
            "options": self.editor.options.model_dump(mode="json"),
            "space": self.space,
            "schema": self.schema.to_json(),
            "generator": self.generator.to_json(),
            "labeller": self.labeller.to_json(),
            "bank_hash": self.bank_hash,
            "seed": self.seed,
            "figures": dict(self.figures),
        }
        write_editor(Path(folder), config, guard.state(self.name, self.editor))
        if self.checkpoint is not None:
            remove_checkpoint(self.checkpoint)


def fit_editor(
    registry: Registry,
    name: str,
    bank: LatentBank,
    options: Mapping[str, Any] | None = None,
    *,
    seed: int = 0,
    device: str = "cpu",
    space: str | None = None,
    generator: Generator | None = None,
    held_out: int = 0,
    progress: Progress | None = None,
    log: Log | None = None,
    checkpoint: Path | None = None,
    notify: Callable[[str], None] | None = None,
) -> FittedEditor:
    """Fit the editor `name` on the fit split of `bank`.

    Args:
        options: the editor's own, checked against its `Options`.
        space: where to edit; the editor's first choice if not given.
        generator: one that is built already, to save building it.
        held_out: how many images at the end of the fit split to leave out, for validation.
        log: takes the figures that the editor logs while it is fitted.
        checkpoint: a folder in which a long fit saves its state. A fit that was interrupted goes
            on from there. The state of another fit is never used: bank, editor, options, seed,
            device and code must be the same. `FittedEditor.save` removes it.
        notify: is told, in a sentence, whether an interrupted fit goes on or starts afresh; and
            that an editor reads images with other code of the labeller than labelled the bank.
    """
    check_device(device)
    editor = registry.editor(name, options)
    check_counterfactuals(registry, name, editor.needs, bank.generator.name)
    notify = notify or _unheard
    runtime = _runtime(
        registry, editor, bank.generator, bank.labeller, seed, device, generator, notify
    )
    built = runtime.generator or build_generator(registry, bank.generator)
    space = chosen_space(registry, name, editor.spaces, bank, space, built)
    if progress is not None:
        runtime = replace(runtime, progress=progress)
    if log is not None:
        runtime = replace(runtime, log=log)
    if checkpoint is not None:
        decides = {"seed": seed, "device": device, "space": space, "held_out": held_out}
        key = fit_key(registry, name, options, bank) | decides
        checkpoint = checkpoint_in(checkpoint, key, notify)
        runtime = replace(runtime, checkpoint=checkpoint)
    data = bank.split("fit")
    if held_out:
        data = data.take(torch.arange(len(data) - held_out))
    data = flat_split(editor, converted_split(data, space, built))
    started = time.perf_counter()
    stats = guard.fit(name, editor, data, _declared(editor, runtime))
    figures = {**stats.figures, "fit_seconds": time.perf_counter() - started}
    return FittedEditor(
        name,
        editor,
        space,
        bank.schema,
        bank.generator,
        bank.labeller,
        bank.hash,
        seed,
        replace(runtime, checkpoint=None),
        figures,
        registry,
        checkpoint,
    )


def load_editor(
    registry: Registry,
    folder: str | Path,
    *,
    device: str = "cpu",
    generator: Generator | None = None,
    notify: Callable[[str], None] | None = None,
) -> FittedEditor:
    """Load an editor that `FittedEditor.save` wrote.

    Args:
        folder: where it is, or ``"HUB:NAME"`` or ``"HUB:NAME@REVISION"`` of an installed hub.
        notify: is told, in a sentence, that the editor reads images with other code of the
            labeller than labelled its bank.

    Raises:
        InputError: there is none in `folder`.
        CorruptArtefact: its files are broken; names the file and the field.
    """
    check_device(device)
    record, fitted = read_editor(fetched_editor(registry, folder))
    name = record.editor
    references = (
        ModelReference(**record.generator.model_dump()),
        ModelReference(**record.labeller.model_dump()),
    )
    editor = registry.editor(name, record.options)
    guard.load_state(name, editor, fitted)
    return FittedEditor(
        name,
        editor,
        record.space,
        AttributeSchema.from_json([row.model_dump() for row in record.attributes]),
        *references,
        record.bank_hash,
        record.seed,
        _runtime(registry, editor, *references, record.seed, device, generator, notify or _unheard),
        record.figures,
        registry,
    )


def _runtime(
    registry: Registry,
    editor: Editor,
    generator: ModelReference,
    labeller: ModelReference,
    seed: int,
    device: str,
    built: Generator | None,
    notify: Callable[[str], None],
) -> Runtime:
    """A runtime with the models that the editor needs; the generator also for W+ rows."""
    reads = "estimator" in editor.needs
    return Runtime(
        device=device,
        seed=seed,
        generator=built or build_generator(registry, generator),
        estimator=build_labeller(registry, labeller, notify) if reads else None,
    )


def _unheard(text: str) -> None:
    """What nobody asked to be told."""


def _declared(editor: Editor, runtime: Runtime) -> Runtime:
    """`runtime` with only what the editor's `needs` name, so that a declaration is never wrong."""
    return replace(runtime, generator=runtime.generator if "generator" in editor.needs else None)
