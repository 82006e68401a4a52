"""The one reader of YAML: plain data, decimal numbers, and no cost beyond the text."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from latentedit import CorruptArtefact, InputError, SuiteError, read_yaml_file
from latentedit.benchmark.suite import load_suite, parse_suite
from latentedit.cli.fit import parse_pairs
from latentedit.files.strict_yaml import read_yaml

REFUSED = [
    ("a: !!int abc", "tags are not allowed"),
    ("a: !!bool xyz", "tags are not allowed"),
    ("a: !!timestamp x", "tags are not allowed"),
    ("a: !!map [a]", "tags are not allowed"),
    ("a: !!binary aGk=", "tags are not allowed"),
    ("a: !mine 1", "tags are not allowed"),
    ("a: ! 1", "tags are not allowed"),
    ("!!str a: 1", "tags are not allowed"),
    ("a: &x 1\nb: *x", "aliases are not allowed"),
    ("<<: {a: 1}", "merge keys"),
    ("a: 1\na: 2", "key 'a' occurs twice"),
    ("a: {b: 1, 'b': 2}", "key 'b' occurs twice"),
    ("1: 2", "key '1' is not text"),
    ("[a]: 2", "is not text"),
    ("~: 2", "is not text"),
    ("a: 1e999", "too large a number"),
    ("a: " + "9" * 5_000, "more than 30 characters"),
    ('a: "\\U00110000"', "is not YAML that is read"),
    ("a: \x00", "is not YAML that is read"),
    ("a: [", "is not YAML that is read"),
    ("--- 1\n--- 2", "is not YAML that is read"),
    ("[" * 60_000, "more than 32 levels"),
    ("a: " + "x" * 65_536, "more than 65,536 bytes"),
    ("a: " + "é" * 40_000, "more than 65,536 bytes"),
]


@pytest.mark.parametrize(("text", "told"), REFUSED)
def test_what_is_no_plain_data_is_refused_by_every_reader(
    tmp_path: Path, text: str, told: str
) -> None:
    with pytest.raises(CorruptArtefact, match=told):
        read_yaml(text, "it")
    with pytest.raises(SuiteError, match=told):
        parse_suite(text)
    with pytest.raises(InputError, match=told):
        parse_pairs((f"option={text}",))
    path = tmp_path / "a.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError):
        read_yaml_file(path)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("040", 40),
        ("-7", -7),
        ("+7", 7),
        ("5e1", 50.0),
        ("6E+0", 6.0),
        (".5", 0.5),
        ("5.", 5.0),
        ("1e-3", 0.001),
        ("true", True),
        ("False", False),
        ("~", None),
        ("", None),
        ("yes", "yes"),
        ("off", "off"),
        ("1_000", "1_000"),
        ("0x20", "0x20"),
        ("0b_", "0b_"),
        ("0:45", "0:45"),
        ("2001-99-99", "2001-99-99"),
        ("2001-01-01", "2001-01-01"),
        ("=", "="),
        ("'5'", "5"),
        ("[1, 2.5, a]", [1, 2.5, "a"]),
        ("{a: {b: 010}}", {"a": {"b": 10}}),
    ],
)
def test_plain_values_are_those_of_the_core_schema(text: str, value: Any) -> None:
    found = read_yaml(text, "it")
    assert found == value
    assert type(found) is type(value)


def test_a_float_without_limits_is_told_by_its_sign() -> None:
    assert read_yaml("[-.inf, .INF]", "it") == [float("-inf"), float("inf")]
    assert read_yaml(".nan", "it") != read_yaml(".nan", "it")


def test_thirty_two_levels_are_read_and_one_more_is_not() -> None:
    assert read_yaml("[" * 32 + "]" * 32, "it")
    with pytest.raises(CorruptArtefact, match="more than 32 levels"):
        read_yaml("[" * 33 + "]" * 33, "it")


def test_numbers_are_keys_only_where_they_are_asked_for() -> None:
    assert read_yaml("{0: a, 0.5: b}", "it", number_keys=True) == {0: "a", 0.5: "b"}
    with pytest.raises(CorruptArtefact, match="occurs twice"):
        read_yaml("{1: a, 1.0: b}", "it", number_keys=True)
    with pytest.raises(CorruptArtefact, match="is not text"):
        read_yaml("{true: a}", "it", number_keys=True)


def test_only_regular_files_of_a_page_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for path in (tmp_path / "pipe.yaml", Path("/dev/zero")):
        with pytest.raises(InputError, match="a pipe, a socket or a device"):
            read_yaml_file(path)
    with pytest.raises(InputError, match="a pipe, a socket or a device"):
        load_suite(str(tmp_path / "pipe.yaml"))
    (tmp_path / "a.yaml").write_bytes(b"a: \xff")
    with pytest.raises(CorruptArtefact, match="is not YAML"):
        read_yaml_file(tmp_path / "a.yaml")
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbfa: 1")
    assert read_yaml_file(tmp_path / "a.yaml") == {"a": 1}


def test_an_option_that_is_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="steps is given twice"):
        parse_pairs(("steps=1", "steps=2"))
