"""Attribute schemas: columns, ranges, and the errors that name them."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latentedit import Attribute, AttributeSchema, InputError, OutOfRange, UnknownName

SCHEMA = AttributeSchema(
    (
        Attribute("age", "continuous", 0, 70, "years"),
        Attribute("glasses", "binary", 0, 1),
        Attribute("lighting", "vector", -1, 2, size=3),
    )
)


def test_columns_follow_the_order_of_the_attributes() -> None:
    assert SCHEMA.width == 5
    assert SCHEMA.columns("glasses") == slice(1, 2)
    assert SCHEMA.columns("lighting") == slice(2, 5)
    assert SCHEMA.column_names == ("age", "glasses", "lighting_0", "lighting_1", "lighting_2")


def test_select_reorders_columns() -> None:
    values = torch.arange(10.0).reshape(2, 5)
    assert SCHEMA.select(values, ("lighting", "age")).tolist() == [[2, 3, 4, 0], [7, 8, 9, 5]]


def test_changed_sets_numbers_and_vectors_and_leaves_the_source() -> None:
    source = torch.zeros(2, 5)
    target = SCHEMA.changed(source, age=30, lighting=torch.tensor([0.1, 0.2, 0.3]))
    assert target[1].tolist() == pytest.approx([30, 0, 0.1, 0.2, 0.3])
    assert not source.any()


@given(
    st.one_of(st.just(math.nan), st.just(math.inf), st.floats(70.01, 1e30), st.floats(-1e30, -0.01))
)
def test_a_value_outside_the_range_names_attribute_range_and_value(value: float) -> None:
    with pytest.raises(OutOfRange, match=r"'age' takes values from 0 to 70 years, received"):
        SCHEMA.changed(torch.zeros(1, 5), age=value)


@given(st.floats(0, 70))
def test_a_value_inside_the_range_is_taken(value: float) -> None:
    assert SCHEMA.changed(torch.zeros(1, 5), age=value)[0, 0].item() == pytest.approx(value)


def test_an_unknown_attribute_lists_the_valid_ones_and_the_nearest() -> None:
    with pytest.raises(
        UnknownName, match=r"'agee'; did you mean 'age'\? Valid: age, glasses, lighting"
    ):
        SCHEMA["agee"]


def test_names_must_differ() -> None:
    with pytest.raises(InputError, match="must differ"):
        AttributeSchema((SCHEMA["age"], SCHEMA["age"]))


def test_json_round_trip() -> None:
    assert AttributeSchema.from_json(SCHEMA.to_json()) == SCHEMA


@pytest.mark.parametrize(
    "row", [{"name": "x"}, {"name": "x", "kind": "binary", "low": 1, "high": 0}]
)
def test_a_broken_schema_is_refused(row: dict[str, object]) -> None:
    with pytest.raises(InputError):
        AttributeSchema.from_json([row])
