"""Which faces a bank holds and what they are called: codes, labels and record in numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import harness_plugins
import numpy as np
import pytest
import torch
from harness_plugins import Eye, EyeOptions, scores
from PIL import Image
from torch import Tensor
from toy import MIDDLE, SCALE, SCHEMA, A, ToyGenerator, ToyOptions

from latentedit.data.bank import LatentBank
from latentedit.data.images import images_to_bytes
from latentedit.data.split import Split
from latentedit.errors import FingerprintMismatch, InputError
from latentedit.interfaces.inverter import PerceptualLoss, WeightedLoss
from latentedit.photos.reconstruction import Reconstruction, code_error, true_codes
from latentedit.sampling.make import TEST_SEED_OFFSET, label, make_bank
from latentedit.sampling.pictures import write_images
from latentedit.sampling.relabel import relabel_bank

PLUGINS = harness_plugins.registry()
FIT, TEST, SEED, PSI = 150, 70, 9, 0.7
"""More than two batches to fit on, more than one to edit."""


def made(folder: Path, **changes: Any) -> LatentBank:
    arguments: dict[str, Any] = {
        "generator": "toy",
        "labeller": "labeller",
        "n_fit": FIT,
        "n_test": TEST,
        "seed": SEED,
        "truncation_psi": PSI,
    }
    return make_bank(harness_plugins.registry(), folder, **(arguments | changes))


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    return made(tmp_path_factory.mktemp("banks") / "bank")


def drawn(n: int, seed: int, psi: float, options: ToyOptions | None = None) -> Tensor:
    """w = w_avg + ψ mix z, with z drawn from `seed`."""
    world, correlation = ToyGenerator(options), torch.eye(24)
    if options is not None:
        correlation[0, 1] = correlation[1, 0] = options.correlation
    z = torch.randn(n, 24, generator=torch.Generator().manual_seed(seed))
    mixing = torch.linalg.cholesky(correlation)
    u = psi * z @ mixing.T
    return world.w_avg + (u * world.deviations) @ world.basis


def attributes(codes: Tensor) -> Tensor:
    """Middle plus scale times the projections on the first six axes."""
    world = ToyGenerator()
    u = (codes - world.w_avg) @ world.basis[:A].T / world.deviations[:A]
    return MIDDLE + SCALE * u


def test_both_splits_are_drawn_from_seeds_of_their_own_and_shrunk_by_psi(bank: LatentBank) -> None:
    assert TEST_SEED_OFFSET == 1_000_000_007
    fit, test = bank.split("fit").codes, bank.split("test").codes
    assert torch.allclose(fit, drawn(FIT, SEED, PSI), atol=1e-4)
    assert torch.allclose(test, drawn(TEST, SEED + 1_000_000_007, PSI), atol=1e-4)
    assert (bank.space, bank.split("fit").space) == ("w", "w")


def test_labels_are_those_of_the_same_face_in_every_batch(bank: LatentBank) -> None:
    for name in ("fit", "test"):
        split = bank.split(name)
        wanted = attributes(split.codes)
        assert torch.allclose(split.attributes, wanted, atol=2e-3)
        assert len(split.attributes.unique(dim=0)) == len(split)


def test_the_record_says_what_was_asked_for(bank: LatentBank, tmp_path: Path) -> None:
    assert bank.sampling == {"seed": SEED, "truncation_psi": PSI, "fit": FIT, "test": TEST}
    registry = harness_plugins.registry()
    other = made(
        tmp_path / "other",
        n_fit=3,
        n_test=2,
        generator_options={"correlation": 0.5},
        labeller_options={"light": 0.25},
    )
    assert (other.generator.name, other.generator.options) == ("toy", {"correlation": 0.5})
    assert (other.labeller.name, other.labeller.options) == ("labeller", {"light": 0.25})
    generator = registry.generator("toy", {"correlation": 0.5})
    assert other.generator.fingerprint == generator.fingerprint != bank.generator.fingerprint
    labeller = registry.estimator("labeller", {"light": 0.25})
    assert other.labeller.fingerprint == labeller.fingerprint != bank.labeller.fingerprint
    assert other.schema == SCHEMA
    reopened = LatentBank.open(tmp_path / "other")
    assert (reopened.sampling, reopened.generator) == (other.sampling, other.generator)
    assert torch.allclose(
        other.split("fit").codes, drawn(3, SEED, PSI, ToyOptions(correlation=0.5)), atol=1e-4
    )
    lit = other.split("fit").attributes[:, 3:] - 0.25
    plain = registry.estimator("labeller").estimate(generator.synthesize(other.split("fit").codes))
    assert torch.allclose(lit, plain[:, 3:], atol=1e-5)


def test_without_more_words_a_bank_has_seed_zero_and_the_whole_distribution(
    tmp_path: Path,
) -> None:
    registry = harness_plugins.registry()
    found = make_bank(
        registry, tmp_path / "b", generator="toy", labeller="labeller", n_fit=4, n_test=1
    )
    assert found.sampling == {"seed": 0, "truncation_psi": 1.0, "fit": 4, "test": 1}
    assert torch.allclose(found.split("fit").codes, drawn(4, 0, 1.0), atol=1e-4)


@pytest.mark.parametrize(("n_fit", "n_test"), [(0, 1), (1, 0), (-1, 1)])
def test_an_empty_split_is_refused(tmp_path: Path, n_fit: int, n_test: int) -> None:
    made(tmp_path / "least", n_fit=1, n_test=1)
    with pytest.raises(InputError, match=f"received {n_fit} to fit on and {n_test} to edit"):
        made(tmp_path / "b", n_fit=n_fit, n_test=n_test)
    assert not (tmp_path / "b").exists()


def test_labels_on_record_are_those_of_their_split(tmp_path: Path) -> None:
    found = made(tmp_path / "b", labeller="recorder", n_fit=70, n_test=3)
    assert found.split("fit").attributes[:, 0].tolist() == list(range(70))
    assert found.split("test").attributes[:, 5].tolist() == [1000, 1001, 1002]


def test_progress_goes_over_both_splits_to_one(tmp_path: Path) -> None:
    told: list[tuple[float, str]] = []
    made(tmp_path / "b", progress=lambda *now: told.append(now))
    rows = [64, 128, 150, 150 + 64, 150 + 70]
    names = ["fit"] * 3 + ["test"] * 2
    assert told == [
        (pytest.approx(row / 220), f"labelling {name} images")
        for row, name in zip(rows, names, strict=True)
    ]


def test_labelling_looks_at_the_space_that_the_codes_are_of() -> None:
    world, registry = ToyGenerator(), harness_plugins.registry()
    rows = drawn(8, 1, 1.0).view(2, 4, 24)
    found = label(rows, world, registry.estimator("labeller"), space="w+")
    each = attributes(rows.flatten(0, 1)).view(2, 4, A)
    # Age is decided by row 1, glasses by row 2, yaw by row 0, lighting by row 3.
    wanted = torch.stack([each[:, row, i] for i, row in enumerate((1, 2, 0, 3, 3, 3))], 1)
    assert torch.allclose(found, wanted, atol=2e-3)
    assert found.dtype == torch.float32


def photographs(folder: Path, bank: LatentBank, inversion: bool = True) -> LatentBank:
    """A bank as if the last five test faces of `bank` had been photographs."""
    test = bank.split("test")
    rows = torch.arange(TEST - 5, TEST)
    images = torch.arange(5 * 3 * 64).remainder(256).to(torch.uint8).view(5, 3, 8, 8)
    record = {
        "inverter": {"name": "pyramid", "options": {}},
        "losses": [],
        "seed": 0,
        "tuned": None,
        "figures": {},
        "photographs": [{"pixel_error": 1.0}] * 5,
    }
    return LatentBank.write(
        folder,
        {"test": test.take(rows)},
        bank.generator,
        bank.labeller,
        {"photographs": 5},
        inversion=record if inversion else None,
        files={"photographs": {"images": images}} if inversion else None,
    )


def test_photographs_take_the_place_of_the_test_faces(bank: LatentBank, tmp_path: Path) -> None:
    given = photographs(tmp_path / "photos", bank)
    found = made(tmp_path / "b", photographs=given)
    assert torch.equal(found.split("test").codes, bank.split("test").codes[-5:])
    assert torch.equal(found.split("test").attributes, bank.split("test").attributes[-5:])
    assert torch.equal(found.split("fit").codes, bank.split("fit").codes)
    assert found.sampling == dict(bank.sampling) | {"test": 5, "photographs": given.hash}
    pixels = torch.arange(5 * 3 * 64).remainder(256).view(5, 3, 8, 8)
    assert torch.allclose(found.photographs, pixels / 127.5 - 1)
    assert found.inversion is not None
    assert found.inversion["photographs"] == [{"pixel_error": 1.0}] * 5
    assert len(bank.photographs) == 0


def test_photographs_of_another_generator_or_labeller_or_none_are_refused(
    bank: LatentBank, tmp_path: Path
) -> None:
    given = photographs(tmp_path / "photos", bank)
    with pytest.raises(FingerprintMismatch, match="generator"):
        made(tmp_path / "b", photographs=given, generator_options={"world_seed": 1})
    with pytest.raises(FingerprintMismatch, match="labeller"):
        made(tmp_path / "b", photographs=given, labeller_options={"light": 1.0})
    with pytest.raises(InputError, match="holds no photographs"):
        made(tmp_path / "b", photographs=photographs(tmp_path / "none", bank, inversion=False))


def test_a_bank_labelled_again_keeps_its_faces_and_takes_all_new_labels(
    bank: LatentBank, tmp_path: Path
) -> None:
    registry = harness_plugins.registry()
    told: list[tuple[float, str]] = []
    found = relabel_bank(
        registry,
        bank,
        tmp_path / "b",
        labeller="judge",
        labeller_options={"tired": True},
        progress=lambda *now: told.append(now),
    )
    for name in ("fit", "test"):
        assert torch.equal(found.split(name).codes, bank.split(name).codes)
        exact = attributes(bank.split(name).codes)
        wanted = MIDDLE + harness_plugins.JUDGE_GAIN * (exact - MIDDLE)
        assert torch.allclose(found.split(name).attributes, wanted, atol=5e-3)
    assert found.generator == bank.generator
    assert found.sampling == bank.sampling
    assert (found.labeller.name, found.labeller.options) == ("judge", {"tired": True})
    judge = registry.estimator("judge", {"tired": True})
    assert found.labeller.fingerprint == judge.fingerprint
    assert found.hash != bank.hash
    assert [fraction for fraction, _ in told] == pytest.approx(
        [row / 220 for row in (64, 128, 150, 214, 220)]
    )


def test_photographs_keep_all_that_belongs_to_them_when_they_are_labelled_again(
    bank: LatentBank, tmp_path: Path
) -> None:
    given = photographs(tmp_path / "photos", bank)
    found = relabel_bank(harness_plugins.registry(), given, tmp_path / "b", labeller="recorder")
    assert found.splits == ["test"]
    assert found.split("test").attributes[:, 2].tolist() == [1000, 1001, 1002, 1003, 1004]
    assert torch.equal(found.photographs, given.photographs)
    assert found.inversion == given.inversion


def sharded() -> Split:
    rng = torch.Generator().manual_seed(5)
    return Split(
        "w",
        SCHEMA,
        tuple(
            (torch.randn(n, 24, generator=rng), torch.randn(n, A, generator=rng)) for n in (3, 1, 4)
        ),
    )


def test_rows_come_in_the_order_asked_for_from_every_shard() -> None:
    split = sharded()
    every = torch.cat([codes for codes, _ in split.shards])
    values = torch.cat([attributes for _, attributes in split.shards])
    at = torch.tensor([7, 0, 3, 2, 4, 3])
    codes, attributes = split.rows(at)
    assert torch.equal(codes, torch.stack([every[i] for i in at.tolist()]))
    assert torch.equal(attributes, torch.stack([values[i] for i in at.tolist()]))
    assert torch.equal(split.take(at).codes, codes)
    assert len(split.take(at)) == 6
    assert (len(split), split.code_shape) == (8, (24,))


@pytest.mark.parametrize(("size", "sizes"), [(3, [3, 3, 2]), (4, [4, 4]), (8, [8]), (9, [8])])
def test_batches_go_once_over_all_rows(size: int, sizes: list[int]) -> None:
    split = sharded()
    parts = list(split.batches(size))
    assert [len(codes) for codes, _ in parts] == sizes
    assert torch.equal(torch.cat([codes for codes, _ in parts]), split.codes)
    assert torch.equal(torch.cat([values for _, values in parts]), split.attributes)


def test_splits_of_two_spaces_keep_their_own(bank: LatentBank, tmp_path: Path) -> None:
    fit = bank.split("fit").take(torch.arange(4))
    rows = Split("w+", SCHEMA, ((fit.codes[:, None].expand(4, 4, 24), fit.attributes),))
    found = LatentBank.write(
        tmp_path / "b", {"fit": fit, "test": rows}, bank.generator, bank.labeller, bank.sampling
    )
    for opened in (found, LatentBank.open(tmp_path / "b")):
        assert (opened.split("fit").space, opened.split("test").space) == ("w", "w+")
        assert opened.split("test").code_shape == (4, 24)
        assert opened.splits == ["fit", "test"]


@pytest.mark.parametrize("part", ["codes", "labels", "sampling", "generator", "labeller"])
def test_a_hash_depends_on_everything_that_makes_the_faces(
    bank: LatentBank, tmp_path: Path, part: str
) -> None:
    split = bank.split("test").take(torch.arange(3))
    codes, labels = split.codes, split.attributes
    others = {
        "codes": [codes + 1, labels, bank.generator, bank.labeller, {"seed": 0}],
        "labels": [codes, labels + 1, bank.generator, bank.labeller, {"seed": 0}],
        "sampling": [codes, labels, bank.generator, bank.labeller, {"seed": 1}],
        "generator": [codes, labels, bank.labeller, bank.labeller, {"seed": 0}],
        "labeller": [codes, labels, bank.generator, bank.generator, {"seed": 0}],
    }

    def hashed(name: str, codes: Any, labels: Any, *record: Any) -> str:
        splits = {"test": Split("w", SCHEMA, ((codes, labels),))}
        return LatentBank.write(tmp_path / name, splits, *record).hash

    plain = [codes, labels, bank.generator, bank.labeller, {"seed": 0}]
    assert hashed("a", *plain) == hashed("b", *plain)
    assert hashed("a2", *plain) != hashed("c", *others[part])


class Halves(PerceptualLoss):
    """Half of each pixel."""

    fingerprint = "halves"

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1) / 2


def test_errors_of_reconstructions_are_those_of_their_own_photograph() -> None:
    """40 photographs, in more than one batch, each found with a code that is off by a step of its
    own along the first identity score."""
    world, n = ToyGenerator(), 40
    truth = drawn(n, 3, 1.0)
    steps = torch.linspace(0, 2, n)
    codes = truth + steps[:, None] * world.deviations[6] * world.basis[6]
    photos = world.synthesize(truth)
    found = Reconstruction.of(world, codes, "w", photos, truth)
    rows = found.errors(
        world,
        WeightedLoss(((3.0, Halves()),)),
        {"first": Eye(), "last": Eye(EyeOptions(first=4))},
    )
    # One of 192 pixels differs, by steps / 16.
    off = steps.double().numpy() / 16
    wanted = {
        "pixel_error": 127.5 * off / 192,
        "distance": 3 * (off / 2) ** 2,
        "true identity drift": steps.numpy() / 8**0.5,
    }
    for name, values in wanted.items():
        assert [row[name] for row in rows] == pytest.approx(values.tolist(), abs=1e-5), name
    assert rows[0]["psnr"] == 100
    decibels = 10 * np.log10(4 / (off[1:] ** 2 / 192))
    assert [row["psnr"] for row in rows[1:]] == pytest.approx(decibels.tolist(), rel=1e-3)
    before, after = scores(truth)[:, :4].numpy(), scores(codes)[:, :4].numpy()
    cosine = (before * after).sum(1)
    cosine /= np.linalg.norm(before, axis=1) * np.linalg.norm(after, axis=1)
    found_first = [row["identity similarity · first"] for row in rows]
    assert found_first == pytest.approx(cosine.tolist(), abs=1e-4)
    assert [row["identity similarity · last"] for row in rows] == pytest.approx([1] * n, abs=1e-5)
    assert [row["code_error"] for row in rows] == pytest.approx(
        code_error(codes, truth, world).tolist()
    )
    unknown = Reconstruction.of(world, codes, "w", photos).errors(
        world, WeightedLoss(((3.0, Halves()),))
    )
    assert set(unknown[0]) == {"pixel_error", "psnr", "distance"}


def test_a_code_error_of_one_is_the_usual_distance_of_two_faces() -> None:
    """E |a − b|² = 2 Σ σ_j², estimated from a thousand pairs."""
    world = ToyGenerator()
    usual = float((2 * world.deviations.square().sum()).sqrt())
    truth = drawn(3, 4, 1.0)
    codes = truth + torch.tensor([0.0, 1.0, 2.0])[:, None] * usual * world.basis[20]
    assert code_error(codes, truth, world).tolist() == pytest.approx([0, 1, 2], rel=0.03, abs=1e-3)
    rows = truth[:, None].repeat(1, 4, 1)
    rows[:, 2] += 2 * usual * world.basis[3]  # one of four rows: a quarter of its square
    assert code_error(rows, truth, world).tolist() == pytest.approx([1, 1, 1], rel=0.03)


def test_true_codes_are_those_that_the_pictures_names_say(bank: LatentBank) -> None:
    names = ["test-00003.png", "fit-00003.png", "fit-00149.png"]
    found = true_codes(bank, names, ToyGenerator())
    fit, test = bank.split("fit").codes, bank.split("test").codes
    assert torch.equal(found, torch.stack([test[3], fit[3], fit[149]]))
    for name in (
        "fit-00150.png",
        "test-00070.png",
        "test-3.png",
        "test-00003.jpg",
        "xfit-00003.png",
    ):
        with pytest.raises(InputError):
            true_codes(bank, [name], ToyGenerator())
    with pytest.raises(FingerprintMismatch):
        true_codes(bank, names, ToyGenerator(ToyOptions(world_seed=1)))


class Loud(ToyGenerator):
    """Its pictures leave their range."""

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        return 40 * super().synthesize(codes, space)


def test_images_of_codes_are_clipped_to_their_range() -> None:
    codes = drawn(3, 6, 1.0)
    found = Reconstruction.of(Loud(), codes, "w", torch.zeros(3, 3, 8, 8)).images
    age = (attributes(codes)[:, 0] - MIDDLE[0]) / SCALE[0] / 16
    assert float((40 * age).abs().max()) > 1
    assert torch.allclose(found[:, 0, 0, 0], (40 * age).clamp(-1, 1), atol=1e-4)


@pytest.mark.parametrize(("count", "written"), [(2, 2), (None, TEST), (TEST + 1, TEST)])
def test_the_first_images_of_a_split_are_written(
    bank: LatentBank, tmp_path: Path, count: int | None, written: int
) -> None:
    folder = tmp_path / "images"
    assert write_images(PLUGINS, bank, folder, split="test", count=count) == written
    names = sorted(path.name for path in folder.iterdir())
    assert names == [f"test-{i:05d}.png" for i in range(written)]
    images = images_to_bytes(ToyGenerator().synthesize(bank.split("test").codes[1:2]))[0]
    with Image.open(folder / names[1]) as picture:
        assert np.array_equal(np.asarray(picture), images.permute(1, 2, 0).numpy())


def test_no_image_is_refused(bank: LatentBank, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="count is at least 1, received 0"):
        write_images(PLUGINS, bank, tmp_path / "images", count=0)
    assert not (tmp_path / "images").exists()
