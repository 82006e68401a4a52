"""A run writes only inside its own folder, and removes only what it wrote and recorded there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import toy_editors
from click.testing import CliRunner

from latentedit import CorruptArtefact, EnvironmentFault, InputError, LatentBank
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.results.summary import summarise
from latentedit.benchmark.run import RunOutcome, run_suite
from latentedit.benchmark.suite import Suite
from latentedit.cli.main import cli
from latentedit.files.staging import unfinished_folder
from latentedit.report.page import write_report

SUITE: dict[str, Any] = {
    "name": "toy",
    "bank": {"generator": {"plugin": "toy"}, "labeller": "toy-labeller", "n_fit": 30, "n_test": 6},
    "judge": "toy-judge",
    "identity": ["toy-identity"],
    "editors": {"exact": {"plugin": "exact"}},
    "controls": [],
    "tasks": [{"attribute": "age", "change": 5}],
    "show_images": 1,
}


class Quiet:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.messages: list[str] = []

    def progressed(self, cell_id: str, fraction: float, message: str) -> None:
        self.messages.append(message)

    def finished(self, cell_id: str, status: str, error: str) -> None:
        assert status == "ok", error


def carry_out(folder: Path, quiet: Quiet | None = None, **changes: Any) -> RunOutcome:
    suite = Suite.model_validate(SUITE | changes)
    return run_suite(suite, folder, quiet or Quiet(), registry=toy_editors.registry, workers=1)


def contents(folder: Path) -> dict[str, bytes | str]:
    """Every file and link below `folder`, by path."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "toy"
    carry_out(folder)
    summarise(folder)
    write_report(folder)
    return folder


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    shutil.copytree(finished, tmp_path / "run")
    return tmp_path / "run"


@pytest.mark.parametrize(
    "name",
    ["notes.txt", ".env", ".photos.holidays", ".run.json.backup12", "bank/bank.json", "a/b/c",
     "run.lock", "suite.json", "cells/x/cell.json", ".cells.unfinished.abcdefgh"],
)  # fmt: skip
def test_a_folder_that_holds_anything_and_no_mark_is_refused_untouched(
    tmp_path: Path, name: str
) -> None:
    path = tmp_path / "proj" / name
    path.parent.mkdir(parents=True)
    path.write_text("weeks of work")
    before = contents(tmp_path)
    with pytest.raises(InputError, match=r"is not the folder of a run.*new or empty folder"):
        carry_out(tmp_path / "proj")
    assert contents(tmp_path) == before


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(InputError, match="is a file"):
        carry_out(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    assert not carry_out(tmp_path / "run").failed


def test_a_mark_that_was_begun_and_not_finished_does_not_lock_the_folder_out(
    tmp_path: Path,
) -> None:
    (tmp_path / ".run.json.unfinished.abcd1234").write_text("{")
    RunFolder.claim(tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["run.json"]


def places() -> Iterator[str]:
    yield from ("run.lock", "suite.json", "plan.json", "provenance.json", "results.json")
    yield from ("cells", "bank", "report", "report/index.html", "cells/faces", "set-aside")
    yield from ("cells/faces/arrays.safetensors", "bank/bank.json", "new-name", "cells/new/deep")


@pytest.mark.parametrize("place", list(places()))
@pytest.mark.parametrize("dangling", [False, True])
def test_a_link_anywhere_in_a_run_is_refused_before_anything_is_written(
    run: Path, tmp_path: Path, place: str, dangling: bool
) -> None:
    link, outside = run / place, tmp_path / "outside"
    link.parent.mkdir(parents=True, exist_ok=True)
    if link.is_dir():
        shutil.move(link, outside)
    else:
        outside.write_text("precious")
        link.unlink(missing_ok=True)
    target = tmp_path / "nowhere" if dangling else outside
    link.symlink_to(target)
    before = contents(tmp_path)
    for write in (carry_out, summarise, write_report):
        with pytest.raises(InputError, match="is a symbolic link to"):
            write(run)
    assert contents(tmp_path) == before
    assert not (tmp_path / "nowhere").exists()


def test_a_lock_file_with_a_second_name_is_refused_and_keeps_its_words(
    run: Path, tmp_path: Path
) -> None:
    (tmp_path / "victim").write_text("precious")
    (run / "run.lock").unlink()
    os.link(tmp_path / "victim", run / "run.lock")
    with pytest.raises(InputError, match="not a plain file of its own"):
        carry_out(run)
    assert (tmp_path / "victim").read_text() == "precious"


def test_a_pipe_in_place_of_the_lock_file_is_refused(run: Path) -> None:
    (run / "run.lock").unlink()
    os.mkfifo(run / "run.lock")
    with pytest.raises(InputError, match="not a plain file of its own"):
        carry_out(run)


@pytest.mark.parametrize(
    "name", ["notes.md", ".bashrc.backup_1", ".run.abcdefgh", "cells/.x.abcdefgh", "mine/a.txt",
             "bank/labels.csv", "report/notes.txt", "cells/faces/notes.txt", "cells/mine/a.txt"],
)  # fmt: skip
def test_a_run_that_is_carried_on_keeps_the_files_of_the_user(run: Path, name: str) -> None:
    path = run / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    carry_out(run)
    summarise(run)
    write_report(run)
    assert path.read_text() == "mine"


def test_a_bank_of_other_faces_takes_the_place_of_the_runs_own(run: Path) -> None:
    before = (run / "bank" / "bank.json").read_bytes()
    carry_out(run, bank=SUITE["bank"] | {"seed": 1})
    assert (run / "bank" / "bank.json").read_bytes() != before
    assert not (run / "set-aside").exists()


def test_a_bank_that_was_whole_before_a_stop_is_recorded_as_the_runs_own(
    tmp_path: Path, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(RunFolder, "record_bank", stopped)
        carry_out(tmp_path / "run")
    assert (tmp_path / "run" / "run.json").read_bytes() != (finished / "run.json").read_bytes()
    quiet = Quiet()
    carry_out(tmp_path / "run", quiet)
    assert not any("labelling" in message for message in quiet.messages)
    assert (tmp_path / "run" / "run.json").read_bytes() == (finished / "run.json").read_bytes()


def test_a_recorded_bank_is_not_replaced_by_another_of_the_same_models(
    run: Path, tmp_path: Path
) -> None:
    carry_out(tmp_path / "other", bank=SUITE["bank"] | {"seed": 2})
    before, folder = (run / "run.json").read_bytes(), RunFolder(run)
    folder.own_bank(LatentBank.open(tmp_path / "other" / "bank"), folder.mark().models)
    assert (run / "run.json").read_bytes() == before


@pytest.mark.parametrize("name", ["labels.csv", "deep/er/labels.csv", ".hidden", "fit-00001.csv"])
def test_a_bank_that_holds_a_users_file_is_moved_aside_whole(run: Path, name: str) -> None:
    (run / "bank" / name).parent.mkdir(parents=True, exist_ok=True)
    (run / "bank" / name).write_text("weeks of work")
    before, quiet = contents(run / "bank"), Quiet()
    carry_out(run, quiet, bank=SUITE["bank"] | {"seed": 1})
    assert contents(run / "set-aside" / "bank") == before
    assert any(f"is now {run / 'set-aside' / 'bank'}" in told for told in quiet.messages)
    assert not (run / "bank" / name).exists()


def test_a_bank_that_the_run_did_not_write_is_moved_aside(run: Path, tmp_path: Path) -> None:
    carry_out(tmp_path / "other", bank=SUITE["bank"] | {"seed": 2})
    shutil.rmtree(run / "bank")
    shutil.copytree(tmp_path / "other" / "bank", run / "bank")
    before = contents(run / "bank")
    carry_out(run)
    assert contents(run / "set-aside" / "bank") == before


def test_what_was_moved_aside_is_never_written_over(run: Path) -> None:
    for seed in (1, 2):
        (run / "bank" / "labels.csv").write_text(str(seed))
        carry_out(run, bank=SUITE["bank"] | {"seed": seed})
    kept = [(run / "set-aside" / name / "labels.csv").read_text() for name in ("bank", "bank-2")]
    assert kept == ["1", "2"]


def test_a_cell_that_holds_a_users_file_is_moved_aside_whole(run: Path) -> None:
    cell = run / "cells" / "edit--exact--seed0--age"
    (cell / "notes.txt").write_text("mine")
    before = contents(cell)
    carry_out(run, effects=[0.5])
    assert contents(run / "set-aside" / "cells" / cell.name) == before
    assert not (cell / "notes.txt").exists()


def test_what_killed_writers_left_of_planned_cells_goes_and_what_looks_like_it_stays(
    run: Path,
) -> None:
    cells = run / "cells"
    left = cells / ".faces.unfinished.abcd1234"
    left.mkdir()
    alike = cells / ".holiday.unfinished.abcd1234"
    alike.mkdir()
    (alike / "a.jpg").write_text("mine")
    with unfinished_folder(cells / "edit--exact--seed0--age") as alive:
        carry_out(run)
        assert alive.is_dir()
    assert not left.exists()
    assert (alike / "a.jpg").read_text() == "mine"


@pytest.mark.parametrize("text", ["", "[]", "{}x", '{"format": "other"}', '{"bank": 3}',
                                  '{"bank": null, "more": 1}'])  # fmt: skip
def test_a_broken_mark_is_named(run: Path, text: str) -> None:
    (run / "run.json").write_text(text)
    with pytest.raises(CorruptArtefact, match=r"run\.json"):
        carry_out(run)


def test_a_folder_in_use_is_refused(run: Path) -> None:
    with (
        RunFolder.open(run).locked(),
        pytest.raises(EnvironmentFault, match="is in use by process"),
        RunFolder.open(run).locked(),
    ):
        pass


def test_a_report_is_not_written_into_a_folder_without_mark(run: Path) -> None:
    (run / "run.json").unlink()
    before = contents(run)
    told = CliRunner().invoke(cli, ["bench", "report", str(run)])
    assert told.exit_code != 0
    with pytest.raises(InputError, match=r"has no run\.json"):
        summarise(run)
    assert contents(run) == before
