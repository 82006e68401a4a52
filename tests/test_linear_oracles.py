"""Linear editors against scikit-learn, numpy and scipy on small data with unequal means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from scipy.stats import chisquare, linregress
from sklearn.decomposition import PCA
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.svm import SVC
from toy import ToyGenerator, toy_registry

import latentedit_linear
from latentedit import (
    Attribute,
    AttributeSchema,
    CorruptArtefact,
    Editor,
    FitStats,
    InputError,
    NotFitted,
    Runtime,
    Split,
)
from latentedit.data.moments import moments
from latentedit_linear import ganspace, interfacegan
from latentedit_linear.axes import label_axes
from latentedit_linear.boundaries import project, read_boundary
from latentedit_linear.controls import gaps
from latentedit_linear.directions import unit
from latentedit_linear.extremes import extremes
from latentedit_linear.stylespace import measured_slopes
from latentedit_linear.whitening import WhitenedSplit, Whitening

Array = NDArray[np.float64]
SCHEMA = AttributeSchema(
    (
        Attribute("age", "continuous", 0.0, 90.0),
        Attribute("glasses", "binary", 0.0, 1.0),
        Attribute("light", "vector", -9.0, 9.0, size=2),
    )
)
COLUMNS = ("age", "glasses", "light_0", "light_1")
N, D, A = 400, 6, 4
REGISTRY = toy_registry(latentedit_linear)


def make(n: int = N, seed: int = 0) -> tuple[Array, Array]:
    """Codes with a mean and unequal correlated spreads; attributes with noise and skew."""
    rng = np.random.default_rng(seed)
    mixing = np.random.default_rng(99).normal(size=(D, D))
    codes = rng.normal(size=(n, D)) @ mixing + np.arange(D) * 2.0
    read = np.random.default_rng(98).normal(size=(D, A))
    linear = (codes - np.arange(D) * 2.0) @ read
    values = np.empty((n, A))
    values[:, 0] = 35 + 4 * linear[:, 0] + 8 * rng.exponential(size=n)
    values[:, 1] = 0.35 + 0.08 * linear[:, 1] + 0.1 * rng.normal(size=n)
    values[:, 2] = linear[:, 2] + 2 * rng.normal(size=n)
    values[:, 3] = -linear[:, 3] + 0.5 * linear[:, 0] + rng.normal(size=n)
    codes32 = codes.astype("f4").astype("f8")
    return codes32, values.astype("f4").astype("f8")


ALL_W, ALL_Y = make(500)
HELD = np.arange(500) % 5 == 4
"""Every fifth face, which no direction is chosen by."""
W, Y, HELD_W, HELD_Y = ALL_W[~HELD], ALL_Y[~HELD], ALL_W[HELD], ALL_Y[HELD]


def split(codes: Array = ALL_W, values: Array = ALL_Y, cut: int = 150) -> Split:
    """In two shards, so that what reads only the first one is found out."""
    w, y = torch.from_numpy(codes).float(), torch.from_numpy(values).float()
    return Split("w", SCHEMA, ((w[:cut], y[:cut]), (w[cut:], y[cut:])))


DATA = split()
CHOOSING = split(W, Y)


def fitted(name: str, seed: int = 0, **options: object) -> tuple[Editor, FitStats]:
    editor = REGISTRY.editor(name, options)
    return editor, editor.fit(DATA, Runtime(seed=seed))


def directions(editor: Editor) -> Array:
    found: Array = editor.state()["directions"].double().numpy()
    return found


def unit_rows(rows: Array) -> Array:
    found: Array = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found


def ends(values: Array, share: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lowest first, and highest first."""
    order = np.argsort(values.astype("f4"), kind="stable")
    count = int(share * len(values))
    return order[:count], order[::-1][:count]


def correlations(rows: Array) -> Array:
    """On held-out faces."""
    return np.array([np.corrcoef(HELD_W @ d, HELD_Y[:, k])[0, 1] for k, d in enumerate(rows)])


def the_slopes(rows: Array) -> Array:
    """Least squares on held-out faces by a routine made for lines, or 0 where scipy sees none."""
    lines = [linregress(HELD_W @ d, HELD_Y[:, k]) for k, d in enumerate(rows)]
    return np.array([line.slope if line.pvalue < 0.05 else 0.0 for line in lines])


# --- InterFaceGAN


@pytest.mark.parametrize("validation", [0.0, 0.4])
@pytest.mark.parametrize(("share", "c"), [(0.1, 1.0), (0.25, 1.0), (0.25, 1e-3)])
def test_boundaries_are_those_of_a_support_vector_machine_on_all_extremes(
    share: float, c: float, validation: float
) -> None:
    editor, _ = fitted("interfacegan", extreme_share=share, c=c, validation_share=validation)
    for k in range(A):
        low, high = ends(Y[:, k], share)
        index, labels = np.concatenate([low, high]), np.repeat([0, 1], len(low))
        machine = SVC(kernel="linear", C=c).fit(W[index], labels)
        wanted = machine.coef_[0] / np.linalg.norm(machine.coef_[0])
        assert np.allclose(directions(editor)[k], wanted, atol=1e-3), COLUMNS[k]


@pytest.mark.parametrize("seed", [0, 3])
def test_the_stated_accuracy_is_that_of_faces_held_out_of_both_ends(seed: int) -> None:
    share, held = 0.3, 0.4
    _, stats = fitted("interfacegan", seed, extreme_share=share, validation_share=held)
    differ = 0
    for k, name in enumerate(COLUMNS):
        rng, parts = Runtime(seed=seed).rng(k), []
        for end in ends(Y[:, k], share):
            parts.append(end[torch.randperm(len(end), generator=rng).numpy()])
        kept = [len(end) - int(held * len(end)) for end in parts]
        train = np.concatenate([end[:n] for end, n in zip(parts, kept, strict=True)])
        test = np.concatenate([end[n:] for end, n in zip(parts, kept, strict=True)])
        machine = SVC(kernel="linear").fit(W[train], np.repeat([0, 1], kept))
        truth = np.repeat([0, 1], [len(e) - n for e, n in zip(parts, kept, strict=True)])
        wanted = machine.score(W[test], truth)
        assert stats.figures[f"accuracy/{name}"] == pytest.approx(wanted, abs=1e-9)
        differ += abs(wanted - machine.score(W[train], np.repeat([0, 1], kept))) > 0.005
    assert differ >= 2, "the data must tell held-out faces from others"


def test_without_faces_to_hold_out_the_accuracy_is_that_of_the_trained_ones() -> None:
    _, stats = fitted("interfacegan", extreme_share=0.25, validation_share=0.0)
    low, high = ends(Y[:, 2], 0.25)
    index, labels = np.concatenate([low, high]), np.repeat([0, 1], len(low))
    machine = SVC(kernel="linear").fit(W[index], labels)
    assert stats.figures["accuracy/light_0"] == pytest.approx(machine.score(W[index], labels))
    assert stats.figures["accuracy/light_0"] < 0.999


def test_solvers_that_did_not_finish_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fitted("interfacegan", extreme_share=0.3)[1].figures["unconverged"] == 0
    monkeypatch.setattr(interfacegan, "MAX_ITERATIONS", 2)
    assert fitted("interfacegan", extreme_share=0.3)[1].figures["unconverged"] == A


def test_a_column_without_two_ends_has_no_boundary_and_says_half() -> None:
    values = ALL_Y.copy()
    values[:, 2] = 3.0
    editor = REGISTRY.editor("interfacegan")
    stats = editor.fit(split(ALL_W, values), Runtime())
    assert stats.figures["accuracy/light_0"] == 0.5
    assert (editor.state()["directions"].norm(dim=1) > 0).tolist() == [True, True, False, True]
    assert stats.figures["held_out_correlation/light_0"] == 0
    assert editor.state()["slopes"][2] == 0


def test_fitting_tells_how_far_it_is() -> None:
    told: list[tuple[float, str]] = []
    editor = REGISTRY.editor("interfacegan", {"extreme_share": 0.1})
    editor.fit(DATA, Runtime(progress=lambda *at: told.append(at)))
    assert told == [(k / 4, f"boundary of {name}") for k, name in enumerate(COLUMNS)]


def residual(rows: Array, column: int, others: list[int]) -> Array:
    """What is left of a row when the others have explained what they can, by least squares."""
    basis = rows[others].T
    left = rows[column] - basis @ np.linalg.lstsq(basis, rows[column], rcond=None)[0]
    found: Array = left / np.linalg.norm(left)
    return found


@pytest.mark.parametrize(
    ("conditional", "kept_to"),
    [
        ("others", {0: [1, 2, 3], 1: [0, 2, 3], 2: [0, 1, 3], 3: [0, 1, 2]}),
        (("glasses",), {0: [1], 1: [], 2: [1], 3: [1]}),
        (("light", "age"), {0: [2, 3], 1: [2, 3, 0], 2: [3, 0], 3: [2, 0]}),
    ],
)
def test_conditional_boundaries_are_residuals_of_least_squares_and_calibrated_again(
    conditional: object, kept_to: dict[int, list[int]]
) -> None:
    options = {"extreme_share": 0.2}
    plain = directions(fitted("interfacegan", **options)[0])
    editor, stats = fitted("interfacegan", conditional=conditional, **options)
    found = directions(editor)
    for column, others in kept_to.items():
        wanted = residual(plain, column, others) if others else plain[column]
        assert np.allclose(found[column], wanted, atol=1e-5), COLUMNS[column]
    assert np.allclose(editor.state()["slopes"], the_slopes(found), rtol=1e-4)
    wanted = correlations(found)[0]
    assert stats.figures["held_out_correlation/age"] == pytest.approx(wanted, abs=1e-5)


def test_projecting_keeps_the_dtype_and_bears_dependent_others() -> None:
    rng = np.random.default_rng(4)
    n, others = rng.normal(size=8), rng.normal(size=(2, 8))
    dependent = np.vstack([others, 5 * others[:1] - others[1:]])
    q = np.linalg.qr(others.T)[0]
    wanted = n - q @ (q.T @ n)
    wanted /= np.linalg.norm(wanted)
    found = project(torch.from_numpy(n).float(), torch.from_numpy(dependent).float())
    assert found.dtype == torch.float32
    assert np.allclose(found, wanted, atol=1e-5)
    scaled = project(torch.from_numpy(7 * n), torch.from_numpy(dependent * 1e-3))
    assert np.allclose(scaled, wanted, atol=1e-9)
    zeros = project(torch.from_numpy(n), torch.zeros(2, 8, dtype=torch.float64))
    assert np.allclose(zeros, n / np.linalg.norm(n), atol=1e-12)


def test_a_boundary_that_almost_lies_in_the_span_is_kept_until_rounding() -> None:
    e = torch.eye(4, dtype=torch.float64)
    assert torch.allclose(project(e[0] + 1e-4 * e[1], e[:1]), e[1], atol=1e-9)
    assert torch.equal(project(e[0] + 1e-8 * e[1], e[:1]), torch.zeros(4, dtype=torch.float64))


@pytest.mark.parametrize(("norm", "taken"), [(1.0009, True), (0.9991, True), (1.0011, False)])
def test_a_published_boundary_has_unit_norm_within_a_thousandth(
    tmp_path: Path, norm: float, taken: bool
) -> None:
    np.save(tmp_path / "b.npy", np.array([[0.6 * norm, 0.8 * norm]]))
    if taken:
        assert read_boundary(tmp_path / "b.npy").tolist() == [0.6 * norm, 0.8 * norm]
    else:
        with pytest.raises(InputError, match=r"norm 1\.0011; a boundary is its unit normal"):
            read_boundary(tmp_path / "b.npy")


def test_a_published_boundary_in_single_precision_is_read_in_double(tmp_path: Path) -> None:
    np.save(tmp_path / "b.npy", np.full((1, 4), 0.5, dtype=np.float32))
    found = read_boundary(tmp_path / "b.npy")
    assert found.dtype == torch.float64
    assert found.tolist() == [0.5] * 4


def test_a_boundary_is_written_as_published_over_what_was_there(tmp_path: Path) -> None:
    for value in (1.0, -1.0):
        np.save(tmp_path / "b.npy", np.array([[0.0, value]]))
    read = np.load(tmp_path / "b.npy")
    assert (read.dtype, read.tolist()) == (np.float64, [[0.0, -1.0]])


# --- whitened codes


FACTOR = np.linalg.cholesky(np.cov(W.T, bias=True))
"""L with Σ = L Lᵀ, so that x = L⁻¹ (w − mean) is white too; it differs from Λ and U by a turn."""
WHITE = np.linalg.solve(FACTOR, (W - W.mean(0)).T).T


def same_directions(editor: Editor, normals: Array) -> None:
    """The editor's directions are these normals of `WHITE`, as moves of codes."""
    assert np.allclose(directions(editor), unit_rows(normals @ FACTOR.T), atol=1e-3)


@pytest.mark.parametrize(("share", "c"), [(0.1, 1.0), (0.25, 0.01)])
def test_boundaries_of_whitened_codes_are_scikit_learns_on_whitened_data(
    share: float, c: float
) -> None:
    editor, stats = fitted("interfacegan", whiten=True, extreme_share=share, c=c)
    normals = []
    for k in range(A):
        index = np.concatenate(ends(Y[:, k], share))
        labels = np.repeat([0, 1], len(index) // 2)
        normals.append(SVC(kernel="linear", C=c).fit(WHITE[index], labels).coef_[0])
    same_directions(editor, np.array(normals))
    found = directions(editor)
    assert not np.allclose(found, directions(fitted("interfacegan", extreme_share=share, c=c)[0]))
    assert np.allclose(editor.state()["slopes"], the_slopes(found), rtol=1e-4)
    wanted = correlations(found)[0]
    assert stats.figures["held_out_correlation/age"] == pytest.approx(wanted, abs=1e-4)


def test_conditional_boundaries_of_whitened_codes_are_orthogonal_to_others_there() -> None:
    plain, _ = fitted("interfacegan", whiten=True, extreme_share=0.2)
    editor, _ = fitted("interfacegan", whiten=True, extreme_share=0.2, conditional=("glasses",))
    one, careful = (np.linalg.solve(FACTOR, directions(e).T).T for e in (plain, editor))
    assert np.allclose(careful[[0, 2, 3]] @ one[1], 0, atol=1e-4)
    assert abs(directions(editor)[0] @ directions(plain)[1]) > 0.01


def test_logistic_directions_of_whitened_codes_are_scikit_learns_on_whitened_data() -> None:
    editor, _ = fitted("logistic", whiten=True, c=0.1)
    normals = []
    for k, name in enumerate(COLUMNS):
        middle = 0.5 if name == "glasses" else np.sort(Y[:, k])[N // 2 - 1]
        model = LogisticRegression(C=0.1, tol=1e-10, solver="newton-cholesky")
        normals.append(model.fit(WHITE, Y[:, k] > middle).coef_[0])
    same_directions(editor, np.array(normals))


@pytest.mark.parametrize("ridge", [0.0, 2.0])
def test_regression_on_whitened_codes_moves_along_the_covariance(ridge: float) -> None:
    editor, _ = fitted("regression", whiten=True, ridge=ridge)
    covariance = (Y - Y.mean(0)).T @ (W - W.mean(0))
    assert np.allclose(directions(editor), unit_rows(covariance), atol=1e-5)


def test_a_whitened_split_is_white_in_every_way_that_it_is_read() -> None:
    whitening = Whitening.of(moments(CHOOSING))
    white = WhitenedSplit(CHOOSING.space, SCHEMA, CHOOSING.shards, (), whitening)
    values, basis = np.linalg.eigh(np.cov(W.T, bias=True))
    wanted = (W - W.mean(0)) @ basis / np.sqrt(values)
    batches = torch.cat([codes for codes, _ in white.batches(7)])
    in_turn = [white.codes, batches, white.rows(torch.arange(N))[0]]
    for found in in_turn:
        assert np.allclose(found.abs(), np.abs(wanted), atol=1e-4)
    assert np.allclose(moments(white).covariance, np.eye(D), atol=1e-6)
    others, held = white.hold_out()
    order = np.concatenate([np.arange(150)[4::5], np.arange(150, N)[4::5]])
    assert np.allclose(held.codes.abs(), np.abs(wanted[order]), atol=1e-4)
    assert len(others) + len(held) == N


def test_fewer_codes_than_dimensions_can_be_whitened() -> None:
    rng = np.random.default_rng(13)
    codes, values = rng.normal(size=(30, 50)), rng.normal(size=(30, A))
    for name in ("interfacegan", "logistic", "regression"):
        editor = REGISTRY.editor(name, {"whiten": True})
        editor.fit(split(codes, values, 10), Runtime())
        assert np.isfinite(directions(editor)).all()


def test_published_boundaries_are_refused_where_codes_are_whitened() -> None:
    with pytest.raises(InputError, match="normals of raw codes"):
        REGISTRY.editor("interfacegan", {"whiten": True, "boundaries": {"age": "age.npy"}})


# --- calibration and the move that all share


def test_slopes_are_those_of_a_line_through_the_projection_where_it_is_certain() -> None:
    rows = unit_rows(np.random.default_rng(5).normal(size=(A, D)))
    rows[1] *= -1
    held = moments(split(HELD_W, HELD_Y, 30))
    wanted = the_slopes(rows)
    assert (wanted != 0).sum() >= 2
    assert np.allclose(held.slopes(torch.from_numpy(rows)), wanted, rtol=1e-4)


def test_every_fifth_face_calibrates_and_chooses_nothing() -> None:
    """In two shards of 150 and 350; rows keep their attributes, and nothing is copied."""
    choosing, held = DATA.hold_out()
    assert sorted(map(tuple, choosing.codes.tolist())) == sorted(map(tuple, W.tolist()))
    assert sorted(map(tuple, held.codes.tolist())) == sorted(map(tuple, HELD_W.tolist()))
    order = [W.tolist().index(row) for row in choosing.codes.tolist()]
    assert np.array_equal(choosing.attributes, Y[order])
    first = DATA.shards[0][0]
    first_row = next(w for w, _ in choosing.shards)[0]
    assert first_row.data_ptr() == first[0].data_ptr()
    third, rest = DATA.hold_out(3)
    assert (len(third), len(rest)) == (334, 166)


def test_too_few_faces_to_hold_one_out_calibrate_nothing() -> None:
    few = split(W[:4], Y[:4], 2)
    editor = REGISTRY.editor("mean-difference", {"share": 0.5})
    editor.fit(few, Runtime())
    assert editor.state()["slopes"].tolist() == [0] * A
    wanted = W[:4][Y[:4, 0].argsort()]
    wanted = wanted[2:].mean(0) - wanted[:2].mean(0)
    assert np.allclose(directions(editor)[0], wanted / np.linalg.norm(wanted), atol=1e-6)
    assert moments(few.hold_out()[1]).correlations(torch.eye(A, D)).tolist() == [[0] * A] * A
    assert moments(split(W[:2], Y[:2], 1)).slopes(torch.eye(A, D)).tolist() == [0] * A


def test_slopes_of_what_does_not_vary_are_zero() -> None:
    codes = torch.tensor([[1.0, 5.0], [2.0, 5.0], [4.0, 5.0]], dtype=torch.float64)
    values = torch.tensor([[2.0, 1.0], [4.0, 2.0], [8.0, 9.0]], dtype=torch.float64)
    schema = AttributeSchema((Attribute("light", "vector", -9.0, 9.0, size=2),))
    found = moments(Split("w", schema, ((codes, values),)))
    assert found.slopes(torch.eye(2)).tolist() == pytest.approx([2.0, 0.0])


@pytest.mark.parametrize(
    ("r", "kept"), [(0.196, False), (0.197, True), (-0.196, False), (-0.197, True)]
)
def test_a_correlation_is_calibrated_where_a_t_test_at_five_percent_sees_it(
    r: float, kept: bool
) -> None:
    """Of 100 faces the table of Pearson's r has 0.1966; the correlation is made exact."""
    rng = np.random.default_rng(6)
    x, e = rng.normal(size=(2, 100))
    x = (x - x.mean()) / x.std()
    e = e - e.mean()
    e -= (e @ x) / 100 * x
    e /= e.std()
    values = np.zeros((100, A))
    values[:, 0] = 5 * (r * x + (1 - r**2) ** 0.5 * e)
    codes = np.stack([3 * x, e], 1)
    w, y = torch.from_numpy(codes), torch.from_numpy(values)
    one = torch.eye(2, dtype=torch.float64)[[0, 0, 0, 0]]
    slope = moments(Split("w", SCHEMA, ((w, y),))).slopes(one)
    assert slope[0].item() == pytest.approx(5 * r / 3 if kept else 0.0, abs=1e-6)
    assert slope[1:].tolist() == [0, 0, 0]


def test_a_move_is_the_sum_of_changes_over_slopes_along_the_directions() -> None:
    editor, _ = fitted("regression")
    d, slope = directions(editor), editor.state()["slopes"].double().numpy()
    change = np.random.default_rng(7).normal(size=(5, A))
    change[2] = 0
    w, source = CHOOSING.codes[:5], CHOOSING.attributes[:5]
    edited = editor.edit(w, source, source + torch.from_numpy(change).float(), Runtime())
    assert np.allclose(edited.codes, W[:5] + (change / slope) @ d, atol=1e-3)
    assert torch.equal(edited.codes[2], w[2])
    assert edited.ok is not None
    assert edited.ok.tolist() == [True] * 5


def test_a_column_without_slope_is_refused_only_where_it_is_asked_for() -> None:
    editor = REGISTRY.editor("regression")
    editor.load_state(
        {"directions": torch.eye(4, 6), "slopes": torch.tensor([2.0, 0.0, -4.0, 1.0])}
    )
    change = torch.tensor([[1.0, 0, 2, 0], [1.0, 1, 0, 0], [0.0, 0, 0, 0], [0, -1.0, 0, 0]])
    edited = editor.edit(torch.zeros(4, 6), torch.zeros(4, 4), change, Runtime())
    assert edited.ok is not None
    assert edited.ok.tolist() == [True, False, True, False]
    assert edited.codes[0].tolist() == [0.5, 0, -0.5, 0, 0, 0]
    with pytest.raises(NotFitted):
        REGISTRY.editor("regression").edit(torch.zeros(1, 6), change[:1], change[:1], Runtime())


def test_unit_vectors_are_those_that_can_be_made() -> None:
    rows = torch.tensor([[3.0, 4.0], [0.0, 0.0], [float("inf"), 1.0], [-2.0, 0.0]])
    assert torch.allclose(unit(rows), torch.tensor([[0.6, 0.8], [0, 0], [0, 0], [-1.0, 0]]))


# --- other supervised directions


@pytest.mark.parametrize("ridge", [0.0, 0.1, 2.0])
def test_regression_directions_are_those_of_ridge_regression(ridge: float) -> None:
    editor, stats = fitted("regression", ridge=ridge)
    alpha = N * ridge * np.trace(np.cov(W.T, bias=True)) / D
    model = Ridge(alpha=alpha) if ridge else LinearRegression()
    wanted = unit_rows(model.fit(W, Y).coef_)
    assert np.allclose(directions(editor), wanted, atol=1e-5)
    for name, value in zip(COLUMNS, correlations(wanted), strict=True):
        assert stats.figures[f"held_out_correlation/{name}"] == pytest.approx(value, abs=1e-4)


def test_regression_has_a_default_penalty_of_a_tenth() -> None:
    given = fitted("regression", ridge=0.1)[0]
    assert torch.equal(fitted("regression")[0].state()["directions"], given.state()["directions"])


@pytest.mark.parametrize("c", [0.001, 0.1])
def test_logistic_directions_and_accuracies_are_those_of_scikit_learn(c: float) -> None:
    """Age by its median, glasses by the middle of the range, which here is far from the median."""
    editor, stats = fitted("logistic", c=c)
    for k, name in enumerate(COLUMNS):
        middle = 0.5 if name == "glasses" else np.sort(Y[:, k])[N // 2 - 1]
        labels = Y[:, k] > middle
        model = LogisticRegression(C=c, tol=1e-10, solver="newton-cholesky").fit(W, labels)
        assert np.allclose(directions(editor)[k], unit_rows(model.coef_)[0], atol=1e-3), name
        accuracy = stats.figures[f"accuracy/{name}"]
        assert accuracy == pytest.approx(model.score(W, labels), abs=1.5 / N), name
    assert 0.05 < (Y[:, 1] > 0.5).mean() < 0.4


def test_a_binary_attribute_that_every_face_has_gives_no_logistic_direction() -> None:
    values = ALL_Y.copy()
    values[:, 1] = 0.9 + 0.001 * ALL_Y[:, 1]
    editor = REGISTRY.editor("logistic")
    editor.fit(split(ALL_W, values), Runtime())
    assert (editor.state()["directions"].norm(dim=1) > 0.5).tolist() == [True, False, True, True]


@pytest.mark.parametrize("share", [0.5, 0.1])
def test_the_mean_difference_is_that_of_the_means_at_both_ends(share: float) -> None:
    editor, _ = fitted("mean-difference", share=share)
    for k in range(A):
        low, high = ends(Y[:, k], share)
        wanted = W[high].mean(0) - W[low].mean(0)
        assert np.allclose(directions(editor)[k], wanted / np.linalg.norm(wanted), atol=1e-5)


def test_the_mean_difference_reads_more_faces_than_fit_in_a_batch() -> None:
    w, y = make(6000, seed=1)
    editor = REGISTRY.editor("mean-difference", {"share": 0.5})
    editor.fit(split(w, y, cut=4500), Runtime())
    w, y = (x[np.arange(6000) % 5 != 4] for x in (w, y))
    low, high = ends(y[:, 0], 0.5)
    wanted = w[high].mean(0) - w[low].mean(0)
    assert np.allclose(directions(editor)[0], wanted / np.linalg.norm(wanted), atol=1e-5)


def test_ends_of_unequal_size_are_each_averaged_by_their_own_count() -> None:
    """Of labels 0, 0, 0, 1 the high end keeps one face of two."""
    codes = torch.tensor([[2.0, 0.0], [4.0, 1.0], [9.0, 9.0], [5.0, 4.0]])
    schema = AttributeSchema((Attribute("glasses", "binary", 0, 1),))
    labels = torch.tensor([[0.0], [0.0], [0.0], [1.0]])
    editor = REGISTRY.editor("mean-difference", {"share": 0.5})
    editor.fit(Split("w", schema, ((codes, labels),)), Runtime())
    wanted = np.array([5.0, 4.0]) - np.array([3.0, 0.5])
    assert np.allclose(editor.state()["directions"][0], wanted / np.linalg.norm(wanted))


def test_each_end_holds_at_least_one_face_and_ties_go_to_the_low_end() -> None:
    values = torch.tensor([4.0, 2.0, 9.0, 7.0])
    low, high = extremes(values, 0.01)
    assert (low.tolist(), high.tolist()) == ([1], [2])
    low, high = extremes(torch.tensor([1.0, 1, 1, 1, 2, 3]), 0.5)
    assert (low.tolist(), high.tolist()) == ([0, 1, 2], [5, 4])


# --- closed forms


def moved(editor: Editor, change: Array) -> Array:
    """(n, D) how codes move when (n, A) changes are requested; the same from any face."""
    n = len(change)
    codes, source = DATA.codes[:n], DATA.attributes[:n]
    edited = editor.edit(codes, source, source + torch.from_numpy(change).float(), Runtime())
    assert edited.ok is not None
    assert bool(edited.ok.all())
    found: Array = (edited.codes - codes).double().numpy()
    return found


def change(*columns: int, seed: int = 7) -> Array:
    """Three requests, which change only these columns."""
    wanted = np.zeros((3, A))
    wanted[:, columns] = np.random.default_rng(seed).normal(size=(3, len(columns)))
    return wanted


def test_the_conditional_mean_moves_as_least_squares_of_codes_on_attributes() -> None:
    editor, _ = fitted("conditional-mean")
    wanted = LinearRegression().fit(ALL_Y, ALL_W).coef_
    assert np.allclose(moved(editor, change(*range(A))), change(*range(A)) @ wanted.T, atol=1e-4)


def test_the_conditional_mean_is_exact_where_codes_are_linear_in_attributes() -> None:
    rng = np.random.default_rng(12)
    a, effect = rng.normal(size=(300, A)) @ rng.normal(size=(A, A)), rng.normal(size=(A, D))
    editor = REGISTRY.editor("conditional-mean")
    editor.fit(split(7 + a @ effect, a), Runtime())
    assert np.allclose(moved(editor, change(*range(A))), change(*range(A)) @ effect, atol=1e-4)


@pytest.mark.parametrize("name", ["conditional-mean", "min-norm"])
def test_closed_forms_leave_out_what_never_varies(name: str) -> None:
    values = ALL_Y.copy()
    values[:, 1] = 0.3
    editor, other = REGISTRY.editor(name), REGISTRY.editor(name)
    editor.fit(split(ALL_W, values), Runtime())
    three = AttributeSchema((SCHEMA["age"], SCHEMA["light"]))
    few = [(w, y[:, [0, 2, 3]]) for w, y in DATA.shards]
    other.fit(Split("w", three, tuple(few)), Runtime())
    codes, asked = DATA.codes[:3], torch.from_numpy(change(0, 2, 3)).float()
    start = torch.zeros(3, A)
    with_it = editor.edit(codes, start, asked, Runtime())
    without = other.edit(codes, start[:, 1:], asked[:, [0, 2, 3]], Runtime())
    assert torch.allclose(with_it.codes, without.codes, atol=1e-4)
    refused = editor.edit(codes, start, torch.from_numpy(change(1)).float(), Runtime())
    assert torch.equal(refused.codes, codes)
    assert refused.ok is not None
    assert not refused.ok.any()


def test_attributes_that_depend_on_each_other_share_the_effect() -> None:
    values = ALL_Y.copy()
    values[:, 3] = 2 * values[:, 2]
    editor = REGISTRY.editor("conditional-mean")
    editor.fit(split(ALL_W, values), Runtime())
    both = np.zeros((1, A))
    both[0, 2:] = 1.0, 2.0
    wanted = LinearRegression().fit(values[:, :3], ALL_W).coef_[:, 2]
    assert np.allclose(moved(editor, both)[0], wanted, atol=1e-4)


@pytest.mark.parametrize("ridge", [0.0, 0.1, 3.0])
def test_min_norm_solves_the_optimality_conditions_of_its_problem(ridge: float) -> None:
    """The stationary point of the Lagrangian, with gains from lines through held-out faces."""
    editor, stats = fitted("min-norm", ridge=ridge)
    covariance = np.cov(W.T, bias=True)
    alpha = N * ridge * np.trace(covariance) / D
    weights = (Ridge(alpha=alpha) if ridge else LinearRegression()).fit(W, Y).coef_
    v = the_slopes(weights)[:, None] * weights
    lagrangian = np.block([[2 * np.linalg.inv(covariance), v.T], [v, np.zeros((A, A))]])
    wanted = np.linalg.solve(lagrangian, np.vstack([np.zeros((D, 3)), change(*range(A)).T]))[:D].T
    assert np.allclose(moved(editor, change(*range(A))), wanted, atol=1e-4)
    for name, value in zip(COLUMNS, correlations(weights), strict=True):
        assert stats.figures[f"held_out_correlation/{name}"] == pytest.approx(value, abs=1e-4)


def test_min_norm_penalises_by_a_tenth_unless_told_otherwise() -> None:
    first, second = fitted("min-norm")[0], fitted("min-norm", ridge=0.1)[0]
    assert torch.equal(first.state()["slopes"], second.state()["slopes"])


# --- axes


def correlation_of(axes: Array) -> Array:
    both = np.corrcoef((W @ axes.T).T, Y.T)
    found: Array = both[: len(axes), len(axes) :]
    return found


def labelled(axes: Array) -> tuple[Array, NDArray[np.int64]]:
    """Each attribute's own axis, turned the way the attribute runs, and which it is."""
    r = correlation_of(axes)
    best = np.abs(r).argmax(0)
    turned: Array = np.sign(r[best, np.arange(A)])[:, None] * axes[best]
    return turned, best


@pytest.mark.parametrize("components", [D, 2])
def test_ganspace_walks_the_principal_component_that_goes_with_the_attribute(
    components: int,
) -> None:
    editor, stats = fitted("ganspace", components=components)
    pca = PCA(D).fit(W)
    wanted, best = labelled(pca.components_[:components])
    assert np.allclose(directions(editor), wanted, atol=1e-4)
    assert len(set(best.tolist())) > 1
    for k, name in enumerate(COLUMNS):
        assert stats.figures[f"axis/{name}"] == best[k]
        sigma = (pca.explained_variance_[best[k]] * (N - 1) / N) ** 0.5
        assert stats.figures[f"sigma/{name}"] == pytest.approx(sigma, rel=1e-4)
        wanted_r = correlations(wanted)[k]
        assert stats.figures[f"held_out_correlation/{name}"] == pytest.approx(wanted_r, abs=1e-4)
    found = editor.state()["slopes"].numpy()
    assert np.allclose(found, np.where(found != 0, the_slopes(wanted), 0), rtol=1e-3)


def test_principal_axes_come_with_mean_and_falling_deviations() -> None:
    axes = ganspace.principal_axes(moments(CHOOSING), 4)
    pca = PCA(4).fit(W)
    assert np.allclose(axes.mean, W.mean(0))
    assert np.allclose(axes.deviations, (pca.explained_variance_ * (N - 1) / N) ** 0.5)
    moved = axes.moved(torch.zeros(1, D), 1, -2.0)[0].numpy()
    wanted = -2 * axes.deviations[1].item() * axes.components[1].numpy()
    assert np.allclose(moved, wanted, atol=1e-5)


def test_labels_follow_the_strongest_correlation_and_its_sign() -> None:
    axes = np.linalg.qr(np.random.default_rng(8).normal(size=(D, D)))[0]
    index, sign = label_axes(moments(CHOOSING), torch.from_numpy(axes))
    r = correlation_of(axes)
    assert index.tolist() == np.abs(r).argmax(0).tolist()
    assert sign.tolist() == np.sign(r[np.abs(r).argmax(0), np.arange(A)]).tolist()
    assert set(sign.tolist()) == {-1.0, 1.0}


def write_axes(path: Path, norm: float, components: int = 3) -> None:
    rows = np.eye(D)[:components, None] * norm
    np.savez(path, lat_comp=rows, lat_mean=np.zeros((1, D)), lat_stdev=np.arange(1.0, 4.0))


def test_published_axes_are_cut_to_the_components_asked_for(tmp_path: Path) -> None:
    write_axes(tmp_path / "a.npz", 1.0)
    editor, stats = fitted("ganspace", axes=str(tmp_path / "a.npz"), components=2)
    wanted, best = labelled(np.eye(D)[:2])
    assert np.allclose(directions(editor), wanted)
    assert [stats.figures[f"axis/{name}"] for name in COLUMNS] == best.tolist()
    assert ganspace.read_axes(tmp_path / "a.npz").deviations.tolist() == [1.0, 2.0, 3.0]


def test_published_axes_have_unit_norm_within_a_thousandth_and_a_size_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_axes(tmp_path / "a.npz", 1.0009)
    assert len(ganspace.read_axes(tmp_path / "a.npz").components) == 3
    write_axes(tmp_path / "b.npz", 1.0011)
    with pytest.raises(InputError, match=r"norms 1\.0011 to 1\.0011"):
        ganspace.read_axes(tmp_path / "b.npz")
    monkeypatch.setattr(ganspace, "MAX_ARRAY_BYTES", 200)
    with pytest.raises(CorruptArtefact, match="lat_comp claims 272 bytes"):
        ganspace.read_axes(tmp_path / "a.npz")


def test_axes_of_another_width_are_refused(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz",
        lat_comp=np.eye(5)[:, None],
        lat_mean=np.zeros((1, 5)),
        lat_stdev=np.ones(5),
    )
    with pytest.raises(InputError, match="5 dimensions, codes have shape"):
        fitted("ganspace", axes=str(tmp_path / "a.npz"))


class Styled(ToyGenerator):
    """The toy world with three rows of style weights of unequal norms."""

    def style_weights(self) -> list[torch.Tensor]:
        rng = np.random.default_rng(9)
        return [
            torch.from_numpy(rng.normal(size=(3, D)) * np.array([[1.0], [5.0], [20.0]])).float()
            for _ in range(3)
        ]


@pytest.mark.parametrize(
    ("options", "rows", "normalised", "components"),
    [
        ({}, (0, 1, 2), False, D),
        ({"rows": (2, 0)}, (2, 0), False, D),
        ({"normalize_styles": True}, (0, 1, 2), True, D),
        ({"components": 1, "rows": (1,)}, (1,), False, 1),
    ],
)
def test_sefa_walks_right_singular_vectors_of_the_chosen_weights(
    options: dict[str, object], rows: tuple[int, ...], normalised: bool, components: int
) -> None:
    editor = REGISTRY.editor("sefa", options)
    stats = editor.fit(DATA, Runtime(generator=Styled()))
    parts = [Styled().style_weights()[row].double().numpy() for row in rows]
    stacked = np.concatenate([unit_rows(part) if normalised else part for part in parts])
    _, _, axes = np.linalg.svd(stacked, full_matrices=True)
    wanted, best = labelled(axes[:components])
    assert len(stacked) >= components
    assert np.allclose(directions(editor), wanted, atol=1e-3)
    assert [stats.figures[f"axis/{name}"] for name in COLUMNS] == best.tolist()


# --- channels of S


def test_stylespace_directions_are_those_of_the_exemplars_by_hand() -> None:
    for exemplars, channels in ((30, 1), (12, 3)):
        editor = REGISTRY.editor("stylespace", {"exemplars": exemplars, "channels": channels})
        rows, figures = editor.find_directions(CHOOSING, Runtime())
        z = (W - W.mean(0)) / W.std(0, ddof=1)
        for k, name in enumerate(COLUMNS):
            most = np.argsort(-Y[:, k])[:exemplars]
            difference = z[most].mean(0)
            theta = np.abs(difference) / z[most].std(0, ddof=1)
            chosen = np.argsort(-theta)[:channels]
            wanted = np.zeros(D)
            wanted[chosen] = (difference * W.std(0, ddof=1))[chosen]
            assert np.allclose(rows[k], wanted / np.linalg.norm(wanted), atol=1e-5), name
            assert figures[f"channel/{name}"] == chosen[0]


@pytest.mark.parametrize("channels", [1, 5])
def test_channels_that_do_not_vary_are_never_chosen(channels: int) -> None:
    codes = W.copy()
    codes[:, 2] = 0.5
    editor = REGISTRY.editor("stylespace", {"channels": channels})
    rows, figures = editor.find_directions(split(codes, Y), Runtime())
    assert np.allclose(np.linalg.norm(rows, axis=1), 1)
    assert (rows[:, 2] == 0).all()
    assert all(figures[f"channel/{name}"] != 2 for name in COLUMNS)


class Bent(ToyGenerator):
    """Its images are the codes themselves."""

    def synthesize(self, codes: torch.Tensor, space: str = "w") -> torch.Tensor:
        assert space == "w"
        return codes


class BentReader:
    """Reads a cube of one number, a slow line of another, a flat one, and one by chance."""

    def estimate(self, images: torch.Tensor) -> torch.Tensor:
        x = images.double()
        columns = [0.01 * x[:, 0] ** 3, 0.02 * x[:, 1], 0 * x[:, 2], (x[:, 4] - 8) * x[:, 3]]
        return torch.stack(columns, 1).float()


def measured(probes: int, values: Array) -> Array:
    """The doubling of strength written anew: until the mean change is one deviation."""
    index = np.round(np.linspace(0, N - 1, probes)).astype(int)
    found = np.zeros(A)
    for k in range(A):
        e = np.eye(A, D)[k]
        for turn in range(6):
            strength = W[:, k].std(ddof=1) * 2**turn
            end = torch.from_numpy(
                np.concatenate([W[index] - strength * e, W[index] + strength * e])
            )
            low, high = BentReader().estimate(end)[:, k].double().numpy().reshape(2, -1)
            change = high - low
            if abs(change.mean()) >= values[:, k].std(ddof=1):
                break
        error = change.std(ddof=1) / probes**0.5
        if abs(change.mean()) > max(3 * error, 1e-6):
            found[k] = change.mean() / (2 * strength)
    return found


@pytest.mark.parametrize("probes", [32, 7])
def test_measured_slopes_are_the_mean_change_over_twice_the_strength(probes: int) -> None:
    values = Y.copy()
    values[:, 0] *= 20  # the cube must be walked far
    values[:, 1] *= 100  # the slow line is never walked far enough
    told: list[float] = []
    runtime = Runtime(
        generator=Bent(),
        estimator=BentReader(),  # type: ignore[arg-type]
        progress=lambda fraction, message: told.append(fraction),
    )
    found = measured_slopes(split(W, values), torch.eye(A, D), probes, runtime)
    wanted = measured(probes, values)
    assert wanted[1] != 0
    assert wanted[2] == wanted[3] == 0
    assert told == [0, 0.25, 0.5, 0.75]
    assert np.allclose(found[[0, 2, 3]], wanted[[0, 2, 3]], rtol=1e-3)
    assert float(found[1]) == pytest.approx(0.02, rel=1e-3)


# --- controls


def test_a_random_move_has_the_length_of_regressions_and_a_direction_of_its_own() -> None:
    aimed, _ = fitted("regression", ridge=0.3)
    drawn, _ = fitted("random-direction", seed=5, ridge=0.3)
    assert torch.equal(drawn.state()["slopes"], aimed.state()["slopes"])
    assert np.allclose(drawn.state()["directions"].norm(dim=1), np.ones(A), atol=1e-6)
    cosines = (drawn.state()["directions"] * aimed.state()["directions"]).sum(1)
    assert cosines.abs().max() < 0.95
    again, other = fitted("random-direction", seed=5, ridge=0.3), fitted("random-direction", seed=6)
    assert torch.equal(again[0].state()["directions"], drawn.state()["directions"])
    assert not torch.equal(other[0].state()["directions"], drawn.state()["directions"])
    source = DATA.attributes[:8]
    for k in range(A):
        target = source.clone()
        target[:, k] += 1.5
        moves = [
            e.edit(DATA.codes[:8], source, target, Runtime()).codes - DATA.codes[:8]
            for e in (aimed, drawn)
        ]
        wanted = 1.5 / abs(float(aimed.state()["slopes"][k]))
        for move in moves:
            assert np.allclose(move.norm(dim=1), wanted, rtol=1e-3)


def test_random_directions_are_spread_evenly_over_the_sphere() -> None:
    rows = np.concatenate([directions(fitted("random-direction", seed=s)[0]) for s in range(40)])
    second = rows.T @ rows / len(rows)
    assert np.allclose(second, np.eye(D) / D, atol=0.06)
    assert np.abs(rows.mean(0)).max() < 0.1


def test_gaps_are_the_worst_changed_column_in_deviations() -> None:
    labels, target = Y[:30], Y[30:36] + 0.5
    changed = np.random.default_rng(1).uniform(size=(6, A)) < 0.5
    changed[0] = False
    found = gaps(*(torch.from_numpy(x) for x in (labels, target, changed)))
    away = np.abs(labels[None] - target[:, None]) / labels.std(0, ddof=1)
    wanted = np.where(changed[:, None], away, 0).max(2)
    assert np.allclose(found, wanted)


def test_the_nearest_neighbour_is_found_among_those_within_a_doubled_tolerance() -> None:
    editor, _ = fitted("nearest-neighbour", tolerance=0.02)
    codes, source = (torch.from_numpy(x).float() for x in make(25, seed=3))
    target = source.clone()
    target[:, 0] += 20
    target[::2, 1] += 0.2
    target[3] = source[3]
    edited = editor.edit(codes, source, target, Runtime()).codes
    distance = cdist(codes.double().numpy(), ALL_W)
    for i in range(25):
        if i == 3:
            assert torch.equal(edited[i], codes[i])
            continue
        columns = [k for k in range(A) if target[i, k] != source[i, k]]
        away = np.abs(ALL_Y[:, columns] - target[i, columns].numpy()) / ALL_Y[:, columns].std(
            0, ddof=1
        )
        worst, tolerance = away.max(1), 0.02
        while not (worst <= tolerance).any():
            tolerance *= 2
        wanted = np.where(worst <= tolerance, distance[i], np.inf).argmin()
        assert np.allclose(edited[i], ALL_W[wanted], atol=1e-6), i


def chosen_rows(codes: torch.Tensor) -> list[int]:
    rows = [np.abs(ALL_W - code).sum(1).argmin() for code in codes.double().numpy()]
    assert np.allclose(ALL_W[rows], codes, atol=1e-6)
    return [int(row) for row in rows]


def test_resampling_draws_evenly_among_the_nearest_labels_by_the_seed_and_the_face() -> None:
    editor, _ = fitted("resample", neighbours=10)
    codes, source = (torch.from_numpy(x).float() for x in make(1000, seed=4))
    target = source.clone()
    target[:, 0] = 40.0
    rows = chosen_rows(editor.edit(codes, source, target, Runtime(seed=1)).codes)
    nearest = np.argsort(np.abs(ALL_Y[:, 0] - 40))[:10]
    counts = [rows.count(int(face)) for face in nearest]
    assert sum(counts) == 1000
    assert chisquare(counts).pvalue > 1e-3
    alone = chosen_rows(editor.edit(codes[7:9], source[7:9], target[7:9], Runtime(seed=1)).codes)
    assert alone == rows[7:9]
    other = chosen_rows(editor.edit(codes, source, target, Runtime(seed=2)).codes)
    same = np.mean(np.array(rows) == np.array(other))
    assert 0.05 < same < 0.16


def test_resampling_keeps_its_rank_over_strengths_and_leaves_unasked_faces_alone() -> None:
    editor, _ = fitted("resample", neighbours=6)
    codes, source = (torch.from_numpy(x).float() for x in make(12, seed=5))
    ranks = []
    for wanted in (30.0, 55.0):
        target = source.clone()
        target[:-1, 0] = wanted
        edited = editor.edit(codes, source, target, Runtime()).codes
        assert torch.equal(edited[-1], codes[-1])
        order = np.argsort(np.abs(ALL_Y[:, 0] - wanted)).tolist()
        ranks.append([order.index(row) for row in chosen_rows(edited[:-1])])
    assert ranks[0] == ranks[1]
    assert len(set(ranks[0])) > 2
    assert max(ranks[0]) < 6


def test_resampling_among_more_faces_than_there_are_takes_them_all() -> None:
    few = DATA.take(torch.arange(3))
    editor = REGISTRY.editor("resample")
    editor.fit(few, Runtime())
    codes, source = (torch.from_numpy(x).float() for x in make(60, seed=6))
    edited = editor.edit(codes, source, source + 1, Runtime()).codes
    assert set(chosen_rows(edited)) == {0, 1, 2}
    assert editor.options.neighbours == 50


# --- moments


def test_a_variance_that_rounding_leaves_counts_as_none() -> None:
    sides = torch.tensor([[-1.0], [1.0]], dtype=torch.float64)
    values = 1 + sides * torch.tensor([2e-14, 0.5e-14, 1.0], dtype=torch.float64).sqrt()
    schema = AttributeSchema((Attribute("light", "vector", -9.0, 9.0, size=3),))
    found = moments(Split("w", schema, ((values, values),)))
    assert found.variance.tolist() == pytest.approx([2e-14, 0.0, 1.0], rel=1e-3)
    assert found.variance_along(torch.eye(3)).tolist() == pytest.approx([2e-14, 0.0, 1.0], rel=1e-3)


def test_moments_are_numpys_over_shards() -> None:
    found = moments(CHOOSING)
    assert found.n == N
    assert np.allclose(found.mean, W.mean(0))
    assert np.allclose(found.covariance, np.cov(W.T, bias=True))
    assert np.allclose(found.attribute_mean, Y.mean(0))
    assert np.allclose(found.variance, Y.var(0))
    both = np.cov(np.concatenate([W, Y], 1).T, bias=True)
    assert np.allclose(found.shared, both[:D, D:])
