"""The bank of a suite: how it is made, or which one it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, field_validator, model_validator

from latentedit.benchmark.plugin_use import ModelUse, PluginUse, SuitePart
from latentedit.data.bank import LatentBank
from latentedit.errors import SuiteError
from latentedit.interfaces.runtime import SEEDS

SHORTEST_HASH = 12
"""Characters of a bank's hash that a suite must give, if it gives one."""


class BankPlan(SuitePart):
    """Which images: sampled once, shared by all editors. Or a bank that there is, by its folder."""

    OPTIONAL: ClassVar[tuple[str, ...]] = ("space", "path", "hash", "unstored")

    generator: Annotated[PluginUse, Field(description="plugin that makes the images")]
    labeller: Annotated[ModelUse, Field(description="estimator that labels them")]
    n_fit: int = Field(ge=10, description="images to fit editors on")
    n_test: int = Field(ge=2, description="images to edit")
    seed: int = Field(default=0, ge=0, lt=SEEDS, description="of sampling")
    space: str | None = Field(
        default=None, description="where codes are sampled; the generator's home space if not given"
    )
    truncation_psi: float = Field(
        default=1.0, gt=0, le=1, description="1 samples the generator's whole distribution"
    )
    unstored: bool = Field(
        default=False,
        description="keep of the images to edit only the seeds; every cell draws its shard again",
    )
    path: str = Field(
        default="",
        description="folder of a bank that exists, in place of all keys above; from the suite's "
        "own folder",
    )
    hash: str = Field(
        default="",
        description="of that bank, or its first 12 characters or more; another bank is refused",
    )

    @field_validator("generator", mode="before")
    @classmethod
    def _bare(cls, generator: Any) -> Any:
        return {"plugin": generator} if isinstance(generator, str) else generator

    @model_validator(mode="before")
    @classmethod
    def _given(cls, data: Any) -> Any:
        """The plan of a bank that exists, read off its record."""
        if not isinstance(data, Mapping) or "path" not in data or "generator" in data:
            return data
        if more := set(data) - {"path", "hash"}:
            raise ValueError(
                f"has a path, so it exists already; leave out {', '.join(sorted(map(str, more)))}"
            )
        return plan_of(LatentBank.open(str(data["path"])), str(data.get("hash", "")))

    @property
    def exists(self) -> bool:
        """Whether the suite names a bank that was there before."""
        return bool(self.hash)

    def made_here(self) -> BankPlan:
        """This plan without the place of the bank, which differs from machine to machine."""
        return self.model_copy(update={"path": ""})


def plan_of(bank: LatentBank, wanted: str = "") -> dict[str, Any]:
    """The plan of a bank that exists.

    Args:
        wanted: its hash, or the beginning of it.

    Raises:
        SuiteError: the bank has another hash.
    """
    if wanted and (len(wanted) < SHORTEST_HASH or not bank.hash.startswith(wanted)):
        raise SuiteError(
            f"bank: {bank.folder} has the hash {bank.hash}, received {wanted}. Name the bank that "
            f"is meant; a hash has {SHORTEST_HASH} characters or more"
        )
    sampling = bank.sampling
    return {
        "generator": {"plugin": bank.generator.name, "options": dict(bank.generator.options)},
        "labeller": {"plugin": bank.labeller.name, "options": dict(bank.labeller.options)},
        "n_fit": len(bank.split("fit")),
        "n_test": len(bank.split("test")),
        "seed": sampling.get("seed", 0),
        "truncation_psi": sampling.get("truncation_psi", 1.0),
        "path": str(bank.folder),
        "hash": bank.hash,
    }
