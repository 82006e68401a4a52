"""Metrics against values worked out by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from latentedit import Attribute, AttributeSchema
from latentedit import metrics as m

SCHEMA = AttributeSchema(
    (
        Attribute("age", "continuous", 0, 70),
        Attribute("glasses", "binary", 0, 1),
        Attribute("lighting", "vector", -1, 1, size=2),
    )
)
STRENGTHS = torch.tensor([0.5, 1.0, 2.0])


def test_leakage_counts_a_vector_as_one_attribute_and_leaves_the_edited_one_out() -> None:
    before, sigma = torch.zeros(1, 4), torch.tensor([10.0, 0.5, 1.0, 1.0])
    after = torch.tensor([[20.0, 1.0, 0.2, -0.4]])
    assert m.attribute_change(before, after, sigma, SCHEMA)[0].tolist() == pytest.approx(
        [2, 2, 0.3]
    )
    leaked = m.attribute_leakage(before, after, sigma, SCHEMA, "age")
    assert leaked.item() == pytest.approx((2 + 0.3) / 2)
    assert m.attribute_leakage(before, before, sigma, SCHEMA, "age").item() == 0


def test_identity_similarity_agrees_with_the_definition() -> None:
    a, b = torch.randn(5, 8), torch.randn(5, 8)
    by_hand = (a * b).sum(1) / a.norm(dim=1) / b.norm(dim=1)
    assert torch.allclose(m.identity_similarity(a, b), by_hand, atol=1e-6)
    assert torch.allclose(m.identity_similarity(a, 3 * a), torch.ones(5))


def test_target_error_and_drift() -> None:
    assert m.target_error(torch.tensor([40.0]), torch.tensor([50.0]), torch.tensor(5.0)).item() == 2
    assert m.identity_drift(torch.zeros(1, 4), torch.full((1, 4), 2.0)).item() == 2


@given(st.floats(0.01, 1.9), st.floats(0.3, 3))
def test_strength_is_exact_on_a_straight_line(wanted: float, slope: float) -> None:
    effects = slope * STRENGTHS[:, None]
    found = m.strength_reaching(STRENGTHS, effects, wanted).item()
    if wanted > 2 * slope:
        assert math.isnan(found)
    else:
        assert found == pytest.approx(wanted / slope, rel=1e-3)


def test_strength_is_the_first_crossing() -> None:
    effects = torch.tensor([[1.0], [0.2], [1.0]])
    assert m.strength_reaching(STRENGTHS, effects, 0.8).item() == pytest.approx(0.4)


def test_along_effect_interpolates_and_starts_at_the_unedited_face() -> None:
    values = torch.tensor([[0.9, 0.9], [0.8, 0.8], [0.6, 0.6]])
    effects = torch.tensor([[0.5, 0.1], [1.0, 0.2], [2.0, 0.3]])
    found = m.along_effect(STRENGTHS, effects, values, torch.tensor([0.0, 0.25, 0.75]), start=1.0)
    assert found[:, 0].tolist() == pytest.approx([1.0, 0.95, 0.85])
    assert found[0, 1].item() == 1.0
    assert found[2, 1].isnan()


def test_area_is_that_of_the_curve_and_unreached_effects_count_nothing() -> None:
    full = STRENGTHS[:, None]
    constant = torch.full((3, 1), 1.0)
    assert m.edit_identity_area(STRENGTHS, full, constant).item() == pytest.approx(1.0)
    falling = 1 - STRENGTHS[:, None] / 2
    assert m.edit_identity_area(STRENGTHS, full, falling).item() == pytest.approx(0.75)
    half = m.edit_identity_area(STRENGTHS, full / 4, constant).item()
    assert half == pytest.approx(0.525, abs=0.03)
    nothing = m.edit_identity_area(STRENGTHS, 0 * full, constant).item()
    assert nothing < 0.03


@given(st.floats(0.2, 1.0), st.floats(0.3, 3.0))
def test_matching_meets_the_effect_on_a_curve(wanted: float, power: float) -> None:
    def effect_at(strengths: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        return (strengths / 2) ** power * 1.5

    effects = effect_at(STRENGTHS, torch.arange(1))[:, None]
    at = m.match_effect(effect_at, STRENGTHS, effects, wanted, tolerance=0.05, tries=6)
    assert effect_at(at, torch.arange(1)).item() == pytest.approx(wanted, abs=0.06)


@pytest.mark.parametrize("at", [0.6, 0.93, 1.2, 1.9])
def test_matching_meets_a_step_on_a_coarse_grid(at: float) -> None:
    def effect_at(strengths: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        return 1.2 * torch.sigmoid((strengths - at) * 40)

    grid = torch.tensor([0.5, 1.0, 2.0])
    found = m.match_effect(effect_at, grid, effect_at(grid, torch.arange(1))[:, None], 0.8)
    assert effect_at(found, torch.arange(1)).item() == pytest.approx(0.8, abs=0.05)


def test_matching_leaves_unreachable_faces_nan_and_never_edits_them() -> None:
    asked: list[int] = []

    def effect_at(strengths: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        asked.extend(faces.tolist())
        return strengths * torch.tensor([1.0, 0.1])[faces]

    effects = torch.stack([effect_at(s.expand(2), torch.arange(2)) for s in STRENGTHS])
    asked.clear()
    at = m.match_effect(effect_at, STRENGTHS, effects, 0.8)
    assert at[0].item() == pytest.approx(0.8)
    assert at[1].isnan()
    assert set(asked) == {0}


def test_every_metric_declares_its_direction_and_formula() -> None:
    for name, metric in m.METRICS.items():
        assert metric.name == name
        assert metric.formula
        described = {"log-likelihood", "Mahalanobis distance"}
        assert metric.higher_is_better in ((None,) if name in described else (True, False))


def test_consistency_is_the_mean_over_all_pairs_of_orders() -> None:
    schema = AttributeSchema(
        (Attribute("a", "continuous", 0, 9), Attribute("b", "continuous", 0, 9))
    )
    orders = torch.tensor([[[1.0, 0.0]], [[2.0, 0.0]], [[1.0, 4.0]]])
    sigma = torch.tensor([1.0, 2.0])
    pairs = [(1 + 0) / 2, (0 + 2) / 2, (1 + 2) / 2]
    found = m.edit_consistency(orders, sigma, schema)
    assert found.tolist() == pytest.approx([sum(pairs) / 3])


def test_what_is_lost_is_measured_in_codes_and_levels() -> None:
    codes = torch.randn(3, 4, 5)
    lost = m.inversion_error(codes, 1.1 * codes)
    assert torch.allclose(lost, torch.full((3,), 0.1), atol=1e-5)
    black, white = -torch.ones(2, 3, 4, 4), torch.ones(2, 3, 4, 4)
    assert m.pixel_error(black, white).tolist() == [255, 255]
    assert m.pixel_error(black, black).tolist() == [0, 0]
