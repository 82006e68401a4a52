"""One run made of several: other editors and fit seeds of one suite and bank."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from latentedit.benchmark.cells.copying import copy_cell
from latentedit.benchmark.cells.keys import differing
from latentedit.benchmark.cells.store import Cell, CellStore
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.plugin_use import PluginUse
from latentedit.benchmark.provenance import PROVENANCE, Provenance
from latentedit.benchmark.results.board import run_labels
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.states import planned_cells
from latentedit.benchmark.run_bank import copy_bank
from latentedit.benchmark.suite import SUITE_FILE, Suite, explained
from latentedit.errors import FingerprintMismatch, InputError, SuiteError, UnknownName
from latentedit.files.artefacts import new_folder, write_json

OF_ONE_RUN = (
    *("name", "summary", "bank", "editors", "controls", "seeds", "focus", "baseline"),
    "limits",
)
"""Keys of a suite that may differ between merged runs; banks are compared by their hash."""
OF_ONE_FIT = ("seed", "rescored")
"""Fields of a cell's key that differ between the fits of one editor."""
OF_ONE_EDITOR = (*OF_ONE_FIT, "editor", "tune")
"""Those that differ between editors."""


@dataclass(frozen=True)
class Merged:
    """A run made of others.

    Args:
        cells: how many were copied of each run, by its label.
        missing: cells that none of the runs has.
    """

    folder: Path
    cells: Mapping[str, int]
    missing: list[str]


@dataclass(frozen=True)
class Source:
    """A run to be merged, with new names for some of its editors and controls."""

    run: Run
    store: CellStore
    label: str
    names: Mapping[str, str]

    @property
    def editors(self) -> dict[str, PluginUse]:
        return {self.names.get(name, name): use for name, use in self.run.suite.editors.items()}

    @property
    def controls(self) -> list[str]:
        return [self.names.get(name, name) for name in self.run.suite.control_names]

    def own(self, cell: Cell) -> str | None:
        """The id that the run has for a cell of the merged run; None where it has no result, not
        even a failure."""
        own = {self.names.get(name, name): name for name in ("", *self.run.suite.entrants)}
        if cell.entrant not in own:
            return None
        cell_id = replace(cell, entrant=own[cell.entrant]).id
        record = self.store.record(cell_id)
        return None if record is None or record.status == "stale" else cell_id


Held = Sequence[tuple[Source, str]]
"""The runs that have a cell, each with its own id of it."""


def merge_runs(
    folders: Sequence[Path], out: Path, names: Mapping[tuple[Path, str], str] | None = None
) -> Merged:
    """Write a new run `out` with the editors, controls and fit seeds of several.

    Cells are copied with their digests checked. Suite, focus and limits are those of the first run.

    Args:
        names: new names of editors, by run folder and name there.

    Raises:
        FingerprintMismatch: two runs differ in bank, judge, recognisers, protocol or keys; names
            both.
        CorruptArtefact: a file is not the one that was recorded.
        InputError: fewer than two runs, or `out` exists.
    """
    sources = _sources(folders, names or {})
    first = sources[0]
    for other in sources[1:]:
        _check_same(first, other)
    suite = _suite(sources)
    found = [
        (cell, [(source, own) for source in sources if (own := source.own(cell)) is not None])
        for cell in planned_cells(suite)
    ]
    _check_keys(found)
    taken = [(cell, *_best(having)) for cell, having in found if having]
    counts = {source.label: sum(one is source for _, one, _ in taken) for source in sources}
    with new_folder(out) as temporary:
        run = RunFolder.claim(temporary)
        models = RunFolder.open(first.run.folder).mark().models
        copy_bank(first.run.bank, run, models or {})
        write_json(run.path / SUITE_FILE, suite.model_dump(mode="json"))
        made = _provenance(sources, suite, counts)
        write_json(run.path / PROVENANCE, made.model_dump(mode="json"))
        _copy(taken, run.path)
    return Merged(out, counts, [cell.id for cell, having in found if not having])


def _sources(folders: Sequence[Path], names: Mapping[tuple[Path, str], str]) -> list[Source]:
    if len({folder.resolve() for folder in folders}) < 2:
        raise InputError(f"merging takes two runs or more, received {', '.join(map(str, folders))}")
    runs = [Run(folder) for folder in {folder.resolve(): folder for folder in folders}.values()]
    given = {(folder.resolve(), old): new for (folder, old), new in names.items()}
    of_runs = [
        {old: new for (place, old), new in given.items() if place == run.folder.resolve()}
        for run in runs
    ]
    if len(given) != sum(map(len, of_runs)):
        raise InputError("a new name is for an editor of none of the runs that are merged")
    for run, new in zip(runs, of_runs, strict=True):
        for name in new:
            if name not in run.suite.editors:
                raise UnknownName("editor", name, run.suite.editors, f"in {run.folder}")
    parts = zip(runs, run_labels(runs), of_runs, strict=True)
    return [Source(run, CellStore(run.folder), label, new) for run, label, new in parts]


def _check_same(first: Source, other: Source) -> None:
    """Refuse runs of other images, other models, or another protocol."""
    for what, of in _MADE_WITH.items():
        _refuse(what, first, of(first.run), other, of(other.run))
    one, two = (_protocol(source.run.suite) for source in (first, other))
    for field, a, b in differing(one, two):
        _refuse("protocol", first, f"{field} {a}", other, f"{field} {b}")


def _refuse(what: str, first: Source, has: str, other: Source, other_has: str) -> None:
    if has != other_has:
        shown = (text if len(text) < 200 else f"{text[:200]}…" for text in (has, other_has))
        raise FingerprintMismatch(
            what, str(first.run.folder), next(shown), str(other.run.folder), next(shown)
        )


def _judge(run: Run) -> str:
    judge, matched = run.provenance.judge, run.provenance.matched_by
    return f"{judge.name} {judge.fingerprint} of code {judge.code}, effects matched by {matched}"


def _identity(run: Run) -> str:
    return ", ".join(f"{e.name} {e.fingerprint} of code {e.code}" for e in run.provenance.identity)


def _metrics(run: Run) -> str:
    return ", ".join(f"{m.name} {m.fingerprint} of code {m.code}" for m in run.provenance.metrics)


_MADE_WITH: dict[str, Callable[[Run], str]] = {
    "bank": lambda run: run.bank.hash,
    "judge": _judge,
    "recogniser": _identity,
    "metric": _metrics,
}
"""What runs must share, in words that tell two of a kind apart."""


def _protocol(suite: Suite) -> dict[str, Any]:
    fields: dict[str, Any] = suite.model_dump(mode="json")
    return {name: value for name, value in fields.items() if name not in OF_ONE_RUN}


def _suite(sources: Sequence[Source]) -> Suite:
    """The first run's suite with the editors, controls and seeds of all."""
    origins: dict[str, Source] = {}
    editors: dict[str, PluginUse] = {}
    for source in sources:
        for name, use in source.editors.items():
            if editors.setdefault(name, use) != use:
                raise InputError(
                    f"{name} is {_used(editors[name])} in {origins[name].run.folder} and "
                    f"{_used(use)} in {source.run.folder}. Give one of them another name: "
                    f"--rename {source.run.folder}/{name}=NAME"
                )
            origins.setdefault(name, source)
    data: dict[str, Any] = sources[0].run.suite.model_dump(mode="json")
    renamed = {key: sources[0].names.get(data[key]) for key in ("focus", "baseline") if key in data}
    data |= {key: name for key, name in renamed.items() if name} | {
        "editors": {name: use.model_dump(mode="json") for name, use in editors.items()},
        "controls": list(dict.fromkeys(name for source in sources for name in source.controls)),
        "seeds": sorted({seed for source in sources for seed in source.run.suite.seeds}),
    }
    try:
        return Suite.model_validate(data)
    except ValidationError as error:
        raise SuiteError(explained("the suite of the merged run", error)) from None


def _used(use: PluginUse) -> str:
    return f"{use.plugin} with {use.options}" if use.options else use.plugin


def _check_keys(found: Iterable[tuple[Cell, Held]]) -> None:
    """Refuse cells of one editor or one task that were computed under different keys."""
    known: dict[tuple[str, str, str], tuple[Source, str, dict[str, Any]]] = {}
    for cell, having in found:
        for source, own in having:
            key = source.store.key(own)
            for entrant, apart in (("", OF_ONE_EDITOR), (cell.entrant, OF_ONE_FIT)):
                part = {field: value for field, value in key.items() if field not in apart}
                of = (cell.kind, entrant, cell.task)
                first, its, had = known.setdefault(of, (source, own, part))
                for field, a, b in differing(had, part):
                    place, other_place = (
                        f"{one.run.folder} ({name})" for one, name in ((first, its), (source, own))
                    )
                    raise FingerprintMismatch(
                        "key", place, f"{field} {a}", other_place, f"{field} {b}"
                    )


def _best(having: Held) -> tuple[Source, str]:
    """The first that finished; the first, where none did."""
    ok = ((source, own) for source, own in having if source.store.finished(own))
    return next(ok, having[0])


def _copy(taken: Sequence[tuple[Cell, Source, str]], folder: Path) -> None:
    store, cells = CellStore(folder), []
    for cell, source, own in taken:
        copy_cell(source.store, own, store, cell.id)
        cells.append(replace(cell, key=store.key(cell.id)))
    store.plan(cells)


def _provenance(sources: Sequence[Source], suite: Suite, counts: Mapping[str, int]) -> Provenance:
    """The first run's, with the plugins and terms of all."""
    made = [source.run.provenance for source in sources]
    left_out = {name: why for one in made[::-1] for name, why in one.left_out.items()}
    return made[0].model_copy(
        update={
            "plugins": {name: used for one in made[::-1] for name, used in one.plugins.items()},
            "bounds": {role: name for one in made[::-1] for role, name in one.bounds.items()},
            "terms": {name: said for one in made[::-1] for name, said in one.terms.items()},
            "left_out": {k: why for k, why in left_out.items() if k not in suite.control_names},
            "merged": dict(counts),
        }
    )
