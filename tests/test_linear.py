"""Linear editors in a world where the right answer is known, and the controls beside them."""

from __future__ import annotations

import random
import zipfile
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from toy import SCALE, SCHEMA, ToyGenerator, ToyOptions, toy_registry, toy_split

import latentedit_linear
from latentedit import (
    Attribute,
    AttributeSchema,
    CorruptArtefact,
    Editor,
    InputError,
    LatentEditError,
    Runtime,
    Split,
    UnknownName,
    Unsupported,
    moments,
)
from latentedit_linear.axes import label_axes
from latentedit_linear.boundaries import project, read_boundary
from latentedit_linear.extremes import extremes
from latentedit_linear.ganspace import principal_axes, read_axes
from latentedit_linear.logistic import logistic_regression
from latentedit_linear.sefa import factorise

REGISTRY = toy_registry(latentedit_linear)
CONTROLS = tuple(REGISTRY.specs("control"))
CLOSED_FORMS = ("conditional-mean", "min-norm")
"""Linear editors that need no search for directions."""
IN_W = tuple(n for n in REGISTRY.names("editor") if "w" in REGISTRY.load("editor", n).spaces)
DIRECTIONS = tuple(n for n in IN_W if n not in CLOSED_FORMS)
EVERY = tuple(sorted((*IN_W, *CONTROLS)))
MANY = 20_000
PUBLISHED = Path(__file__).parent.parent.parent / "shared" / "data" / "interfacegan_boundaries"


@cache
def world(correlation: float = 0.0, entanglement: float = 0.0) -> ToyGenerator:
    return ToyGenerator(ToyOptions(correlation=correlation, entanglement=entanglement))


@cache
def faces(n: int, seed: int = 0, correlation: float = 0.0, entanglement: float = 0.0) -> Split:
    return toy_split(n, seed, correlation, entanglement)


def fitted(
    name: str, n: int = 2000, correlation: float = 0.0, entanglement: float = 0.0, **options: object
) -> Editor:
    editor = REGISTRY.editor(name, options)
    editor.fit(
        faces(n, 0, correlation, entanglement),
        Runtime(generator=world(correlation, entanglement)),
    )
    return editor


def change_of(editor: Editor, generator: ToyGenerator, data: Split, **values: float) -> Tensor:
    """(A,) mean true change, in standard deviations of each attribute, when `values` are added."""
    codes, source = data.codes, data.attributes
    target = source.clone()
    for name, value in values.items():
        target[:, data.schema.columns(name)] += value
    edited = editor.edit(codes, source, target, Runtime())
    return (generator.truth(edited.codes).attributes - source).mean(0) / SCALE


@pytest.mark.parametrize("name", IN_W)
def test_recovers_the_true_direction_and_leaks_nothing_where_attributes_are_independent(
    name: str,
) -> None:
    editor, generator = fitted(name, MANY), world()
    cosines = (editor.directions * generator.directions).sum(1)
    assert cosines.min() >= 0.99
    change = change_of(editor, generator, faces(200, 1), age=10.0)
    assert change[0] == pytest.approx(1.0, abs=0.02)
    assert change[1:].abs().max() < 0.06


def axis(vectors: Tensor, m: Tensor, covariance: Tensor) -> Tensor:
    """Of the rows of `vectors` the one along which codes are most correlated with m · w."""
    spread = ((vectors @ covariance) * vectors).sum(1).sqrt()
    return vectors[((vectors @ covariance @ m) / spread).abs().argmax()]


def in_theory(name: str, generator: ToyGenerator) -> Tensor:
    """(D,) the direction of age that each method has on infinitely many faces.

    Codes are normal, and what the classifiers are told depends on m · w alone, so their normals
    are along m whatever the covariance (Li, Duan: "Regression analysis under link violation",
    1989), as is that of least squares. The difference of means is along Σ m. Axes are eigenvectors
    of Σ, or of the style weights.
    """
    m, covariance = generator.matrix[0], generator.covariance
    weights = torch.cat(generator.style_weights())
    return {
        "interfacegan": lambda: m,
        "logistic": lambda: m,
        "regression": lambda: m,
        "mean-difference": lambda: covariance @ m,
        "ganspace": lambda: axis(torch.linalg.eigh(covariance).eigenvectors.T, m, covariance),
        "sefa": lambda: axis(torch.linalg.eigh(weights.T @ weights).eigenvectors.T, m, covariance),
    }[name]()


UNPENALISED: dict[str, dict[str, object]] = {
    "interfacegan": {"extreme_share": 0.2},
    "logistic": {"c": 10.0},
    "regression": {"ridge": 0.0},
}


@pytest.mark.parametrize("name", DIRECTIONS)
@pytest.mark.parametrize(("correlation", "entanglement"), [(0.6, 0.0), (0.0, 0.5), (-0.5, 0.3)])
def test_leaks_what_theory_says_where_attributes_are_coupled(
    name: str, correlation: float, entanglement: float
) -> None:
    """slope = m·Σd / d·Σd, so a change Δ of a_k changes a_j by m_j·d Δ / slope."""
    generator = world(correlation, entanglement)
    editor = fitted(name, MANY, correlation, entanglement, **UNPENALISED.get(name, {}))
    m, covariance = generator.matrix, generator.covariance
    d = torch.nn.functional.normalize(in_theory(name, generator), dim=0)
    assert (editor.directions[0] @ d).abs() >= 0.99
    slope = (m[0] @ covariance @ d) / (d @ covariance @ d)
    theory = m @ d * (10.0 / slope) / SCALE
    change = change_of(editor, generator, faces(200, 1, correlation, entanglement), age=10.0)
    assert torch.allclose(change, theory, atol=0.06), (change, theory)


@pytest.mark.parametrize("correlation", [0.3, -0.6])
def test_least_squares_does_not_leak_where_attributes_are_correlated_in_the_sample_only(
    correlation: float,
) -> None:
    editor = fitted("regression", MANY, correlation, ridge=0.0)
    change = change_of(editor, world(correlation), faces(200, 1, correlation), age=10.0)
    assert torch.allclose(change, torch.eye(6)[0], atol=2e-3)


@pytest.mark.parametrize("correlation", [0.3, -0.6])
def test_the_mean_difference_leaks_what_theory_says(correlation: float) -> None:
    """d ∝ Σ m_k, slope = m_kᵀ Σ d / dᵀ Σ d; a move by Δ / slope changes a_j by m_jᵀ d Δ / slope."""
    editor, generator = fitted("mean-difference", MANY, correlation), world(correlation)
    m = generator.matrix
    d = torch.nn.functional.normalize(generator.covariance @ m[0], dim=0)
    slope = (m[0] @ generator.covariance @ d) / (d @ generator.covariance @ d)
    theory = m @ d * (10.0 / slope) / SCALE
    assert theory[1].abs() > 0.2
    change = change_of(editor, generator, faces(200, 1, correlation), age=10.0)
    assert torch.allclose(change, theory, atol=0.06)


@pytest.mark.parametrize("cosine", [0.4, -0.7])
def test_regression_leaks_what_theory_says_where_directions_are_entangled(cosine: float) -> None:
    """d_k = m_k / ‖m_k‖, so that a change Δ of a_k changes a_j by m_j·m_k / ‖m_k‖² Δ."""
    editor, generator = fitted("regression", MANY, 0.0, cosine, ridge=0.0), world(0.0, cosine)
    m = generator.matrix
    theory = m @ m[0] / m[0].square().sum() * 10.0 / SCALE
    assert theory[1].abs() > 0.3
    change = change_of(editor, generator, faces(200, 1, 0.0, cosine), age=10.0)
    assert torch.allclose(change, theory, atol=2e-3)


@pytest.mark.parametrize("conditional", ["others", ("glasses",), ("age", "glasses", "lighting")])
def test_conditional_manipulation_makes_leakage_zero(conditional: object) -> None:
    """The rest of the move is what calibration on w·d gives: m·d (dᵀ Σ d) / (mᵀ Σ d)."""
    plain = fitted("interfacegan", MANY, 0.0, 0.5, extreme_share=0.1)
    careful = fitted("interfacegan", MANY, 0.0, 0.5, extreme_share=0.1, conditional=conditional)
    generator, data = world(0.0, 0.5), faces(200, 1, 0.0, 0.5)
    assert change_of(plain, generator, data, age=10.0)[1].abs() > 0.4
    change = change_of(careful, generator, data, age=10.0)
    assert change[1].abs() < 0.03
    m, d = generator.matrix[0], project(generator.directions[0], generator.directions[1:2])
    theory = (m @ d) * (d @ generator.covariance @ d) / (m @ generator.covariance @ d)
    assert change[0] == pytest.approx(float(theory), abs=0.02)


def test_fitting_reports_how_well_each_boundary_separates() -> None:
    figures = REGISTRY.editor("interfacegan").fit(faces(2000), Runtime()).figures
    assert figures["unconverged"] == 0
    for name in SCHEMA.column_names:
        assert figures[f"accuracy/{name}"] > 0.9
        assert figures[f"held_out_correlation/{name}"] > 0.9


def test_conditional_directions_are_orthogonal_to_every_other_boundary() -> None:
    plain = fitted("interfacegan").directions
    careful = fitted("interfacegan", conditional="others").directions
    products = (careful @ plain.T).fill_diagonal_(0)
    assert products.abs().max() < 1e-6
    assert torch.allclose(careful.norm(dim=1), torch.ones(6))


def test_conditional_on_itself_alone_changes_nothing_and_unknown_names_are_refused() -> None:
    plain = fitted("interfacegan").directions
    assert torch.equal(fitted("interfacegan", conditional=("age",)).directions[0], plain[0])
    with pytest.raises(UnknownName, match="did you mean 'glasses'"):
        fitted("interfacegan", conditional=("glases",))


def test_nothing_is_left_of_a_boundary_within_the_span_of_the_others() -> None:
    others = torch.eye(5)[[0, 1, 1]] * 3
    assert torch.equal(project(torch.eye(5)[0], others), torch.zeros(5))
    tilted = torch.tensor([0.6, 0.0, 0.8, 0.0, 0.0])
    assert torch.allclose(project(tilted, others), torch.eye(5)[2])


CONDITIONAL = [
    ("pggan_celebahq", "age", ("eyeglasses",)),
    ("pggan_celebahq", "age", ("gender",)),
    ("pggan_celebahq", "age", ("gender", "eyeglasses")),
    ("pggan_celebahq", "eyeglasses", ("age",)),
    ("pggan_celebahq", "eyeglasses", ("age", "gender")),
    ("pggan_celebahq", "eyeglasses", ("gender",)),
    ("pggan_celebahq", "gender", ("age",)),
    ("pggan_celebahq", "gender", ("age", "eyeglasses")),
    ("pggan_celebahq", "gender", ("eyeglasses",)),
    ("stylegan_ffhq", "age", ("eyeglasses",)),
    ("stylegan_ffhq", "age", ("gender",)),
    ("stylegan_ffhq", "eyeglasses", ("age",)),
    ("stylegan_ffhq", "eyeglasses", ("gender",)),
]


@pytest.mark.skipif(not PUBLISHED.is_dir(), reason=f"no published boundaries in {PUBLISHED}")
@pytest.mark.parametrize(("model", "primal", "others"), CONDITIONAL)
def test_projecting_reproduces_the_published_conditional_boundary(
    model: str, primal: str, others: tuple[str, ...]
) -> None:
    def published(name: str) -> Tensor:
        return read_boundary(PUBLISHED / f"{model}_{name}_boundary.npy")

    found = project(published(primal), torch.stack([published(other) for other in others]))
    expected = published(f"{primal}_c_{'_'.join(others)}")
    assert torch.allclose(found, expected, rtol=0, atol=1e-5)


def write_boundary(path: Path, boundary: Tensor) -> None:
    """As the published files are: (1, D), float64."""
    np.save(path, boundary.double().numpy()[None])


def test_a_boundary_is_read_as_it_was_published(tmp_path: Path) -> None:
    boundary = torch.nn.functional.normalize(torch.arange(8.0), dim=0)
    write_boundary(tmp_path / "age.npy", boundary)
    assert torch.allclose(read_boundary(tmp_path / "age.npy").float(), boundary)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 8), (8,), (5, 8)])
def test_a_boundary_is_read_in_every_published_shape(
    tmp_path: Path, shape: tuple[int, ...], dtype: type
) -> None:
    row = np.arange(8) / np.linalg.norm(np.arange(8))
    array = np.asfortranarray(np.broadcast_to(row, shape).astype(dtype))
    np.save(tmp_path / "age.npy", array)
    torch.save(torch.from_numpy(array.copy()), tmp_path / "age.pt")
    for name in ("age.npy", "age.pt"):
        found = read_boundary(tmp_path / name)
        assert (found.shape, found.dtype) == ((8,), torch.float64)
        assert np.allclose(found.numpy(), row, atol=1e-3)
    torch.save({"age": torch.ones(8)}, tmp_path / "two.pt")
    with pytest.raises(InputError, match="holds dict; a boundary is one tensor"):
        read_boundary(tmp_path / "two.pt")


def test_what_is_not_a_boundary_is_refused_with_what_it_is(tmp_path: Path) -> None:
    def refused(array: np.ndarray, error: type[InputError], message: str) -> None:
        np.save(tmp_path / "bad.npy", array)
        with pytest.raises(error, match=message):
            read_boundary(tmp_path / "bad.npy")

    refused(np.array([[{"a": 1}]], dtype=object), CorruptArtefact, "plain little-endian numbers")
    refused(np.full((1, 4), 1.0), InputError, "norm 2;")
    refused(np.full((1, 4), np.nan), InputError, "norm nan")
    refused(np.full((2, 2, 4), 0.5), InputError, r"float64 of shape \(2, 2, 4\)")
    refused(np.zeros((0, 4)), InputError, "float64 of shape")
    refused(np.stack([np.full(4, 0.5), np.full(4, -0.5)]), InputError, "row 1 differs from row 0")
    refused(np.ones((1, 1), dtype=np.int64), InputError, "int64")
    content = (tmp_path / "bad.npy").read_bytes()
    for broken in (content[:-4], content[:5], b"", b"\x80\x04N."):
        (tmp_path / "bad.npy").write_bytes(broken)
        with pytest.raises(CorruptArtefact, match=r"bad\.npy"):
            read_boundary(tmp_path / "bad.npy")
    with pytest.raises(InputError, match="there is no file"):
        read_boundary(tmp_path / "none.npy")


def test_a_published_boundary_stands_in_for_training(tmp_path: Path) -> None:
    write_boundary(tmp_path / "age.npy", world().directions[0])
    editor = fitted("interfacegan", boundaries={"age": str(tmp_path / "age.npy")})
    assert torch.allclose(editor.directions[0], world().directions[0])
    assert torch.equal(editor.directions[1:], fitted("interfacegan").directions[1:])
    for name, file in (("lighting", "age.npy"), ("age", "short.npy")):
        write_boundary(tmp_path / "short.npy", torch.ones(1))
        with pytest.raises(InputError, match="one boundary in"):
            fitted("interfacegan", boundaries={name: str(tmp_path / file)})


@pytest.mark.parametrize("kind", ["npy", "pt"])
@pytest.mark.parametrize("scale", ["whole", "each row"])
def test_a_boundary_with_a_direction_for_each_row_edits_w_plus(
    tmp_path: Path, kind: str, scale: str
) -> None:
    """The third row stays; the others move along directions of their own."""
    rows = torch.zeros(4, 8, dtype=torch.float64)
    rows[[0, 1, 3], [0, 5, 2]] = 1.0
    published = rows if scale == "each row" else rows / rows.norm()
    path = tmp_path / f"age.{kind}"
    np.save(path, published.numpy()) if kind == "npy" else torch.save(published, path)
    torch.manual_seed(0)
    codes = torch.randn(400, 4, 8)
    ages = 40 + 3 * (codes.double() * rows).sum((1, 2)).float()
    schema = AttributeSchema([Attribute("age", "continuous", 0, 80)])
    data = Split("w_plus", schema, ((codes.flatten(1), ages[:, None]),))
    editor = REGISTRY.editor("interfacegan", {"boundaries": {"age": str(path)}})
    editor.fit(data, Runtime())
    source = ages[:10, None]
    edited = editor.edit(codes[:10].flatten(1), source, source + 6, Runtime())
    moved = edited.codes.view(10, 4, 8) - codes[:10]
    assert torch.allclose(moved, (2 * rows / 3).float().expand(10, 4, 8), atol=1e-3)
    with pytest.raises(InputError, match=r"row 1 differs from row 0.*--space w_plus"):
        read_boundary(path, 8)
    np.save(tmp_path / "long.npy", 2 * rows.numpy())
    with pytest.raises(InputError, match=r"norm 3\.46"):
        read_boundary(tmp_path / "long.npy", 32)
    np.save(tmp_path / "still.npy", 0 * rows.numpy())
    with pytest.raises(InputError, match="norm 0"):
        read_boundary(tmp_path / "still.npy", 32)


def test_extremes_are_the_ends_and_share_no_value() -> None:
    values = torch.tensor([3.0, 1.0, 2.0, 5.0, 4.0, 0.0])
    low, high = extremes(values, 0.34)
    assert (low.tolist(), high.tolist()) == ([5, 1], [3, 4])
    low, high = extremes(torch.tensor([0.0, 0.0, 0.0, 1.0]), 0.5)
    assert (low.tolist(), high.tolist()) == ([0, 1], [3])
    assert len(extremes(torch.zeros(10), 0.5)[1]) == 0


def test_logistic_regression_agrees_with_an_independent_implementation() -> None:
    from sklearn.linear_model import LogisticRegression

    data = faces(2000)
    labels = data.attributes[:, :2] > torch.tensor([35.0, 0.6])
    normals, biases = logistic_regression(data.codes, labels, c=0.01)
    for k in range(2):
        model = LogisticRegression(C=0.01, tol=1e-10, solver="newton-cholesky")
        model.fit(data.codes.double().numpy(), labels[:, k].numpy())
        assert np.allclose(normals[k], model.coef_[0], atol=1e-4)
        assert np.allclose(biases[k], model.intercept_, atol=1e-3)


def test_principal_axes_equal_those_of_a_singular_value_decomposition() -> None:
    data = faces(3000)
    axes, codes = principal_axes(moments(data), 10), data.codes.double()
    _, size, rows = torch.linalg.svd(codes - codes.mean(0), full_matrices=False)
    assert torch.allclose((axes.components * rows[:10]).sum(1).abs(), torch.ones(10).double())
    assert torch.allclose(axes.deviations, size[:10] / len(codes) ** 0.5)


def test_principal_axes_of_a_known_covariance_are_walked_in_its_deviations() -> None:
    generator = world()
    axes = principal_axes(moments(faces(MANY)), 6)
    assert (axes.components.float() * generator.basis[:6]).sum(1).abs().min() > 0.99
    assert torch.allclose(axes.deviations.float(), generator.deviations[:6], rtol=0.03)
    moved = axes.moved(torch.zeros(2, 24), 3, 2.0)
    assert moved.norm(dim=1).tolist() == pytest.approx([2 * axes.deviations[3].item()] * 2)


def test_published_axes_stand_in_for_computing_them(tmp_path: Path) -> None:
    path, basis = tmp_path / "axes.npz", world().basis
    arrays = {
        "lat_comp": basis[:8, None].numpy(),
        "lat_mean": np.zeros((1, 24), np.float32),
        "lat_stdev": world().deviations[:8].numpy(),
    }
    np.savez_compressed(path, **arrays, act_mean=np.zeros(3))
    axes = read_axes(path)
    assert torch.allclose(axes.components.float(), basis[:8])
    assert torch.allclose(axes.deviations.float(), world().deviations[:8])
    editor = fitted("ganspace", axes=str(path))
    assert (editor.directions * world().directions).sum(1).min() > 0.999

    def refused(error: type[InputError], message: str, **changed: np.ndarray) -> None:
        np.savez(path, **{k: v for k, v in (arrays | changed).items() if v is not None})
        with pytest.raises(error, match=message):
            read_axes(path)

    refused(CorruptArtefact, "lat_mean, byte 10: the header", lat_mean=np.array([{}], dtype=object))
    refused(CorruptArtefact, "it has no lat_stdev", lat_stdev=None)
    refused(InputError, r"lat_stdev \(2,\)", lat_stdev=np.ones(2))
    refused(InputError, "norms 2 to 2", lat_comp=2 * arrays["lat_comp"])
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("lat_comp.npy", b"\x80\x04N.")
    for content in (path.read_bytes(), path.read_bytes()[:-10], b""):
        path.write_bytes(content)
        with pytest.raises(CorruptArtefact, match=r"axes\.npz"):
            read_axes(path)
    with pytest.raises(InputError, match="there is no file"):
        read_axes(tmp_path / "none.npz")


def test_a_header_that_claims_more_than_the_file_holds_is_refused(tmp_path: Path) -> None:
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (99999999, 9999), }"
    header += b" " * (117 - len(header)) + b"\n"
    claims = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\0" * 64
    with zipfile.ZipFile(tmp_path / "axes.npz", "w") as archive:
        archive.writestr("lat_comp.npy", claims)
    with pytest.raises(CorruptArtefact, match="lat_comp has 192 bytes, but its header says"):
        read_axes(tmp_path / "axes.npz")
    (tmp_path / "age.npy").write_bytes(claims)
    with pytest.raises(CorruptArtefact, match=r"age.npy has 192 bytes, but its header says"):
        read_boundary(tmp_path / "age.npy")


@pytest.mark.parametrize("kind", ["npy", "npz"])
def test_mutants_of_published_files_are_refused_or_read(tmp_path: Path, kind: str) -> None:
    path, basis = tmp_path / f"published.{kind}", world().basis
    if kind == "npy":
        write_boundary(path, basis[0])
    else:
        np.savez_compressed(
            path, lat_comp=basis[:8, None], lat_mean=np.zeros((1, 24)), lat_stdev=np.ones(8)
        )
    whole, rng = path.read_bytes(), random.Random(0)
    for _ in range(1_000):
        changed = bytearray(whole)
        for _ in range(rng.randint(1, 4)):
            changed[rng.randrange(len(changed))] = rng.randrange(256)
        path.write_bytes(changed[: rng.choice((None, -1, 150))])
        try:
            (read_boundary if kind == "npy" else read_axes)(path)
        except LatentEditError:
            continue


def test_style_weights_factorise_into_their_analytic_eigenvectors() -> None:
    generator = world()
    vectors, values = factorise(generator.style_weights())
    expected = generator.deviations[:14].square()
    assert torch.allclose(values[:14].float(), expected, rtol=1e-4)
    assert (vectors[:14].float() * generator.basis[:14]).sum(1).abs().min() > 0.9999


def test_sefa_reads_the_rows_it_is_given_and_needs_a_generator() -> None:
    yaw_row = fitted("sefa", rows=(0,), components=3)
    assert abs(yaw_row.directions[2] @ world().directions[2]) > 0.999
    assert fitted("sefa", normalize_styles=True).directions.shape == (6, 24)
    with pytest.raises(InputError, match="rows 0 to 3, received 4"):
        fitted("sefa", rows=(4,))
    with pytest.raises(Unsupported, match="give a generator"):
        REGISTRY.editor("sefa").fit(faces(50), Runtime())


def test_axes_are_labelled_with_their_signs() -> None:
    data, axes = faces(2000), world().basis.flip(0) * torch.tensor([[1.0], [-1.0]]).repeat(12, 1)
    index, sign = label_axes(moments(data), axes)
    assert index.tolist() == [23, 22, 21, 20, 19, 18]
    assert sign.tolist() == [-1, 1, -1, 1, -1, 1]


@pytest.mark.parametrize("name", [*IN_W, "random-direction"])
def test_an_attribute_that_nothing_predicts_is_refused_face_by_face(name: str) -> None:
    data = faces(500)
    constant = data.attributes.clone()
    constant[:, 2] = 0.1
    noise = torch.randn(500, generator=torch.Generator().manual_seed(3))
    constant[:, 5] = noise - data.codes @ torch.linalg.lstsq(data.codes, noise).solution
    editor = REGISTRY.editor(name)
    editor.fit(Split("w", SCHEMA, ((data.codes, constant),)), Runtime(generator=world()))
    assert all(tensor.isfinite().all() for tensor in editor.state().values())
    target = constant.clone()
    target[0, 2] += 5.0
    target[1, 0] += 5.0
    edited = editor.edit(data.codes, constant, target, Runtime())
    assert edited.codes.isfinite().all()
    assert edited.ok is not None
    assert edited.ok.tolist() == [False] + [True] * 499


def test_leaving_everything_alone_is_exactly_that() -> None:
    data, editor = faces(20, 1), fitted("no-edit")
    edited = editor.edit(data.codes, data.attributes, data.attributes + 1, Runtime())
    assert torch.equal(edited.codes, data.codes)


def test_a_random_direction_moves_as_far_as_regression_and_nowhere_in_particular() -> None:
    data = faces(100, 1)
    target = data.attributes + torch.tensor([10.0, 0, 0, 0, 0, 0])
    moves = [
        fitted(name).edit(data.codes, data.attributes, target, Runtime()).codes - data.codes
        for name in ("regression", "random-direction")
    ]
    aimed, random = (move.norm(dim=1) for move in moves)
    assert torch.allclose(aimed, random, rtol=1e-4)
    again = REGISTRY.editor("random-direction")
    again.fit(faces(2000), Runtime(seed=1))
    cosine = torch.cosine_similarity(again.directions, fitted("random-direction").directions)
    assert cosine.abs().max() < 0.9


def rows_of(codes: Tensor, bank: Tensor) -> Tensor:
    """Which row of `bank` (M, D) each of `codes` (N, D) is; fails where one is none."""
    same = (codes[:, None] == bank[None]).all(2)
    assert same.any(1).all()
    return same.int().argmax(1)


def test_resampling_gives_another_face_that_has_what_was_asked() -> None:
    data, bank, editor = faces(100, 1), faces(2000), fitted("resample", neighbours=20)
    target = data.schema.changed(data.attributes, age=50.0)
    codes = editor.edit(data.codes, data.attributes, target, Runtime(seed=0)).codes
    chosen = rows_of(codes, bank.codes)
    nearest = (bank.attributes[:, 0] - 50.0).abs().argsort()[:20]
    assert set(chosen.tolist()) <= set(nearest.tolist())
    assert len(set(chosen.tolist())) > 15
    again = editor.edit(data.codes, data.attributes, target, Runtime(seed=1)).codes
    assert (codes != again).any(1).float().mean() > 0.8


def test_the_nearest_neighbour_is_the_closest_of_those_that_qualify() -> None:
    data, bank, editor = faces(30, 1), faces(2000), fitted("nearest-neighbour", tolerance=0.05)
    target = data.schema.changed(data.attributes, age=50.0, glasses=0.6)
    codes = editor.edit(data.codes, data.attributes, target, Runtime()).codes
    sigma, chosen = bank.attributes.std(0), rows_of(codes, bank.codes)
    gap = ((bank.attributes[:, None] - target) / sigma).abs()[..., :2].amax(2)
    for i in range(len(data)):
        tolerance = 0.05
        while not bool((gap[:, i] <= tolerance).any()):
            tolerance *= 2
        distance = (bank.codes - data.codes[i]).norm(dim=1)
        distance[gap[:, i] > tolerance] = float("inf")
        assert chosen[i] == distance.argmin()


def test_the_nearest_neighbour_widens_its_tolerance_beyond_the_range() -> None:
    data, bank = faces(10, 1), faces(2000)
    target = data.attributes + torch.tensor([500.0, 0, 0, 0, 0, 0])
    codes = fitted("nearest-neighbour").edit(data.codes, data.attributes, target, Runtime()).codes
    rows_of(codes, bank.codes)


@pytest.mark.parametrize(("name", "option"), [("interfacegan", "extreme_share"), ("logistic", "c")])
def test_options_are_checked(name: str, option: str) -> None:
    with pytest.raises(InputError, match=option):
        REGISTRY.editor(name, {option: -1})
    with pytest.raises(UnknownName, match=f"did you mean '{option}'"):
        REGISTRY.editor(name, {f"{option}s": 0.5})


@pytest.mark.parametrize("all_have", [0.0, 1.0])
def test_what_all_have_or_none_has_no_logistic_direction(all_have: float) -> None:
    data, editor = faces(60), REGISTRY.editor("logistic")
    attributes = data.attributes.clone()
    attributes[:, 1] = all_have  # glasses
    normals, _ = editor.find_normals(Split("w", SCHEMA, ((data.codes, attributes),)), Runtime())
    assert torch.equal(normals[1], torch.zeros_like(normals[1]))
    assert torch.allclose(normals[0].norm(), torch.tensor(1.0, dtype=normals.dtype))


def test_moments_are_those_of_the_whole_split() -> None:
    data = faces(9_000)
    found, both = moments(data), torch.cat([data.codes, data.attributes], 1).double()
    expected, width = torch.cov(both.T, correction=0), data.codes.shape[1]
    assert torch.allclose(found.covariance, expected[:width, :width])
    assert torch.allclose(found.shared, expected[:width, width:])
    assert torch.allclose(found.variance, expected.diagonal()[width:])
    axes = world().basis[:5]
    projected = torch.cat([data.codes @ axes.T, data.attributes], 1).double()
    assert torch.allclose(found.correlations(axes), torch.corrcoef(projected.T)[:5, 5:], atol=1e-6)


def test_what_does_not_vary_has_no_correlation() -> None:
    data = faces(50)
    constant = Split("w", data.schema, ((torch.full_like(data.codes, 0.1), data.attributes),))
    found = moments(constant)
    assert found.correlations(world().basis).abs().max() == 0
    assert found.variance_along(world().basis).max() == 0
