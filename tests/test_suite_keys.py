"""The page of all keys of a suite is that of its models, and a new suite runs as it is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from toy import toy_registry

from latentedit import InputError, Registry, UnknownName
from latentedit.benchmark.suite import load_suite, parse_suite
from latentedit.benchmark.suite_keys import SECTIONS, key_page, new_suite
from latentedit.cli.main import cli

ROOT = Path(__file__).parent.parent


def test_the_page_is_what_the_command_writes() -> None:
    printed = CliRunner().invoke(cli, ["bench", "keys"])
    assert printed.exit_code == 0
    assert printed.output == key_page() == (ROOT / "docs" / "suites.md").read_text("utf-8")


@pytest.mark.parametrize("model", SECTIONS, ids=lambda model: model.__name__)
def test_every_key_has_a_meaning(model: type) -> None:
    fields = model.model_fields  # type: ignore[attr-defined]
    assert [name for name, field in fields.items() if not field.description] == []


def test_every_link_of_the_page_leads_to_a_part_of_it() -> None:
    page = key_page()
    parts = {h.lower().replace(" ", "-") for h in re.findall(r"^## (.*)$", page, re.MULTILINE)}
    assert set(re.findall(r"\(#([\w-]+)\)", page)) <= parts


def test_a_new_suite_is_valid_and_so_are_its_defaults_where_the_comments_are_taken_off() -> None:
    text = new_suite(Registry.discover(), "mine", "synthface", ["styleflow"])
    suite = parse_suite(text)
    assert list(suite.editors) == ["styleflow"]
    assert suite.judge != suite.bank.labeller
    keys = re.compile(r"^# (?=[a-z_]+:( |$)|- |  )", re.MULTILINE)
    assert parse_suite(keys.sub("", text)) == suite


def test_a_new_suite_needs_a_generator_with_companions() -> None:
    with pytest.raises(InputError, match="toy recommends no labeller and judge"):
        new_suite(toy_registry(), "mine", "toy")
    with pytest.raises(UnknownName, match="styleflow"):
        new_suite(Registry.discover(), "mine", "synthface", ["styleflo"])


def test_the_command_writes_a_suite_once(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    given = ["bench", "new", "mine", "--editor", "interfacegan", "--out", str(path)]
    first = CliRunner().invoke(cli, given)
    assert first.exit_code == 0, first.output
    assert f"next: latentedit bench run {path} --out runs/mine" in first.output
    assert list(load_suite(str(path)).editors) == ["interfacegan"]
    again = CliRunner().invoke(cli, given)
    assert isinstance(again.exception, InputError)
    assert "--force" in str(again.exception)
