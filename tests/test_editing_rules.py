"""What the core does around every editor, by closed forms: rows, ranges, masks, and refusals."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
import toy_editors
from torch import Tensor
from toy import ToyGenerator

import latentedit_styleflow
from latentedit import (
    Attribute,
    AttributeSchema,
    CorruptArtefact,
    Edited,
    Editor,
    EnvironmentFault,
    FingerprintMismatch,
    FitStats,
    FittedEditor,
    Generator,
    InputError,
    LatentBank,
    NotFitted,
    Options,
    OutOfRange,
    PluginFault,
    Registry,
    Runtime,
    Split,
    Unsupported,
    fit_editor,
    load_editor,
    make_bank,
)
from latentedit.data.bank import ModelReference
from latentedit.editing import guard
from latentedit.editing.checks import check_device, check_space
from latentedit.editing.generators import build_generator, build_renderer, codes_for
from latentedit.files.artefacts import read_json, write_json

SCHEMA = AttributeSchema(
    (
        Attribute("age", "continuous", 0.0, 90.0, "years"),
        Attribute("glasses", "binary", 0.0, 1.0),
        Attribute("lighting", "vector", -1.0, 1.0, size=2),
    )
)
D, A, ROWS = 3, 4, 18
PUSH = torch.tensor([[1.0, 0, 0], [0, 10.0, 0], [0, 0, 1.0], [0, 0, -2.0]])


class Plain(Generator):
    """Codes of three numbers, eighteen rows of them, and one style a row."""

    has_styles = True
    spaces: Mapping[str, tuple[int, ...]] = MappingProxyType(
        {"z": (D,), "w": (D,), "w+": (ROWS, D), "s": (ROWS,)}
    )
    resolution = 4
    fingerprint = "f" * 64

    def sample(self, n: int, seed: int, space: str = "w", truncation_psi: float = 1.0) -> Tensor:
        return torch.zeros(n, *self.spaces[space])

    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        if source == "z":
            codes = codes + 100
        if target == "w+":
            codes = codes[:, None].repeat(1, ROWS, 1)
        return codes

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        return torch.zeros(len(codes), 3, 4, 4)

    def style_rows(self) -> Tensor:
        return torch.arange(ROWS)


class Push(Editor):
    """w' = w + (target − source) P; refuses codes whose first number is above 50."""

    spaces = ("w", "s")
    needs = frozenset({"attributes"})
    samplable = True

    def __init__(self, options: Any = None) -> None:
        super().__init__(options)
        self.calls: list[tuple[int, Runtime]] = []

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        self.calls.append((len(codes), runtime))
        if codes.shape[1] == ROWS:
            return Edited(codes + (target - source).sum(1, keepdim=True), None, 7)
        return Edited(codes + (target - source) @ PUSH, codes[:, 0] <= 50, 7)

    def sample(self, attributes: Tensor, runtime: Runtime) -> Tensor:
        self.calls.append((len(attributes), runtime))
        return attributes @ PUSH + runtime.seed


REFERENCE = ModelReference("plain", {}, "f" * 64)


def around(editor: Editor, space: str = "w", generator: Generator | None = None) -> FittedEditor:
    runtime, registry = Runtime(seed=5, generator=generator or Plain()), Registry()
    registry.add(latentedit_styleflow, "styleflow")  # for its rows of W+
    known = (SCHEMA, REFERENCE, REFERENCE, "0" * 64, 5, runtime, {"r2": 0.5})
    return FittedEditor("push", editor, space, *known, registry=registry)


def request(n: int = 4) -> tuple[Tensor, Tensor, Tensor]:
    """Codes, attributes, and a target that differs in the first two attributes."""
    rng = torch.Generator().manual_seed(n)
    codes = torch.randn(n, D, generator=rng)
    source = torch.tensor([[30.0, 0.2, 0.1, -0.1]]) + torch.rand(n, A, generator=rng) / 10
    target = source.clone()
    target[:, 0] += torch.arange(n) + 1
    target[:, 1] += 0.25
    return codes, source, target


def rows(codes: Tensor, n: int = ROWS) -> Tensor:
    return codes[:, None].repeat(1, n, 1)


# --- rows of W+


def test_rows_of_unequal_codes_are_each_edited_by_their_faces_request() -> None:
    """Also where only one face of the batch has unequal rows, and only in its last one."""
    codes, source, target = request()
    many = rows(codes)
    many[3, -1] += 5
    editor = Push()
    edited = around(editor).edit(many, source, target)
    wanted = many + ((target - source) @ PUSH)[:, None]
    assert torch.allclose(edited.codes, wanted, atol=1e-5)
    assert [n for n, _ in editor.calls] == [4 * ROWS]
    assert edited.ok is not None
    assert edited.ok.tolist() == [True] * 4
    assert edited.nfe == 7


def test_equal_rows_are_edited_once() -> None:
    codes, source, target = request()
    editor = Push()
    codes[1, 0] = 60
    edited = around(editor).edit(rows(codes), source, target)
    assert [n for n, _ in editor.calls] == [4]
    wanted = rows(codes + (target - source) @ PUSH)
    wanted[1] = rows(codes)[1]
    assert torch.allclose(edited.codes, wanted, atol=1e-5)
    assert edited.ok is not None
    assert edited.ok.tolist() == [True, False, True, True]
    assert (edited.nfe, edited.codes.is_contiguous()) == (7, True)


def test_a_face_is_served_where_all_of_its_rows_are() -> None:
    codes, source, target = request()
    many = rows(codes)
    many[:, 4] += 0.5
    many[2, 7, 0] = 99
    edited = around(Push()).edit(many, source, target)
    assert edited.ok is not None
    assert edited.ok.tolist() == [True, True, False, True]
    wanted = many + ((target - source) @ PUSH)[:, None]
    wanted[2] = many[2]
    assert torch.allclose(edited.codes, wanted, atol=1e-5)
    assert torch.equal(edited.codes[2], many[2])


# --- layers


@pytest.mark.parametrize("in_rows", [False, True])
@pytest.mark.parametrize("layers", [(0,), (17, 3), ()])
def test_only_the_rows_that_are_named_take_the_edit(in_rows: bool, layers: tuple[int, ...]) -> None:
    codes, source, target = request()
    given = rows(codes) + torch.arange(18.0)[:, None] if in_rows else codes
    edited = around(Push()).edit(given, source, target, layers=layers)
    before = given if in_rows else rows(codes)
    wanted = before.clone()
    for row in layers:
        wanted[:, row] += (target - source) @ PUSH
    assert torch.allclose(edited.codes, wanted, atol=1e-5)
    assert edited.ok is not None
    assert edited.nfe == 7


def test_layers_of_z_are_restricted_in_w_plus() -> None:
    codes, source, target = request()
    edited = around(Push(), "z").edit(codes, source, target, layers=(2,))
    wanted = rows(codes + 100)
    wanted[:, 2] += (target - source) @ PUSH
    assert torch.allclose(edited.codes, wanted, atol=1e-4)


def test_channels_of_s_belong_to_rows() -> None:
    _, source, target = request()
    styles = torch.arange(4 * 18.0).view(4, 18)
    edited = around(Push(), "s").edit(styles, source, target, layers=(1, 16))
    change = (target - source).sum(1)
    wanted = styles.clone()
    wanted[:, [1, 16]] += change[:, None]
    assert torch.allclose(edited.codes, wanted)


@pytest.mark.parametrize("bad", [-1, 18])
def test_rows_that_are_not_there_are_refused(bad: int) -> None:
    with pytest.raises(InputError, match=f"W\\+ rows go from 0 to 17, received {bad}"):
        around(Push()).edit(*request(), layers=(3, bad))


def changed_rows(edited: Edited, codes: Tensor) -> list[int]:
    moved = (edited.codes - rows(codes)).abs().amax((0, 2)) > 1e-6
    return [int(row) for row in moved.nonzero()[:, 0]]


@pytest.mark.parametrize(
    ("columns", "wanted"),
    [
        ([0], [4, 5, 6, 7]),
        ([1], [2, 3]),
        ([3], [7, 8, 9, 10, 11]),
        ([0, 1], [2, 3, 4, 5, 6, 7]),
        ([], []),
    ],
)
def test_a_preset_takes_the_rows_of_every_attribute_that_changes(
    columns: list[int], wanted: list[int]
) -> None:
    """Also of those that change for one face only."""
    codes, source, _ = request()
    target = source.clone()
    target[2, columns] += 0.3
    edited = around(Push()).edit(codes, source, target, layers="released")
    assert changed_rows(edited, codes) == wanted
    assert edited.codes.shape == (4, ROWS, D)


def test_a_subset_of_rows_needs_the_generator() -> None:
    editor = around(Push())
    object.__setattr__(editor, "runtime", Runtime())
    with pytest.raises(InputError, match="a layer subset needs the generator"):
        editor.edit(*request(), layers=(1,))


# --- what may be asked for


@pytest.mark.parametrize("which", ["source", "target"])
@pytest.mark.parametrize("shape", [(4, 3), (3, 4), (4, 4, 1)])
def test_attribute_values_have_a_row_a_face_and_a_column_a_number(
    which: str, shape: tuple[int, ...]
) -> None:
    codes, source, target = request()
    given = {"source": source, "target": target} | {which: torch.zeros(shape)}
    told = r"expected \(4, 4\): age, glasses, lighting_0, lighting_1"
    with pytest.raises(InputError, match=rf"{which} has shape .*{told}"):
        around(Push()).edit(codes, **given)


def test_only_what_changes_is_held_to_its_range() -> None:
    codes, source, target = request()
    source[1, 2] = target[1, 2] = 7.0
    source[:, 3] = target[:, 3] = -3.0
    source[0, 0] = 200.0
    edited = around(Push()).edit(codes, source, target)
    assert torch.allclose(edited.codes, codes + (target - source) @ PUSH, atol=1e-3)
    for row, column, value, told in (
        (2, 3, 1.01, "'lighting' takes values from -1 to 1, received 1.01"),
        (3, 1, -0.01, "'glasses' takes values from 0 to 1, received -0.01"),
        (1, 0, 90.5, "'age' takes values from 0 to 90 years, received 90.5"),
        (1, 2, float("nan"), "'lighting' takes values"),
    ):
        asked = target.clone()
        asked[row, column] = value
        with pytest.raises(OutOfRange, match=told):
            around(Push()).edit(codes, source, asked)
    target[:, 0], target[:, 1] = 90.0, 0.0
    assert around(Push()).edit(codes, source, target).ok is not None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_extrapolation_takes_any_number_that_is_one(value: float) -> None:
    codes, source, target = request()
    target[2, 0] = 400.0
    with pytest.raises(OutOfRange, match="received 400"):
        around(Push()).edit(codes, source, target)
    edited = around(Push()).edit(codes, source, target, extrapolate=True)
    assert torch.allclose(edited.codes, codes + (target - source) @ PUSH, atol=1e-3)
    target[0, 3] = value
    with pytest.raises(InputError, match="target holds NaN or infinity"):
        around(Push()).edit(codes, source, target, extrapolate=True)


# --- runtimes and samples


class Needy(Push):
    needs = frozenset({"attributes", "generator"})


def test_an_editor_is_given_the_generator_only_where_it_declares_to_need_it() -> None:
    for editor, has in ((Push(), False), (Needy(), True)):
        fitted = around(editor)
        fitted.edit(*request())
        fitted.sample(torch.zeros(2, A))
        assert [(r.generator is not None) for _, r in editor.calls] == [has, has]


def test_samples_are_of_the_attributes_and_the_seed() -> None:
    wanted = torch.tensor([[40.0, 0.5, 0, 1], [10.0, 1, 0, 0]])
    fitted = around(Push())
    assert torch.allclose(fitted.sample(wanted), wanted @ PUSH)
    assert torch.allclose(fitted.sample(wanted, seed=9), wanted @ PUSH + 9)
    with pytest.raises(OutOfRange, match="'age'"):
        fitted.sample(wanted + 60)


class Mute(Push):
    samplable = False


def test_an_editor_that_draws_nothing_says_which_do() -> None:
    with pytest.raises(Unsupported, match="push edits images and draws no new ones"):
        around(Mute()).sample(torch.zeros(1, A))


# --- fitting


class Noted(Push):
    """Keeps what it was fitted with."""

    needs: ClassVar[Any] = frozenset({"attributes", "estimator"})
    fitted = ("mean",)

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self.data, self.runtime = data, runtime
        self.mean = data.codes.mean(0)
        runtime.progress(0.5, "half")
        return FitStats({"r2": 0.25})


class Unneeding(Noted):
    needs = frozenset({"attributes"})
    spaces = ("s",)


class OneEditor:
    """A registry that has one editor beside the toy world."""

    def __init__(self, editor: Editor) -> None:
        self.one, self.toy = editor, toy_editors.registry()

    def editor(self, name: str, options: Any) -> Editor:
        return self.one

    def __getattr__(self, name: str) -> Any:
        return getattr(self.toy, name)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    folder = tmp_path_factory.mktemp("banks") / "toy"
    return make_bank(
        toy_editors.registry(), folder, generator="toy", labeller="toy-labeller", n_fit=30, n_test=5
    )


def fit(editor: Editor, bank: LatentBank, **options: Any) -> FittedEditor:
    return fit_editor(OneEditor(editor), "exact", bank, **options)  # type: ignore[arg-type]


def test_validation_faces_are_the_last_of_the_fit_split(bank: LatentBank) -> None:
    whole, editor = bank.split("fit"), Noted()
    fit(editor, bank)
    assert torch.equal(editor.data.codes, whole.codes)
    fit(editor, bank, held_out=7)
    assert torch.equal(editor.data.codes, whole.codes[:23])
    assert torch.equal(editor.data.attributes, whole.attributes[:23])


def test_a_fit_is_given_what_was_asked_for_and_notes_what_it_was(
    bank: LatentBank, tmp_path: Path
) -> None:
    editor, told = Noted(), []
    fitted = fit(
        editor,
        bank,
        seed=11,
        checkpoint=tmp_path,
        progress=lambda fraction, message: told.append((fraction, message)),
    )
    assert told == [(0.5, "half")]
    assert editor.runtime.seed == 11
    assert editor.runtime.checkpoint == fitted.checkpoint
    assert editor.runtime.checkpoint.parent == tmp_path
    assert editor.runtime.estimator is not None
    assert editor.runtime.generator is None
    assert fitted.runtime.generator is not None
    assert fitted.runtime.checkpoint is None
    assert (fitted.name, fitted.space, fitted.seed) == ("exact", "w", 11)
    assert (fitted.generator, fitted.labeller) == (bank.generator, bank.labeller)
    assert (fitted.bank_hash, fitted.schema) == (bank.hash, bank.schema)
    assert fitted.figures["r2"] == 0.25
    assert 0 < fitted.figures["fit_seconds"] < 60
    given = ToyGenerator()
    assert fit(editor, bank, generator=given).runtime.generator is given


def test_a_fit_has_seed_0_where_none_is_said(bank: LatentBank) -> None:
    editor = Noted()
    assert fit(editor, bank).seed == 0
    assert editor.runtime.seed == 0


def test_a_bank_is_converted_to_the_space_that_is_edited(bank: LatentBank) -> None:
    whole, world = bank.split("fit"), ToyGenerator()
    first = Unneeding()
    assert fit(first, bank).space == "s"
    assert first.runtime.estimator is None
    assert torch.equal(first.data.codes, world.convert(whole.codes, "w", "s"))
    assert first.data.space == "s"
    assert torch.equal(first.data.attributes, whole.attributes)
    editor = Noted()
    assert fit(editor, bank, space="s").space == "s"
    assert torch.equal(editor.data.codes, world.convert(whole.codes, "w", "s"))
    with pytest.raises(InputError, match="exact edits w, s, received space 'z'"):
        fit(editor, bank, space="z")


def test_devices_are_cpu_and_cuda() -> None:
    check_device("cpu")
    check_device("cpu:0")
    with pytest.raises(InputError, match="device is cpu or cuda, received 'mps'"):
        check_device("mps")
    if not torch.cuda.is_available():
        for device in ("cuda", "cuda:1"):
            with pytest.raises(EnvironmentFault, match="leave out --device cuda"):
                check_device(device)


def test_s_is_refused_only_where_there_are_no_styles() -> None:
    class Registry:
        def load(self, kind: str, name: str) -> Any:
            if name == "broken":
                raise InputError("cannot be imported")
            return SimpleNamespace(has_styles=name == "styled")

        def names(self, kind: str) -> list[str]:
            return ["broken", "bare", "styled"]

    registry: Any = Registry()
    check_space(registry, "e", "s", ModelReference("styled", {}, "0"))
    check_space(registry, "e", "w", ModelReference("bare", {}, "0"))
    with pytest.raises(Unsupported, match=r"bare has no styles; generators with S: styled$"):
        check_space(registry, "e", "s", ModelReference("bare", {}, "0"))


def test_codes_are_converted_unless_an_editor_of_w_gets_rows() -> None:
    world = ToyGenerator()
    w, plus = world.sample(2, 0), world.sample(2, 0, "w+")
    assert codes_for("w", w, "w", world) == (w, "w")
    assert codes_for("w", plus, "w+", world)[0] is plus
    assert codes_for("w", plus, "w+", world)[1] == "w+"
    styles, space = codes_for("s", plus, "w+", world)
    assert torch.equal(styles, world.convert(plus, "w+", "s"))
    assert space == "s"
    converted, space = codes_for("w+", w, "w", world)
    assert torch.equal(converted, plus)
    assert space == "w+"


# --- saving


def test_what_is_saved_says_what_it_was_fitted_on(bank: LatentBank, tmp_path: Path) -> None:
    fitted = fit_editor(toy_editors.registry(), "exact", bank, seed=3)
    fitted.save(tmp_path / "E")
    config = read_json(tmp_path / "E" / "config.json")
    assert config["editor"] == "exact"
    assert (config["space"], config["seed"], config["bank_hash"]) == ("w", 3, bank.hash)
    assert config["generator"]["fingerprint"] == ToyGenerator().fingerprint
    assert config["labeller"]["name"] == "toy-labeller"
    assert config["figures"] == dict(fitted.figures)
    loaded = load_editor(toy_editors.registry(), tmp_path / "E")
    assert torch.equal(loaded.editor.state()["inverse"], fitted.editor.state()["inverse"])
    assert (loaded.seed, loaded.runtime.seed, loaded.runtime.device) == (3, 3, "cpu")
    for key in ("space", "schema", "labeller", "figures", "bank_hash"):
        write_json(tmp_path / "E" / "config.json", {k: v for k, v in config.items() if k != key})
        with pytest.raises(CorruptArtefact, match=f"config.json: {key}: Field required"):
            load_editor(toy_editors.registry(), tmp_path / "E")
    write_json(tmp_path / "E" / "config.json", config | {"labeller": {"nme": 1}})
    with pytest.raises(CorruptArtefact, match=r"config.json: labeller.name: Field required"):
        load_editor(toy_editors.registry(), tmp_path / "E")


def test_a_bank_of_other_attributes_is_refused() -> None:
    other = SimpleNamespace(
        generator=REFERENCE,
        schema=AttributeSchema((Attribute("mood", "continuous", 0, 1),)),
        folder="B",
    )
    told = "attribute schema.*age, glasses, lighting.*mood"
    with pytest.raises(FingerprintMismatch, match=r"(?s)" + told):
        around(Push()).check_bank(other)  # type: ignore[arg-type]
    around(Push()).check_bank(SimpleNamespace(generator=REFERENCE, schema=SCHEMA))  # type: ignore[arg-type]


def test_a_generator_that_is_no_longer_the_same_is_refused() -> None:
    registry, world = toy_editors.registry(), ToyGenerator()
    same = ModelReference("toy", {"correlation": 0.3}, "")
    built = registry.generator("toy", {"correlation": 0.3})
    found = build_generator(registry, ModelReference("toy", same.options, built.fingerprint))
    assert found.options.correlation == 0.3  # type: ignore[attr-defined]
    with pytest.raises(FingerprintMismatch, match=f"(?s){world.fingerprint[:12]}"):
        build_generator(registry, ModelReference("toy", {}, "a" * 64))


class Retuned(Plain):
    def tuned(self, tensors: Mapping[str, Tensor]) -> Generator:
        found = Retuned()
        found.fingerprint = f"tuned-{float(tensors['w']):g}-and-then-some"
        return found


def test_photographs_are_rendered_by_the_generator_that_was_tuned_to_them() -> None:
    made, registry = Retuned(), toy_editors.registry()

    def bank(inversion: Any) -> Any:
        return SimpleNamespace(
            inversion=inversion, tensors=lambda name: {"w": torch.tensor(3.0)}, folder="B"
        )

    assert build_renderer(registry, bank(None), made) is made
    assert build_renderer(registry, bank({"figures": {}}), made) is made
    tuned = build_renderer(registry, bank({"tuned": "tuned-3-and-then-some"}), made)
    assert tuned.fingerprint == "tuned-3-and-then-some"
    with pytest.raises(FingerprintMismatch, match=r"(?s)tuned generator.*tuning\.safetensors"):
        build_renderer(registry, bank({"tuned": "tuned-4-and-then-some"}), made)


# --- the boundary


class Does(Editor):
    """Does what a test gives it."""

    fitted = ("mean",)

    def __init__(self, act: Callable[..., Any], state: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.act, self.given = act, state

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        found: FitStats = self.act()
        return found

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        found: Edited = self.act(codes, source, target)
        return found

    def state(self) -> dict[str, Tensor]:
        return dict({"mean": torch.zeros(1)} if self.given is None else self.given)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        self.act(state)


def at_boundary(act: Callable[..., Any], **changes: Tensor) -> Edited:
    codes, source, target = request()
    return guard.edit("does", Does(act), changes.get("codes", codes), source, target, Runtime())


@pytest.mark.parametrize("which", [0, 1, 2])
def test_inputs_are_left_as_they_were(which: int) -> None:
    def act(*given: Tensor) -> Edited:
        given[which].view(-1)[-1] += 1
        return Edited(given[0].clone())

    what = ("codes", "source", "target")[which]
    with pytest.raises(PluginFault, match=f"'does'.*changed its input {what} in place"):
        at_boundary(act)


@pytest.mark.parametrize(
    ("act", "told"),
    [
        (lambda w, s, t: w, "edit returned Tensor, not Edited"),
        (lambda w, s, t: None, "edit returned NoneType, not Edited"),
        (lambda w, s, t: Edited(w.tolist()), "codes of type list, not Tensor"),
        (lambda w, s, t: Edited(w[:3]), r"codes \(3, 3\) torch.float32 on cpu for codes \(4, 3\)"),
        (lambda w, s, t: Edited(w.double()), "torch.float64 on cpu for codes"),
        (lambda w, s, t: Edited(w, torch.ones(4)), r"\(4,\) torch.float32 on cpu; it must be bool"),
        (lambda w, s, t: Edited(w, torch.ones(3).bool()), r"bool of shape \(4,\)"),
        (lambda w, s, t: Edited(w, torch.ones(4, 1).bool()), r"bool of shape \(4,\)"),
        (
            lambda w, s, t: Edited(w / torch.tensor([[1.0], [1], [0], [0]])),
            "image 2 and called",
        ),
    ],
)
def test_results_of_another_kind_are_refused(act: Any, told: str) -> None:
    with pytest.raises(PluginFault, match=told):
        at_boundary(act)


def test_faces_that_are_not_ok_come_back_as_they_were_whatever_was_returned() -> None:
    codes = request()[0]
    spoilt = torch.tensor([[1.0], [float("nan")], [1.0], [1.0]])
    ok = torch.tensor([True, False, False, True])
    edited = at_boundary(lambda w, s, t: Edited((w + 1) * spoilt, ok, 3))
    assert torch.equal(edited.codes, torch.where(ok[:, None], codes + 1, codes))
    assert edited.ok is not None
    assert (edited.ok.tolist(), edited.nfe) == (ok.tolist(), 3)


def test_no_mask_means_that_all_are_ok_and_gradients_end_here() -> None:
    edited = at_boundary(lambda w, s, t: Edited((w + 1).requires_grad_()))
    assert edited.ok is not None
    assert edited.ok.dtype == torch.bool
    assert edited.ok.tolist() == [True] * 4
    assert not edited.codes.requires_grad
    plus = torch.zeros(4, 2, 3)
    rows = at_boundary(
        lambda w, s, t: Edited(w + 1, torch.tensor([True, False, True, True])), codes=plus
    )
    assert rows.codes[:, 1, 2].tolist() == [1, 0, 1, 1]


@pytest.mark.parametrize(
    ("error", "passes"),
    [(ValueError("no"), False), (InputError("mine"), True), (MemoryError("full"), True)],
)
def test_errors_get_the_plugins_name_unless_they_are_the_projects_own(
    error: Exception, passes: bool
) -> None:
    def act(*given: Any) -> Any:
        raise error

    editor = Does(act)
    calls = {
        "edit": lambda: guard.edit("does", editor, *request(), Runtime()),
        "fit": lambda: guard.fit("does", editor, None, Runtime()),  # type: ignore[arg-type]
        "load_state": lambda: guard.load_state("does", editor, {}),
    }
    for method, call in calls.items():
        if passes:
            with pytest.raises(type(error), match=str(error)):
                call()
        else:
            with pytest.raises(PluginFault, match=f"'does': {method} raised ValueError: no"):
                call()


@pytest.mark.parametrize(
    ("state", "told"),
    [
        ({"a": 3.0}, "state has float in 'a', not Tensor"),
        ({"a": torch.ones(1), "b": torch.tensor([float("nan")])}, "NaN or infinity in 'b'"),
        ({"b": torch.tensor([1.0, float("inf")])}, "fit left NaN or infinity in 'b'"),
    ],
)
def test_a_fit_leaves_finite_tensors(state: Mapping[str, Any], told: str) -> None:
    with pytest.raises(PluginFault, match=told):
        guard.fit("does", Does(FitStats, state), None, Runtime())  # type: ignore[arg-type]
    fine = {"n": torch.tensor([3]), "x": torch.ones(2)}
    assert guard.state("does", Does(FitStats, fine)).keys() == fine.keys()


def test_a_fit_returns_its_figures() -> None:
    made = FitStats({"r2": 1.0})
    assert guard.fit("does", Does(lambda: made), None, Runtime()) is made  # type: ignore[arg-type]
    with pytest.raises(PluginFault, match="fit returned dict, not FitStats"):
        guard.fit("does", Does(dict), None, Runtime())  # type: ignore[arg-type]


CHANGES: dict[str, Callable[[], object]] = {
    "the number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "the default dtype": lambda: torch.set_default_dtype(torch.float64),
    "the gradient mode": lambda: torch.set_grad_enabled(not torch.is_grad_enabled()),
    "the current folder": lambda: os.chdir(".."),
}
DRAWS: dict[str, Callable[[], object]] = {
    "torch's global random state": lambda: torch.rand(1),
    "numpy's global random state": np.random.rand,
    "Python's global random state": random.random,
}


def surroundings() -> list[Any]:
    state = np.random.get_state()
    return [
        torch.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        os.getcwd(),
        torch.get_rng_state().tolist(),
        (state[1].tolist(), *state[2:]),  # type: ignore[union-attr]
        random.getstate(),
    ]


@pytest.mark.parametrize("what", [*CHANGES, *DRAWS])
def test_an_edit_that_changes_its_surroundings_is_named_and_they_are_put_back(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = surroundings()

    def act(codes: Tensor, *rest: Tensor) -> Edited:
        moved = codes + 1
        (CHANGES | DRAWS)[what]()
        return Edited(moved)

    with pytest.raises(PluginFault, match=f"edit changed {what}"):
        at_boundary(act)
    assert surroundings() == before

    def breaks(*given: Any) -> Any:
        (CHANGES | DRAWS)[what]()
        raise ValueError("halfway")

    with pytest.raises(PluginFault, match="edit raised ValueError: halfway"):
        at_boundary(breaks)
    assert surroundings() == before


@pytest.mark.parametrize("what", CHANGES)
def test_a_fit_may_draw_but_not_change_its_surroundings(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = surroundings()

    def act() -> FitStats:
        CHANGES[what]()
        return FitStats()

    with pytest.raises(PluginFault, match=f"fit changed {what}"):
        guard.fit("does", Does(act), None, Runtime())  # type: ignore[arg-type]
    assert surroundings() == before


def test_a_fit_may_use_the_global_random_states() -> None:
    def act() -> FitStats:
        for draw in DRAWS.values():
            draw()
        return FitStats({"drawn": 3.0})

    found = guard.fit("does", Does(act), None, Runtime())  # type: ignore[arg-type]
    assert found.figures == {"drawn": 3.0}


# --- editors themselves


def test_random_generators_differ_by_seed_and_stream_and_repeat() -> None:
    seeds = [(s, k) for s in (0, 1, 2) for k in (0, 1, 10, 1_000_000)]
    drawn = [float(torch.rand(1, generator=Runtime(seed=s).rng(k))) for s, k in seeds]
    assert len(set(drawn)) == len(seeds)
    again = [float(torch.rand(1, generator=Runtime(seed=s).rng(k))) for s, k in seeds]
    assert drawn == again
    assert Runtime(seed=2).rng(7).initial_seed() == 2_000_013
    assert Runtime(seed=4).rng().initial_seed() == Runtime(seed=4).rng(0).initial_seed()


class Two(Editor):
    fitted = ("one", "two")

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes)


def test_the_fitted_state_is_the_named_tensors_and_nothing_else() -> None:
    editor = Two()
    assert isinstance(editor.options, Options)
    editor.one = torch.ones(1)
    with pytest.raises(NotFitted, match="Two is not fitted \\(it has no two\\); call fit first"):
        editor.state()
    editor.two = editor.other = torch.zeros(2)
    assert list(editor.state()) == ["one", "two"]
    fresh = Two()
    with pytest.raises(InputError, match=r"Two needs one, two, received \['x'\]"):
        fresh.load_state({"x": torch.ones(1)})
    fresh.load_state({**editor.state(), "x": torch.ones(1)})
    assert torch.equal(fresh.state()["two"], torch.zeros(2))
    assert not hasattr(fresh, "x")


class OneRow(Plain):
    spaces: Mapping[str, tuple[int, ...]] = MappingProxyType({"z": (D,), "w": (D,)})


def test_a_generator_says_what_it_has_not() -> None:
    assert Plain().num_ws == 18
    bare = OneRow()
    for call, told in (
        (lambda: bare.num_ws, r"OneRow has no W\+ space; it has \['z', 'w'\]"),
        (bare.style_weights, "OneRow has no style weights"),
        (bare.tunable, "no weights that can be tuned"),
        (lambda: bare.synthesize_with({}, torch.zeros(1, D)), "no weights that can be tuned"),
        (lambda: bare.tuned({}), "no weights that can be tuned"),
        (lambda: bare.truth(torch.zeros(1, D)), "does not know the truth"),
    ):
        with pytest.raises(Unsupported, match=told):
            call()
    assert bare.describe() == {"resolution": 4, "spaces": {"z": [3], "w": [3]}}
