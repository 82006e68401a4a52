"""The rules of an editor, one function each: it returns where the rule is kept, and raises
`Broken` with what was found and what to do where it is not."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from typing import Protocol

import torch
from torch import Tensor

from latentedit.data.bank import ModelReference
from latentedit.editing import guard
from latentedit.editing.fitted import FittedEditor
from latentedit.errors import InputError, LatentEditError, NotFitted, PluginFault, UnknownName
from latentedit.files.artefacts import fingerprint
from latentedit.interfaces.editor import Editor
from latentedit.plugin import ENTRY_POINTS
from latentedit.registry import Origin
from latentedit.testing.case import Case
from latentedit.testing.world import ROWS, SCHEMA, ToyGenerator

HEAVY = ("torch", "sklearn", "scipy", "transformers", "onnxruntime", "ray", "matplotlib")
CLOSE = 1e-3
"""Largest distance between codes that count as one, in standard deviations of the codes."""
FAR = 20.0
"""Largest distance that counts as near, in the same unit."""
RETURN = 0.05
"""What an invertible editor may leave of an edit, there and back, as a share of the edit."""
ABSOLUTE = 0.7
"""Largest error that an absolute editor may leave, as a share of what not moving would leave."""
SAMPLES = 64


class Broken(AssertionError):
    """A rule is not kept."""


class Listed(Protocol):
    """A plugin of any kind."""

    @property
    def origin(self) -> Origin: ...


def is_light_to_list(case: Listed) -> None:
    """Listing the plugin imports no heavy library."""
    module = next(
        (e.module for e in entry_points(group=ENTRY_POINTS) if e.name == case.origin.name), None
    )
    if module is None:  # registered by hand, so there is no module that is imported to list it
        return
    code = f"import {module}, sys; print(*(m for m in {HEAVY} if m in sys.modules))"
    found = subprocess.run(  # noqa: S603  (our own interpreter, a module that is installed)
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise Broken(f"import {module} failed: {found.stderr.strip().splitlines()[-1]}")
    if found.stdout.strip():
        raise Broken(
            f"import {module} imports {found.stdout.strip()}; keep the hook in a module that "
            "imports only latentedit.plugin, and name the class by 'package.module:Class'"
        )


def fits_with_what_it_declares(case: Case) -> None:
    """`fit` works from codes and attributes and from what `needs` names."""
    try:
        _ = case.fitted
    except Exception as error:
        _name_missing_need(case, error)
        raise Broken(f"{error}") from error


def _name_missing_need(case: Case, error: Exception) -> None:
    """Say which model is missing, where the editor fits as soon as it has it."""
    editor, declared = case.new(), sorted(case.new().needs)
    try:
        editor.fit(case.images(200, 0), case.with_everything)
    except Exception:
        return
    raise Broken(
        f"fit fails with what needs = {declared} declares, and not with generator, estimator and "
        f"identity at hand: add what it uses to `needs` ({error})"
    ) from error


def edits_soundly(case: Case) -> None:
    """`edit` returns finite codes of the same shape, dtype and device, changes neither its inputs
    nor the process, and takes one image, many, and none."""
    codes, source, target = case.request
    try:
        for n in (len(codes), 1, 0):
            case.edit(case.fitted, codes[:n], source[:n], target[:n])
    except LatentEditError as error:
        raise Broken(str(error)) from error
    except Exception as error:
        raise Broken(f"edit raised {type(error).__name__}: {error}") from error


def refuses_before_it_is_fitted(case: Case) -> None:
    """`edit` and `state` raise `NotFitted` before `fit`, where fitting leaves anything."""
    if not guard.state(case.name, case.fitted):
        return
    editor = case.new()
    calls = {"edit": lambda: editor.edit(*case.request, case.runtime), "state": editor.state}
    for what, call in calls.items():
        try:
            call()
        except NotFitted:
            continue
        except Exception as error:
            raise Broken(
                f"{what} before fit raised {type(error).__name__}: {error}; raise NotFitted, as "
                "Editor.state does for what `fitted` names"
            ) from error
        raise Broken(f"{what} before fit did not raise NotFitted; begin with self.state()")


def keeps_its_state_while_editing(case: Case) -> None:
    """Editing leaves what was fitted as it was."""
    before = {name: value.clone() for name, value in _state(case, case.fitted).items()}
    case.edit(case.fitted, *case.request)
    for name, value in _state(case, case.fitted).items():
        if not torch.equal(value, before[name]):
            raise Broken(f"edit changed the fitted {name!r}; work on a copy")


def leaves_codes_alone_where_nothing_is_asked(case: Case) -> None:
    """A target that equals the source changes nothing."""
    codes, source, _ = case.request
    edited = case.edit(case.fitted, codes, source, source.clone())
    if (found := _apart(case, edited.codes, codes)) > CLOSE:
        raise Broken(
            f"with target = source codes moved by {found:.2g} standard deviations, at most "
            f"{CLOSE:g} are allowed; move by what is asked, target − source"
        )
    if edited.ok is not None and not bool(edited.ok.all()):
        raise Broken(
            "with target = source images came back as not ok; say so only of images for which what "
            "is asked cannot be done"
        )


def treats_codes_one_by_one(case: Case) -> None:
    """An image is edited alone as it is among others, in any order."""
    codes, source, target = case.request
    alone = torch.cat(
        [
            case.edit(case.fitted, codes[i : i + 1], source[i : i + 1], target[i : i + 1]).codes
            for i in range(len(codes))
        ]
    )
    order = torch.arange(len(codes)).flip(0)
    turned = case.edit(case.fitted, codes[order], source[order], target[order]).codes[order]
    for how, other in (("alone", alone), ("in another order", turned)):
        if (found := _apart(case, case.edited, other)) > CLOSE:
            raise Broken(
                f"images edited {how} differ from the same ones in a batch by {found:.2g} standard "
                "deviations; take no statistics over the batch, and draw noise image by image"
            )


def repeats_itself(case: Case) -> None:
    """Equal seeds give equal fits, and equal requests equal edits."""
    again = case.edit(case.fitted, *case.request).codes
    if not torch.equal(again, case.edited):
        raise Broken("the same edit twice gave two results; draw numbers from runtime.rng() alone")
    first, second = _state(case, case.fitted), _state(case, case.fit(luck=1))
    differing = [
        name
        for name, value in first.items()
        if name not in second or not torch.allclose(value, second[name], rtol=1e-4, atol=1e-5)
    ]
    if differing or set(second) != set(first):
        raise Broken(
            f"two fits with seed {case.seed} left different {', '.join(differing) or 'names'}; "
            "draw numbers from runtime.rng() alone"
        )


def survives_saving(case: Case) -> None:
    """A new editor that takes up `state` edits as the old one does."""
    state = {name: value.clone() for name, value in _state(case, case.fitted).items()}
    editor = case.new()
    try:
        guard.load_state(case.name, editor, state)
        edited = case.edit(editor, *case.request).codes
    except LatentEditError as error:
        raise Broken(f"after load_state(state()): {error}") from error
    if (found := _apart(case, edited, case.edited)) > CLOSE:
        raise Broken(
            f"after load_state(state()) edits differ by {found:.2g} standard deviations: `fitted` "
            "or `state` leave something out that edit uses"
        )


def refuses_another_state(case: Case) -> None:
    """`load_state` raises `InputError` for what `state` of another editor returned."""
    if not _state(case, case.fitted):
        return
    try:
        case.new().load_state({"another": torch.zeros(3)})
    except InputError:
        return
    except Exception as error:
        raise Broken(
            f"load_state of another editor's tensors raised {type(error).__name__}: {error}; raise "
            "InputError, as Editor.load_state does where one that `fitted` names is missing"
        ) from error
    raise Broken("load_state took another editor's tensors; raise InputError where its own miss")


def copes_with_what_never_varies(case: Case) -> None:
    """Where all images have one label of an attribute, the others are learned and edited all the
    same, and an image that asks for another value comes back as not ok, or near where it was."""
    codes, source, target = case.request
    try:
        edited = case.edit(case.fit(constant="yaw"), codes, source, target)
    except Exception as error:
        raise Broken(
            f"where all images have one yaw: {error}; leave such attributes out, and return `ok` "
            "False for images that ask for them"
        ) from error
    asked = (target != source)[:, SCHEMA.columns("yaw")].any(1)
    if (found := _apart(case, edited.codes[asked], codes[asked])) > FAR:
        raise Broken(
            f"where all images have one yaw, asking for another moved codes by {found:.2g} "
            "standard deviations; return `ok` False for those that ask for what cannot be learned"
        )


def edits_rows_and_layers(case: Case) -> None:
    """An editor of W edits equal rows of W+ as one code, and a subset of rows alone."""
    if case.space != "w":
        return
    fitted = _as_fitted(case)
    codes, source, target = case.request
    rows = codes[:, None].expand(-1, ROWS, -1).contiguous()
    edited = fitted.edit(rows, source, target, extrapolate=True).codes
    if (found := _apart(case, edited, case.edited[:, None].expand_as(rows))) > CLOSE:
        raise Broken(f"equal rows of W+ are edited otherwise than in W, by {found:.2g}")
    some = fitted.edit(codes, source, target, layers=(1, 2), extrapolate=True).codes
    if not torch.equal(some[:, 0], codes) or not torch.equal(some[:, 3], codes):
        raise Broken("rows outside the chosen layers have moved")


def refuses_unknown_attributes(case: Case) -> None:
    """A name that no bank has, in an option `attributes` or `attribute`, raises `UnknownName`."""
    for option, value in (("attributes", ("agee",)), ("attribute", "agee")):
        if option not in case.new().Options.model_fields:
            continue
        try:
            editor = case.registry.editor(case.name, {**case.options, option: value})
        except InputError:
            continue
        try:
            editor.fit(case.images(200, 0), case.runtime)
        except UnknownName:
            continue
        except Exception as error:
            raise Broken(
                f"fit with {option}={value!r} raised {type(error).__name__}: {error}; look names "
                "up with data.schema.columns(name), which raises UnknownName"
            ) from error
        raise Broken(f"fit accepted {option}={value!r}, which no bank has; raise UnknownName")


def comes_back_if_it_says_so(case: Case) -> None:
    """An editor declared `invertible` returns to the code when the edit is undone."""
    if not case.fitted.invertible:
        return
    codes, source, target = case.request
    back = case.edit(case.fitted, case.edited, target, source).codes
    left, moved = _apart(case, back, codes), _apart(case, case.edited, codes)
    if left > max(RETURN * moved, CLOSE):
        raise Broken(
            f"invertible is declared, and there and back leaves {left / moved:.0%} of the edit; "
            "declare invertible = False, or make the way back exact"
        )


def ends_at_the_target_if_it_says_so(case: Case) -> None:
    """An editor declared `absolute` brings images to the target from wherever they are."""
    if not case.fitted.absolute:
        return
    images, age = case.images(SAMPLES, case.seed + 2), SCHEMA.columns("age")
    target = images.attributes.clone()
    target[:, age] = 40.0
    edited = case.edit(case.fitted, images.codes, images.attributes, target).codes
    reached = ToyGenerator().truth(edited, case.space).attributes[:, age]
    before = (images.attributes[:, age] - 40.0).abs().mean()
    after = (reached - 40.0).abs().mean()
    if after > ABSOLUTE * before:
        raise Broken(
            f"absolute is declared, and {SAMPLES} images asked to be 40 years old end {after:.1f} "
            f"years from it, {before:.1f} before the edit; declare absolute = False"
        )


def draws_codes_if_it_says_so(case: Case) -> None:
    """An editor declared `samplable` draws codes by the runtime's seed."""
    if not case.fitted.samplable:
        return
    sample = getattr(case.fitted, "sample", None)
    if sample is None:
        raise Broken("samplable is declared, and there is no sample(attributes, runtime)")
    codes, source, _ = case.request
    first, second = sample(source, case.runtime), sample(source, case.runtime)
    if first.shape != codes.shape or not bool(first.isfinite().all()):
        raise Broken(
            f"sample returned {tuple(first.shape)} for {len(codes)} images, expected "
            f"finite codes {tuple(codes.shape)}"
        )
    if not torch.equal(first, second):
        raise Broken("sample drew two results with one seed; draw numbers from runtime.rng() alone")
    other = sample(source, Case(case.registry, case.name, case.options, case.seed + 1).runtime)
    if torch.equal(first, other):
        raise Broken("sample drew the same codes with two seeds; draw numbers from runtime.rng()")


def _state(case: Case, editor: Editor) -> dict[str, Tensor]:
    try:
        return guard.state(case.name, editor)
    except PluginFault as error:
        raise Broken(str(error)) from error


def _apart(case: Case, first: Tensor, second: Tensor) -> float:
    """Largest distance of two sets of codes, in standard deviations of codes of the space."""
    if len(first) == 0:
        return 0.0
    spread = case.images(200, 0).codes.std()
    return float((first - second).abs().max() / spread)


def _as_fitted(case: Case) -> FittedEditor:
    generator = ModelReference("toy", {}, ToyGenerator().fingerprint)
    labeller = ModelReference("toy-labeller", {}, fingerprint({"estimator": "toy-labeller"}))
    runtime = case.with_everything  # the core narrows it to what is declared
    return FittedEditor(
        case.name, case.fitted, "w", SCHEMA, generator, labeller, "0" * 64, case.seed, runtime
    )
