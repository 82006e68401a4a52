"""The models and images that a session works with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from torch import Tensor

from latentedit.benchmark.cells.bench import check_reads
from latentedit.benchmark.cells.store import CellStore
from latentedit.benchmark.execution.worker import fit_id
from latentedit.benchmark.plugin_use import ModelUse
from latentedit.benchmark.suite import SUITE_FILE, Suite
from latentedit.data.bank import LatentBank
from latentedit.data.split import Split
from latentedit.editing.fitted import FittedEditor, load_editor
from latentedit.editing.generators import build_generator, build_renderer
from latentedit.errors import InputError, UnknownName
from latentedit.files.records import read_record
from latentedit.interfaces.estimators import AttributeEstimator, IdentityEncoder
from latentedit.interfaces.generator import Companions, Generator
from latentedit.registry import Registry

MOST_COLUMNS = 6
"""Editors that are compared at a time."""


@dataclass(frozen=True, eq=False)
class Workbench:
    """Fitted editors, and the models that draw and judge their edits.

    Args:
        registry: where further plugins are found, such as inverters and layer presets.
        bank: its test split holds the images; its fit split gives the unit σ of leakage.
        editors: by the name of their column.
        generator: of the bank.
        renderer: what draws the images: the generator, or what it was tuned to.
        judge: reads attributes of edited images; another model than the bank's labeller.
        recognisers: identity encoders by name; may be empty.
        folders: of the editors, by the name of their column, where they are on disk.
        run: folder of the run that all of it comes from, if any.
    """

    registry: Registry
    bank: LatentBank
    editors: Mapping[str, FittedEditor]
    generator: Generator
    renderer: Generator
    judge: AttributeEstimator
    recognisers: Mapping[str, IdentityEncoder] = field(default_factory=dict)
    folders: Mapping[str, Path] = field(default_factory=dict)
    run: Path | None = None

    @classmethod
    def open(
        cls,
        registry: Registry,
        bank: LatentBank,
        editors: Mapping[str, str | Path],
        *,
        judge: str | ModelUse | None = None,
        recognisers: Sequence[str | ModelUse] | None = None,
        device: str = "cpu",
        run: Path | None = None,
    ) -> Workbench:
        """Load editors for `bank`.

        Args:
            editors: folders of fitted editors, by the name of their column.
            judge, recognisers: plugins; the companions of the bank's generator if not given.
            run: folder of the run that all of it comes from, if any.

        Raises:
            InputError: there is no editor, no fit split, or no judge; or the judge is the labeller.
            FingerprintMismatch: an editor was fitted for another generator or other attributes.
        """
        if not editors:
            raise InputError("the studio compares editors and received none; name fitted editors")
        if "fit" not in bank.splits:
            raise InputError(
                f"{bank.folder} has no fit split, which gives the unit of leakage; open the bank "
                "that the editors were fitted on, and add photographs in the studio"
            )
        generator = build_generator(registry, bank.generator)
        loaded = {
            name: load_editor(registry, folder, device=device, generator=generator)
            for name, folder in editors.items()
        }
        for fitted in loaded.values():
            fitted.check_bank(bank)
        own: Companions | None = registry.load("generator", bank.generator.name).companions
        if recognisers is None:
            recognisers = own.identity if own else ()
        uses = [ModelUse.model_validate(use) for use in recognisers]
        return cls(
            registry,
            bank,
            loaded,
            generator,
            build_renderer(registry, bank, generator),
            _judge(registry, bank, judge or (own.judge if own else None)),
            {str(use): registry.identity(use.plugin, use.options) for use in uses},
            {name: Path(folder) for name, folder in editors.items()},
            run,
        )

    @classmethod
    def of_run(
        cls,
        registry: Registry,
        run: str | Path,
        entrants: Sequence[str] | None = None,
        device: str = "cpu",
    ) -> Workbench:
        """The bank, the editors and the models of a finished run, as fitted with its first seed.

        Args:
            entrants: names of editors and controls of its suite; all its editors if not given.

        Raises:
            InputError: `run` is not the folder of a run, or an entrant was not fitted.
            UnknownName: the suite has no such entrant.
        """
        folder = Path(run)
        if not (folder / SUITE_FILE).is_file():
            raise InputError(
                f"{folder} is not the folder of a run: it has no {SUITE_FILE}. "
                f"Make one with: latentedit bench run quickstart --out {folder}"
            )
        suite, store = read_record(folder / SUITE_FILE, Suite), CellStore(folder)
        for name in entrants or ():
            if name not in suite.entrants:
                raise UnknownName("entrant", name, suite.entrants, f"of {folder}")
        editors = {
            name: store.path(fit_id(name, suite.seeds[0])) / "editor"
            for name in entrants or list(suite.editors)
        }
        if missing := [name for name, place in editors.items() if not place.is_dir()]:
            fitted = [name for name in editors if name not in missing]
            raise InputError(
                f"{missing[0]} of {folder} was not fitted. Finish the run, or name others with "
                f"--editor: {', '.join(fitted) or '(none was fitted)'}"
            )
        return cls.open(
            registry,
            LatentBank.open(folder / "bank"),
            editors,
            judge=suite.judge,
            recognisers=suite.identity,
            device=device,
            run=folder,
        )

    @cached_property
    def test(self) -> Split:
        """The images to choose from."""
        return self.bank.split("test")

    @cached_property
    def sigma(self) -> Tensor:
        """(A,) standard deviation of the labels over the fit split."""
        return self.bank.split("fit").attributes.std(0).clamp_min(1e-6)

    @cached_property
    def labeller(self) -> AttributeEstimator:
        """What labelled the bank; it reads the attributes of images that are not in it."""
        return self.registry.estimator(self.bank.labeller.name, self.bank.labeller.options)

    def editor(self, name: str) -> FittedEditor:
        """The editor of a column; raises `UnknownName`."""
        if name not in self.editors:
            raise UnknownName("editor", name, self.editors)
        return self.editors[name]


def _judge(
    registry: Registry, bank: LatentBank, wanted: str | ModelUse | None
) -> AttributeEstimator:
    if wanted is None:
        raise InputError(
            f"{bank.generator.name} has no default judge; name an estimator with --judge. "
            f"Installed: {', '.join(registry.names('estimator')) or '(none)'}"
        )
    use = ModelUse.model_validate(wanted)
    judge = registry.estimator(use.plugin, use.options)
    if judge.fingerprint == bank.labeller.fingerprint:
        raise InputError(
            f"judge {use} labelled the bank: an editor must not be judged by what it was fitted "
            "to; name another estimator"
        )
    check_reads(judge, str(use), bank)
    return judge
