"""What a run computes anew: exactly the cells that a change matters for, and the bank with them."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import harness_plugins
import pytest
import torch
from harness_plugins import Push, Silent

from latentedit.benchmark.cells.store import Cell, CellStore
from latentedit.benchmark.execution import worker
from latentedit.benchmark.execution.worker import Job, compute, open_bench
from latentedit.benchmark.folder import RunFolder
from latentedit.benchmark.run import check_names, explain, plan, provenance, run_suite
from latentedit.benchmark.suite import Suite
from latentedit.data.bank import LatentBank
from latentedit.data.split import Split
from latentedit.editing import keys as editing_keys
from latentedit.editing.fitted import load_editor
from latentedit.errors import EnvironmentFault, InputError, UnknownName
from latentedit.interfaces.editor import FitStats, Runtime
from latentedit.plugin import PluginSpec, hookimpl
from latentedit.registry import Registry
from latentedit.sampling.make import make_bank

BANK: dict[str, Any] = {
    "generator": {"plugin": "toy"},
    "labeller": "labeller",
    "n_fit": 30,
    "n_test": 6,
}
EYES: list[Any] = [
    {"plugin": "eye", "name": "first"},
    {"plugin": "eye", "name": "last", "options": {"first": 4}},
]
TASKS: list[dict[str, Any]] = [
    {"attribute": "age", "change": 10},
    {"attribute": "yaw", "change": 12},
    {"attribute": "glasses", "change": "flip"},
]
SEQUENCES: list[dict[str, Any]] = [
    {"name": "one", "edits": ["age", "yaw"]},
    {"name": "two", "edits": ["yaw", "glasses"]},
]
LEAK = {"leak": 0.2}
SET = {"plugin": "push", "options": LEAK}
SUITE: dict[str, Any] = {
    "name": "keys",
    "bank": BANK,
    "judge": "judge",
    "identity": EYES,
    "editors": {"tuned": {"plugin": "push"}, "set": {"plugin": "push", "options": LEAK}},
    "controls": ["no-edit"],
    "tasks": TASKS,
    "sequences": SEQUENCES,
    "strengths": [0.5, 1.0, 2.0],
    "effects": [0.8, 0.4],
    "seeds": [2, 5],
    "tune": {"trials": 3, "images": 10},
    "show_images": 2,
}
ALL = ("tuned", "set", "no-edit")
FACES = {"faces"}
FITS = {f"fit--{name}--seed{seed}" for name in ALL for seed in (2, 5)}
EDITS = {
    f"edit--{n}--seed{s}--{t['name']}"
    for n in ALL
    for s in (2, 5)
    for t in ({"name": "age"}, {"name": "yaw"}, {"name": "glasses"})
}
CHAINS = {f"sequence--{n}--seed{s}--{c}" for n in ALL for s in (2, 5) for c in ("one", "two")}
EVERY = FACES | FITS | EDITS | CHAINS


def made(folder: Path, **changes: Any) -> LatentBank:
    arguments = {"generator": "toy", "labeller": "labeller", "n_fit": 30, "n_test": 6} | changes
    return make_bank(harness_plugins.registry(), folder, **arguments)


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> LatentBank:
    return made(tmp_path_factory.mktemp("banks") / "bank")


def keys(bank: LatentBank, registry: Registry | None = None, /, **changes: Any) -> dict[str, str]:
    """By cell the hash of its key in a suite with these changes."""
    suite = Suite.model_validate(SUITE | changes)
    jobs = plan(
        suite, Path("run"), bank, registry or harness_plugins.registry(), harness_plugins.registry
    )
    return {job.cell.id: job.cell.key_hash for job in jobs}


def of(*kinds: set[str], having: str = "") -> set[str]:
    return {cell for cell in set().union(*kinds) if f"-{having}" in f"{cell}-"}


def among(name: str) -> set[str]:
    """Cells of one editor."""
    return {cell for cell in EVERY if f"--{name}--" in f"{cell}--"}


AGE = of(EDITS, having="-age") | {cell for cell in CHAINS if cell.endswith("one")}
# A trial is scored by all tasks: the fits of what is tuned depend on them.
TUNED = {cell for cell in EVERY - FACES if "no-edit" not in cell}


def first_task(**changes: Any) -> dict[str, Any]:
    return {"tasks": [TASKS[0] | changes, *TASKS[1:]]}


@pytest.mark.parametrize(
    ("changes", "anew"),
    [
        ({"name": "other"}, set()),
        ({"summary": "other"}, set()),
        ({"statistics": {"confidence": 0.9}}, set()),
        ({"limits": {"seconds": 5, "memory_gib": 3}}, set()),
        ({"device": "cuda"}, EVERY),
        ({"judge": {"plugin": "judge", "name": "shown"}}, set()),
        ({"identity": [EYES[0] | {"name": "shown"}, EYES[1]]}, set()),
        ({"editors": dict(reversed(SUITE["editors"].items()))}, set()),
        ({"judge": {"plugin": "judge", "options": {"tired": True}}}, FACES | EDITS | CHAINS),
        ({"show_images": 3}, FACES | EDITS | CHAINS),
        # Recognisers score the trials too.
        ({"identity": EYES[:1]}, FACES | EDITS | CHAINS | TUNED),
        ({"identity": EYES[::-1]}, FACES | EDITS | CHAINS | TUNED),
        (
            {"identity": [EYES[0], EYES[1] | {"options": {"first": 3}}]},
            FACES | EDITS | CHAINS | TUNED,
        ),
        ({"effects": [0.4, 0.8]}, EDITS | TUNED),
        ({"effects": [0.8, 0.5]}, EDITS),
        ({"effects": [0.8]}, EDITS),
        ({"strengths": [0.5, 1.0]}, EDITS | TUNED),
        (first_task(change=9), AGE | TUNED),
        (first_task(layers=[0, 1]), AGE | TUNED),
        (first_task(among={"yaw": [-20, 20]}), AGE | TUNED),
        (first_task(attribute="lighting", name="age"), AGE | TUNED),
        ({"sequences": [{"name": "one", "edits": ["yaw", "age"]}, SEQUENCES[1]]},
         {cell for cell in CHAINS if cell.endswith("one")}),
        ({"tune": {"trials": 4, "images": 10}}, TUNED),
        ({"tune": {"trials": 3, "images": 11}}, TUNED),
        ({"tune": None}, TUNED),
        (
            {"editors": SUITE["editors"] | {"set": {"plugin": "push", "options": {"leak": 0.3}}}},
            among("set"),
        ),
        (
            {"editors": SUITE["editors"] | {"set": {"plugin": "no-edit", "options": LEAK}}},
            among("set"),
        ),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)  # fmt: skip
def test_a_change_makes_exactly_the_cells_anew_that_it_matters_for(
    bank: LatentBank, changes: dict[str, Any], anew: set[str]
) -> None:
    before, after = keys(bank), keys(bank, **changes)
    assert set(before) == set(after) == EVERY
    assert {cell for cell in EVERY if before[cell] != after[cell]} == anew


@pytest.mark.parametrize(
    ("changes", "anew"),
    [
        ({"effects": [0.4, 0.8]}, EDITS),
        ({"strengths": [0.5, 1.0]}, EDITS),
        ({"identity": EYES[:1]}, FACES | EDITS | CHAINS),
        (first_task(change=9), AGE),
        (first_task(layers=[1]), AGE),
        (first_task(among={"yaw": [-20, 20]}), AGE),
    ],
    ids=lambda value: json.dumps(value)[:60] if isinstance(value, dict) else "",
)
def test_without_tuning_no_fit_depends_on_how_it_is_measured(
    bank: LatentBank, changes: dict[str, Any], anew: set[str]
) -> None:
    before, after = keys(bank, tune=None), keys(bank, **({"tune": None} | changes))
    assert {cell for cell in EVERY if before[cell] != after[cell]} == anew


def test_more_seeds_tasks_editors_and_sequences_add_their_own_cells_only(bank: LatentBank) -> None:
    before = keys(bank, tune=None)
    for changes, added in (
        ({"seeds": [2, 5, 7]}, 3 * (1 + 3 + 2)),
        ({"tasks": [*TASKS, TASKS[0] | {"name": "new"}]}, 3 * 2),
        ({"editors": SUITE["editors"] | {"new": {"plugin": "push"}}}, 2 * (1 + 3 + 2)),
        ({"sequences": [*SEQUENCES, {"name": "new", "edits": ["age", "glasses"]}]}, 3 * 2),
    ):
        after = keys(bank, tune=None, **changes)
        assert len(after) == len(before) + added
        assert {cell: after[cell] for cell in before} == before


def test_no_two_cells_of_a_run_have_one_key_but_equal_fits(bank: LatentBank) -> None:
    found = keys(bank)
    assert len(set(found.values())) == len(found) == 1 + 6 + 18 + 12


def test_another_bank_makes_every_cell_anew(bank: LatentBank, tmp_path: Path) -> None:
    before, after = keys(bank), keys(made(tmp_path / "other", seed=1))
    assert all(before[cell] != after[cell] for cell in EVERY)


def test_cells_wait_for_the_faces_and_for_the_fit_of_their_own_editor_and_seed(
    bank: LatentBank,
) -> None:
    suite, registry = Suite.model_validate(SUITE), harness_plugins.registry()
    jobs = plan(suite, Path("run"), bank, registry, harness_plugins.registry)
    for job in jobs:
        cell = job.cell
        if cell.kind == "faces":
            assert job.after == ()
        elif cell.kind == "fit":
            assert job.after == ("faces",)
        else:
            assert job.after == ("faces", f"fit--{cell.entrant}--seed{cell.seed}")
    kinds = [job.cell.kind for job in jobs]
    assert kinds[:7] == ["faces"] + ["fit"] * 6
    assert {cell.key["seed"] for cell in (job.cell for job in jobs) if cell.entrant} == {2, 5}
    assert all(job.cell.key["seed"] == job.cell.seed for job in jobs if job.cell.kind != "faces")


class Unseeded(Push):
    """Pushes alike after every seed; remembers the seeds of its fits."""

    seeded = False
    fits: ClassVar[list[int]] = []

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self.fits.append(runtime.seed)
        return super().fit(data, runtime)


class _Unseeded:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        place = f"{Unseeded.__module__}:{Unseeded.__name__}"
        return [PluginSpec("editor", "unseeded", place, "for tests")]


def with_unseeded() -> Registry:
    found = harness_plugins.registry()
    found.add(_Unseeded(), "unseeded", version="1")
    return found


def test_cells_of_an_editor_that_no_seed_changes_are_those_of_its_first_fit(tmp_path: Path) -> None:
    editors = {
        "alike": {"plugin": "unseeded", "options": LEAK},
        "other": {"plugin": "push", "options": {"per_seed": 0.1}},
    }
    suite = Suite.model_validate(SUITE | {"editors": editors, "tune": None})
    Unseeded.fits.clear()
    run_suite(suite, tmp_path / "run", Silent(), registry=with_unseeded, executor="here")
    assert Unseeded.fits == [2]
    store = CellStore(tmp_path / "run")
    for cell in ("edit--{}--seed{}--yaw", "sequence--{}--seed{}--two"):
        for name, alike in (("alike", True), ("other", False)):
            first, last = (store.arrays(cell.format(name, seed)) for seed in (2, 5))
            same = [torch.equal(first[k].nan_to_num(), last[k].nan_to_num()) for k in first]
            assert all(same) == alike
            records = [store.record(cell.format(name, seed)) for seed in (2, 5)]
            assert len({record.key_hash for record in records if record}) == 2 - alike
    fits = [store.path(f"fit--alike--seed{seed}") / "editor" for seed in (2, 5)]
    assert len({load_editor(with_unseeded(), fit).seed for fit in fits}) == 1
    assert explain(tmp_path / "run", "edit--alike--seed5--yaw", registry=with_unseeded) == []


def test_tuning_draws_by_the_seed_so_that_every_fit_is_computed(bank: LatentBank) -> None:
    tuned = SUITE | {"editors": {"alike": {"plugin": "unseeded"}}}
    for changes, count in (({}, 2), ({"tune": None}, 1)):
        suite = Suite.model_validate(tuned | changes)
        jobs = plan(suite, Path("run"), bank, with_unseeded(), with_unseeded)
        mine = [job for job in jobs if job.cell.id.startswith("fit--alike")]
        assert len({job.cell.key_hash for job in mine}) == count
        assert [job.same_as for job in mine][1:] == ["" if count == 2 else "fit--alike--seed2"]


PLUGINS = {
    "generator toy": EVERY,
    "estimator labeller": EVERY,
    "estimator judge": FACES | EDITS | CHAINS,
    "identity eye": FACES | EDITS | CHAINS | TUNED,
    "editor push": among("tuned") | among("set"),
    "editor no-edit": among("no-edit"),
}
"""By kind and name of a plugin: the cells that its code decides."""


class Changed(Registry):
    """The registry of these tests, where one plugin has another version or other source code."""

    def __init__(self, what: str = "", plugin: str = "") -> None:
        super().__init__()
        self.what, self.plugin = what, plugin
        self.origins = harness_plugins.registry().origins

    def version(self, kind: str, name: str) -> str:
        other = self.what == "version" and self.plugin == f"{kind} {name}"
        return "harness 2" if other else super().version(kind, name)

    def source(self, kind: str, name: str) -> str:
        other = self.what == "source" and self.plugin == f"{kind} {name}"
        return "0" * 64 if other else super().source(kind, name)


@pytest.mark.parametrize("what", ["version", "source"])
@pytest.mark.parametrize("plugin", PLUGINS)
def test_other_code_of_a_plugin_makes_exactly_its_own_cells_anew(
    bank: LatentBank, what: str, plugin: str
) -> None:
    before, after = keys(bank, Changed()), keys(bank, Changed(what, plugin))
    assert {cell for cell in EVERY if before[cell] != after[cell]} == PLUGINS[plugin]


def test_what_a_plugin_imports_counts_by_version(
    bank: LatentBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = keys(bank)
    real = editing_keys.imported_versions

    def newer(target: str) -> dict[str, str]:
        found = real(target)
        return found | {"numpy": "99"} if target == "harness_plugins:Judge" else found

    monkeypatch.setattr(editing_keys, "imported_versions", newer)
    after = keys(bank)
    anew = {cell for cell in EVERY if before[cell] != after[cell]}
    assert anew == PLUGINS["estimator judge"]


def test_options_that_are_given_as_they_are_by_default_change_no_key(bank: LatentBank) -> None:
    given = {"tuned": {"plugin": "push", "options": {"gain": 1.0, "mark": 0}}, "set": SET}
    eyes = [EYES[0] | {"options": {"first": 0}}, EYES[1]]
    judge = {"plugin": "judge", "options": {"tired": False}}
    assert keys(bank) == keys(bank, editors=given, identity=eyes, judge=judge)


def test_a_default_that_changes_makes_the_cells_of_its_plugin_anew(
    bank: LatentBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Louder(harness_plugins.PushOptions):
        gain: float = 1.1

    before = keys(bank, tune=None)
    monkeypatch.setattr(harness_plugins.Push, "Options", Louder)
    after = keys(bank, tune=None)
    anew = {cell for cell in EVERY if before[cell] != after[cell]}
    assert anew == EVERY - FACES  # the control is the same class with the same options


def test_a_file_that_an_option_names_counts_by_its_content(
    bank: LatentBank, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Reading(harness_plugins.PushOptions):
        weights: Path | None = None

    monkeypatch.setattr(harness_plugins.Push, "Options", Reading)

    def found(place: Path) -> dict[str, str]:
        editors = SUITE["editors"] | {"set": {"plugin": "push", "options": {"weights": str(place)}}}
        return keys(bank, editors=editors)

    file, folder = tmp_path / "weights", tmp_path / "folder"
    file.write_text("one")
    (folder / "inner").mkdir(parents=True)
    (folder / "inner" / "weights").write_text("one")
    first, deep, missing = found(file), found(folder), found(tmp_path / "nothing")
    file.write_text("two!")
    (folder / "inner" / "weights").write_text("two!")
    for before, after in ((first, found(file)), (deep, found(folder)), (missing, first)):
        assert {cell for cell in EVERY if before[cell] != after[cell]} == among("set")
    copy = tmp_path / "copy"
    copy.write_text("one")
    assert found(copy) == first


def test_a_labeller_of_other_code_labels_the_bank_anew(tmp_path: Path) -> None:
    def made(what: str = "") -> Silent:
        observer = Silent()
        one = {"seeds": [0], "controls": [], "sequences": [], "tune": None}
        run_suite(
            Suite.model_validate(SUITE | one), tmp_path / "run", observer,
            registry=partial(Changed, what, "estimator labeller"), executor="idle",
        )  # fmt: skip
        return observer

    assert made().ended["bank"] == "ok"
    assert "bank" not in made().ended
    assert made("version").ended["bank"] == "ok"
    assert "bank" not in made("version").ended
    assert made("source").ended["bank"] == "ok"


def test_two_judges_never_get_into_one_table(tmp_path: Path) -> None:
    made(RunFolder.claim(tmp_path / "run").bank)
    one = {"seeds": [0], "sequences": [], "tasks": TASKS[:1], "controls": [], "tune": None}
    two = SUITE["editors"] | {"new": {"plugin": "push"}}

    def again(executor: str, what: str, **changes: Any) -> tuple[int, int]:
        suite = Suite.model_validate(SUITE | one | changes)
        outcome = run_suite(
            suite, tmp_path / "run", Silent(), executor=executor,
            registry=partial(Changed, what, "estimator judge"),
        )  # fmt: skip
        return outcome.computed, outcome.kept

    store = CellStore(tmp_path / "run")
    assert again("here", "") == (5, 0)
    old = store.path("edit--set--seed0--age") / "cell.json"
    kept = old.read_bytes()
    # The judge of another version sees everything again: faces and three edits, and a new fit.
    assert again("here", "version", editors=two) == (5, 2)
    old.write_bytes(kept)
    record = CellStore(tmp_path / "run").record("edit--set--seed0--age")
    assert record is not None
    assert record.status == "stale"
    with pytest.raises(InputError, match="no results: stale"):
        CellStore(tmp_path / "run").arrays("edit--set--seed0--age")


@pytest.mark.parametrize("what", ["version", "source"])
@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_worker_with_other_plugins_refuses_the_suite(
    bank: LatentBank, what: str, plugin: str
) -> None:
    suite = Suite.model_validate(SUITE)
    jobs = plan(suite, bank.folder.parent, bank, harness_plugins.registry(), Changed)
    assert open_bench(replace(jobs[0], run_folder=placed(bank))).suite == suite
    for job in (jobs[0], jobs[-1]):
        other = replace(job, registry=partial(Changed, what, plugin))
        told = f"has another {plugin} than the run: {what} is (harness 2|0{{64}}) there and .*same"
        with pytest.raises(EnvironmentFault, match=told):
            open_bench(other)
    missing = replace(jobs[0], registry=Registry)
    with pytest.raises(EnvironmentFault, match="cannot compute cells of this run: unknown"):
        open_bench(missing)


def placed(bank: LatentBank) -> Path:
    """A folder that has `bank` as runs have theirs."""
    place = bank.folder.parent / "placed"
    if not place.exists():
        shutil.copytree(bank.folder, place / "bank")
    return place


def carry_out(folder: Path, photographs: Path | None = None, **changes: Any) -> Silent:
    """Make the run's bank, and compute nothing; what was made is what `ended`."""
    observer = Silent()
    run_suite(
        Suite.model_validate(SUITE | {"seeds": [0], "controls": [], "sequences": []} | changes),
        folder,
        observer,
        registry=harness_plugins.registry,
        executor="idle",
        photographs=photographs,
    )
    return observer


def photos(folder: Path, seed: int = 3) -> Path:
    """A bank as if six faces, as many as are sampled else, had been found for photographs."""
    sampled = made(folder.parent / f"{folder.name}-sampled", n_test=6, seed=seed)
    test = sampled.split("test")
    LatentBank.write(
        folder,
        {"test": Split(test.space, test.schema, ((test.codes, test.attributes),))},
        sampled.generator,
        sampled.labeller,
        {"photographs": 6},
        inversion={
            "inverter": {"name": "pyramid", "options": {}},
            "losses": [],
            "seed": 0,
            "tuned": None,
            "figures": {},
            "photographs": [{"pixel_error": 1.0}] * 6,
        },
        files={"photographs": {"images": torch.zeros(6, 3, 8, 8, dtype=torch.uint8)}},
    )
    return folder


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_test", 7),
        ("n_fit", 31),
        ("seed", 1),
        ("truncation_psi", 0.7),
        ("generator", {"plugin": "toy", "options": {"correlation": 0.4}}),
        ("labeller", "recorder"),
        ("labeller", {"plugin": "labeller", "options": {"light": 0.1}}),
    ],
    ids=str,
)
def test_another_plan_of_the_bank_makes_the_bank_anew_as_it_says(
    bank: LatentBank, tmp_path: Path, field: str, value: Any
) -> None:
    made(RunFolder.claim(tmp_path / "run").bank)
    changed = BANK | {field: value}
    observer = carry_out(tmp_path / "run", bank=changed)
    assert observer.ended["bank"] == "ok"
    found = LatentBank.open(tmp_path / "run" / "bank")
    assert found.hash != bank.hash
    labeller = Suite.model_validate(SUITE | {"bank": changed}).bank.labeller
    wanted = made(
        tmp_path / "wanted",
        generator=changed["generator"]["plugin"],
        generator_options=changed["generator"].get("options", {}),
        labeller=labeller.plugin,
        labeller_options=labeller.options,
        **{name: changed[name] for name in ("n_fit", "n_test", "seed", "truncation_psi")
           if name in changed},
    )  # fmt: skip
    assert found.hash == wanted.hash
    assert "bank" not in carry_out(tmp_path / "run", bank=changed).ended


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"judge": {"plugin": "judge", "options": {"tired": True}}},
        {"identity": EYES[:1], "effects": [0.5], "strengths": [1.0, 2.0], "seeds": [1]},
        {"bank": BANK | {"labeller": {"plugin": "labeller", "name": "shown"}}},
        {"bank": BANK | {"labeller": {"plugin": "labeller", "options": {"light": 0.0}}}},
    ],
    ids=str,
)
def test_the_bank_is_kept_where_the_same_faces_are_wanted(
    bank: LatentBank, tmp_path: Path, changes: dict[str, Any]
) -> None:
    made(RunFolder.claim(tmp_path / "run").bank)
    assert "bank" not in carry_out(tmp_path / "run", **changes).ended
    assert LatentBank.open(tmp_path / "run" / "bank").hash == bank.hash


def test_photographs_make_the_bank_anew_and_so_do_others_and_none(
    bank: LatentBank, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    made(RunFolder.claim(run).bank)
    first, second = photos(tmp_path / "first"), photos(tmp_path / "second", seed=4)
    for given in (first, second, None, first):
        assert carry_out(run, given).ended["bank"] == "ok"
        found = LatentBank.open(run / "bank")
        assert len(found.split("test")) == 6
        assert torch.equal(found.split("fit").codes, bank.split("fit").codes)
        if given is not None:
            theirs = LatentBank.open(given)
            assert torch.equal(found.split("test").codes, theirs.split("test").codes)
            assert found.sampling["photographs"] == theirs.hash
            assert found.sampling["test"] == 6
        else:
            assert found.hash == bank.hash
        assert "bank" not in carry_out(run, given).ended


def test_photographs_decide_how_many_faces_are_edited_whatever_the_suite_says(
    tmp_path: Path,
) -> None:
    given = photos(tmp_path / "given")
    folder = tmp_path / "not" / "there" / "yet"
    carry_out(folder, given)
    assert "bank" not in carry_out(folder, given, bank=BANK | {"n_test": 9}).ended


def test_a_bank_whose_bytes_were_changed_is_made_anew(bank: LatentBank, tmp_path: Path) -> None:
    made(RunFolder.claim(tmp_path / "run").bank)
    path = tmp_path / "run" / "bank" / "test-00000.safetensors"
    data = bytearray(path.read_bytes())
    data[-2] ^= 64
    path.write_bytes(data)
    assert carry_out(tmp_path / "run").ended["bank"] == "ok"
    LatentBank.open(tmp_path / "run" / "bank").verify()


def test_an_outcome_counts_what_was_computed_what_was_kept_and_what_failed(tmp_path: Path) -> None:
    made(RunFolder.claim(tmp_path / "run").bank)

    def again(executor: str, **changes: Any) -> tuple[int, int, int]:
        one = {"seeds": [0], "sequences": [], "tasks": TASKS[:1], "controls": []}
        suite = Suite.model_validate(SUITE | one | {"tune": None} | changes)
        outcome = run_suite(
            suite, tmp_path / "run", Silent(), registry=harness_plugins.registry, executor=executor
        )
        return outcome.computed, outcome.kept, len(outcome.failed)

    assert again("idle") == (5, 0, 5)
    assert again("here") == (5, 0, 0)
    assert again("here") == (0, 5, 0)
    assert again("here", effects=[0.5]) == (2, 3, 0)
    assert again("idle", effects=[0.6]) == (2, 3, 2)
    store = CellStore(tmp_path / "run")
    assert len(store.planned) == 5
    told = explain(tmp_path / "run", "edit--set--seed0--age", registry=harness_plugins.registry)
    assert told == ["its status is failed: idle"]
    assert again("here", effects=[0.8, 0.5]) == (2, 3, 0)
    (tmp_path / "run" / "cells" / "edit--set--seed0--age" / "arrays.safetensors").write_bytes(b"")
    told = explain(tmp_path / "run", "edit--set--seed0--age", registry=harness_plugins.registry)
    assert told == ["its files are not what it recorded"]


def test_what_differs_from_before_is_told_by_field_in_order(tmp_path: Path) -> None:
    made(RunFolder.claim(tmp_path / "run").bank)
    data = SUITE | {"seeds": [0], "controls": [], "tune": None}
    data |= {"tasks": TASKS[:2], "sequences": SEQUENCES[:1]}
    suite, registry = Suite.model_validate(data), harness_plugins.registry
    run_suite(suite, tmp_path / "run", Silent(), registry=registry, executor="here")
    for cell in CellStore(tmp_path / "run").planned:
        assert explain(tmp_path / "run", cell, registry=registry) == []
    changed = Suite.model_validate(
        data
        | {"strengths": [0.5, 1.0], "effects": [0.5], "show_images": 3}
        | {"identity": EYES[:1], "tasks": [TASKS[0] | {"change": 9, "layers": [1]}, TASKS[1]]}
    )
    (tmp_path / "run" / "suite.json").write_text(changed.model_dump_json())
    found = explain(tmp_path / "run", "edit--set--seed0--age", registry=registry)
    eyes = [registry().identity("eye", use.get("options")).fingerprint for use in EYES]
    lost = [line for line in found if line.startswith("identity.1.")]
    assert f"identity.1.fingerprint was {eyes[1]}, is nothing" in lost
    assert "identity.1.options.first was 4, is nothing" in lost
    assert [line for line in found if line not in lost] == [
        "effects was [0.8, 0.4], is [0.5]",
        "show_faces was 2, is 3",
        "strengths was [0.5, 1.0, 2.0], is [0.5, 1.0]",
        "task.change was 10.0, is 9.0",
        "task.layers was None, is [1]",
    ]


def test_the_seconds_of_a_cell_are_those_of_its_own_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The clock stands still but for the 7 seconds that the fit takes."""
    made(tmp_path / "run" / "bank")
    suite = Suite.model_validate(SUITE | {"tune": None})
    cell, now = Cell("fit", {"k": 1}, "set", 2), [100.0]
    job = Job(tmp_path / "run", suite, cell, harness_plugins.registry)

    def progress(fraction: float, message: str) -> None:
        now[0] += 7

    bench = open_bench(job)
    with monkeypatch.context() as patch:
        patch.setattr(worker.time, "perf_counter", lambda: now[0])
        staged = compute(job, bench, progress)
    CellStore(tmp_path / "run").publish(cell, staged)
    record = CellStore(tmp_path / "run").record(cell.id)
    assert record is not None
    assert record.seconds == 7


def test_provenance_says_what_is_needed_to_make_the_run_again(bank: LatentBank) -> None:
    registry = harness_plugins.registry()
    judge = {"plugin": "judge", "options": {"tired": True}, "name": "shown"}
    eyes = [EYES[0], EYES[1] | {"options": {"first": 4, "threshold": 0.5}}]
    found = provenance(
        Suite.model_validate(SUITE | {"judge": judge, "identity": eyes}), bank, registry
    )
    assert found.bank.hash == bank.hash
    sampling = (found.bank.seed, found.bank.truncation_psi, found.bank.fit, found.bank.test)
    assert sampling == (0, 1.0, 30, 6)
    assert found.bank.generator_fingerprint == registry.generator("toy").fingerprint
    assert found.bank.labeller_fingerprint == registry.estimator("labeller").fingerprint
    assert found.judge.name == "shown"
    assert found.judge.options == {"tired": True}
    assert found.judge.fingerprint == registry.estimator("judge", {"tired": True}).fingerprint
    assert [(e.name, e.threshold, e.options) for e in found.identity] == [
        ("first", 0.9, {}),
        ("last", 0.5, {"first": 4, "threshold": 0.5}),
    ]
    assert [e.fingerprint for e in found.identity] == [
        registry.identity("eye", use.get("options")).fingerprint for use in eyes
    ]
    assert found.plugins["editor push"] == "harness 1"
    assert set(found.plugins) == {
        "generator toy", "estimator labeller", "estimator judge", "identity eye",
        "editor push", "editor no-edit",
    }  # fmt: skip
    assert (found.threads, found.batch) == (1, 64)


def test_terms_of_labeller_and_judge_are_stated(
    bank: LatentBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, suite = harness_plugins.registry(), Suite.model_validate(SUITE)
    for name in ("labeller", "judge"):
        kind = registry.load("estimator", name)
        monkeypatch.setattr(kind, "card", lambda self, of=name: {"licence": f"{of}'s"})
    terms = provenance(suite, bank, registry).terms
    assert terms == {"labeller": "labeller's", str(suite.judge): "judge's"}


def test_a_run_on_a_bank_needs_no_labeller(
    bank: LatentBank, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry, suite = harness_plugins.registry(), Suite.model_validate(SUITE)
    build = registry.estimator

    def absent(name: str, *options: Any) -> Any:
        if name == "labeller":
            raise EnvironmentFault("it is not installed")
        return build(name, *options)

    monkeypatch.setattr(registry, "estimator", absent)
    assert "labeller" not in provenance(suite, bank, registry).terms


def with_options(field: str, plugin: str, **options: Any) -> dict[str, Any]:
    return {"bank": BANK | {field: {"plugin": plugin, "options": options}}}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"bank": BANK | {"generator": {"plugin": "tory"}}}, UnknownName),
        ({"bank": BANK | {"labeller": "labeler"}}, UnknownName),
        (with_options("labeller", "labeller", lite=1), UnknownName),
        (with_options("generator", "toy", correlation=2), InputError),
        ({"judge": {"plugin": "judge", "options": {"tierd": True}}}, UnknownName),
        ({"identity": [EYES[0], EYES[1] | {"options": {"frist": 1}}]}, UnknownName),
        ({"identity": [EYES[0], {"plugin": "ear"}]}, UnknownName),
        ({"editors": {"a": {"plugin": "push", "options": {"leak": "much"}}}}, InputError),
        ({"controls": ["resample"]}, UnknownName),
    ],
    ids=str,
)  # fmt: skip
def test_every_plugin_and_option_that_a_suite_names_is_looked_up_first(
    changes: dict[str, Any], error: type[Exception]
) -> None:
    check_names(Suite.model_validate(SUITE), harness_plugins.registry())
    with pytest.raises(error):
        check_names(Suite.model_validate(SUITE | changes), harness_plugins.registry())


def test_imports_are_found_wherever_they_stand(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deep_imports.py").write_text(
        "try:\n    import numpy as n\n"
        "except ImportError:\n    import torch\n"
        "else:\n    import pluggy\n"
        "finally:\n    from PIL import Image\n"
        "class A:\n    def b(self):\n        for _ in ():\n            with c:\n"
        "                from scipy.stats import norm\n"
        "if n:\n    import json\nelif Image:\n    import pydantic\n"
        "match n:\n    case 1:\n        import click, yaml\n"
        "async def f():\n    while 1:\n        from sklearn import svm\n"
        'text = """\nimport pandas\n"""\n'
        "if n:\n    pass\n" + 2_000 * "elif n:\n    import safetensors\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert set(editing_keys.imported_versions("deep_imports:A")) == {
        *("numpy", "torch", "pluggy", "PIL", "scipy", "pydantic", "click", "yaml", "sklearn"),
        "safetensors",
    }
