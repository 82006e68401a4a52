"""Shells complete commands and names, and messages know what a wrong folder holds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import toy_editors
from in_process import CommandLine

from latentedit.files.folders import seen_in
from latentedit.files.suites import suite_names


@pytest.fixture
def latentedit(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path, toy_editors.registry)


def completed(line: str, folder: Path) -> list[str]:
    """What the shell is offered for the last word of `line`, in a process of its own."""
    words = line.split(" ")
    environment = os.environ | {
        "_LATENTEDIT_COMPLETE": "bash_complete",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    found = subprocess.run(
        [sys.executable, "-m", "latentedit"],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    return [entry.partition(",")[2] for entry in found.stdout.splitlines() if entry]


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("latentedit ben", {"bench"}),
        ("latentedit bench run ", {*suite_names(), "mine.yaml"}),
        ("latentedit fit conditional", {"conditional-mean"}),
        ("latentedit edit --bank B --set a", {"age="}),
        ("latentedit edit --bank B --sweep y", {"yaw="}),
        ("latentedit edit --bank nowhere --set a", set()),
        ("latentedit completion ", {"bash", "fish", "zsh"}),
    ],
)
def test_names_are_completed_from_what_is_there(
    tmp_path: Path, line: str, offered: set[str]
) -> None:
    (tmp_path / "mine.yaml").touch()
    (tmp_path / "B").mkdir()
    schema = [{"name": "age"}, {"name": "yaw"}]
    (tmp_path / "B" / "bank.json").write_text(json.dumps({"schema": schema}))
    assert set(completed(line, tmp_path)) == offered


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_every_shell_has_a_script(latentedit: CommandLine, shell: str) -> None:
    script = latentedit.ok("completion", shell)
    assert f"_LATENTEDIT_COMPLETE={shell}_complete" in script
    assert "latentedit" in script.splitlines()[0] + script.splitlines()[-1]


def test_a_short_option_asks_for_help_at_every_level(latentedit: CommandLine) -> None:
    for command in ((), ("bench",), ("bench", "run"), ("edit",)):
        assert latentedit.ok(*command, "-h") == latentedit.ok(*command, "--help")


def test_a_folder_says_what_it_holds(tmp_path: Path) -> None:
    assert seen_in(tmp_path) == ""
    for name, files, said in (
        ("bank", ["bank.json"], "It is a bank"),
        ("editor", ["config.json", "model.safetensors"], "It is a fitted editor"),
        ("run", ["suite.json", "cells/plan.json"], "It is a run; its bank is "),
    ):
        for file in files:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / file).touch()
        assert seen_in(tmp_path / name).strip().startswith(said)


def test_a_command_that_is_given_the_wrong_folder_says_what_it_is(latentedit: CommandLine) -> None:
    folder = latentedit.folder / "run"
    (folder / "cells").mkdir(parents=True)
    (folder / "suite.json").touch()
    (latentedit.folder / "bank").mkdir()
    (latentedit.folder / "bank" / "bank.json").touch()
    told = latentedit.refused("bank", "show", "run")
    assert "run is not a bank: it has no bank.json. It is a run; its bank is run/bank" in told
    told = latentedit.refused("bench", "status", "bank")
    assert "bank is not a run: it has no suite.json. It is a bank" in told
    edit = ("edit", "--editor", "run", "--bank", "bank", "--set", "age=3", "--out", "x.png")
    (latentedit.folder / "bank" / "bank.json").unlink()
    assert "bank is not a bank" in latentedit.refused(*edit)
