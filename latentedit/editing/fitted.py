"""Fitted editors: checks, layers, saving and loading, the same for every method."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor

from latentedit.data.attributes import AttributeSchema
from latentedit.data.bank import LatentBank, ModelReference, Split
from latentedit.editing import guard
from latentedit.editing.layers import LayerPreset
from latentedit.errors import (
    CorruptArtefact,
    EnvironmentFault,
    FingerprintMismatch,
    InputError,
    LatentEditError,
    Unsupported,
)
from latentedit.files.artefacts import (
    Digest,
    new_folder,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
)
from latentedit.interfaces.editor import Edited, Editor, Runtime
from latentedit.interfaces.generator import Generator
from latentedit.registry import Registry, parse_options


@dataclass(frozen=True)
class FittedEditor:
    """An editor with what it was fitted on, ready to edit codes of that generator.

    Args:
        name: the plugin's name.
        space: the space that it edits.
        schema: the columns of `source` and `target`.
        generator, labeller: what the bank was made with.
        bank_hash: which faces it was fitted on.
        figures: what fitting reported, seconds included.
        registry: where layer presets are found by name.
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

    def edit(
        self,
        codes: Tensor,
        source: Tensor,
        target: Tensor,
        *,
        layers: tuple[int, ...] | str | None = None,
        extrapolate: bool = False,
    ) -> Edited:
        """Codes whose images show `target` where they showed `source`.

        Args:
            codes: (N, \\*shape) in `space`; or, for an editor of W, W+ codes (N, L, D), whose rows
                are edited one by one (rows that are equal, once).
            source, target: (N, A), natural units.
            layers: W+ rows that take the edit, or the name of a preset that has rows for each
                changed attribute; the others stay. The result is then in W+, or in S, whose
                channels belong to rows, for an editor of S.
            extrapolate: allow targets outside an attribute's range.

        Raises:
            OutOfRange: a target that is not finite, or outside its range.
            PluginFault: the editor broke its contract.
        """
        self._check(codes, source, target, extrapolate)
        home, device = codes.device, self.runtime.device
        codes, source, target = codes.to(device), source.to(device), target.to(device)
        by_row = codes.ndim == 3 and self.space == "w"
        edited = (self._edit_rows if by_row else self._call)(codes, source, target)
        if layers is not None:
            edited = self._restrict(codes, edited, self._rows(layers, source, target))
        ok = None if edited.ok is None else edited.ok.to(home)
        return Edited(edited.codes.to(home), ok, edited.nfe)

    def _call(self, codes: Tensor, source: Tensor, target: Tensor) -> Edited:
        runtime = _declared(self.editor, self.runtime)
        return guard.edit(self.name, self.editor, codes, source, target, runtime)

    def _check(self, codes: Tensor, source: Tensor, target: Tensor, extrapolate: bool) -> None:
        for what, values in (("source", source), ("target", target)):
            if values.shape != (len(codes), self.schema.width):
                raise InputError(
                    f"{what} has shape {tuple(values.shape)}, expected "
                    f"({len(codes)}, {self.schema.width}): {', '.join(self.schema.column_names)}"
                )
        if extrapolate:
            if not bool(target.isfinite().all()):
                raise InputError("target holds NaN or infinity")
        else:
            changed = torch.where(target == source, target.new_tensor(0.0), target)
            for attribute in self.schema:
                columns = self.schema.columns(attribute.name)
                moved = (target != source)[:, columns]
                if bool(moved.any()):
                    attribute.check(changed[:, columns][moved])

    def _edit_rows(self, codes: Tensor, source: Tensor, target: Tensor) -> Edited:
        n, rows, _ = codes.shape
        if bool((codes == codes[:, :1]).all()):
            once = self._call(codes[:, 0].contiguous(), source, target)
            return replace(once, codes=once.codes[:, None].expand(codes.shape).contiguous())
        per_row = (values.repeat_interleave(rows, 0) for values in (source, target))
        flat = self._call(codes.flatten(0, 1), *per_row)
        ok = None if flat.ok is None else flat.ok.view(n, rows).all(1)
        return Edited(flat.codes.view(codes.shape), ok, flat.nfe)

    def sample(self, attributes: Tensor, seed: int = 0) -> Tensor:
        """New codes (N, \\*shape) of faces that have `attributes` (N, A); equal seeds, equal codes.

        Raises:
            Unsupported: the editor draws no samples.
            OutOfRange: an attribute value outside its range.
        """
        if not self.editor.samplable:
            raise Unsupported(
                f"{self.name} edits faces and draws no new ones; editors that do: "
                f"{_able(self.registry, 'editor', 'samplable')}"
            )
        self.schema.check(attributes)
        runtime = replace(_declared(self.editor, self.runtime), seed=seed)
        codes: Tensor = self.editor.sample(attributes.to(self.runtime.device), runtime)  # type: ignore[attr-defined]
        return codes.to(attributes.device)

    def _rows(
        self, layers: tuple[int, ...] | str, source: Tensor, target: Tensor
    ) -> tuple[int, ...]:
        """The rows of a preset: those of every attribute that changes."""
        if not isinstance(layers, str):
            return layers
        preset: LayerPreset = self.registry.load("layers", layers)
        changed = [a.name for a in self.schema if self._changes(a.name, source, target)]
        return tuple({row for name in changed for row in preset.rows(name, self._num_ws())})

    def _changes(self, name: str, source: Tensor, target: Tensor) -> bool:
        columns = self.schema.columns(name)
        return not torch.equal(source[:, columns], target[:, columns])

    def _num_ws(self) -> int:
        if self.runtime.generator is None:
            raise InputError("a layer subset needs the generator, to know its W+ rows")
        return self.runtime.generator.num_ws

    def _restrict(self, codes: Tensor, edited: Edited, layers: tuple[int, ...]) -> Edited:
        """Keep the edit in the W+ rows `layers` only."""
        rows, generator = self._num_ws(), cast(Generator, self.runtime.generator)
        if bad := [row for row in layers if not 0 <= row < rows]:
            raise InputError(f"W+ rows go from 0 to {rows - 1}, received {bad[0]}")
        if self.space == "s":
            kept = torch.isin(generator.style_rows(), torch.tensor(layers)).to(codes.device)
            return replace(edited, codes=torch.where(kept, edited.codes, codes))
        before = codes if codes.ndim == 3 else generator.convert(codes, self.space, "w+")
        after = (
            edited.codes if codes.ndim == 3 else generator.convert(edited.codes, self.space, "w+")
        )
        mask = torch.zeros(1, rows, 1, dtype=torch.bool, device=codes.device)
        mask[:, list(layers)] = True
        return replace(edited, codes=torch.where(mask, after, before))

    def check_bank(self, bank: LatentBank) -> None:
        """Raise `FingerprintMismatch` unless `bank` holds codes of this editor's generator."""
        if bank.generator.fingerprint != self.generator.fingerprint:
            raise FingerprintMismatch(
                "generator",
                f"editor {self.name}",
                str(self.generator),
                f"bank {bank.folder}",
                str(bank.generator),
            )
        if bank.schema != self.schema:
            raise FingerprintMismatch(
                "attribute schema",
                f"editor {self.name}",
                ", ".join(self.schema.names),
                f"bank {bank.folder}",
                ", ".join(bank.schema.names),
            )

    def save(self, folder: str | Path) -> None:
        """Write ``config.json`` and ``model.safetensors`` to a new folder."""
        with new_folder(Path(folder)) as temporary:
            digest = write_tensors(
                temporary / "model.safetensors", guard.state(self.name, self.editor)
            )
            write_json(
                temporary / "config.json",
                {
                    "editor": self.name,
                    "options": self.editor.options.model_dump(mode="json"),
                    "space": self.space,
                    "schema": self.schema.to_json(),
                    "generator": asdict(self.generator),
                    "labeller": asdict(self.labeller),
                    "bank_hash": self.bank_hash,
                    "seed": self.seed,
                    "figures": dict(self.figures),
                    "sha256": digest,
                },
            )


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
    progress: Callable[[float, str], None] | None = None,
    checkpoint: Path | None = None,
) -> FittedEditor:
    """Fit the editor `name` on the fit split of `bank`.

    Args:
        options: the editor's own, checked against its `Options`.
        space: where to edit; the editor's first choice if not given.
        generator: one that is built already, to save building it.
        held_out: how many faces at the end of the fit split to leave out, for validation.
        checkpoint: a folder from which an interrupted fit goes on.
    """
    check_device(device)
    editor = registry.editor(name, options)
    space = space or (bank.space if bank.space in editor.spaces else editor.spaces[0])
    if space not in editor.spaces:
        raise InputError(f"{name} edits {', '.join(editor.spaces)}, received space {space!r}")
    check_space(registry, name, space, bank.generator)
    runtime = _runtime(registry, editor, bank.generator, bank.labeller, seed, device, generator)
    if progress is not None:
        runtime = replace(runtime, progress=progress)
    runtime = replace(runtime, checkpoint=checkpoint)
    data = bank.split("fit")
    if held_out:
        data = data.take(torch.arange(len(data) - held_out))
    if space != data.space:
        data = _converted(data, space, runtime, registry, bank.generator)
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
    )


def load_editor(
    registry: Registry,
    folder: str | Path,
    *,
    device: str = "cpu",
    generator: Generator | None = None,
) -> FittedEditor:
    """Load an editor that `FittedEditor.save` wrote."""
    check_device(device)
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise InputError(
            f"{folder} is not a fitted editor: it has no config.json. "
            f"Make one with: latentedit fit EDITOR --bank BANK --out {folder}"
        )
    config = read_json(folder / "config.json")
    try:
        name, schema = config["editor"], AttributeSchema.from_json(config["schema"])
        references = ModelReference(**config["generator"]), ModelReference(**config["labeller"])
        loaded = registry.load(registry.editor_kind(name), name)
        editor: Editor = loaded(parse_options(loaded, name, config["options"]))
        guard.load_state(name, editor, read_tensors(folder / "model.safetensors"))
        runtime = _runtime(registry, editor, *references, config["seed"], device, generator)
        return FittedEditor(
            name,
            editor,
            config["space"],
            schema,
            *references,
            config["bank_hash"],
            config["seed"],
            runtime,
            config["figures"],
            registry,
        )
    except (KeyError, TypeError) as error:
        raise CorruptArtefact(
            f"{folder}/config.json has a missing or invalid field: {error}; fit the editor again"
        ) from None


def check_device(device: str) -> None:
    """Raise `EnvironmentFault` where `device` is not there."""
    if device.split(":", maxsplit=1)[0] not in ("cpu", "cuda"):
        raise InputError(f"device is cpu or cuda, received {device!r}")
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise EnvironmentFault(
            "no CUDA device was found; leave out --device cuda, or install a CUDA build of torch "
            "on a machine with a GPU that CUDA supports"
        )


def check_space(registry: Registry, editor: str, space: str, reference: ModelReference) -> None:
    """Raise `Unsupported` where `editor` edits styles and the generator has none."""
    if space == "s" and not registry.load("generator", reference.name).has_styles:
        raise Unsupported(
            f"{editor} edits S, the space of styles, and {reference.name} has no styles; "
            f"generators with S: {_able(registry, 'generator', 'has_styles')}"
        )


def _able(registry: Registry, kind: str, ability: str) -> str:
    """The plugins of `kind` whose class attribute `ability` is true, for a message."""
    found = []
    for name in registry.names(kind):
        with suppress(LatentEditError):  # one that cannot be imported is no help here
            if getattr(registry.load(kind, name), ability):
                found.append(name)
    return ", ".join(found) or "(none is installed)"


def build_generator(registry: Registry, reference: ModelReference) -> Generator:
    """The generator of `reference`, refused if it is no longer the same one."""
    generator = registry.generator(reference.name, reference.options)
    if generator.fingerprint != reference.fingerprint:
        raise FingerprintMismatch(
            "generator",
            f"installed {reference.name}",
            generator.fingerprint[:12],
            "the record",
            str(reference),
        )
    return generator


def build_renderer(
    registry: Registry, bank: LatentBank, generator: Generator | None = None
) -> Generator:
    """What makes the images of a bank's test faces: its generator, or that one as it was tuned to
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
    if space == editor_space or (space, editor_space) == ("w+", "w"):
        return codes, space
    return generator.convert(codes, space, editor_space), editor_space


def _runtime(
    registry: Registry,
    editor: Editor,
    generator: ModelReference,
    labeller: ModelReference,
    seed: int,
    device: str,
    built: Generator | None,
) -> Runtime:
    """A runtime with the models that the editor needs; the generator also for W+ rows."""
    return Runtime(
        device=device,
        seed=seed,
        generator=built or build_generator(registry, generator),
        estimator=registry.estimator(labeller.name, labeller.options)
        if "estimator" in editor.needs
        else None,
    )


def _declared(editor: Editor, runtime: Runtime) -> Runtime:
    """`runtime` with only what the editor's `needs` name, so that a declaration is never wrong."""
    return replace(runtime, generator=runtime.generator if "generator" in editor.needs else None)


def _converted(
    data: Split, space: str, runtime: Runtime, registry: Registry, reference: ModelReference
) -> Split:
    generator = runtime.generator or build_generator(registry, reference)
    return Split(
        space,
        data.schema,
        tuple(
            (generator.convert(codes, data.space, space), attributes)
            for codes, attributes in data.shards
        ),
    )
