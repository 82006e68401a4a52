"""Numbers that are plainly meant are taken, and others refused before a plugin is blamed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import toy_editors

from latentedit import (
    Attribute,
    AttributeSchema,
    InputError,
    OutOfRange,
    Split,
    fit_editor,
    make_bank,
    mapped_array,
    parsed_array,
)

SCHEMA = AttributeSchema(
    (
        Attribute("age", "continuous", 0, 70),
        Attribute("light", "vector", -1, 1, size=3),
        Attribute("smile", "binary", 0, 1),
    )
)


@pytest.mark.parametrize(
    "value",
    [
        5,
        5.0,
        np.float32(5),
        np.int64(5),
        [5, 5, 5],
        [[5.0], [5.0], [5.0]],
        np.full(3, 5),
        np.full((3, 1), 5.0),
        torch.full((3,), 5.0),
        torch.full((3, 1), 5),
        torch.tensor(5.0, dtype=torch.float64),
    ],
)
def test_an_attribute_takes_every_form_of_a_number(value: Any) -> None:
    found = SCHEMA.changed(torch.zeros(3, 5), age=value)
    assert found[:, 0].tolist() == [5.0, 5.0, 5.0]
    assert not found[:, 1:].any()


def test_a_vector_takes_one_row_for_all_or_one_for_each() -> None:
    row = [0.5, 0.0, -0.5]
    for value in (row, np.array(row), torch.tensor(row), [row, row]):
        assert SCHEMA.changed(torch.zeros(2, 5), light=value)[:, 1:4].tolist() == [row, row]


@pytest.mark.parametrize(
    "value", [[1, 2], [[1], [2]], ["a"], object(), None, {"a": 1}, [[1, 2], [3]], torch.zeros(3, 2)]
)
def test_what_is_no_number_or_of_another_shape_is_refused(value: Any) -> None:
    with pytest.raises(InputError, match="attribute 'age' takes"):
        SCHEMA.changed(torch.zeros(3, 5), age=value)


def test_integer_attributes_are_not_cut() -> None:
    found = SCHEMA.changed(torch.zeros(2, 5, dtype=torch.long), age=50.7, smile=0.9)
    torch.testing.assert_close(found[:, 0], torch.tensor([50.7, 50.7]))
    torch.testing.assert_close(found[:, 4], torch.tensor([0.9, 0.9]))
    with pytest.raises(OutOfRange):
        SCHEMA.changed(torch.zeros(2, 5), age=float("nan"))


def test_a_split_takes_lists_arrays_and_integers() -> None:
    codes, values = [[1, 2], [3, 4]], [[5, 0, 0, 0, 1], [6, 0, 0, 0, 0]]
    for make in (list, np.array, torch.tensor):
        found = Split("w", SCHEMA, ((make(codes), make(values)),))
        assert found.codes.tolist() == [[1.0, 2.0], [3.0, 4.0]]
        assert found.attributes.is_floating_point()
        assert len(found) == 2


@pytest.mark.parametrize(
    "shard",
    [
        ([[1.0, 2.0]], [[1.0]]),
        ([[1.0, 2.0]], [[0.0] * 5] * 2),
        ([1.0], [[0.0] * 5]),
        (["a"], [[0.0] * 5]),
        ([[1.0]], None),
    ],
)
def test_a_split_of_other_shapes_is_refused(shard: Any) -> None:
    with pytest.raises(InputError, match="a shard"):
        Split("w", SCHEMA, (shard,))


@pytest.fixture(scope="module")
def fitted(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, torch.Tensor, torch.Tensor]:
    registry = toy_editors.registry()
    bank = make_bank(
        registry,
        tmp_path_factory.mktemp("plain") / "B",
        generator="toy",
        labeller="toy-labeller",
        n_fit=40,
        n_test=4,
    )
    codes, source = bank.split("test").rows(torch.arange(4))
    return fit_editor(registry, "exact", bank), codes, source


def test_an_edit_takes_lists_and_arrays(fitted: Any) -> None:
    editor, codes, source = fitted
    target = editor.schema.changed(source, age=30)
    expected = editor.edit(codes, source, target).codes
    for convert in (torch.Tensor.tolist, torch.Tensor.numpy):
        found = editor.edit(*(convert(part) for part in (codes, source, target))).codes
        assert torch.equal(found, expected)


@pytest.mark.parametrize("what", ["codes", "source"])
@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_what_is_not_finite_is_the_callers_and_not_the_plugins(
    fitted: Any, what: str, bad: float
) -> None:
    editor, codes, source = fitted
    given = {"codes": codes.clone(), "source": source.clone()}
    target = editor.schema.changed(source, age=30)
    given[what][2, 0] = bad
    with pytest.raises(InputError, match=f"{what} holds NaN or infinity for image 2"):
        editor.edit(given["codes"], given["source"], target)


@pytest.mark.parametrize("bad", ["a", None, 3.0, [1.0], [["a"]], torch.zeros(4, 2) * 1j])
def test_what_is_no_table_of_numbers_is_refused(fitted: Any, bad: Any) -> None:
    editor, codes, source = fitted
    with pytest.raises(InputError, match="source"):
        editor.edit(codes, bad, source)


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u1"])
@pytest.mark.parametrize("shape", [(7, 3), (5, 4, 3), (6,), (0, 3), (20, 8, 1)])
def test_arrays_of_numpy_are_read_in_both_orders(
    tmp_path: Path, dtype: str, shape: tuple[int, ...]
) -> None:
    numbers = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    for array in (numpy_order(numbers, "C"), numpy_order(numbers, "F")):
        np.save(tmp_path / "a.npy", array)
        mapped = mapped_array(tmp_path / "a.npy")
        assert np.array_equal(mapped, array) or not array.size
        data = (tmp_path / "a.npy").read_bytes()
        assert np.array_equal(parsed_array(data, "a"), array)


def numpy_order(array: np.ndarray, order: Any) -> np.ndarray:
    return np.asarray(array, order=order)


def test_columns_reordered_by_numpy_are_read(tmp_path: Path) -> None:
    array = np.arange(160, dtype=np.float32).reshape(20, 8, 1)[:, [6, 0, 1, 2, 3, 4, 5, 7]]
    np.save(tmp_path / "a.npy", array)
    assert b"'fortran_order': True" in (tmp_path / "a.npy").read_bytes()[:128]
    assert np.array_equal(mapped_array(tmp_path / "a.npy"), array)
