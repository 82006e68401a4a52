"""Records on disk are read strictly: what is wrong is named with file and field."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import alias_free_networks
import pickles
import pytest
import torch
import toy_editors
from file_server import Served, serving
from toy import SCHEMA

import latentedit_stylegan
from latentedit import (
    Attribute,
    AttributeSchema,
    CorruptArtefact,
    LatentBank,
    ModelReference,
    Split,
    fit_editor,
    load_editor,
    make_bank,
    read_json,
    write_json,
)
from latentedit.downloads.cache import fetch
from latentedit.downloads.catalogue import PublishedNetwork
from latentedit_stylegan.importing import import_network

REGISTRY = toy_editors.registry()
INVERSION = {
    "inverter": {"name": "pyramid", "options": {"steps": 3}},
    "losses": [{"name": "pixels", "weight": 1, "fingerprint": "0" * 64}],
    "seed": 0,
    "tuned": None,
    "figures": {"loss": 0.5},
    "photographs": [{"name": "a.png", "crop": "the middle", "pixel_error": 1.5}],
}


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    folder = tmp_path_factory.mktemp("bank") / "B"
    return make_bank(
        REGISTRY, folder, generator="toy", labeller="toy-labeller", n_fit=40, n_test=4, seed=0
    )


@pytest.fixture(scope="module")
def photographs(bank: LatentBank) -> LatentBank:
    return LatentBank.write(
        bank.folder.parent / "P",
        {"test": bank.split("test")},
        bank.generator,
        bank.labeller,
        {"fit": 0, "test": 4},
        inversion=INVERSION,
        files={"photographs": {"images": torch.zeros(4, 3, 8, 8, dtype=torch.uint8)}},
    )


@pytest.fixture(scope="module")
def editor(bank: LatentBank) -> Path:
    folder = bank.folder.parent / "E"
    fit_editor(REGISTRY, "exact", bank).save(folder)
    return folder


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("network")
    file = pickles.write(folder / "n.pkl", pickles.nvidia_pickle(pickles.random_network()))
    return import_network(file, folder / "N").folder


@pytest.fixture(scope="module")
def alias_free(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alias_free")
    small = alias_free_networks.SMALL
    weights = alias_free_networks.random_weights(alias_free_networks.architecture(small))
    file = pickles.write(folder / "n.pkl", alias_free_networks.pickled(small, weights))
    return import_network(file, folder / "N").folder


def build(folder: Path, name: str) -> None:
    registry = toy_editors.registry()
    registry.add(latentedit_stylegan, "stylegan")
    registry.generator(name, {"path": str(folder)})


READERS: dict[str, tuple[str, Callable[[Path], object]]] = {
    "bank": ("bank.json", LatentBank.open),
    "photographs": ("bank.json", LatentBank.open),
    "editor": ("config.json", lambda folder: load_editor(REGISTRY, folder)),
    "network": ("manifest.json", lambda folder: build(folder, "stylegan2")),
    "alias_free": ("manifest.json", lambda folder: build(folder, "stylegan3")),
}
"""By fixture: the record in its folder, and what reads it."""
WRONG = {
    "bank": [
        ("sampling", None),
        ("space", 3),
        ("more", 1),
        ("format", "1"),
        ("generator.fingerprint", 7),
        ("labeller.nme", "x"),
        ("schema.0.kind", "round"),
        ("schema.1.low", "0"),
        ("shards.0.rows", 4.5),
        ("shards.1.sha256", None),
    ],
    "photographs": [
        ("inversion.inverter.name", 1),
        ("inversion.losses.0.weight", "1"),
        ("inversion.seed", None),
        ("inversion.tuned", 1),
        ("inversion.figures.loss", "low"),
        ("inversion.photographs.0.crop", [0]),
        ("inversion.files.photographs", 3),
        ("inversion.more", 1),
    ],
    "editor": [
        ("editor", None),
        ("options", []),
        ("schema.0.high", "9"),
        ("generator.options", None),
        ("bank_hash", 1),
        ("seed", "0"),
        ("figures.fit_seconds", "long"),
        ("sha256", None),
        ("more", 1),
    ],
    "network": [
        ("weights_sha256", 1),
        ("parity.images", "4"),
        ("parity.more", 1),
        ("architecture.z_dim", None),
        ("found", "nothing"),
    ],
    "alias_free": [("format", 2), ("licence", None), ("architecture.resolution", 48)],
}
CASES = [(name, field, value) for name, rows in WRONG.items() for field, value in rows]


def changed(record: Any, field: str, value: object) -> Any:
    """A record with one field, named by a path of dots, set; without it for None."""
    record = copy.deepcopy(record)
    *path, last = field.split(".")
    place = record
    for part in path:
        place = place[int(part)] if isinstance(place, list) else place[part]
    if value is None:
        del place[last]
    else:
        place[last] = value
    return record


@pytest.mark.parametrize(("name", "field", "value"), CASES)
def test_a_wrong_field_is_named_with_its_file(
    name: str, field: str, value: object, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    given = request.getfixturevalue(name)
    source: Path = given.folder if isinstance(given, LatentBank) else given
    file, read = READERS[name]
    read(source)
    for path in source.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    write_json(tmp_path / file, changed(read_json(source / file), field, value))
    place = "architecture" if field == "architecture.resolution" else field
    with pytest.raises(CorruptArtefact) as caught:
        read(tmp_path)
    assert str(caught.value).startswith(f"{tmp_path / file}: {place}")


def test_a_bank_keeps_its_hash_when_numbers_of_its_schema_are_whole(tmp_path: Path) -> None:
    schema = AttributeSchema((Attribute("age", "continuous", 0, 70), *SCHEMA.attributes[1:2]))
    reference = ModelReference("toy", {"correlation": 0, "deep": {"a": [1, 2.0, None]}}, "0" * 64)
    split = Split("w", schema, ((torch.zeros(3, 24), torch.zeros(3, 2)),))
    written = LatentBank.write(
        tmp_path / "B",
        {"fit": split},
        reference,
        reference,
        {"fit": 3, "truncation_psi": 1},
        inversion=INVERSION,
    )
    opened = LatentBank.open(tmp_path / "B")
    assert opened.hash == written.hash
    assert opened.generator == reference
    assert opened.schema == schema


@pytest.mark.parametrize(("field", "value"), [("sha256", None), ("url", 1), ("more", "x")])
def test_a_broken_record_of_a_download_is_named(tmp_path: Path, field: str, value: object) -> None:
    data = b"weights" * 100
    with serving(Served(data)) as served:
        network = PublishedNetwork(
            url=served.url,
            megabytes=1,
            sha256=None,
            licence="none",
            summary="a network",
            importer="none",
        )
        fetched = fetch("n", network, tmp_path)
        assert fetched.sha256 == hashlib.sha256(data).hexdigest()
        record = tmp_path / "n" / "fetched.json"
        write_json(record, changed(json.loads(record.read_text()), field, value))
        with pytest.raises(CorruptArtefact) as caught:
            fetch("n", network, tmp_path)
    assert str(caught.value).startswith(f"{record}: {field}: ")
