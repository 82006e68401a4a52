"""Fitted editors: the checks at the boundary, W+ rows, layer subsets, saving and loading."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
import toy_editors
from toy import ToyGenerator

from latentedit import (
    EnvironmentFault,
    FingerprintMismatch,
    FittedEditor,
    InputError,
    LatentBank,
    NotFitted,
    OutOfRange,
    PluginFault,
    UnknownName,
    fit_editor,
    load_editor,
    make_bank,
)

REGISTRY = toy_editors.registry()


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    folder = tmp_path_factory.mktemp("banks") / "toy"
    return make_bank(
        REGISTRY, folder, generator="toy", labeller="toy-labeller", n_fit=200, n_test=20
    )


@pytest.fixture(scope="module")
def exact(bank: LatentBank) -> FittedEditor:
    return fit_editor(REGISTRY, "exact", bank)


def request(bank: LatentBank, **values: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    test = bank.split("test")
    source = test.attributes.clone()
    return test.codes.clone(), source, test.schema.changed(source, **values)


def test_a_bank_holds_the_exact_attributes_of_its_codes(bank: LatentBank) -> None:
    data = bank.split("fit")
    truth = ToyGenerator().truth(data.codes).attributes
    assert torch.allclose(data.attributes, truth, atol=1e-3)
    assert not (data.codes[:20] == bank.split("test").codes).any()


def test_the_exact_editor_sets_what_was_asked(bank: LatentBank, exact: FittedEditor) -> None:
    codes, source, target = request(bank, age=60)
    edited = exact.edit(codes, source, target)
    assert torch.allclose(ToyGenerator().truth(edited.codes).attributes, target, atol=1e-2)


def test_equal_w_plus_rows_are_edited_as_one_code(bank: LatentBank, exact: FittedEditor) -> None:
    codes, source, target = request(bank, age=60)
    rows = codes[:, None].expand(-1, 4, -1).contiguous()
    edited = exact.edit(rows, source, target).codes
    assert torch.equal(edited, exact.edit(codes, source, target).codes[:, None].expand_as(edited))
    mixed = rows + torch.arange(4.0)[:, None]
    by_row = exact.edit(mixed, source, target).codes
    for row in range(4):
        alone = exact.edit(mixed[:, row].contiguous(), source, target).codes
        assert torch.allclose(by_row[:, row], alone, atol=1e-6)


def test_a_layer_subset_keeps_the_other_rows(bank: LatentBank, exact: FittedEditor) -> None:
    codes, source, target = request(bank, age=60)
    edited = exact.edit(codes, source, target, layers=(1, 2)).codes
    assert torch.equal(edited[:, 0], codes)
    assert torch.equal(edited[:, 3], codes)
    assert not torch.equal(edited[:, 1], codes)
    with pytest.raises(InputError, match="rows go from 0 to 3, received 4"):
        exact.edit(codes, source, target, layers=(4,))


def test_a_layer_preset_is_its_rows(bank: LatentBank, exact: FittedEditor) -> None:
    codes, source, target = request(bank, age=60)
    by_name = exact.edit(codes, source, target, layers="middle").codes
    assert torch.equal(by_name, exact.edit(codes, source, target, layers=(1, 2)).codes)
    with pytest.raises(UnknownName, match="did you mean 'middle'"):
        exact.edit(codes, source, target, layers="midle")
    with pytest.raises(InputError, match="is for 18 rows of W\\+, but this generator has 4"):
        exact.edit(codes, source, target, layers="other")
    with pytest.raises(UnknownName, match="unknown attribute of the layer preset 'yaw'"):
        exact.edit(*request(bank, yaw=9), layers="middle")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 71.0, -0.5])
def test_targets_out_of_range_name_attribute_and_range(
    bank: LatentBank, exact: FittedEditor, value: float
) -> None:
    codes, source, target = request(bank)
    target[3, 0] = value
    with pytest.raises(OutOfRange, match="'age' takes values from 0 to 70 years"):
        exact.edit(codes, source, target)


def test_extrapolation_is_asked_for_and_still_finite(bank: LatentBank, exact: FittedEditor) -> None:
    codes, source, target = request(bank)
    target[:, 0] = 90
    assert exact.edit(codes, source, target, extrapolate=True).codes.isfinite().all()
    target[:, 0] = float("nan")
    with pytest.raises(InputError, match="NaN"):
        exact.edit(codes, source, target, extrapolate=True)


def test_unserved_faces_come_back_as_they_were(bank: LatentBank) -> None:
    codes, source, target = request(bank, age=60)
    edited = fit_editor(REGISTRY, "timid", bank).edit(codes, source, target)
    assert edited.ok is not None
    assert torch.equal(edited.ok, codes[:, 0] > 0)
    assert torch.equal(edited.codes[~edited.ok], codes[~edited.ok])
    assert not torch.equal(edited.codes[edited.ok], codes[edited.ok])


@pytest.mark.parametrize("name", sorted(toy_editors.IMPURE))
def test_an_editor_that_breaks_the_contract_is_named(bank: LatentBank, name: str) -> None:
    fitted = fit_editor(REGISTRY, name, bank)
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    told = toy_editors.IMPURE[name][1]
    with pytest.raises(PluginFault, match=rf"plugin '{name}'.*{told}"):
        fitted.edit(*request(bank, age=60))
    assert torch.get_num_threads() == threads
    assert torch.get_default_dtype() == torch.float32
    assert torch.equal(torch.get_rng_state(), state)


def test_fit_faults_name_the_plugin(bank: LatentBank) -> None:
    with pytest.raises(
        PluginFault, match=r"'raises-in-fit': fit raised ValueError: nothing to learn"
    ):
        fit_editor(REGISTRY, "raises-in-fit", bank)


def test_saved_editors_come_back_equal(
    bank: LatentBank, exact: FittedEditor, tmp_path: Path
) -> None:
    exact.save(tmp_path / "e")
    loaded = load_editor(REGISTRY, tmp_path / "e")
    assert torch.equal(
        loaded.edit(*request(bank, age=60)).codes, exact.edit(*request(bank, age=60)).codes
    )
    assert dataclasses.replace(loaded, editor=exact.editor, runtime=exact.runtime) == exact


def test_another_generators_bank_is_refused_with_both_fingerprints(
    exact: FittedEditor, tmp_path: Path
) -> None:
    other = make_bank(
        REGISTRY,
        tmp_path / "b",
        generator="toy",
        labeller="toy-labeller",
        n_fit=5,
        n_test=2,
        generator_options={"world_seed": 1},
    )
    with pytest.raises(FingerprintMismatch) as caught:
        exact.check_bank(other)
    assert exact.generator.fingerprint[:12] in str(caught.value)
    assert other.generator.fingerprint[:12] in str(caught.value)


def test_an_unfitted_editor_says_so() -> None:
    with pytest.raises(NotFitted, match="call fit first"):
        REGISTRY.editor("exact").state()


def test_a_folder_without_an_editor_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="latentedit fit EDITOR"):
        load_editor(REGISTRY, tmp_path)


def test_an_option_that_is_not_there_is_named(bank: LatentBank) -> None:
    with pytest.raises(UnknownName, match="option of exact 'strenght'"):
        fit_editor(REGISTRY, "exact", bank, {"strenght": 1})


def test_cuda_is_refused_with_a_remedy_where_there_is_none(bank: LatentBank) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(EnvironmentFault, match="leave out --device cuda"):
        fit_editor(REGISTRY, "exact", bank, device="cuda")


def test_equal_arguments_make_equal_banks(tmp_path: Path) -> None:
    hashes = [
        make_bank(
            REGISTRY,
            tmp_path / name,
            generator="toy",
            labeller="toy-labeller",
            n_fit=30,
            n_test=5,
            seed=seed,
        ).hash
        for name, seed in (("a", 3), ("b", 3), ("c", 4))
    ]
    assert hashes[0] == hashes[1] != hashes[2]
