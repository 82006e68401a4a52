"""Every YAML file that docs/faces.md shows is one that the plugin takes."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from latentedit.benchmark.suite import parse_suite
from latentedit_faces.combined import CombinedOptions
from latentedit_faces.onnx_contract import OnnxContract
from latentedit_faces.prompts import Prompted

DOCUMENT = Path(__file__).parent.parent / "docs" / "faces.md"
BLOCKS = re.findall(r"```yaml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)


def found(key: str) -> list[tuple[str, Any]]:
    """Blocks whose first key is `key`."""
    return [(text, yaml.safe_load(text)) for text in BLOCKS if text.startswith(f"{key}:")]


def test_contracts_are_valid_and_show_every_meaning_but_features() -> None:
    contracts = [OnnxContract.model_validate(data) for _, data in found("model")]
    meanings = {contract.output.meaning for contract in contracts}
    assert meanings == {"embedding", "attributes", "landmarks"}


def test_prompts_are_valid() -> None:
    (text,) = [text for text in BLOCKS if text.startswith("- name:")]
    prompts = [Prompted.model_validate(row) for row in yaml.safe_load(text)]
    assert [prompt.values for prompt in prompts] == [(0, 1), (5, 30, 50, 80)]


def test_the_suite_and_the_parts_are_valid() -> None:
    ((text, _),) = found("name")
    assert [str(use) for use in parse_suite(text).identity] == ["arcface", "faces-dlib-identity"]
    ((_, parts),) = found("parts")
    assert len(CombinedOptions.model_validate(parts).parts) == 3


def test_no_block_is_left_out() -> None:
    assert len(BLOCKS) == len(found("model")) + 3
