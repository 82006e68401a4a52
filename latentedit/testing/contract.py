"""All rules for one plugin: as verdicts, and as a test for pytest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from latentedit.registry import Registry
from latentedit.testing import generator_rules, model_rules, rules
from latentedit.testing.case import Case
from latentedit.testing.counterfactual_rule import changes_one_attribute_if_it_says_so
from latentedit.testing.generator_case import GeneratorCase
from latentedit.testing.model_case import PIXELS, MetricCase, ModelCase
from latentedit.testing.rules import Broken
from latentedit.testing.seed_rule import needs_no_seed_if_it_says_so
from latentedit.testing.surroundings import leaves_environment_and_warnings_alone

Rule = Callable[[Case], None]
GeneratorRule = Callable[[GeneratorCase], None]
Options = Mapping[str, Any]
ModelRule = Callable[[ModelCase], None]
MetricRule = Callable[[MetricCase], None]
Tried = TypeVar("Tried", Case, GeneratorCase, ModelCase, MetricCase)

RULES: tuple[Rule, ...] = (
    rules.is_light_to_list,
    rules.fits_with_what_it_declares,
    rules.edits_soundly,
    rules.refuses_before_it_is_fitted,
    rules.keeps_its_state_while_editing,
    leaves_environment_and_warnings_alone,
    rules.leaves_codes_alone_where_nothing_is_asked,
    rules.treats_codes_one_by_one,
    rules.repeats_itself,
    rules.survives_saving,
    rules.refuses_another_state,
    rules.edits_rows_and_layers,
    rules.refuses_unknown_attributes,
    rules.copes_with_what_never_varies,
    rules.comes_back_if_it_says_so,
    rules.ends_at_the_target_if_it_says_so,
    needs_no_seed_if_it_says_so,
    rules.draws_codes_if_it_says_so,
)
GENERATOR_RULES: tuple[GeneratorRule, ...] = (
    rules.is_light_to_list,
    generator_rules.says_what_it_has,
    generator_rules.draws_codes_by_seed,
    generator_rules.converts_to_codes_of_the_other_space,
    generator_rules.makes_images,
    generator_rules.makes_one_image_of_a_code_in_every_space,
    generator_rules.refuses_what_it_does_not_know,
    generator_rules.changes_nothing_around_it,
    generator_rules.treats_codes_one_by_one,
    generator_rules.is_named_by_its_fingerprint,
    generator_rules.lets_gradients_through,
    generator_rules.knows_the_truth_if_it_says_so,
    changes_one_attribute_if_it_says_so,
    generator_rules.assigns_styles_to_rows_if_it_has_any,
)
ESTIMATOR_RULES: tuple[ModelRule, ...] = (
    rules.is_light_to_list,
    model_rules.says_what_it_reads,
    model_rules.reads_images,
    model_rules.describes_images_by_features,
    model_rules.changes_nothing_around_it,
    model_rules.treats_images_one_by_one,
    model_rules.is_named_by_its_fingerprint,
)
IDENTITY_RULES: tuple[ModelRule, ...] = (
    rules.is_light_to_list,
    model_rules.says_who_counts_as_one_person,
    model_rules.reads_images,
    model_rules.returns_unit_vectors,
    model_rules.changes_nothing_around_it,
    model_rules.treats_images_one_by_one,
    model_rules.is_named_by_its_fingerprint,
)
METRIC_RULES: tuple[MetricRule, ...] = (
    rules.is_light_to_list,
    model_rules.says_what_it_measures,
    model_rules.measures_edits,
    model_rules.measures_images_one_by_one,
    model_rules.is_named_by_its_fingerprint,
)
NEEDED = frozenset(
    {
        rules.fits_with_what_it_declares,
        rules.edits_soundly,
        generator_rules.says_what_it_has,
        generator_rules.draws_codes_by_seed,
        generator_rules.converts_to_codes_of_the_other_space,
        generator_rules.makes_images,
        model_rules.says_what_it_reads,
        model_rules.says_who_counts_as_one_person,
        model_rules.reads_images,
        model_rules.says_what_it_measures,
        model_rules.measures_edits,
    }
)
"""Rules without which those after them say nothing."""


class Verdict(NamedTuple):
    """A rule's name, and what is wrong: "" where it is kept, None where it could not be tried."""

    rule: str
    fault: str | None

    @property
    def kept(self) -> bool:
        return self.fault == ""


def check_editor(
    name: str, options: Options | None = None, registry: Registry | None = None
) -> Iterator[Verdict]:
    """Try every rule on the editor `name` in the linear world, one verdict after the other.

    Raises:
        UnknownName: there is no such editor.
        InputError: its options are refused.
    """
    case = Case(registry or Registry.discover(), name, options or {})
    case.new()
    yield from _verdicts(RULES, case)


def check_generator(
    name: str,
    options: Options | None = None,
    registry: Registry | None = None,
    other: Options | None = None,
) -> Iterator[Verdict]:
    """Try every rule on the generator `name`, one verdict after the other.

    Args:
        other: options with which it makes other images; its fingerprint must differ.

    Raises:
        UnknownName: there is no such generator.
        InputError: its options are refused.
    """
    case = GeneratorCase(registry or Registry.discover(), name, options or {}, other)
    case.new()
    yield from _verdicts(GENERATOR_RULES, case)


def check_estimator(
    name: str,
    options: Options | None = None,
    registry: Registry | None = None,
    other: Options | None = None,
    size: tuple[int, int] = (PIXELS, PIXELS),
) -> Iterator[Verdict]:
    """Try every rule on the estimator `name`; see `check_generator`.

    Args:
        size: height and width of the images that it is shown.
    """
    case = ModelCase(registry or Registry.discover(), "estimator", name, options or {}, other, size)
    case.new()
    yield from _verdicts(ESTIMATOR_RULES, case)


def check_identity(
    name: str,
    options: Options | None = None,
    registry: Registry | None = None,
    other: Options | None = None,
    size: tuple[int, int] = (PIXELS, PIXELS),
) -> Iterator[Verdict]:
    """Try every rule on the identity encoder `name`; see `check_estimator`."""
    case = ModelCase(registry or Registry.discover(), "identity", name, options or {}, other, size)
    case.new()
    yield from _verdicts(IDENTITY_RULES, case)


def check_metric(
    name: str,
    options: Options | None = None,
    registry: Registry | None = None,
    other: Options | None = None,
) -> Iterator[Verdict]:
    """Try every rule on the metric `name` with edits of the linear world; see `check_generator`."""
    case = MetricCase(registry or Registry.discover(), name, options or {}, other)
    case.new()
    yield from _verdicts(METRIC_RULES, case)


def _verdicts(tried: Sequence[Callable[[Tried], None]], case: Tried) -> Iterator[Verdict]:
    stopped = False
    for rule in tried:
        if stopped:
            yield Verdict(_title(rule), None)
            continue
        try:
            rule(case)
        except Broken as fault:
            yield Verdict(_title(rule), str(fault))
            stopped = rule in NEEDED
        except Exception as error:
            yield Verdict(_title(rule), f"raised {type(error).__name__}: {error}")
        else:
            yield Verdict(_title(rule), "")


def editor_contract(
    name: str, options: Options | None = None, registry: Registry | None = None
) -> Callable[[Rule], None]:
    """A pytest test of every rule: ``test_contract = editor_contract("my-editor")``.

    Args:
        options: the editor's own, for instance fewer steps of training.
        registry: where the editor is; the installed plugins by default.
    """
    return _test_of(RULES, lambda: Case(registry or Registry.discover(), name, options or {}))


def generator_contract(
    name: str,
    options: Options | Callable[[], Options] | None = None,
    registry: Registry | None = None,
    other: Options | Callable[[], Options] | None = None,
) -> Callable[[GeneratorRule], None]:
    """A pytest test of every rule: ``test_contract = generator_contract("my-generator")``.

    Args:
        options: the generator's own, or what returns them when the first rule is tried, for
            instance once a small network was written.
        registry: where the generator is; the installed plugins by default.
        other: options with which it makes other images; its fingerprint must differ.
    """

    def case() -> GeneratorCase:
        own, others = (value() if callable(value) else value for value in (options, other))
        return GeneratorCase(registry or Registry.discover(), name, own or {}, others)

    return _test_of(GENERATOR_RULES, case)


def estimator_contract(
    name: str,
    options: Options | None = None,
    registry: Registry | None = None,
    other: Options | None = None,
    size: tuple[int, int] = (PIXELS, PIXELS),
) -> Callable[[ModelRule], None]:
    """A pytest test of every rule: ``test_contract = estimator_contract("my-estimator")``.

    Args:
        other: options with which it returns other values; its fingerprint must differ.
        size: height and width of the images that it is shown.
    """
    of = (options or {}, other, size)
    return _test_of(
        ESTIMATOR_RULES,
        lambda: ModelCase(registry or Registry.discover(), "estimator", name, *of),
    )


def identity_contract(
    name: str,
    options: Options | None = None,
    registry: Registry | None = None,
    other: Options | None = None,
    size: tuple[int, int] = (PIXELS, PIXELS),
) -> Callable[[ModelRule], None]:
    """A pytest test of every rule of an identity encoder; see `estimator_contract`."""
    of = (options or {}, other, size)
    return _test_of(
        IDENTITY_RULES, lambda: ModelCase(registry or Registry.discover(), "identity", name, *of)
    )


def metric_contract(
    name: str,
    options: Options | None = None,
    registry: Registry | None = None,
    other: Options | None = None,
) -> Callable[[MetricRule], None]:
    """A pytest test of every rule of a metric; see `estimator_contract`."""
    of = (options or {}, other)
    return _test_of(METRIC_RULES, lambda: MetricCase(registry or Registry.discover(), name, *of))


def _test_of(
    tried: Sequence[Callable[[Tried], None]], make: Callable[[], Tried]
) -> Callable[[Callable[[Tried], None]], None]:
    """A pytest test of each rule; the case is made once, when the first one is tried."""
    import pytest  # noqa: PLC0415  (commands that check plugins work without it)

    cases: list[Tried] = []

    @pytest.mark.parametrize("rule", tried, ids=_title)
    def test(rule: Callable[[Tried], None]) -> None:
        if not cases:
            cases.append(make())
        rule(cases[0])

    return test


def _title(rule: Callable[..., None]) -> str:
    return rule.__name__.replace("_", " ")
