"""A suite: the whole protocol of a comparison as YAML, strictly validated."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    AliasChoices,
    BaseModel,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from latentedit.benchmark.bank_plan import BankPlan
from latentedit.benchmark.plugin_use import ModelUse, PluginUse, SuitePart
from latentedit.benchmark.statistics_plan import StatisticsPlan
from latentedit.benchmark.suite_parts import Limits, Sequence, Tune
from latentedit.benchmark.task import Task
from latentedit.errors import CorruptArtefact, SuiteError, UnknownName, nearest
from latentedit.files.regular import read_bytes
from latentedit.files.remote import url_of
from latentedit.files.suites import find_suite
from latentedit.interfaces.runtime import SEEDS
from latentedit.measures.definitions import METRICS

SUITE_FILE = "suite.json"
"""Of a run: the suite that it computes."""

STRENGTHS = (0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Multiples of a requested change that are tried if a suite names no others."""


class Suite(SuitePart):
    """Everything that decides what a run computes.

    Where `controls` is None, a run has every control that is installed when it starts.

    With a `strength_limit`, an image that misses an effect at the largest of `strengths` is edited
    at twice that strength, and so on up to the limit, until the effect attains or stops growing.
    With `only_possible`, an image takes part in a task only where the largest effect is attained by
    the same image with nothing else changed; see `possible_images`.
    With `keep_codes`, cells keep edited codes, so that another judge can score them without the
    editor; in half precision, or as they are with ``"float32"``. With `keep_images` they keep the
    pictures too, as bytes, so that nothing is rendered again.
    """

    OPTIONAL: ClassVar[tuple[str, ...]] = (
        "metrics", "focus", "baseline", "keep_images", "device", "shard",
    )  # fmt: skip

    name: str = Field(description="name of the suite, for reports")
    summary: str = Field(default="", description="one line about it")
    bank: BankPlan = Field(description="which images are edited")
    judge: ModelUse = Field(
        description="estimator that judges edits; another one than the bank's labeller"
    )
    identity: list[ModelUse] = Field(
        default=[], description="identity encoders; none where the domain has none"
    )
    editors: dict[str, PluginUse] = Field(
        min_length=1, description="editors to compare, by the name that tables show"
    )
    controls: list[str] | None = Field(
        default=None, description="controls to run; every installed one that fits if not given"
    )
    metrics: list[ModelUse] = Field(default=[], description="metrics beside those of every run")
    tasks: list[Task] = Field(min_length=1, description="changes that are asked for")
    sequences: list[Sequence] = Field(
        default=[], description="tasks that are done one after the other"
    )
    strengths: list[float] = Field(
        default=list(STRENGTHS),
        description="multiples of the change that are tried on every image; 1.0 is one of them",
    )
    strength_limit: float | None = Field(
        default=None,
        description="an image that misses an effect is edited at twice the largest strength, and "
        "so on up to this one; at most 1024",
    )
    effects: list[float] = Field(
        default=[0.8],
        description="shares of the change at which editors are compared; the first one gives the "
        "verdicts",
    )
    only_possible: bool = Field(
        default=False,
        description="leave out images that cannot show the largest effect with nothing else "
        "changed; for generators with counterfactuals",
    )
    keep_codes: bool | Literal["float32"] = Field(
        default=True,
        description="keep edited codes, so that another judge can score them; in half precision, "
        "or as they are with float32",
    )
    keep_images: bool = Field(
        default=False,
        description="keep every image as bytes too, so that scoring a run anew renders nothing",
    )
    shard: int | None = Field(
        default=None,
        ge=2,
        description="test images of one cell, so that no cell holds all of them; all of them if "
        "not given",
    )
    seeds: list[Annotated[int, Field(ge=0, lt=SEEDS)]] = Field(
        default=[0], min_length=1, description="of fits; five or more allow the word better"
    )
    tune: Tune | None = Field(
        default=None, description="choose options on a validation split; not tuned if not given"
    )
    show_images: int = Field(
        default=6,
        ge=0,
        le=64,
        validation_alias=AliasChoices("show_images", "show_faces"),  # its name in older suites
        description="images of each task in reports",
    )
    focus: str = Field(
        default="",
        description="editor that the findings are about; the first one if not given",
    )
    baseline: str = Field(
        default="", description="editor against which the findings compare every other one"
    )
    statistics: StatisticsPlan = Field(
        default=StatisticsPlan(), description="what a report may call better"
    )
    limits: Limits = Field(default=Limits(), description="what one cell may take")
    device: str = Field(
        default="",
        pattern=r"(cuda(:[0-9]{1,3})?)?",
        description="where models and editors compute, such as cuda; the CPU if not given. "
        "Figures differ by rounding",
    )

    @field_validator("strengths")
    @classmethod
    def _ascending(cls, strengths: list[float]) -> list[float]:
        finite = all(0 < strength < float("inf") for strength in strengths)
        if len(strengths) < 2 or not finite or sorted(set(strengths)) != strengths:
            raise ValueError("are at least two numbers above 0 in ascending order")
        if 1.0 not in strengths:
            raise ValueError("must hold 1.0, at which target error is measured")
        return strengths

    @model_validator(mode="after")
    def _limit_above_strengths(self) -> Suite:
        if self.strength_limit is not None and not (
            self.strengths[-1] <= self.strength_limit <= 1024
        ):
            raise ValueError(
                f"strength_limit: is from the largest strength, {self.strengths[-1]:g}, to 1024; "
                f"received {self.strength_limit:g}"
            )
        return self

    @field_validator("effects")
    @classmethod
    def _shares(cls, effects: list[float]) -> list[float]:
        if not effects or not all(0 < effect <= 1 for effect in effects):
            raise ValueError("are shares of the requested change, above 0 and up to 1")
        return effects

    @field_validator("editors", "tasks", "sequences", "controls")
    @classmethod
    def _file_names(cls, value: Any) -> Any:
        names = [entry if isinstance(entry, str) else entry.name for entry in value or ()]
        for name in names:
            if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.+-]*", name):
                raise ValueError(
                    f"has the name {name!r}; names are letters, digits, '-', '_', '.', '+'"
                )
        if len(set(names)) != len(names):
            raise ValueError("has two entries of one name; give them a `name` each")
        return value

    @field_validator("identity", "metrics")
    @classmethod
    def _told_apart(cls, uses: list[ModelUse]) -> list[ModelUse]:
        if len({str(use) for use in uses}) != len(uses):
            raise ValueError("has two entries of one name; give them a `name` each")
        return uses

    @field_validator("metrics")
    @classmethod
    def _new(cls, metrics: list[ModelUse]) -> list[ModelUse]:
        own = {*METRICS, *(metric.plugin for metric in METRICS.values())}
        for use in metrics:
            if {str(use), use.plugin.rpartition("/")[2]} & own:
                raise ValueError(
                    f"{use} is measured in every run; leave it out, or give yours another `name`"
                )
        return metrics

    @model_validator(mode="after")
    def _apart(self) -> Suite:
        if both := set(self.editors) & set(self.control_names):
            raise ValueError(f"{sorted(both)[0]} is both an editor and a control")
        if self.focus and self.baseline:
            raise ValueError("focus and baseline exclude each other; give one")
        for key, name in (("focus", self.focus), ("baseline", self.baseline)):
            if name and name not in self.editors:
                raise ValueError(f"{key}: {UnknownName('editor', name, self.editors)}")
        tasks = [task.name for task in self.tasks]
        for sequence in self.sequences:
            if sequence.name in tasks:
                raise ValueError(f"{sequence.name} is both a task and a sequence")
            if missing := set(sequence.edits) - set(tasks):
                raise ValueError(
                    f"sequence {sequence.name}: {sorted(missing)[0]!r} is no task; tasks are "
                    f"{', '.join(tasks)}"
                )
        if self.tune is not None and self.tune.images > self.bank.n_fit - 10:
            raise ValueError(
                f"tune: {self.tune.images} of {self.bank.n_fit} images held out for validation "
                "leave fewer than 10 to fit on"
            )
        if self.judge.same_model(self.bank.labeller):
            raise ValueError(
                f"judge: {self.judge} labels the bank too; an editor must not be judged by what it "
                "was fitted to"
            )
        return self

    @property
    def control_names(self) -> list[str]:
        """The controls, where they are known; see `with_controls`."""
        return self.controls or []

    @property
    def entrants(self) -> dict[str, PluginUse]:
        """Editors and controls by name."""
        return self.editors | {name: PluginUse(plugin=name) for name in self.control_names}

    @property
    def cell_count(self) -> int:
        """Cells of a run: one for the images of each shard; and for each entrant and fit seed one
        to fit, and one a task or sequence and shard."""
        shards, per_fit = len(self.shards), len(self.tasks) + len(self.sequences)
        return shards + len(self.entrants) * len(self.seeds) * (1 + shards * per_fit)

    @property
    def shards(self) -> dict[int | None, range]:
        """The test images of every shard by its number; without `shard`, one that has none."""
        every = range(self.bank.n_test)
        if self.shard is None:
            return {None: every}
        return {i: every[at : at + self.shard] for i, at in enumerate(every[:: self.shard])}

    def with_controls(self, installed: Iterable[str]) -> Suite:
        """This suite with its own controls; with those `installed` where it names none.

        Raises:
            SuiteError: one of them has the name of an editor of the suite.
        """
        if self.controls is not None:
            return self
        controls = list(installed)
        if both := [name for name in controls if name in self.editors]:
            raise SuiteError(
                f"{both[0]} is both an editor of the suite and an installed control; give the "
                "editor another name, or list the suite's `controls`"
            )
        return self.model_copy(update={"controls": controls})

    def joined(self, editors: Iterable[str]) -> Suite:
        """This suite with more editors, each with its default options."""
        joining = {name: PluginUse(plugin=name) for name in editors}
        return self.model_copy(update={"editors": self.editors | joining})


def load_suite(name_or_path: str) -> Suite:
    from latentedit.files.strict_yaml import YAML_BYTES

    path = find_suite(name_or_path)
    data = read_bytes(path, YAML_BYTES)
    return parse_suite(data.decode("utf-8-sig", errors="replace"), str(path), path.parent)


def parse_suite(text: str, where: str = "suite", folder: Path = Path()) -> Suite:
    """A suite from YAML text.

    Args:
        folder: from which the path of a bank is meant.

    Raises:
        SuiteError: naming the field, what was found there, and the nearest valid key.
    """
    from latentedit.files.strict_yaml import read_yaml

    try:
        data = read_yaml(text, where)
    except CorruptArtefact as error:
        raise SuiteError(str(error)) from None
    if not isinstance(data, dict):
        raise SuiteError(f"{where} is not a mapping; it holds {type(data).__name__}")
    bank = data.get("bank")
    if isinstance(bank, dict) and isinstance(bank.get("path"), str):
        path = url_of(bank["path"]) or str(folder / bank["path"])
        data = data | {"bank": bank | {"path": path}}
    try:
        return Suite.model_validate(data)
    except ValidationError as error:
        raise SuiteError(explained(where, error)) from None


def explained(where: str, error: ValidationError) -> str:
    """What is wrong with a suite, a sentence a key."""
    lines = []
    for problem in error.errors()[:5]:
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            valid = _valid_keys(problem["loc"])
            close = nearest(str(problem["loc"][-1]), valid)
            hint = f"; did you mean {close!r}?" if close else "."
            lines.append(f"{place}: no such key{hint} Valid: {', '.join(valid)}")
        elif problem["type"] == "missing":
            lines.append(f"{place}: is missing")
        else:
            received = str(problem["input"])[:80]
            message = problem["msg"].removeprefix("Value error, ")
            lines.append(f"{place or where}: {message} (received {received})")
    return f"{where}: " + "; ".join(lines)


def _valid_keys(place: tuple[Any, ...]) -> list[str]:
    """The keys that the model at `place` has."""
    models: dict[str, type[BaseModel]] = {
        "bank": BankPlan,
        "generator": PluginUse,
        "labeller": ModelUse,
        "judge": ModelUse,
        "identity": ModelUse,
        "metrics": ModelUse,
        "editors": PluginUse,
        "tasks": Task,
        "sequences": Sequence,
        "tune": Tune,
        "statistics": StatisticsPlan,
        "limits": Limits,
    }
    named = [models[part] for part in place[:-1] if part in models]
    return list((named[-1] if named else Suite).model_fields)
