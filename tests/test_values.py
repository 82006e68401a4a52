"""Every metric of a cell, face by face, from arrays of which each holds other numbers."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from latentedit import Attribute, AttributeSchema
from latentedit.benchmark.results.values import FinishedEdits, Reference, face_values
from latentedit.benchmark.suite import Suite, parse_suite

Array = NDArray[np.float64]

SCHEMA = AttributeSchema(
    (
        Attribute("lighting", "vector", -2, 2, size=2),
        Attribute("age", "continuous", 0, 70, "years"),
        Attribute("yaw", "continuous", -40, 40, "degrees"),
        Attribute("glasses", "binary", 0, 1),
    )
)
COLUMNS = {"lighting": [0, 1], "age": [2], "yaw": [3], "glasses": [4]}
SIGMA = np.array([0.3, 0.4, 10.0, 12.0, 0.2])
STRENGTHS, EFFECTS = [0.5, 1.0, 2.0], [0.4, 0.8]
THRESHOLDS = {"first": 0.5, "second": 0.2}
FACES, TAKING_PART = 9, [7, 0, 4, 2, 8, 5]


def suite() -> Suite:
    return parse_suite(f"""
        name: toy
        bank: {{generator: {{plugin: toy}}, labeller: one, n_fit: 20, n_test: {FACES}}}
        judge: other
        identity: [first, second]
        editors: {{one: {{plugin: one}}}}
        tasks: [{{attribute: age, change: 10}}]
        strengths: {STRENGTHS}
        effects: {EFFECTS}
    """)


def arrays(seed: int = 0) -> dict[str, Array]:
    """What a cell holds, all of it random; the third face never reaches the second effect."""
    rng = np.random.default_rng(seed)
    n, a, s, r, e = len(TAKING_PART), SIGMA.size, len(STRENGTHS), len(EFFECTS), len(THRESHOLDS)
    strength = rng.uniform(0.2, 2, (r, n))
    strength[1, 2] = np.nan
    readings = [20, 20, 30, 15, 1] * rng.normal(size=(s + 2 * r, n, a))
    return {
        "faces": np.array(TAKING_PART),
        "source": rng.uniform(20, 60, n),
        "change": rng.choice([-10.0, 10.0], n),
        "judged": readings[:s],
        "effect": rng.normal(0.6, 0.5, (s, n)),
        "similarity": rng.uniform(-1, 1, (s, e, n)),
        "round_trip": rng.uniform(size=n),
        "round_trip_pixels": rng.uniform(size=n),
        "round_trip_identity": rng.uniform(size=(e, n)),
        "matched_strength": strength,
        "matched_judged": readings[s : s + r],
        "matched_truth": readings[s + r :],
        "matched_similarity": rng.uniform(-0.2, 1, (r, e, n)),
        "matched_photo_similarity": rng.uniform(-1, 1, (r, e, n)),
        "matched_counterfactual_pixels": rng.uniform(size=(r, n)),
        "matched_counterfactual_inside": rng.uniform(size=(r, n)),
        "matched_counterfactual_outside": rng.uniform(size=(r, n)),
        "matched_counterfactual_structure": rng.uniform(size=(r, n)),
        "matched_counterfactual_similarity": rng.uniform(-1, 1, (r, e, n)),
        "matched_kernel": rng.uniform(size=(r, n)),
        "matched_likelihood": rng.uniform(size=(r, n)),
        "matched_mahalanobis": rng.uniform(size=(r, n)),
        "matched_drift": rng.uniform(size=(r, n)),
    }


def faces(seed: int = 1, identity: int = 3) -> dict[str, Array]:
    rng = np.random.default_rng(seed)
    judged, truth = [0.5, 0.5, 40, 15, 0.5] * rng.normal(size=(2, FACES, SIGMA.size))
    return {"judged": judged, "truth": truth, "identity": rng.normal(size=(FACES, identity))}


def tensors(held: dict[str, Array]) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(copy.deepcopy(array)) for name, array in held.items()}


def reference(of: dict[str, Array]) -> Reference:
    return Reference(suite(), SCHEMA, tensors(of), torch.from_numpy(SIGMA), THRESHOLDS)


def found_for(held: dict[str, Array], attribute: str = "age", **of: int) -> dict[str, Array]:
    """By 'metric @ effect', what the edits have."""
    edits = FinishedEdits(tensors(held), "a task", attribute)
    found = face_values(edits, reference(faces(**of)))
    return {f"{metric} @ {effect:g}": v.double().numpy() for (metric, effect), v in found.items()}


def leakage(before: Array, after: Array, edited: str) -> Array:
    scaled = np.abs(after - before) / SIGMA
    others = [scaled[:, c].mean(1) for name, c in COLUMNS.items() if name != edited]
    return np.mean(others, axis=0)


def angles(first: Array, second: Array) -> Array:
    """Degrees between rows, by the arc cosine."""
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.degrees(np.arccos((first * second).sum(1) / lengths))


def looks(yaw: Array) -> Array:
    turned: Array = Rotation.from_euler("Y", yaw[:, None], degrees=True).apply([0, 0, 1])
    return turned


@pytest.mark.parametrize("attribute", ["age", "yaw", "glasses"])
def test_every_metric_is_made_of_its_own_arrays(attribute: str) -> None:
    held, of = arrays(), faces()
    column = COLUMNS[attribute][0]
    target = held["source"] + held["change"]
    expected = {
        "target error @ 0": np.abs(held["judged"][1, :, column] - target) / SIGMA[column],
        "round-trip error @ 0": held["round_trip"],
        "round-trip error in pixels @ 0": held["round_trip_pixels"],
        "round-trip error in identity · first @ 0": held["round_trip_identity"][0],
        "round-trip error in identity · second @ 0": held["round_trip_identity"][1],
    }
    for i, effect in enumerate(EFFECTS):
        reached = np.where(np.isnan(held["matched_strength"][i]), np.nan, 1.0)
        judged, truth = held["matched_judged"][i], held["matched_truth"][i]
        before, true_before = of["judged"][TAKING_PART], of["truth"][TAKING_PART]
        wanted = before.copy()
        wanted[:, column] += effect * held["change"]
        similarity = held["matched_similarity"][i]
        by_metric = {
            "attribute leakage": leakage(before, judged, attribute),
            "true leakage": leakage(true_before, truth, attribute),
            "true identity drift": held["matched_drift"][i],
            "kernel distance": held["matched_kernel"][i],
            "log-likelihood": held["matched_likelihood"][i],
            "Mahalanobis distance": held["matched_mahalanobis"][i],
            "pose error": angles(looks(wanted[:, 3]), looks(judged[:, 3])),
            "lighting error": angles(wanted[:, :2], judged[:, :2]),
            "identity similarity · first": similarity[0],
            "identity similarity · second": similarity[1],
            "identity similarity to the photo · first": held["matched_photo_similarity"][i, 0],
            "identity similarity to the photo · second": held["matched_photo_similarity"][i, 1],
            "distance to the counterfactual": held["matched_counterfactual_pixels"][i],
            "true effect": (truth - true_before)[:, column] / held["change"],
            "distance inside what may change": held["matched_counterfactual_inside"][i],
            "distance outside what may change": held["matched_counterfactual_outside"][i],
            "structural similarity to the counterfactual": held["matched_counterfactual_structure"][
                i
            ],
            "identity similarity to the counterfactual · first": held[
                "matched_counterfactual_similarity"
            ][i, 0],
            "identity similarity to the counterfactual · second": held[
                "matched_counterfactual_similarity"
            ][i, 1],
            "identity accuracy · first": similarity[0] > 0.5,
            "identity accuracy · second": similarity[1] > 0.2,
        }
        expected |= {f"{name} @ {effect:g}": v * reached for name, v in by_metric.items()}
        expected[f"reach @ {effect:g}"] = np.nan_to_num(reached)
        for name, values in zip(THRESHOLDS, similarity, strict=True):
            counted = values * np.nan_to_num(reached)
            expected[f"identity with failures · {name} @ {effect:g}"] = counted
    found = found_for(held, attribute)
    areas = {f"edit–identity area · {name} @ 0" for name in THRESHOLDS}
    assert set(found) == set(expected) | areas
    for name, values in expected.items():
        assert found[name] == pytest.approx(values, rel=1e-6, abs=1e-6, nan_ok=True), name


def test_areas_are_each_recognisers_own() -> None:
    held = arrays()
    held["effect"] = np.array([0.4, 0.8, 1.2])[:, None] * np.ones((3, 6))
    held["similarity"] = np.zeros((3, 2, 6))
    held["similarity"][:, 0] = np.array([0.9, 0.7, 0.3])[:, None]
    held["similarity"][:, 1] = np.array([0.6, 0.2, 0.0])[:, None]
    found = found_for(held)
    first = 0.4 * (1 + 0.9) / 2 + 0.4 * (0.9 + 0.7) / 2 + 0.2 * (0.7 + 0.5) / 2
    second = 0.4 * (1 + 0.6) / 2 + 0.4 * (0.6 + 0.2) / 2 + 0.2 * (0.2 + 0.1) / 2
    assert found["edit–identity area · first @ 0"] == pytest.approx([first] * 6)
    assert found["edit–identity area · second @ 0"] == pytest.approx([second] * 6)


def test_similarity_at_the_threshold_is_not_above_it() -> None:
    held = arrays()
    held["matched_similarity"][:] = 0.5
    found = found_for(held)
    assert found["identity accuracy · first @ 0.4"].tolist() == [0.0] * 6
    assert found["identity accuracy · second @ 0.4"].tolist() == [1.0] * 6


def test_a_face_that_does_not_reach_an_effect_counts_where_failures_count_alone() -> None:
    found = found_for(arrays())
    for name, values in found.items():
        missing = name.endswith("@ 0.8") and not name.startswith(("reach", "identity with"))
        assert np.isnan(values).tolist() == [missing and i == 2 for i in range(6)], name
    assert found["reach @ 0.8"].tolist() == [1, 1, 0, 1, 1, 1]
    assert found["reach @ 0.4"].tolist() == [1] * 6


def test_without_truth_or_photographs_their_metrics_are_left_out() -> None:
    held = arrays()
    whole = set(found_for(held))
    blind = set(found_for(held, identity=0))
    assert whole - blind == {
        f"{n} @ {e}"
        for n in ("true effect", "true leakage", "true identity drift")
        for e in EFFECTS
    }
    del held["matched_photo_similarity"]
    sampled = set(found_for(held))
    assert whole - sampled == {
        f"identity similarity to the photo · {n} @ {e}" for n in THRESHOLDS for e in EFFECTS
    }


def test_the_truth_is_known_where_a_face_has_any_identity_score() -> None:
    assert reference(faces(identity=1)).knows_truth
    assert not reference(faces(identity=0)).knows_truth


def test_an_edit_leaves_the_arrays_of_unedited_faces_as_they_are() -> None:
    where = reference(faces())
    face_values(FinishedEdits(tensors(arrays()), "a task", "age"), where)
    assert where.faces["judged"].numpy() == pytest.approx(faces()["judged"])


def test_a_sequence_has_its_consistency_and_its_drift_after_each_number_of_edits() -> None:
    rng = np.random.default_rng(3)
    held = {
        "consistency": rng.uniform(size=6),
        "drift": rng.uniform(size=(3, 6)),
        "drift_identity": rng.uniform(size=(3, 2, 6)),
    }
    found = found_for(held, attribute="")
    expected = {"edit consistency @ 0": held["consistency"]}
    for n, edits in enumerate(("1 edit", "2 edits", "3 edits")):
        expected[f"drift · {edits} @ 0"] = held["drift"][n]
        expected[f"drift in identity · {edits} · first @ 0"] = held["drift_identity"][n, 0]
        expected[f"drift in identity · {edits} · second @ 0"] = held["drift_identity"][n, 1]
    assert set(found) == set(expected)
    for name, values in expected.items():
        assert found[name] == pytest.approx(values), name
