"""Tasks that cannot be carried out are refused before anything is computed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import toy_editors
from harness_plugins import Silent

from latentedit import InputError, SuiteError
from latentedit.benchmark.run import run_suite
from latentedit.benchmark.suite import parse_suite

TEXT = """
name: t
bank: {{generator: {{plugin: toy}}, labeller: toy-labeller, n_fit: 20, n_test: 4}}
judge: toy-judge
identity: [toy-identity]
editors: {{a: {{plugin: exact}}}}
controls: []
tasks: [{task}]
"""


@pytest.mark.parametrize("layers", ['"0,1"', '"0..3"', '"3"', '""', "[]", '" a"'])
def test_layers_as_text_are_refused_by_the_suite(layers: str) -> None:
    with pytest.raises(SuiteError, match="layers"):
        parse_suite(TEXT.format(task=f"{{attribute: age, change: 5, layers: {layers}}}"))


@pytest.mark.parametrize(
    ("task", "told"),
    [
        ("{attribute: age, change: 5, layers: [0, 99]}", "go from 0 to 3, received 99"),
        ("{attribute: age, change: 5, layers: [-1]}", "go from 0 to 3, received -1"),
        ("{attribute: age, change: 5, layers: midle}", "did you mean 'middle'"),
        ("{attribute: age, change: 5, layers: other}", "for 18 rows of W"),
        ("{attribute: yaw, change: 5, layers: middle}", "unknown attribute of the layer preset"),
        ("{attribute: agee, change: 5}", "did you mean 'age'"),
        ("{attribute: age, change: 5, among: {yaww: [0, 1]}}", "did you mean 'yaw'"),
    ],
)
def test_nothing_is_computed_for_a_task_that_cannot_be(
    tmp_path: Path, task: str, told: str
) -> None:
    suite: Any = parse_suite(TEXT.format(task=task))
    with pytest.raises(InputError, match=told):
        run_suite(suite, tmp_path / "R", Silent(), registry=toy_editors.registry)
    assert not (tmp_path / "R").exists()
