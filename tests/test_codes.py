"""Spaces of codes, slopes along directions, rows of W+ that take an edit, and lights by name."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

import latentedit_styleflow
from latentedit import AttributeSchema, InputError, Registry, UnknownName, Unsupported
from latentedit.data.calibration import slopes
from latentedit.editing.layers import LayerPreset
from latentedit.interfaces.spaces import CodeSpaces
from latentedit_styleflow.data import SCHEMA as STYLEFLOW
from latentedit_synthface.schema import SCHEMA as SYNTHFACE

SPACES = CodeSpaces("small", {"z": (2,), "w": (2,), "w+": (3, 2), "s": (7,)})
STEPS = (
    lambda z: 5 * z + 1,
    lambda w: w[:, None].repeat(1, 3, 1),
    lambda wp: torch.cat([wp.flatten(1), wp.sum((1, 2))[:, None]], 1),
)


def test_slopes_are_those_of_lines_fitted_to_each_attribute_along_its_direction() -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(60, 4)) @ rng.normal(size=(4, 4)) + 3
    attributes = codes @ rng.normal(size=(4, 3)) + rng.normal(size=(60, 3)) + [40, 0.5, 1]
    directions = rng.normal(size=(3, 4))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    expected = [
        stats.linregress(codes @ direction, attributes[:, k]).slope
        for k, direction in enumerate(directions)
    ]
    found = slopes(*map(torch.from_numpy, (codes, attributes, directions)))
    assert found.numpy() == pytest.approx(expected)


def test_the_slope_is_0_along_a_direction_in_which_codes_do_not_vary() -> None:
    codes = torch.tensor([[1.0, 2.0], [1.0, 4.0], [1.0, 8.0]])
    attributes = torch.tensor([[1.0, 3.0], [2.0, 5.0], [3.0, 9.0]])
    assert slopes(codes, attributes, torch.eye(2)).tolist() == pytest.approx([0.0, 1.0])


@pytest.mark.parametrize(("source", "target"), [("z", "s"), ("z", "w"), ("w", "w+"), ("w+", "s")])
def test_codes_take_the_steps_between_two_spaces_and_no_others(source: str, target: str) -> None:
    order = ["z", "w", "w+", "s"]
    codes = torch.arange(2.0 * SPACES.shapes[source][0]).reshape(-1, *SPACES.shapes[source])
    if source == "w+":
        codes = torch.arange(12.0).reshape(2, 3, 2)
    expected = codes
    if source == "z":
        expected = 5 * expected + 1
    if target in ("w+", "s") and source != "w+":
        expected = torch.stack([expected] * 3, 1)
    if target == "s":
        rows = expected.reshape(len(expected), 6)
        expected = torch.cat([rows, rows.sum(1, keepdim=True)], 1)
    found = SPACES.walk(codes, source, target, STEPS)
    assert found.tolist() == expected.tolist()
    assert found.shape == (len(codes), *SPACES.shapes[target])
    assert order.index(source) < order.index(target)


def test_codes_of_the_wanted_space_are_handed_back_as_they_are() -> None:
    codes = torch.ones(4, 2)
    assert SPACES.walk(codes, "w", "w", STEPS) is codes


def test_there_is_no_way_back_to_an_earlier_space() -> None:
    with pytest.raises(Unsupported) as caught:
        SPACES.walk(torch.ones(4, 3, 2), "w+", "z", STEPS)
    assert str(caught.value) == (
        "small maps z → w → w+ → s and not back, received w+ → z; keep the z code that the w+ "
        "code was made from"
    )


@pytest.mark.parametrize(
    ("space", "shape", "received"),
    [
        ("w", (4, 3), "shape (N, 2), received (4, 3)"),
        ("w", (4,), "shape (N, 2), received (4,)"),
        ("w", (), "shape (N, 2), received ()"),
        ("w+", (4, 2, 3), "shape (N, 3, 2), received (4, 2, 3)"),
    ],
)
def test_codes_of_another_shape_are_refused(
    space: str, shape: tuple[int, ...], received: str
) -> None:
    with pytest.raises(InputError) as caught:
        SPACES.walk(torch.ones(shape), space, "s", STEPS)
    assert str(caught.value) == f"{space} codes of small have {received}"


def test_a_code_without_a_dimension_is_refused_where_spaces_have_none_either() -> None:
    numbers = CodeSpaces("tiny", {"z": (), "w": ()})
    assert numbers.walk(torch.ones(3), "z", "w", (lambda z: 2 * z,)).tolist() == [2, 2, 2]
    with pytest.raises(InputError, match=r"received \(\)"):
        numbers.walk(torch.tensor(1.0), "z", "w", (lambda z: 2 * z,))


def test_an_unknown_space_is_named_with_the_known_ones() -> None:
    for asked in (
        lambda: SPACES.shape("ww"),
        lambda: SPACES.draw(3, 0, "ww"),
        lambda: SPACES.walk(torch.ones(1, 2), "ww", "s", STEPS),
        lambda: SPACES.walk(torch.ones(1, 2), "w", "ww", STEPS),
    ):
        with pytest.raises(UnknownName, match=r"space 'ww' of small; .* Valid: z, w, w\+, s"):
            asked()
    assert SPACES.shape("w+") == (3, 2)


def test_draws_are_standard_normal_codes_of_a_seed() -> None:
    wide = CodeSpaces("wide", {"z": (40, 50), "w": (2,)})
    codes = wide.draw(5, seed=3)
    assert codes.shape == (5, 40, 50)
    assert stats.kstest(codes.flatten().numpy(), "norm").pvalue > 0.01
    reference = torch.randn(5, 40, 50, generator=torch.Generator().manual_seed(3))
    assert torch.equal(codes, reference)
    assert torch.equal(wide.draw(5, 3, "w", truncation_psi=0.5), reference)
    assert not torch.equal(codes, wide.draw(5, seed=4))


def test_draws_of_a_negative_number_or_of_a_truncated_z_are_refused() -> None:
    assert SPACES.draw(0, 0).shape == (0, 2)
    assert SPACES.draw(1, 0).shape == (1, 2)
    with pytest.raises(InputError) as caught:
        SPACES.draw(-1, 0)
    assert str(caught.value) == "n, the number of codes, must be at least 0, received -1"
    with pytest.raises(InputError) as caught:
        SPACES.draw(1, 0, "z", truncation_psi=0.7)
    assert str(caught.value) == (
        "truncation is defined in w, not z; received truncation_psi=0.7 with space='z'. "
        "Sample another space, or leave truncation_psi at 1."
    )


ROWS = {
    "gender": (0, 7),
    "glasses": (2, 3),
    "yaw": (0, 3),
    "pitch": (0, 3),
    "baldness": (0, 5),
    "beard": (5, 9),
    "age": (4, 7),
    "expression": (4, 5),
    "lighting": (7, 11),
}


def released() -> LayerPreset:
    registry = Registry()
    registry.add(latentedit_styleflow, "styleflow")
    preset: LayerPreset = registry.load("layers", "released")
    return preset


def test_the_released_rows_are_those_of_the_styleflow_release() -> None:
    for attribute, (first, last) in ROWS.items():
        expected = tuple(row for row in range(18) if first <= row <= last)
        assert released().rows(attribute, 18) == expected
    assert set(released().by_attribute) == set(ROWS)
    assert released().num_ws == 18


def test_rows_of_an_unknown_attribute_or_generator_are_refused() -> None:
    with pytest.raises(UnknownName, match=r"attribute of the layer preset 'agee'.*mean 'age'"):
        released().rows("agee", 18)
    for num_ws in (14, 17, 19):
        with pytest.raises(InputError) as caught:
            released().rows("age", num_ws)
        assert str(caught.value) == (
            "the layer preset is for 18 rows of W+, but this generator has "
            f"{num_ws}; give rows instead, for instance 0..3"
        )


LIGHTS = {
    "left-to-right": {3: -1},
    "right-to-left": {3: 1},
    "down-to-up": {2: -1},
    "up-to-down": {2: 1},
    "front": {1: -1},
    "none": {},
}


@pytest.mark.parametrize("schema", [STYLEFLOW, SYNTHFACE], ids=["styleflow", "synthface"])
def test_a_light_has_one_coefficient_and_the_ambient_one(schema: AttributeSchema) -> None:
    named = schema["lighting"].named
    assert list(named) == list(LIGHTS)
    for name, direction in LIGHTS.items():
        expected = [0.85] + [0.5 * direction.get(i, 0) for i in range(1, 9)]
        assert list(named[name]) == pytest.approx(expected)
        assert not any(str(value) == "-0.0" for value in named[name])
