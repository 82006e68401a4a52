"""The trained world: its codes, its truth, its pictures, and how it is trained and measured."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from latentedit import (
    CorruptArtefact,
    InputError,
    Registry,
    UnknownName,
    Unsupported,
    read_json,
    read_tensors,
    write_json,
    write_tensors,
)
from latentedit_synthface.code_factors import CURVATURE, GROUPS, CodeFactors
from latentedit_synthface.factors import IDENTITY, NAMES, factors_from_scores, sample_scores
from latentedit_synthface.pretrained import Pretrained
from latentedit_synthface.renderer import render, wave_phases
from latentedit_synthface.schema import SCHEMA
from latentedit_synthface.trained_generator import NETWORK, SynthFaceNet, SynthFaceNetOptions
from latentedit_synthface.warp import GaussianWarp
from workshop.synthface.adversarial_training import sharpen
from workshop.synthface.coded_renders import OLD, coded_renders
from workshop.synthface.distillation_loss import detail_loss, image_loss, wave_loss
from workshop.synthface.export_generator import export
from workshop.synthface.export_generator import page as card_page
from workshop.synthface.generated_images import generated_images
from workshop.synthface.generator_figures import (
    calibrated_r2,
    detail_figures,
    frechet_distance,
    people_of,
    psnr,
)
from workshop.synthface.image_features import ImageFeatures, trained_features
from workshop.synthface.mapping_training import trained_mapping
from workshop.synthface.renders import packed, unpacked
from workshop.synthface.scorecard import coefficient
from workshop.synthface.train_generator import Distillation, distil, mapping_stage
from workshop.synthface.world_figures import path_length, probe_r2, row_control, spectrum

STEPS = int(os.environ.get("LATENTEDIT_STEPS", "4"))
"""Of a training run that is stopped at each of them; ``make torture`` asks for 50."""


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The bits of a sum depend on how many threads share it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def net():
    return SynthFaceNet()


@pytest.fixture(scope="module")
def faces(net):
    """Codes, truth, generated images and renders of 200 faces."""
    codes = net.sample(200, seed=31)
    with torch.no_grad():
        renders = render(factors_from_scores(net.scores(codes)))
        return codes, net.truth(codes), net.synthesize(codes), renders


class TestCodes:
    def test_the_registry_builds_it(self, net):
        registry = Registry.discover({"LATENTEDIT_LOAD_PLUGINS": "synthface"})
        assert registry.generator("synthface-net").fingerprint == net.fingerprint
        fast = registry.generator("synthface-net", {"precision": "bf16"})
        assert fast.fingerprint != net.fingerprint
        with pytest.raises(InputError, match="precision"):
            registry.generator("synthface-net", {"precision": "float16"})

    def test_w_has_mean_zero_and_unit_spread(self, net):
        w = net.sample(4_000, seed=1)
        assert w.mean(0).abs().max() < 0.12
        assert w.square().mean().item() == pytest.approx(1, abs=0.02)

    def test_truncation_moves_w_towards_its_mean(self, net):
        assert torch.allclose(net.sample(2, 3, truncation_psi=0.5), net.sample(2, 3) / 2)
        with pytest.raises(InputError, match="truncation is defined in w"):
            net.sample(1, 0, "z", truncation_psi=0.5)

    def test_every_space_makes_the_same_image(self, net):
        z = net.sample(2, 4, "z")
        images = [net.synthesize(net.convert(z, "z", space), space) for space in net.spaces]
        for image in images[1:]:
            assert torch.allclose(image, images[0], atol=1e-4)

    @pytest.mark.parametrize(("source", "target"), [("w", "z"), ("s", "w+"), ("w+", "w")])
    def test_does_not_go_back(self, net, source, target):
        with pytest.raises(Unsupported, match="and not back"):
            net.convert(torch.zeros(1, *net.spaces[source]), source, target)

    def test_says_what_it_received(self, net):
        with pytest.raises(InputError, match=r"shape \(N, 512\), received \(2, 511\)"):
            net.synthesize(torch.zeros(2, 511))
        with pytest.raises(UnknownName, match="unknown space 'w_plus' of synthface-net"):
            net.sample(1, 0, "w_plus")

    def test_style_weights_are_the_derivative_at_the_mean(self, net):
        def styles(w: torch.Tensor) -> torch.Tensor:
            return net.convert(w[None], "w", "s")[0]

        jacobian = torch.autograd.functional.jacobian(styles, torch.zeros(512))
        assert torch.allclose(jacobian, torch.cat(net.style_weights()), atol=1e-5)


class TestTruth:
    def test_scores_of_samples_are_about_standard_normal(self, net):
        scores = net.scores(net.sample(6_000, seed=6))
        assert (torch.cov(scores.T) - torch.eye(len(NAMES))).abs().max() < 0.1
        assert scores.mean(0).abs().max() < 0.08
        kurtosis = (scores / scores.std(0)).pow(4).mean(0)
        assert (kurtosis - 3).abs().max() < 0.6

    def test_is_the_same_from_z_w_and_rows(self, net):
        z = net.sample(4, 8, "z")
        truths = [net.truth(net.convert(z, "z", space), space) for space in ("z", "w", "w+")]
        for truth in truths[1:]:
            assert torch.allclose(truth.attributes, truths[0].attributes, atol=1e-2)
        assert truths[0].schema == SCHEMA
        assert truths[0].identity.shape == (4, 14)
        with pytest.raises(Unsupported, match="s codes do not tell"):
            net.truth(net.convert(z, "z", "s"), "s")

    def test_each_group_of_rows_decides_its_own_factors(self, net):
        rows, others = net.sample(4, 9, "w+"), net.sample(4, 10, "w+")
        moved_by = []
        for group in GROUPS:
            swapped = rows.clone()
            swapped[:, group] = others[:, group]
            change = (net.scores(swapped, "w+") - net.scores(rows, "w+")).abs().amax(0)
            moved_by.append(change > 1e-3)
        assert torch.equal(torch.stack(moved_by).sum(0), torch.ones(len(NAMES)))

    def test_no_line_explains_all_of_it(self, net):
        codes = net.sample(4_000, seed=12)
        r2 = probe_r2(codes, net.scores(codes)).mean().item()
        assert 0.7 < r2 < 0.95
        assert CURVATURE > 0

    def test_codes_can_be_asked_for_scores(self, net):
        wanted = sample_scores(5, 3)
        codes = net.codes_with(wanted, net.sample(5, 2))
        assert torch.allclose(net.scores(codes), wanted, atol=1e-3)

    def test_people_keep_their_identity_and_nothing_else(self, net):
        people = people_of(net, 3)
        identity = people.identity.unflatten(0, (3, 4))
        assert torch.equal(identity, identity[:, :1].expand(-1, 4, -1))
        assert people.factors[:, : IDENTITY.start].unflatten(0, (3, 4)).std(1).min() > 0


class TestPictures:
    def test_range_and_purity(self, net, faces):
        codes, _, images, _ = faces
        assert images.shape == (200, 3, 64, 64)
        assert images.abs().max() <= 1
        before = codes.clone()
        assert torch.allclose(net.synthesize(codes[:3]), images[:3], atol=1e-4)
        assert torch.equal(codes, before)
        assert net.synthesize(codes[:0]).shape == (0, 3, 64, 64)

    def test_they_show_what_the_codes_stand_for(self, faces):
        _, _, images, renders = faces
        assert psnr(images, renders) > 30.5

    def test_strands_and_folds_are_where_the_renders_have_them(self, net, faces):
        codes, _, images, renders = faces
        factors = factors_from_scores(net.scores(codes))
        old = factors[:, NAMES.index("age")] > OLD
        detail = detail_figures(images, renders, wave_phases(factors), old)
        assert 0.6 < detail["strands"]["share"] < detail["strands"]["strength"] < 1
        assert 0.5 < detail["folds"]["share"] < 1

    def test_the_judge_reads_the_truth_off_them(self, faces):
        _, truth, images, _ = faces
        r2 = coefficient(Pretrained("judge")(images)[:, :8], truth.attributes[:, :8])
        assert r2[SCHEMA.columns("yaw").start] > 0.95
        assert r2.mean() > 0.88

    def test_sets_of_them_know_their_factors(self, net):
        natural, wide = (generated_images(net, 40, 5, broadened) for broadened in (False, True))
        assert torch.equal(natural.images[20:], wide.images[20:])
        assert torch.allclose(natural.identity[20:], wide.identity[20:])
        assert torch.allclose(1.4 * natural.identity[:20], wide.identity[:20], atol=1e-2)
        assert torch.equal(wide.images[20:], packed(net.synthesize(net.sample(40, 5))[20:]))

    @pytest.mark.parametrize("name", ["judge", "labeller"])
    def test_networks_taught_by_them_read_them_better(self, net, name):
        shown = generated_images(net, 400, 77, broadened=False)
        r2 = {
            known: coefficient(Pretrained(known)(unpacked(shown.images)), shown.attributes)
            for known in (name, f"net-{name}")
        }
        assert r2[f"net-{name}"][:8].mean() > r2[name][:8].mean()
        assert r2[f"net-{name}"][8:].mean() > r2[name][8:].mean() + 0.01
        assert Pretrained(f"net-{name}").fingerprint != Pretrained(name).fingerprint

    def test_wanting_gradients_changes_no_bit(self, net):
        codes = net.sample(3, 15)
        with torch.no_grad():
            without = net.synthesize(codes), net.synthesize(codes)
        with torch.enable_grad():
            assert torch.equal(net.synthesize(codes), without[0])
        assert torch.equal(*without)

    def test_gradients_reach_every_row(self, net):
        codes = net.sample(2, 14, "w+").requires_grad_()
        net.synthesize(codes, "w+").square().mean().backward()
        assert (codes.grad.flatten(2).abs().amax(2) > 0).all()

    def test_bf16_is_close(self, net, faces):
        codes, _, images, _ = faces
        fast = SynthFaceNet(SynthFaceNetOptions(precision="bf16"))
        assert (fast.synthesize(codes[:8]) - images[:8]).abs().mean() < 0.005

    def test_the_page_says_what_the_card_says(self, net):
        assert (NETWORK / "CARD.md").read_text("utf-8") == card_page(net.card)

    def test_weights_that_are_not_the_card_s_are_refused(self, net, tmp_path):
        for name in ("generator.safetensors", "generator.json"):
            shutil.copyfile(NETWORK / name, tmp_path / name)
        assert SynthFaceNet(folder=tmp_path).fingerprint == net.fingerprint
        damaged = bytearray((tmp_path / "generator.safetensors").read_bytes())
        damaged[-1] ^= 1
        (tmp_path / "generator.safetensors").write_bytes(damaged)
        with pytest.raises(CorruptArtefact, match="install the package again"):
            SynthFaceNet(folder=tmp_path)


class TestTraining:
    SCHEDULE = Distillation(steps=4, batch=4, images=20, learning_rate=1e-2, precision="float32")

    @pytest.fixture
    def folder(self, tmp_path):
        """A run whose mapping network and loss network are there already."""
        shipped = read_tensors(NETWORK / "generator.safetensors")
        mapping = {k: t.float() for k, t in shipped.items() if not k.startswith("synthesis.")}
        with torch.random.fork_rng():
            torch.manual_seed(0)
            features = {f"features.{k}": t for k, t in ImageFeatures().state_dict().items()}
        for name in ("whole", "parts"):
            (tmp_path / name).mkdir()
            write_tensors(tmp_path / name / "mapping.safetensors", mapping)
            write_tensors(tmp_path / name / "features.safetensors", features)
        return tmp_path

    def _run(self, folder, stop=None, schedule=SCHEDULE, first=None, checkpoint_every=1):
        return distil(
            folder,
            schedule,
            stop=stop,
            checkpoint_every=checkpoint_every,
            held_out_images=8,
            say=lambda message: None,
            first=first,
        )

    def test_stopped_at_every_step_it_ends_with_the_same_bits(self, folder):
        schedule = replace(self.SCHEDULE, steps=STEPS)
        whole = self._run(folder / "whole", schedule=schedule)
        for step in range(1, STEPS + 1):
            resumed = self._run(folder / "parts", stop=step, schedule=schedule)
        assert resumed.step == whole.step == STEPS
        for a, b in zip(whole.average.parameters(), resumed.average.parameters(), strict=True):
            assert torch.equal(a, b)
        log = (folder / "parts" / "log.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in log] == ["step", *map(str, range(1, STEPS + 1))]

    def test_refuses_another_schedule_in_the_same_folder(self, folder):
        self._run(folder / "parts", stop=2)
        longer = replace(self.SCHEDULE, steps=9)
        with pytest.raises(InputError, match="another schedule"):
            self._run(folder / "parts", schedule=longer)

    def test_another_round_begins_with_the_network_of_the_first(self, folder):
        (folder / "whole" / "mapping.safetensors").unlink()

        begun = self._run(folder / "whole", stop=0, first=NETWORK)
        shipped = read_tensors(NETWORK / "generator.safetensors")
        assert begun.step == 0
        for name, tensor in begun.synthesis.state_dict().items():
            assert torch.equal(tensor, shipped[f"synthesis.{name}"].float())
        parts = read_tensors(folder / "parts" / "mapping.safetensors")
        for name, tensor in read_tensors(folder / "whole" / "mapping.safetensors").items():
            assert torch.equal(tensor, parts[name])
        card = read_json(NETWORK / "generator.json")
        made = read_json(folder / "whole" / "schedule.json")["again"]
        assert made.items() <= card.items()
        assert (made["sha256"], made["schedule"]) == (card["sha256"], card["schedule"])
        self._run(folder / "parts", stop=1)
        with pytest.raises(InputError, match="began with no other"):
            self._run(folder / "parts", stop=2, first=NETWORK)

    def test_another_round_goes_on_where_the_network_it_began_with_is_gone(self, folder):
        first = folder / "first"
        shutil.copytree(NETWORK, first)
        ends = []
        for name, stops in (("whole", [2]), ("parts", [1, 2])):
            for stop in stops:
                state = self._run(folder / name, stop=stop, first=first)
                if stop == 1:
                    card = read_json(first / "generator.json")
                    write_json(first / "generator.json", card | {"sha256": "another", "notes": ""})
            ends.append(state)
        for a, b in zip(*(end.average.parameters() for end in ends), strict=True):
            assert torch.equal(a, b)

    def test_another_round_begins_with_no_other_architecture(self, folder):
        first = folder / "first"
        shutil.copytree(NETWORK, first)
        card = read_json(first / "generator.json")
        write_json(first / "generator.json", card | {"architecture": {"sides": [4, 8]}})
        with pytest.raises(InputError, match=r"same architecture, .* is {'sides': \[4, 8\]}"):
            self._run(folder / "parts", first=first)

    def test_the_last_row_of_the_log_is_a_mean_too(self, folder):
        rows = []
        for name, every in (("whole", 1), ("parts", 3)):
            self._run(folder / name, checkpoint_every=every)
            lines = (folder / name / "log.csv").read_text().splitlines()[1:]
            rows.append([float(line.split(",")[1]) for line in lines])
        assert len(rows[1]) == 2
        assert rows[1] == pytest.approx([sum(rows[0][:3]) / 3, rows[0][3]], abs=1e-5)

    def test_the_adversarial_stage_goes_on_as_if_never_stopped(self, folder):
        ends = []
        for name, stops in (("whole", [4]), ("parts", [2, 4])):
            self._run(folder / name)
            for stop in stops:
                both = self._sharpened(folder / name, stop)
            ends.append(both)
        assert ends[0].step == ends[1].step == 4
        networks = [(both.average, both.discriminator) for both in ends]
        for one, other in zip(*networks, strict=True):
            for a, b in zip(one.parameters(), other.parameters(), strict=True):
                assert torch.equal(a, b)

    def test_the_adversarial_stage_keeps_to_its_length(self, folder):
        self._run(folder / "parts")
        self._sharpened(folder / "parts", 2)
        with pytest.raises(InputError, match="begun with --steps 4, received 9"):
            sharpen(folder / "parts", 9, batch=4, held_out_images=8, say=lambda message: None)

    def test_the_adversarial_stage_waits_for_the_end_of_the_distillation(self, folder):
        with pytest.raises(InputError, match="holds no distillation"):
            self._sharpened(folder / "parts", 2)
        self._run(folder / "parts", stop=2)
        with pytest.raises(InputError, match="done 2 of 4 steps"):
            self._sharpened(folder / "parts", 2)

    def test_what_was_trained_can_be_exported(self, folder, monkeypatch):
        monkeypatch.setattr("workshop.synthface.generator_figures.PEOPLE", 20)
        self._run(folder / "parts")
        self._sharpened(folder / "parts", 4)
        card = export(folder / "parts", folder / "out", "a note", held_out_images=100)
        made = SynthFaceNet(folder=folder / "out")
        average = read_tensors(folder / "parts" / "adversarial.safetensors")["average.const"]
        assert torch.equal(made.tunable().weights["synthesis.const"], average.half().float())
        assert card["refinement_steps"] == 4
        assert "4 steps of 4 images at 0.01, 4 of refinement (a note)" in card_page(card)
        log = (folder / "out" / "refinement.csv").read_text().splitlines()
        assert [line.split(",")[0] for line in log] == ["step", "0", "2", "4"]

    def _sharpened(self, folder, stop):
        return sharpen(
            folder,
            4,
            stop,
            batch=4,
            report_every=2,
            held_out_images=8,
            say=lambda message: None,
        )

    def test_the_networks_of_the_feature_loss_tell_images_apart(self, folder):
        mapping, reader = mapping_stage(folder / "parts")
        renders = coded_renders(folder, 40, 1, mapping, reader)
        features = trained_features(renders, 1, torch.float32, steps=2)
        images = unpacked(renders.images[:8])
        for distance in (features.texture_distance, features.meaning_distance):
            assert distance(images, images) == 0
            assert distance(images, images.flip(0)) > 0
        sizes = [part.abs().mean() for part in features.meanings(unpacked(renders.images))]
        assert torch.stack(sizes).tolist() == pytest.approx([1, 1, 1], abs=1e-4)

    def test_mixed_codes_show_three_faces(self, folder):
        mapping, reader = mapping_stage(folder / "parts")
        renders = coded_renders(folder, 12, 1, mapping, reader, mixed=0.5)
        assert torch.equal(renders.sources[:6], torch.arange(6)[:, None].expand(-1, 3))
        assert (renders.sources[6:, 1:] != renders.sources[6:, :1]).any()
        bent = renders.bent(torch.arange(12))
        own = [renders.coordinates[renders.sources[:, i]] for i in range(3)]
        for group, coordinates in zip(GROUPS, own, strict=True):
            assert torch.equal(bent[:, group.start], coordinates)
        plain = coded_renders(folder, 12, 1, mapping, reader)
        assert not torch.equal(plain.images, renders.images)

    def test_the_mapping_stage_leaves_white_scores(self):
        mapping, reader = trained_mapping(3, steps=5)
        codes = mapping(torch.randn(4_000, 512, generator=torch.Generator().manual_seed(1)))
        scores = reader(codes[:, None].expand(-1, 10, -1))
        assert codes.square().mean().item() == pytest.approx(1, abs=0.05)
        assert (torch.cov(scores.T) - torch.eye(len(NAMES))).abs().max() < 0.15

    def test_the_loss_is_zero_only_for_equal_images(self):
        images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(2))
        assert image_loss(images, images) == 0
        assert image_loss(images, images + 0.1).item() == pytest.approx(0.24, abs=1e-5)
        redder = images + torch.tensor([0.1, 0.0, 0.0])[:, None, None]
        chroma = (0.2**2 + 2 * 0.1**2) / 9 / 3
        expected = (0.2 + 4 * 0.1**2) / 3 + 80 * chroma
        assert image_loss(images, redder).item() == pytest.approx(expected, abs=1e-5)

    def test_phases_count_where_there_are_waves(self):
        wanted = torch.full((2, 2, 64, 64), torch.nan)
        wanted[0, 0, 3, 4:8] = 1.0
        assert wave_loss(torch.ones(2, 2, 64, 64), wanted) == 0
        # Huber's distance of 3 is 2.5, halved by the wave that is nowhere
        assert wave_loss(torch.full((2, 2, 64, 64), 4.0), wanted).item() == pytest.approx(1.25)

    def test_a_fold_counts_as_much_as_eight_places_with_strands(self):
        wanted = torch.full((1, 2, 64, 64), torch.nan)
        wanted[0, :, 0, 0] = wanted[0, 0, 9, 9] = 0
        phases = torch.zeros(1, 2, 64, 64)
        phases[0, :, 0, 0], phases[0, 0, 9, 9] = 0.5, 1.0
        strands, fold = 0.5**2 / 2, 1.0**2 / 2
        expected = ((strands + 8 * fold) / 9 + strands) / 2
        assert wave_loss(phases, wanted).item() == pytest.approx(expected)

    def test_detail_counts_where_there_are_strands_and_folds(self):
        images = torch.zeros(1, 3, 64, 64)
        phases = torch.full((1, 2, 64, 64), torch.nan)
        old, young = torch.tensor([60.0]), torch.tensor([20.0])
        assert detail_loss(images, images, phases, old) == 0
        phases[0, :, 10, 10] = phases[0, 0, 30, 30] = 0
        strand, fold, skin = (images.clone() for _ in range(3))
        strand[..., 10, 10], fold[..., 30, 30], skin[..., 50, 50] = 0.9, 0.9, 0.9
        assert detail_loss(images, strand, phases, old).item() == pytest.approx(0.8 / 41)
        assert detail_loss(images, fold, phases, old).item() == pytest.approx(0.8 * 40 / 41)
        assert detail_loss(images, strand, phases, young).item() == pytest.approx(0.8)
        assert detail_loss(images, fold, phases, young) == 0
        assert detail_loss(images, skin, phases, old) == 0
        assert detail_loss(images, images + 0.5, phases, old).item() == pytest.approx(0, abs=1e-6)


class TestMeasuring:
    def test_fine_detail_of_renders_is_found_in_its_place(self):
        rng = torch.Generator().manual_seed(7)
        renders, other = torch.randn(2, 4, 3, 64, 64, generator=rng)
        phases = torch.full((4, 2, 64, 64), torch.nan)
        phases[:, :, :20], phases[:, 0, 30:40] = 0, 0
        old = torch.tensor([True, False, True, False])
        whole = {"share": 1, "strength": 1}
        found = detail_figures(renders, renders, phases, old)
        assert found == {"strands": whole, "folds": whole}
        aged = torch.where(old[:, None, None, None], renders, other)
        assert detail_figures(aged, renders, phases, old)["folds"] == whole
        half = detail_figures(renders / 2 + 0.3, renders, phases, old)["folds"]
        assert half["share"] == pytest.approx(0.5, abs=1e-3)
        assert half["strength"] == pytest.approx(0.25, abs=1e-3)
        elsewhere = detail_figures(other, renders, phases, old)["strands"]
        assert elsewhere["share"] == pytest.approx(0, abs=0.05)
        assert elsewhere["strength"] == pytest.approx(1, abs=0.05)

    def test_the_warp_turns_back(self):
        warp = GaussianWarp(2, 8, 3, torch.Generator().manual_seed(1))
        x = torch.randn(5, 2, 8, generator=torch.Generator().manual_seed(2))
        assert torch.allclose(warp.inverse(warp(x, 0.7), 0.7), x, atol=1e-5)

    def test_whitening_gives_unit_covariance(self):
        rng = torch.Generator().manual_seed(4)
        codes = torch.randn(2_000, 512, generator=rng)
        reader = CodeFactors()
        reader.whiten(torch.randn(512, 48, generator=rng), codes)
        white = codes @ reader.head
        assert torch.allclose(white.T @ white / 2_000, torch.eye(48), atol=1e-3)

    def test_frechet_distance_of_moved_and_scaled_gaussians(self):
        x = torch.randn(5_000, 4, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
        shift = torch.tensor([3.0, 0, 0, 0], dtype=torch.float64)
        assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
        assert frechet_distance(x, x + shift) == pytest.approx(9, abs=1e-6)
        assert frechet_distance(x, 2 * x) == pytest.approx(4, abs=0.3)

    def test_a_straight_line_repairs_scale_and_shift_but_no_noise(self):
        truth = torch.randn(4_000, 2, generator=torch.Generator().manual_seed(7))
        noise = torch.randn(4_000, generator=torch.Generator().manual_seed(8))
        estimate = torch.stack([3 * truth[:, 0] + 5, truth[:, 1] + noise], dim=1)
        assert calibrated_r2(estimate, truth).tolist() == pytest.approx([1, 0.5], abs=0.05)

    def test_spectrum_and_probe_of_a_known_space(self):
        rng = torch.Generator().manual_seed(6)
        codes = torch.randn(4_000, 3, generator=rng) * torch.tensor([3.0, 1.0, 0.0])
        assert spectrum(codes)[:2].tolist() == pytest.approx([0.9, 1.0], abs=0.01)
        noise = torch.randn(4_000, 1, generator=rng)
        values = torch.cat([codes[:, :1], codes[:, 1:2] + noise, noise], dim=1)
        assert probe_r2(codes, values).tolist() == pytest.approx([1, 0.5, 0], abs=0.06)

    def test_rows_and_paths_of_the_network(self, net):
        codes = net.sample(24, 15)
        moved = row_control(net, codes[:12], codes[12:])
        assert moved.shape == (10, 10)
        assert (moved[:4, 2].sum() > moved[7:, 2].sum()).item()  # coarse rows turn the head
        assert (moved[7:, 8].sum() > moved[:4, 8].sum()).item()  # fine rows light it
        doubled = SimpleNamespace(synthesize=lambda w: net.synthesize(2 * w))
        there = path_length(net, codes, 1)
        assert path_length(doubled, codes / 2, 1) == pytest.approx(4 * there, rel=1e-3)
        assert there > 1e-4
