"""The rules applied to one editor: as verdicts, and as a pytest test."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from latentedit.registry import Registry
from latentedit.testing import rules
from latentedit.testing.case import Case
from latentedit.testing.rules import Broken
from latentedit.testing.surroundings import leaves_environment_and_warnings_alone

Rule = Callable[[Case], None]

NEEDED: tuple[Rule, ...] = (
    rules.is_light_to_list,
    rules.fits_with_what_it_declares,
    rules.edits_soundly,
)
"""Rules without which the others say nothing."""
RULES: tuple[Rule, ...] = (
    *NEEDED,
    rules.refuses_before_it_is_fitted,
    rules.keeps_its_state_while_editing,
    leaves_environment_and_warnings_alone,
    rules.leaves_faces_alone_where_nothing_is_asked,
    rules.treats_faces_one_by_one,
    rules.repeats_itself,
    rules.survives_saving,
    rules.refuses_another_state,
    rules.edits_rows_and_layers,
    rules.refuses_unknown_attributes,
    rules.copes_with_what_never_varies,
    rules.comes_back_if_it_says_so,
    rules.ends_at_the_target_if_it_says_so,
    rules.draws_faces_if_it_says_so,
)


class Verdict(NamedTuple):
    """A rule's name, and what is wrong: "" where it is kept, None where it could not be tried."""

    rule: str
    fault: str | None

    @property
    def kept(self) -> bool:
        return self.fault == ""


def check_editor(
    name: str, options: Mapping[str, Any] | None = None, registry: Registry | None = None
) -> Iterator[Verdict]:
    """Try every rule on the editor `name` in the linear world, one verdict after the other.

    Raises:
        UnknownName: there is no such editor.
        InputError: its options are refused.
    """
    case = Case(registry or Registry.discover(), name, options or {})
    case.new()
    stopped = False
    for rule in RULES:
        if stopped:
            yield Verdict(_title(rule), None)
            continue
        try:
            rule(case)
        except Broken as fault:
            yield Verdict(_title(rule), str(fault))
            stopped = rule in NEEDED[1:]
        except Exception as error:
            yield Verdict(_title(rule), f"raised {type(error).__name__}: {error}")
        else:
            yield Verdict(_title(rule), "")


def editor_contract(
    name: str, options: Mapping[str, Any] | None = None, registry: Registry | None = None
) -> Callable[[Rule], None]:
    """A pytest test of every rule: ``test_contract = editor_contract("my-editor")``.

    Args:
        options: the editor's own, for instance fewer steps of training.
        registry: where the editor is; the installed plugins by default.
    """
    import pytest  # noqa: PLC0415  (commands that check editors work without it)

    cases: list[Case] = []

    @pytest.mark.parametrize("rule", RULES, ids=_title)
    def test(rule: Rule) -> None:
        if not cases:
            cases.append(Case(registry or Registry.discover(), name, options or {}))
        rule(cases[0])

    return test


def _title(rule: Rule) -> str:
    return rule.__name__.replace("_", " ")
