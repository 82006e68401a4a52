"""Codes of any name and shape: banks, flat editors, suites and reports."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import odd_spaces
import pytest
import torch
from flat_results import summarise
from odd_spaces import KINDS, registry
from test_benchmark import Silent
from torch import Tensor
from toy import SCHEMA, ToyGenerator, toy_split

from latentedit import (
    Edited,
    Editor,
    FitStats,
    FittedEditor,
    InputError,
    LatentBank,
    ModelReference,
    PluginSpec,
    Runtime,
    Split,
    UnknownName,
    Unsupported,
    fit_editor,
    hookimpl,
    load_editor,
    make_bank,
)
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite
from latentedit.report.page import write_report
from latentedit.testing import check_generator

FLAT = {
    "interfacegan": {},
    "regression": {},
    "mean-difference": {},
    "ganspace": {"components": 8},
    "styleflow": {"steps": 3, "batch": 16, "evaluations": 1},
}


def bank_of(generator: str, folder: Path, space: str | None = None) -> LatentBank:
    made = {"generator": generator, "labeller": "toy-labeller", "n_fit": 200, "n_test": 20}
    return make_bank(registry(), folder / "bank", space=space, **made)  # type: ignore[arg-type]


@pytest.mark.parametrize("generator", KINDS)
def test_five_flat_editors_go_from_bank_to_report_in_any_space(
    generator: str, tmp_path: Path
) -> None:
    suite = Suite.model_validate(
        {
            "name": "odd",
            "bank": {
                "generator": {"plugin": generator},
                "labeller": "toy-labeller",
                "n_fit": 200,
                "n_test": 16,
            },
            "judge": "toy-judge",
            "identity": ["toy-identity"],
            "editors": {name: {"plugin": name, "options": FLAT[name]} for name in FLAT},
            "controls": ["nearest-neighbour"],
            "tasks": [{"attribute": "yaw", "change": 10}],
            "strengths": [0.5, 1.0],
            "effects": [0.5],
            "show_images": 2,
        }
    )
    outcome = run_suite(suite, tmp_path, Silent(), registry=registry)
    assert [(record.id, record.error) for record in outcome.failed] == []
    rows = summarise(tmp_path)["measures"]
    assert {row["editor"] for row in rows} == {*FLAT, "nearest-neighbour"}
    if generator == "maps":
        assert "interfacegan" in write_report(tmp_path).read_text()


@pytest.mark.parametrize("generator", ["maps", "tokens", "z-only", "wide"])
def test_a_direction_of_reshaped_codes_is_that_of_the_same_codes_as_vectors(
    generator: str, tmp_path: Path
) -> None:
    odd, plain = bank_of(generator, tmp_path / "odd"), bank_of("toy", tmp_path / "plain")
    space, shape = next(iter(KINDS[generator].spaces.items()))
    assert (odd.space, odd.split("fit").code_shape) == (space, shape)
    assert torch.equal(odd.split("fit").codes.flatten(1), plain.split("fit").codes)
    ours, theirs = (fit_editor(registry(), "regression", bank) for bank in (odd, plain))
    codes, source = odd.split("test").rows(torch.arange(20))
    target = source.clone()
    target[:, 2] += 5
    edited = ours.edit(codes, source, target, extrapolate=True).codes
    expected = theirs.edit(codes.flatten(1), source, target, extrapolate=True).codes
    assert edited.shape == codes.shape
    assert torch.equal(edited.flatten(1), expected)
    ours.save(tmp_path / "editor")
    again = load_editor(registry(), tmp_path / "editor")
    assert torch.equal(again.edit(codes, source, target, extrapolate=True).codes, edited)


@pytest.mark.parametrize("generator", KINDS)
def test_generators_of_any_space_keep_every_rule(generator: str) -> None:
    verdicts = check_generator(generator, registry=registry())
    assert [verdict.fault for verdict in verdicts if not verdict.kept] == []


class Shaped(Editor):
    """Takes maps as they are; moves the first channel alone."""

    spaces = ("h",)
    needs = frozenset()
    fitted = ("shape",)

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self.shape = torch.tensor(data.codes.shape[1:])
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        moved = codes.clone()
        moved[:, 0] += (target - source).sum(1)[:, None, None]
        return Edited(moved)


class _Shaped:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [PluginSpec("editor", "shaped", f"{__name__}:Shaped", "for tests")]


def test_an_editor_that_names_a_space_takes_codes_of_its_shape(tmp_path: Path) -> None:
    bank, found = bank_of("maps", tmp_path), registry()
    found.add(_Shaped(), "shaped")
    fitted = fit_editor(found, "shaped", bank)
    codes, source = bank.split("test").rows(torch.arange(4))
    target = source.clone()
    target[:, 2] += 3
    edited = fitted.edit(codes, source, target, extrapolate=True).codes
    assert fitted.editor.shape.tolist() == [6, 2, 2]
    assert torch.allclose((edited - codes)[:, 0], torch.full((4, 2, 2), 3.0), atol=1e-4)
    assert torch.equal(edited[:, 1:], codes[:, 1:])


def test_new_codes_of_a_flat_editor_have_the_shape_of_the_space(tmp_path: Path) -> None:
    fitted = fit_editor(registry(), "styleflow", bank_of("maps", tmp_path), FLAT["styleflow"])
    labels = torch.tensor([[35.0, 0.5, 0.0, 0.0, 0.0, 0.0]]).repeat(3, 1)
    assert fitted.sample(labels).shape == (3, 6, 2, 2)


def test_a_bank_is_sampled_where_it_is_asked_for(tmp_path: Path) -> None:
    world = ToyGenerator()
    rows = bank_of("toy", tmp_path / "rows", "w+")
    assert torch.equal(rows.split("fit").codes, world.sample(200, 0, "w+"))
    assert rows.sampling["space"] == "w+"
    assert "space" not in bank_of("toy", tmp_path / "home").sampling
    with pytest.raises(UnknownName, match=r"unknown space 'v'.*of toy"):
        bank_of("toy", tmp_path / "unknown", "v")


def test_a_suite_samples_its_bank_where_it_says(tmp_path: Path) -> None:
    suite = Suite.model_validate(
        {
            "name": "z",
            "bank": {
                "generator": {"plugin": "rows"},
                "labeller": "toy-labeller",
                "n_fit": 60,
                "n_test": 8,
                "space": "z",
            },
            "judge": "toy-judge",
            "identity": ["toy-identity"],
            "editors": {"regression": {"plugin": "regression"}},
            "controls": [],
            "tasks": [{"attribute": "yaw", "change": 10}],
        }
    )
    first = run_suite(suite, tmp_path, Silent(), registry=registry)
    assert not first.failed
    assert LatentBank.open(tmp_path / "bank").space == "z"
    again = run_suite(suite, tmp_path, Silent(), registry=registry)
    assert (again.computed, again.kept) == (0, first.computed)


class OnlyW(Editor):
    fitted = ()

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        return Edited(codes.clone())


def test_an_editor_of_named_spaces_is_refused_where_the_generator_has_none_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plugins = registry()
    monkeypatch.setattr(plugins, "editor", lambda name, options: OnlyW())
    bank = bank_of("z-only", tmp_path)
    with pytest.raises(Unsupported, match="only-w edits w, and z-only has the spaces z"):
        fit_editor(plugins, "only-w", bank)
    with pytest.raises(InputError, match="only-w edits w, received space 'z'"):
        fit_editor(plugins, "only-w", bank, space="z")


class Halves(ToyGenerator):
    """W+ under another name."""

    spaces: Mapping[str, tuple[int, ...]] = {"w": (24,), "halves": (2, 24)}
    row_spaces: ClassVar[Mapping[str, str]] = {"halves": "w"}

    def convert(self, codes: Tensor, source: str, target: str) -> Tensor:
        rows = (source, target) == ("w", "halves")
        return codes[:, None].repeat(1, 2, 1) if rows else codes


class First(OnlyW):
    """w' = w + (target − source) of the first column."""

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        assert codes.ndim == 2
        return Edited(codes + (target - source)[:, :1])


def test_rows_are_edited_one_by_one_where_the_generator_declares_them() -> None:
    world, model = Halves(), ModelReference("halves", {}, "0" * 64)
    runtime = Runtime(generator=world)
    fitted = FittedEditor("first", First(), "w", SCHEMA, model, model, "0" * 64, 0, runtime)
    faces = toy_split(3, 0)
    source, target = faces.attributes, faces.attributes + 1
    rows = torch.stack([faces.codes, 2 * faces.codes], 1)
    edited = fitted.edit(rows, source, target, extrapolate=True).codes
    assert torch.equal(edited, rows + (target - source)[:, :1, None])
    some = fitted.edit(faces.codes, source, target, layers=(1,), extrapolate=True).codes
    assert torch.equal(some[:, 0], faces.codes)
    assert torch.equal(some[:, 1], faces.codes + (target - source)[:, :1])
    assert (world.row_space, world.num_ws, world.home) == ("halves", 2, "w")


def test_a_generator_without_rows_refuses_subsets_of_them() -> None:
    tokens = odd_spaces.Tokens()
    assert (tokens.home, odd_spaces.ZOnly().home, odd_spaces.Maps().home) == ("w", "z", "h")
    with pytest.raises(Unsupported, match="Tokens has no W"):
        _ = tokens.num_ws
    assert not tokens.holds_rows(torch.zeros(2, 4, 6))
    assert ToyGenerator().holds_rows(torch.zeros(2, 4, 24))
