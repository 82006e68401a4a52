"""Attribute schemas: columns, ranges, and the errors that name them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import latentedit_styleflow.data
import latentedit_synthface.schema
from latentedit import Attribute, AttributeSchema, InputError, OutOfRange, UnknownName
from latentedit.cli.targets import parse_settings

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


@pytest.mark.parametrize("name", ["age", "glasses", "lighting"])
def test_the_ends_of_a_range_are_taken_and_what_lies_beyond_is_not(name: str) -> None:
    attribute = SCHEMA[name]
    attribute.check(torch.tensor([attribute.low, attribute.high]))
    for value in (attribute.low - 0.01, attribute.high + 0.01):
        with pytest.raises(OutOfRange):
            attribute.check(torch.tensor([attribute.low, value]))


def test_the_first_value_out_of_range_is_named_and_an_empty_unit_is_not() -> None:
    with pytest.raises(OutOfRange) as caught:
        SCHEMA["lighting"].check(torch.tensor([[0.0, 3.5], [-7.0, 0.0]]))
    assert str(caught.value) == "attribute 'lighting' takes values from -1 to 2, received 3.5"
    with pytest.raises(OutOfRange, match="from 0 to 70 years, received 71"):
        SCHEMA["age"].check(torch.tensor([71.0]))


def test_a_table_is_checked_for_its_shape_and_every_column() -> None:
    good = torch.tensor([[70.0, 1.0, -1.0, 2.0, 0.0]])
    SCHEMA.check(good)
    for bad in (good[0], good[:, :4], good[None], torch.cat([good, good], 1)):
        with pytest.raises(InputError, match=r"have shape \(N, 5\), received"):
            SCHEMA.check(bad)
    for column, name in enumerate(("age", "glasses", "lighting", "lighting", "lighting")):
        wrong = good.clone()
        wrong[0, column] += 100
        with pytest.raises(OutOfRange, match=f"attribute '{name}'"):
            SCHEMA.check(wrong)


def test_a_schema_is_a_collection_of_its_attributes() -> None:
    assert [attribute.name for attribute in SCHEMA] == ["age", "glasses", "lighting"]
    assert len(SCHEMA) == 3
    assert "glasses" in SCHEMA
    assert "glases" not in SCHEMA
    assert SCHEMA["lighting"].size == 3
    with pytest.raises(UnknownName, match="'glases'; did you mean 'glasses'"):
        SCHEMA.columns("glases")


def test_a_subset_has_its_own_order_and_columns() -> None:
    part = SCHEMA.subset(("lighting", "age"))
    assert part.names == ("lighting", "age")
    assert part.width == 4
    assert part.columns("age") == slice(3, 4)
    assert part["age"] == SCHEMA["age"]


def test_changed_takes_one_value_a_face() -> None:
    source = torch.arange(10.0).reshape(2, 5) / 10
    target = SCHEMA.changed(source, age=torch.tensor([[1.0], [2.0]]), glasses=0.5)
    expected = source.clone()
    expected[:, 0] = torch.tensor([1.0, 2.0])
    expected[:, 1] = 0.5
    assert torch.equal(target, expected)


@pytest.mark.parametrize(
    ("low", "high", "taken"),
    [
        (0.0, 1.0, True),
        (0.5, 0.5, False),
        (1.0, 0.0, False),
        (-math.inf, 0.0, False),
        (0.0, math.inf, False),
        (math.nan, 0.0, False),
        (0.0, math.nan, False),
    ],
)
def test_a_schema_file_needs_a_range_for_each_attribute(
    low: float, high: float, taken: bool
) -> None:
    rows = [
        {"name": "x", "kind": "binary", "low": 0, "high": 1},
        {"name": "y", "kind": "continuous", "low": low, "high": high, "unit": "mm"},
    ]
    if taken:
        assert AttributeSchema.from_json(rows)["y"] == Attribute("y", "continuous", 0, 1, "mm", 1)
    else:
        with pytest.raises(InputError, match="attribute 'y' needs finite low < high"):
            AttributeSchema.from_json(rows)


def test_a_schema_is_written_with_every_field() -> None:
    assert SCHEMA.to_json() == [
        {"name": "age", "kind": "continuous", "low": 0, "high": 70, "unit": "years", "size": 1},
        {"name": "glasses", "kind": "binary", "low": 0, "high": 1, "unit": "", "size": 1},
        {"name": "lighting", "kind": "vector", "low": -1, "high": 2, "unit": "", "size": 3},
    ]


GENDER = Attribute("gender", "binary", 0, 1, named={"female": (0,), "male": (1,)})
LIGHT = Attribute("light", "vector", -1, 1, size=2, named={"front": (0.5, -0.5)})
PLAIN = AttributeSchema(
    (Attribute("gender", "binary", 0, 1), Attribute("light", "vector", -1, 1, "", 2))
)
NAMED = AttributeSchema((GENDER, LIGHT))


def test_a_named_value_is_set_by_its_name() -> None:
    target = NAMED.changed(torch.zeros(2, 3), gender="male", light="front")
    assert target.tolist() == [[1.0, 0.5, -0.5]] * 2
    with pytest.raises(UnknownName, match=r"unknown value of 'gender' 'mail'; did you mean 'male'"):
        NAMED.changed(torch.zeros(2, 3), gender="mail")
    with pytest.raises(UnknownName, match=r"Valid: \(none\)"):
        PLAIN.changed(torch.zeros(2, 3), gender="male")


def test_names_of_values_do_not_tell_schemas_apart() -> None:
    assert NAMED == PLAIN
    assert hash(NAMED) == hash(PLAIN)
    assert NAMED.to_json(named=False) == PLAIN.to_json()
    assert "named" not in PLAIN.to_json()[0]


def test_names_of_values_are_written_and_read() -> None:
    rows = json.loads(json.dumps(NAMED.to_json()))
    assert rows[1]["named"] == {"front": [0.5, -0.5]}
    assert [dict(a.named) for a in AttributeSchema.from_json(rows)] == [GENDER.named, LIGHT.named]


@pytest.mark.parametrize(
    "named",
    [
        {"up": [0.5]},
        {"up": [0.5, 1.5]},
        {"up": [0.5, math.nan]},
        {"up": [0.5, True]},
        {"up": [0.5, "1"]},
        {"up": 0.5},
        {"": [0.5, 0.5]},
        {1: [0.5, 0.5]},
        [["up", [0.5, 0.5]]],
        None,
    ],
)
def test_named_values_that_are_none_are_refused(named: Any) -> None:
    row = PLAIN.to_json()[1] | {"named": named}
    with pytest.raises(InputError, match="light"):
        AttributeSchema.from_json([row])


def test_the_command_takes_named_values_and_says_which_there_are() -> None:
    settings = parse_settings(("gender=female", "light=front", "gender=0.5"), NAMED)
    assert [setting.values.tolist() for setting in settings] == [[0.0], [0.5, -0.5], [0.5]]
    assert [setting.title for setting in settings] == ["female", "front", "gender = 0.5"]
    with pytest.raises(UnknownName, match="did you mean 'front'"):
        parse_settings(("light=frnt",), NAMED)
    with pytest.raises(InputError, match="light takes 2 numbers, or one of front, received 3"):
        parse_settings(("light=[1, 2, 3]",), NAMED)


@pytest.mark.parametrize(
    "schema", [latentedit_synthface.schema.SCHEMA, latentedit_styleflow.data.SCHEMA]
)
def test_the_bundled_schemas_name_lights_and_genders(schema: AttributeSchema) -> None:
    lights = schema["lighting"]
    assert set(lights.named) == {
        *("left-to-right", "right-to-left", "down-to-up", "up-to-down", "front", "none")
    }
    assert lights.value("left-to-right").tolist() == pytest.approx(
        [0.85, 0, 0, -0.5, 0, 0, 0, 0, 0]
    )
    assert lights.value("up-to-down").tolist() == pytest.approx([0.85, 0, 0.5, 0, 0, 0, 0, 0, 0])
    assert (schema["gender"].value("female"), schema["gender"].value("male")) == (0, 1)


@pytest.mark.parametrize("value", [None, object(), {}, [None], "a word"])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises((InputError, UnknownName), match="age"):
        SCHEMA.changed(torch.zeros(2, 5), age=value)
