"""An editor that was pushed to a hub is loaded from there as it was, and edits the same."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from toy import toy_registry

import latentedit_hub
import latentedit_linear
from latentedit import (
    CorruptArtefact,
    EnvironmentFault,
    FittedEditor,
    InputError,
    LatentBank,
    Registry,
    UnknownName,
    fit_editor,
    load_editor,
    make_bank,
    push_editor,
)

FILES = ["README.md", "config.json", "model.safetensors"]


@pytest.fixture(scope="module")
def registry() -> Registry:
    return toy_registry(latentedit_linear, latentedit_hub)


@pytest.fixture(scope="module")
def folder(registry: Registry, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("sharing")
    models = {"generator": "toy", "labeller": "toy-labeller"}
    bank = make_bank(registry, place / "bank", **models, n_fit=60, n_test=2)
    fit_editor(registry, "conditional-mean", bank).save(place / "editor")
    (place / "editor" / "notes.txt").write_text("mine alone")
    return place / "editor"


def same(one: FittedEditor, other: FittedEditor) -> bool:
    """Whether two editors have one name, one bank and equal tensors."""
    states = one.editor.state(), other.editor.state()
    equal = all(torch.equal(states[0][name], states[1][name]) for name in states[1])
    return equal and (one.name, one.bank_hash) == (other.name, other.bank_hash)


def test_a_folder_as_a_hub_gives_back_what_was_pushed(
    registry: Registry, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTEDIT_HUB", str(tmp_path / "hub"))
    place = Path(push_editor(registry, folder, "shared-folder:lab/mean"))
    assert place.parent == tmp_path / "hub" / "lab" / "mean"
    assert sorted(path.name for path in place.iterdir()) == FILES
    assert same(load_editor(registry, "shared-folder:lab/mean"), load_editor(registry, folder))
    assert push_editor(registry, folder, "shared-folder:lab/mean") == str(place)


def test_the_newest_revision_is_loaded_unless_one_is_named(
    registry: Registry, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTEDIT_HUB", str(tmp_path / "hub"))
    bank = LatentBank.open(folder.parent / "bank")
    other = fit_editor(registry, "conditional-mean", bank, seed=7)
    other.save(tmp_path / "other")
    first = Path(push_editor(registry, folder, "shared-folder:lab/mean"))
    second = Path(push_editor(registry, tmp_path / "other", "shared-folder:lab/mean"))
    os.utime(first, (1, 1))
    assert load_editor(registry, "shared-folder:lab/mean").seed == 7
    assert load_editor(registry, f"shared-folder:lab/mean@{first.name}").seed == 0
    with pytest.raises(InputError, match=f"no revision beef.*{second.name}"):
        load_editor(registry, "shared-folder:lab/mean@beef")
    with pytest.raises(InputError, match="it has none"):
        load_editor(registry, "shared-folder:lab/median")
    with pytest.raises(InputError, match="a name is OWNER/NAME"):
        push_editor(registry, folder, "shared-folder:../mean")


def test_a_broken_editor_is_not_pushed_and_a_changed_one_is_not_loaded(
    registry: Registry, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LATENTEDIT_HUB", str(tmp_path / "hub"))
    place = Path(push_editor(registry, folder, "shared-folder:lab/mean"))
    for where in (place, shutil.copytree(folder, tmp_path / "broken")):
        data = bytearray((where / "model.safetensors").read_bytes())
        data[-1] ^= 1
        (where / "model.safetensors").write_bytes(bytes(data))
    with pytest.raises(CorruptArtefact):
        load_editor(registry, "shared-folder:lab/mean")
    with pytest.raises(CorruptArtefact):
        push_editor(registry, tmp_path / "broken", "shared-folder:lab/other")
    assert not (tmp_path / "hub" / "lab" / "other").exists()


def test_places_that_are_none_are_refused(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LATENTEDIT_HUB", raising=False)
    with pytest.raises(EnvironmentFault, match="set LATENTEDIT_HUB"):
        push_editor(registry, folder, "shared-folder:lab/mean")
    with pytest.raises(UnknownName, match="did you mean 'shared-folder'"):
        push_editor(registry, folder, "shared-folders:lab/mean")
    for where in ("shared-folder", "shared-folder:", "shared-folder:lab/mean@v2"):
        with pytest.raises(InputError, match="pushed to HUB:NAME"):
            push_editor(registry, folder, where)
    with pytest.raises(InputError, match="is not a fitted editor"):
        load_editor(registry, "nobody:lab/mean")


def test_a_copy_in_the_cache_of_the_hubs_client_is_loaded_without_a_network(
    registry: Registry, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's own layout, its own code, offline."""
    constants = pytest.importorskip(
        "huggingface_hub.constants", reason="huggingface_hub is not installed"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    commit, repository = "0123456789" * 4, tmp_path / "models--lab--mean"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots" / commit).mkdir(parents=True)
    for file in FILES:
        shutil.copyfile(folder / file, repository / "snapshots" / commit / file)
    for where in ("huggingface:lab/mean", f"huggingface:lab/mean@{commit}"):
        assert same(load_editor(registry, where), load_editor(registry, folder))
    with pytest.raises(EnvironmentFault, match="could not fetch lab/median"):
        load_editor(registry, "huggingface:lab/median")
    with pytest.raises(InputError, match="lab//mean"):
        load_editor(registry, "huggingface:lab//mean")


def test_the_client_of_the_hub_gets_the_record_the_tensors_and_the_card_alone(
    registry: Registry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = pytest.importorskip("huggingface_hub", reason="huggingface_hub is not installed")
    calls: list[tuple[str, Any]] = []
    api = SimpleNamespace(
        create_repo=lambda name, **options: calls.append((name, options)),
        upload_folder=lambda **given: calls.append(("upload", given)),
    )
    monkeypatch.setattr(hub, "HfApi", lambda: api)
    assert push_editor(registry, folder, "huggingface:lab/mean") == "huggingface:lab/mean"
    (name, options), (_, given) = calls
    assert (name, options["private"]) == ("lab/mean", True)
    assert sorted(given["allow_patterns"]) == FILES
    assert (given["repo_id"], given["folder_path"]) == ("lab/mean", str(folder))

    def refuse(name: str, **options: Any) -> None:
        raise OSError("401 Client Error")

    monkeypatch.setattr(api, "create_repo", refuse)
    with pytest.raises(EnvironmentFault, match=r"401 Client Error\. Check the name"):
        push_editor(registry, folder, "huggingface:lab/mean")
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(EnvironmentFault, match=r"latentedit\[hub\]"):
        push_editor(registry, folder, "huggingface:lab/mean")
