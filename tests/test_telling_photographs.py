"""Every figure of a run on photographs is the one that its closed form gives."""

from __future__ import annotations

import numpy as np
import pytest
import telling_oracle as oracle
import telling_world as world
from telling_oracle import RECOGNISERS
from telling_runs import Told, assert_near

from latentedit.data.bank import LatentBank


def test_every_figure_is_that_of_the_reconstructions(telling_photos: Told) -> None:
    rows = telling_photos.results["measures"]
    found = {(m["editor"], m["task"], m["metric"], m["effect"]) for m in rows}
    tables = telling_photos.oracle.tables
    wanted = {key for key, table in tables.items() if not np.isnan(table).all()}
    assert found == wanted | {(a, "all tasks", m, r) for a, _, m, r in wanted}
    for row in rows:
        where = (row["editor"], row["metric"], row["effect"], row["task"])
        faces = telling_photos.oracle.faces_of(*where)
        assert row["faces"] == (~np.isnan(faces)).sum()
        assert (row["seeds"], row["seed_sd"]) == (1, None)
        assert_near(row["mean"], np.nanmean(faces), where)


@pytest.mark.parametrize("name", RECOGNISERS)
def test_similarity_to_the_photo_is_not_that_to_its_reconstruction(
    telling_photos: Told, name: str
) -> None:
    rows = telling_photos.measures(f"identity similarity to the photo · {name}")
    assert len(rows) == 2 * 3 * 2
    for row in rows:
        metric = f"identity similarity · {name}"
        other = telling_photos.measure(row["editor"], row["task"], metric, row["effect"])
        assert abs(row["mean"] - other["mean"]) > 0.002


def test_the_bank_holds_photographs_and_what_was_found_for_them(telling_photos: Told) -> None:
    bank, (shown, found) = LatentBank.open(telling_photos.folder / "bank"), oracle.photographed()
    test, fit = bank.split("test"), bank.split("fit")
    assert (test.space, fit.space) == ("w+", "w")
    assert_near(test.codes, oracle.codes(found))
    assert_near(test.attributes, oracle.labels(found))
    assert_near(fit.codes, oracle.codes(telling_photos.oracle.fit)[:, 0])
    pixels = bank.photographs.flatten(2)
    assert_near(pixels[:, 0, :6], shown[:, :6] / world.SPAN)
    assert_near(pixels[:, 1, :8], shown[:, 6:] / world.SPAN)


def test_embeddings_of_photographs_stand_beside_those_of_reconstructions(
    telling_photos: Told,
) -> None:
    arrays, (shown, found) = telling_photos.arrays("faces"), oracle.photographed()
    for name, people in (
        ("photo_embeddings", shown[:, 6:]),
        ("embeddings", oracle.identity(found)),
    ):
        for embedded, (which, _) in zip(arrays[name], RECOGNISERS.values(), strict=True):
            part = people[:, which]
            unit = part / np.linalg.norm(part, axis=1, keepdims=True)
            assert_near(embedded[:, : part.shape[1]], unit)


def test_the_photographs_section_says_what_inversion_alone_costs(telling_photos: Told) -> None:
    shown, found = oracle.photographed()
    section = telling_photos.results["photographs"]
    gaps = oracle.pixels(found) - shown / world.SPAN
    grey = 127.5 * (np.round(127.5) / 127.5 - 1)  # what a black pixel of the toy world is as a byte
    errors = (127.5 * np.abs(gaps).sum(1) + (3 * 64 - 14) * abs(grey)) / (3 * 64)
    assert_near(section["pixel_error"], errors.mean())
    assert section["tuned"] is False
    assert [entry["name"] for entry in section["identity"]] == list(RECOGNISERS)
    for entry in section["identity"]:
        which, threshold = RECOGNISERS[entry["name"]]
        similarity = oracle.cosine(shown[:, 6:][:, which], oracle.identity(found)[:, which])
        assert_near(entry["similarity"], similarity.mean())
        assert entry["same_person"] == pytest.approx((similarity > threshold).mean())


def test_a_run_on_sampled_faces_has_no_such_section(telling: Told) -> None:
    assert telling.results["photographs"] is None
