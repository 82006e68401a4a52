"""The embedded world: what it promises about its codes, its truth and its networks."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pytest
import torch
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, interpolate

from latentedit import (
    CorruptArtefact,
    InputError,
    Registry,
    UnknownName,
    Unsupported,
    bytes_to_images,
)
from latentedit_synthface.factors import IDENTITY, NAMES, factors_from_scores, sample_scores
from latentedit_synthface.generator import (
    CURVATURE,
    ROWS,
    WORLD,
    SynthFace,
    SynthFaceOptions,
)
from latentedit_synthface.pretrained import WEIGHTS, Pretrained
from latentedit_synthface.renderer import render, wave_phases
from latentedit_synthface.schema import SCHEMA
from latentedit_synthface.warp import GaussianWarp
from workshop.synthface.optimizer import orthogonalised
from workshop.synthface.recipes import RECIPES, Schedule
from workshop.synthface.renders import VIEWS, Renders, rendered_set
from workshop.synthface.scorecard import PAGE, coefficient, identity_figures, page, written_cards
from workshop.synthface.train import TEMPERATURE, contrastive_loss, main, train

ENCODERS = ["synthface-identity-contrastive", "synthface-identity-regression"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def registry():
    return Registry.discover({"LATENTEDIT_LOAD_PLUGINS": "synthface"})


@pytest.fixture(scope="module")
def world():
    return SynthFace()


@pytest.fixture(scope="module")
def faces(world):
    """Codes, truth and images of 100 faces."""
    codes = world.sample(100, seed=5)
    with torch.no_grad():
        return codes, world.truth(codes), world.synthesize(codes)


@pytest.fixture(scope="module")
def people():
    """Scores (24 · 3, 41) and images: three views of each of 24 people, all else drawn anew."""
    rng = torch.Generator().manual_seed(11)
    scores = torch.randn(24 * 3, len(NAMES), generator=rng)
    identity = scores[::3, IDENTITY].repeat_interleave(3, dim=0)
    scores[:, IDENTITY] = identity
    with torch.no_grad():
        return render(factors_from_scores(scores))


def linear_r2(codes, values):
    """R² on the second half of a linear probe fitted on the first."""
    codes = torch.cat([codes, torch.ones(len(codes), 1)], dim=1).double()
    half = len(codes) // 2
    weights = torch.linalg.lstsq(codes[:half], values[:half].double(), driver="gelsd").solution
    return coefficient(codes[half:] @ weights, values[half:].double())


def test_importing_the_plugin_leaves_torch_out():
    code = "import sys, latentedit_synthface as p; p.latentedit_plugins(); print(*sys.modules)"
    loaded = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert "latentedit_synthface" in loaded
    assert "torch" not in loaded


def test_everything_it_offers_can_be_built(registry):
    registry.require_ok()
    for kind in ("generator", "estimator", "identity"):
        for name in registry.names(kind):
            assert len(registry.build(kind, name).fingerprint) == 64


class TestWarp:
    def test_keeps_the_normal_distribution(self):
        x = torch.randn(20_000, 1, 8, generator=torch.Generator().manual_seed(0))
        warped = GaussianWarp(1, 8, 3, torch.Generator().manual_seed(1))(x, 0.7)
        assert torch.allclose(warped.norm(dim=-1), x.norm(dim=-1), atol=1e-4)
        assert torch.allclose(torch.cov(warped[:, 0].T), torch.eye(8), atol=0.04)
        assert warped[:, 0].pow(4).mean(0).sub(3).abs().max() < 0.25

    def test_keeps_volumes(self):
        warp = GaussianWarp(1, 8, 3, torch.Generator().manual_seed(1))
        jacobian = torch.autograd.functional.jacobian(
            lambda x: warp(x[None, None], 0.7).flatten(), torch.linspace(-2, 3, 8).double()
        )
        assert torch.linalg.det(jacobian).item() == pytest.approx(1, abs=1e-6)

    def test_blocks_do_not_touch_each_other(self):
        warp = GaussianWarp(2, 8, 2, torch.Generator().manual_seed(1))
        x = torch.randn(3, 2, 8, generator=torch.Generator().manual_seed(2))
        other = x.clone()
        other[:, 1] += 1
        assert torch.equal(warp(x, 0.5)[:, 0], warp(other, 0.5)[:, 0])


class TestCodes:
    def test_first_hundred_components_hold_85_percent(self, world):
        w = world.sample(4_000, seed=0).double()
        variance = torch.linalg.eigvalsh(torch.cov(w.T)).flip(0)
        assert (variance[:100].sum() / variance.sum()).item() == pytest.approx(0.85, abs=0.02)

    def test_equal_seeds_equal_codes(self, world):
        assert torch.equal(world.sample(3, seed=1), SynthFace().sample(3, seed=1))
        assert not torch.equal(world.sample(3, seed=1), world.sample(3, seed=2))

    def test_sampling_leaves_global_randomness_alone(self, world):
        before = torch.random.get_rng_state()
        world.sample(2, seed=3)
        assert torch.equal(before, torch.random.get_rng_state())

    def test_truncation_moves_w_towards_its_mean(self, world):
        full, half, none = (world.sample(2, 4, truncation_psi=psi) for psi in (1, 0.5, 0))
        assert torch.allclose(half, (full + none) / 2, atol=1e-5)
        assert torch.allclose(none[0], none[1])

    def test_scores_of_samples_are_independent_standard_normals(self, world):
        scores = world.scores(world.sample(8_000, seed=6))
        assert torch.allclose(torch.cov(scores.T), torch.eye(len(NAMES)), atol=0.08)
        assert scores.mean(0).abs().max() < 0.06

    def test_every_factor_has_one_place(self):
        assert sorted(name for row in ROWS for name in row) == sorted(NAMES)

    @pytest.mark.parametrize(("source", "target"), [("w", "z"), ("s", "w+"), ("w+", "w")])
    def test_does_not_go_back(self, world, source, target):
        with pytest.raises(Unsupported, match="and not back"):
            world.convert(torch.zeros(1, *world.spaces[source]), source, target)

    def test_says_what_it_received(self, world):
        with pytest.raises(InputError, match=r"shape \(N, 512\), received \(2, 511\)"):
            world.synthesize(torch.zeros(2, 511))
        with pytest.raises(UnknownName, match="unknown space 'w_plus' of synthface"):
            world.sample(1, 0, "w_plus")
        with pytest.raises(InputError, match="truncation is defined in w"):
            world.sample(1, 0, "z", truncation_psi=0.5)


class TestTruth:
    def test_is_linear_in_w_without_curvature(self):
        flat = SynthFace(SynthFaceOptions(curvature="linear"))
        w = flat.sample(1_400, seed=7)
        assert linear_r2(w, flat.scores(w)).min() > 0.9999

    def test_is_the_same_from_every_space(self, world):
        z = world.sample(4, 8, "z")
        codes = {space: world.convert(z, "z", space) for space in world.spaces}
        truths = [world.truth(codes[space], space) for space in world.spaces]
        for truth in truths[1:]:
            assert torch.allclose(truth.attributes, truths[0].attributes, atol=2e-2)
            assert torch.allclose(truth.identity, truths[0].identity, atol=1e-3)

    def test_has_the_shapes_it_says(self, faces):
        _, truth, _ = faces
        assert truth.schema == SCHEMA
        assert truth.attributes.shape == (100, 17)
        assert truth.identity.shape == (100, 14)

    @pytest.mark.parametrize("row", range(10))
    def test_a_row_only_moves_its_own_factors(self, world, row):
        codes = world.sample(4, 9, "w+")
        moved = codes.clone()
        moved[:, row] = world.sample(4, 10, "w+")[:, row]
        change = (world.scores(moved, "w+") - world.scores(codes, "w+")).abs().amax(0)
        own = torch.tensor([name in ROWS[row] for name in NAMES])
        assert change[own].min() > 0.05
        assert change[~own].max() < 1e-5

    def test_curvature_hides_it_from_a_linear_probe(self):
        seen = {}
        for name, curvature in CURVATURE.items():
            world = SynthFace(SynthFaceOptions(curvature=curvature))
            w = world.sample(6_000, seed=12)
            seen[name] = linear_r2(w, world.scores(w)[:, :8]).mean().item()
        assert seen["linear"] > 0.99
        assert 0.78 < seen["default"] < 0.92
        assert 0.4 < seen["curved"] < 0.7

    def test_style_weights_are_orthonormal_up_to_gains(self, world):
        weights = torch.cat(world.style_weights()).double()
        w = world.sample(6_000, seed=13).double()
        covariance = torch.cov((w @ weights.T).T)
        deviation = covariance.diagonal().sqrt()
        correlation = covariance / deviation[:, None] / deviation
        assert (correlation - torch.eye(len(weights))).abs().max() < 0.08


class TestImages:
    def test_range_shape_and_purity(self, world, faces):
        codes, _, images = faces
        assert images.shape == (100, 3, 64, 64)
        assert images.abs().max() <= 1
        before = codes.clone()
        with torch.no_grad():
            again = world.synthesize(codes[:3])
        assert torch.equal(codes, before)
        assert torch.allclose(again, images[:3], atol=1e-3)

    def test_equal_codes_make_the_images_of_this_world(self, world):
        """Where this fails on purpose, name a new `WORLD` and train the networks again."""
        assert WORLD == "synthface-1"
        with torch.no_grad():
            pooled = adaptive_avg_pool2d(world.synthesize(world.sample(1, seed=1)).mean(1), 3)
        expected = [0.151, 0.0, 0.133, 0.261, 0.321, 0.222, -0.019, 0.101, -0.022]
        assert pooled.flatten().tolist() == pytest.approx(expected, abs=0.01)

    def test_strands_and_folds_are_where_their_phases_say(self):
        factors = factors_from_scores(sample_scores(24, 3))
        factors[:, NAMES.index("age")] = 75
        phases = wave_phases(factors)
        images = render(factors).mean(1)
        hair, either = ~phases.isnan().movedim(1, 0).flip(0)
        sines = phases.nan_to_num(0).sin()
        strands = 0.6 * sines[:, 0] + 0.4 * sines[:, 1]
        for where, wave in ((hair, strands), (either & ~hair, sines[:, 0])):
            both = torch.stack([(x - avg_pool2d(x, 5, 1, 2))[where] for x in (images, wave)])
            assert torch.corrcoef(both)[0, 1] > 0.4

    def test_phases_of_what_is_no_face_are_refused(self):
        with pytest.raises(ValueError, match=r"shape \(N, 41\), received \(2, 40\)"):
            wave_phases(torch.zeros(2, 40))
        with pytest.raises(ValueError, match="positive integer, received 0"):
            wave_phases(torch.zeros(2, 41), resolution=0)
        assert wave_phases(torch.zeros(0, 41)).shape == (0, 2, 64, 64)

    def test_gradients_reach_the_codes(self, world):
        codes = world.sample(2, 14, "w+").requires_grad_()
        world.synthesize(codes, "w+").square().mean().backward()
        assert torch.isfinite(codes.grad).all()
        assert (codes.grad.flatten(2).abs().amax(2) > 0).all()

    def test_options_change_the_fingerprint(self, registry, world):
        assert registry.generator("synthface").fingerprint == world.fingerprint
        curved = registry.generator("synthface", {"curvature": "curved"})
        assert curved.fingerprint != world.fingerprint
        with pytest.raises(InputError, match="curvature"):
            registry.generator("synthface", {"curvature": "bent"})


class TestNetworks:
    @pytest.mark.parametrize("name", ["synthface-labeller", "synthface-judge"])
    def test_agrees_with_the_truth_within_its_card(self, registry, faces, name):
        _, truth, images = faces
        estimator = registry.estimator(name)
        with torch.no_grad():
            estimate = estimator.estimate(images)
        columns = estimator.card()["held_out"]["columns"]
        for i, column in enumerate(SCHEMA.column_names):
            allowed = 1.6 * columns[column]["mae"] + 0.02 * columns[column]["truth_sd"]
            assert (estimate - truth.attributes)[:, i].abs().mean() < allowed, column

    def test_labeller_and_judge_are_independent(self):
        labeller, judge = (Pretrained(name).card for name in ("labeller", "judge"))
        for key in ("plan", "seed", "sha256"):
            assert labeller[key] != judge[key]
        assert labeller["data"]["training_seed"] != judge["data"]["training_seed"]

    @pytest.mark.parametrize("name", ENCODERS)
    def test_embeddings_have_unit_norm(self, registry, faces, name):
        embedded = registry.identity(name).embed(faces[2][:5])
        assert torch.allclose(embedded.norm(dim=1), torch.ones(5), atol=1e-5)

    @pytest.mark.parametrize("name", ENCODERS)
    def test_tells_people_apart(self, registry, people, name):
        encoder = registry.identity(name)
        embedded = encoder.embed(people)
        similarity = embedded @ embedded.T
        person = torch.arange(len(people)) // 3
        same = (person[:, None] == person) & ~torch.eye(len(people), dtype=torch.bool)
        different = person[:, None] != person
        accepted = similarity > encoder.same_person_threshold
        card = encoder.card()["held_out"]
        assert accepted[different].float().mean() < 0.01
        assert accepted[same].float().mean() > card["true_accept_rate"] - 0.15
        assert similarity[same].mean() > similarity[different].mean() + 0.4

    @pytest.mark.parametrize("name", sorted(RECIPES))
    def test_does_not_depend_on_the_batch(self, faces, name):
        network = Pretrained(name)
        images = faces[2][:9]
        assert torch.allclose(network(images)[:2], network(images[:2]), atol=1e-3, rtol=1e-4)

    def test_reads_larger_images(self, faces):
        network = Pretrained("judge")
        larger = interpolate(faces[2][:20], scale_factor=2, mode="bilinear")
        yaw = SCHEMA.columns("yaw")
        assert (network(larger) - network(faces[2][:20]))[:, yaw].abs().mean() < 3

    def test_refuses_what_is_no_image(self):
        with pytest.raises(InputError, match=r"received \(1, 3, 32, 32\)"):
            Pretrained("judge")(torch.zeros(1, 3, 32, 32))

    def test_notices_other_weights(self, tmp_path):
        card = next(card for card in written_cards() if card["name"] == "synthface-judge")
        (tmp_path / "judge.json").write_text(json.dumps(card))
        (tmp_path / "judge.safetensors").write_bytes(b"something else")
        with pytest.raises(CorruptArtefact, match=r"judge\.safetensors"):
            Pretrained("judge", tmp_path)

    @pytest.mark.parametrize(
        ("threshold", "true", "false"), [(0.5, 1, 0), (-0.1, 1, 1), (1.1, 0, 0)]
    )
    def test_verification_at_a_given_threshold(self, threshold, true, false):
        person = torch.arange(8).repeat_interleave(2)
        people = Renders(torch.empty(16), torch.empty(16, 41), torch.empty(16, 14), person)
        figures = identity_figures(torch.eye(8)[person], people, threshold)
        assert figures["threshold"] == threshold
        assert (figures["true_accept_rate"], figures["false_accept_rate"]) == (true, false)
        assert figures["auc"] == 1

    def test_the_page_says_what_the_cards_say(self):
        assert PAGE.read_text("utf-8") == page(written_cards())


class TestTraining:
    @pytest.mark.parametrize("shape", [(24, 200), (200, 24)])
    def test_orthogonalised_updates_have_singular_values_near_one(self, shape):
        matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
        values = torch.linalg.svdvals(orthogonalised(matrix))
        assert values.min() > 0.6
        assert values.max() < 1.3

    def test_mirrored_renders_are_renders_of_mirrored_faces(self, tmp_path):
        renders = rendered_set(tmp_path, 16, seed=2, broadened=False)
        mirrored = renders.mirrored(torch.ones(16, dtype=torch.bool))
        direct = render(mirrored.factors)
        wrong = render(renders.factors)
        error = (bytes_to_images(mirrored.images) - direct).abs().mean()
        assert error < 0.3 * (bytes_to_images(mirrored.images) - wrong).abs().mean()

    def test_renders_are_written_once_and_share_people(self, tmp_path):
        first = rendered_set(tmp_path, 16, seed=1, broadened=True)
        written = {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        again = rendered_set(tmp_path, 16, seed=1, broadened=True)
        assert written == {path: path.stat().st_mtime_ns for path in tmp_path.iterdir()}
        assert torch.equal(first.images, again.images)
        assert torch.equal(first.identity[:VIEWS], first.identity[:1].expand(VIEWS, -1))
        assert bytes_to_images(first.images).abs().max() <= 1

    def test_contrastive_loss_of_perfect_and_useless_embeddings(self):
        person = torch.arange(8) // 4
        perfect = torch.eye(2)[person]
        useless = torch.ones(8, 2)
        alike, strange = 3, 4  # others of the same person, and of another
        expected = math.log(alike + strange * math.exp(-1 / TEMPERATURE))
        assert contrastive_loss(perfect, person).item() == pytest.approx(expected, abs=1e-5)
        expected = math.log(alike + strange)
        assert contrastive_loss(useless, person).item() == pytest.approx(expected, abs=1e-4)

    def test_resumes_where_it_stopped(self, tmp_path, monkeypatch):
        monkeypatch.setattr("workshop.synthface.train.HELD_OUT_IMAGES", 160)
        schedule = Schedule(4, 8, 16, 1e-3, 0.0, "float32")
        whole, halves = tmp_path / "whole", tmp_path / "halves"
        for folder in (whole, halves):
            folder.mkdir()
        train("labeller", whole, tmp_path, schedule, checkpoint_every=4, say=str)
        with pytest.raises(InterruptedError):
            train("labeller", halves, tmp_path, schedule, checkpoint_every=2, say=_stop_at_2)
        train("labeller", halves, tmp_path, schedule, checkpoint_every=2, say=str)
        images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
        outputs = [Pretrained("labeller", folder)(images) for folder in (whole, halves)]
        assert torch.allclose(*outputs, rtol=1e-2, atol=1e-2)

    def test_a_further_round_begins_with_the_shipped_weights(self, tmp_path, monkeypatch):
        monkeypatch.setattr("workshop.synthface.train.HELD_OUT_IMAGES", 160)
        still = Schedule(1, 8, 16, 0.0, 0.0, "float32")
        card = train("net-judge", tmp_path, tmp_path, still, say=str, again=True)
        images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1
        outputs = [Pretrained("net-judge", folder)(images) for folder in (WEIGHTS, tmp_path)]
        assert torch.allclose(*outputs, rtol=1e-2, atol=1e-2)
        shipped = json.loads((WEIGHTS / "net-judge.json").read_text())
        assert shipped["data"]["training"] in card["data"]["training"]
        assert card["data"]["training_seed"] != RECIPES["net-judge"].data_seed

    @pytest.mark.parametrize(
        ("name", "said"), [("judge", "received judge"), ("net-judge", "give an --out")]
    )
    def test_a_further_round_that_cannot_be_is_refused(self, monkeypatch, tmp_path, name, said):
        monkeypatch.setattr("sys.argv", ["train", name, "--again", "--data", str(tmp_path)])
        with pytest.raises(InputError, match=said):
            main()


def _stop_at_2(message: str) -> None:
    if "step 2 " in message and "loss" in message:
        raise InterruptedError
