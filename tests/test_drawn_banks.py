"""Banks that keep only the seeds of the images to edit."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import toy_editors
from in_process import CommandLine
from test_benchmark import SUITE, Silent
from toy import toy_registry

from latentedit import (
    CorruptArtefact,
    FingerprintMismatch,
    InputError,
    LatentBank,
    SuiteError,
    make_bank,
)
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.summary import results_of
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import Suite
from latentedit.data.bank import SHARD_ROWS
from latentedit.sampling.drawing import draw_bank, drawable

N = SHARD_ROWS + 70


def make(folder: Path, **changes: Any) -> LatentBank:
    given = {"generator": "toy", "labeller": "toy-labeller", "n_fit": 50, "n_test": N, "seed": 3}
    return make_bank(toy_registry(), folder, **given | changes)


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> tuple[LatentBank, LatentBank]:
    """A bank with all its images, and one with the seeds of those to edit."""
    place = tmp_path_factory.mktemp("banks")
    return make(place / "stored"), make(place / "seeds", unstored=True)


def test_a_shard_that_is_drawn_again_is_the_one_that_was_stored(
    both: tuple[LatentBank, LatentBank],
) -> None:
    stored, seeds = both
    assert sorted(path.name for path in seeds.folder.iterdir()) == [
        "bank.json",
        "fit-00000.safetensors",
    ]
    seeds.verify()
    drawn = drawable(LatentBank.open(seeds.folder), toy_registry())
    assert (len(drawn), drawn.hash) == (50 + N, seeds.hash)
    for name in ("fit", "test"):
        assert drawn.split(name).codes.equal(stored.split(name).codes)
        assert drawn.split(name).attributes.equal(stored.split(name).attributes)
    rows = range(SHARD_ROWS - 5, SHARD_ROWS + 9)
    part = drawn.with_test(rows).split("test")
    assert part.codes.equal(stored.split("test").codes[rows.start : rows.stop])
    assert stored.with_test(rows).split("test").codes.equal(part.codes)


def test_without_the_models_the_error_says_how_to_draw(
    both: tuple[LatentBank, LatentBank],
) -> None:
    with pytest.raises(InputError, match="latentedit bank draw"):
        both[1].split("test")
    other = replace(both[1], labeller=replace(both[1].labeller, fingerprint="0" * 64))
    with pytest.raises(FingerprintMismatch, match="labeller"):
        drawable(other, toy_registry()).split("test")


def test_the_record_alone_gives_the_whole_bank(
    both: tuple[LatentBank, LatentBank], tmp_path: Path
) -> None:
    stored, seeds = both
    (tmp_path / "record").mkdir()
    (tmp_path / "record" / "bank.json").write_bytes((seeds.folder / "bank.json").read_bytes())
    said = CommandLine(tmp_path, toy_registry).ok("bank", "draw", "record", "--out", "whole")
    assert stored.hash in said
    assert LatentBank.open(tmp_path / "whole").hash == stored.hash
    imported = replace(stored, sampling={})
    with pytest.raises(InputError, match="was not sampled"):
        draw_bank(toy_registry(), imported, tmp_path / "never")


def test_a_shard_has_a_file_or_a_seed(both: tuple[LatentBank, LatentBank], tmp_path: Path) -> None:
    record = json.loads((both[1].folder / "bank.json").read_text())
    for wrong in ({"split": "test", "rows": 5}, record["shards"][0] | {"seed": 1}):
        (tmp_path / "bank.json").write_text(json.dumps(record | {"shards": [wrong]}))
        with pytest.raises(CorruptArtefact, match="a file and its sha256, or else a seed"):
            LatentBank.open(tmp_path)


def test_a_run_of_seeds_has_the_figures_of_stored_images(tmp_path: Path) -> None:
    found = []
    for name, unstored in (("stored", False), ("seeds", True)):
        bank = SUITE["bank"] | ({"unstored": True} if unstored else {})
        suite = Suite.model_validate(
            SUITE
            | {"bank": bank, "shard": 20, "sequences": [], "controls": []}
            | {"editors": {"leaky": {"plugin": "leaky"}}, "tasks": SUITE["tasks"][:1]}
        )
        outcome = run_suite(
            suite, tmp_path / name, Silent(), registry=toy_editors.registry, workers=2
        )
        assert [record.error for record in outcome.failed] == []
        again = run_suite(
            suite, tmp_path / name, Silent(), registry=toy_editors.registry, workers=2
        )
        assert again.computed == 0
        found.append(results_of(Run(tmp_path / name)))
    assert not list((tmp_path / "seeds").rglob("test-*"))
    assert found[0].measures == found[1].measures
    assert found[0].estimators == found[1].estimators


def test_seeds_without_shards_are_refused(tmp_path: Path) -> None:
    suite = Suite.model_validate(SUITE | {"bank": SUITE["bank"] | {"unstored": True}})
    with pytest.raises(SuiteError, match="add `shard: 8192`"):
        run_suite(suite, tmp_path / "run", Silent(), registry=toy_editors.registry)
