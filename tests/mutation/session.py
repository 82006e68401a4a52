"""What became of each mutant, kept so that a run that was ended goes on where it was."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import yaml
from cosmic_ray.work_db import WorkDB, use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkItem, WorkResult

from mutation.mutants import Mutant
from mutation.operators import OWN


@dataclass(frozen=True)
class Verdict:
    """What the tests said.

    Args:
        by: the test that failed, or how it ended otherwise; empty if nothing noticed.
        tests: digest of the tests that were asked.
    """

    killed: bool
    by: str
    seconds: float
    tests: str


class Session:
    """A database of cosmic-ray, so that its own tools read it too."""

    def __init__(
        self, path: Path, mutants: Iterable[Mutant], shipped: Path, *, fresh: bool = False
    ) -> None:
        """Results of the same mutants are kept, here or as shipped; no others are."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.mutants = {mutant.id: mutant for mutant in mutants}
        with use_db(path, WorkDB.Mode.create) as db:
            kept = {} if fresh else read_verdicts(shipped)
            kept |= {} if fresh else {job: _verdict(result) for job, result in db.results}
            db.clear()
            db.add_work_items(_item(mutant) for mutant in self.mutants.values())
        self.verdicts = dict[str, Verdict]()
        for job in self.mutants.keys() & kept.keys():
            self.keep(self.mutants[job], kept[job])

    def pending(self, tests: dict[str, str]) -> list[Mutant]:
        """Not yet tried; and survivors whose tests are others now (`tests`: digest by source)."""
        return [
            mutant
            for job, mutant in self.mutants.items()
            if (verdict := self.verdicts.get(job)) is None
            or (not verdict.killed and verdict.tests != tests[mutant.place.path])
        ]

    def keep(self, mutant: Mutant, verdict: Verdict) -> None:
        self.verdicts[mutant.id] = verdict
        outcome = TestOutcome.KILLED if verdict.killed else TestOutcome.SURVIVED
        diff = f"- {mutant.original}\n+ {mutant.mutated}"
        result = WorkResult(WorkerOutcome.NORMAL, json.dumps(asdict(verdict)), outcome, diff)
        with use_db(self.path, WorkDB.Mode.open) as db:
            db.set_result(mutant.id, result)


COLUMNS = ("id", "group", "killed", "by", "seconds", "tests", "file", "original", "mutated")


def write_verdicts(path: Path, sessions: dict[str, Session]) -> None:
    """Of every group, what became of each mutant, as CSV."""
    rows = [
        {"id": job, "group": group, "file": mutant.place.path}
        | asdict(session.verdicts[job])
        | {"seconds": f"{session.verdicts[job].seconds:.1f}"}
        | {"original": mutant.original, "mutated": mutant.mutated}
        for group, session in sessions.items()
        for job, mutant in sorted(session.mutants.items(), key=_at)
        if job in session.verdicts
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def read_verdicts(path: Path) -> dict[str, Verdict]:
    """By the id of the mutant; of no mutant where there is no file."""
    if not path.is_file():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {
            row["id"]: Verdict(
                row["killed"] == "True", row["by"], float(row["seconds"]), row["tests"]
            )
            for row in csv.DictReader(file)
        }


def _at(item: tuple[str, Mutant]) -> tuple[str, tuple[int, int], str]:
    return item[1].place.path, item[1].place.start, item[0]


class Accepted:
    """Survivors that do not matter, each with a reason; told by what the line says, not where."""

    def __init__(self, path: Path) -> None:
        said = yaml.safe_load(path.read_text(encoding="utf-8")) if path.is_file() else None
        self.entries: list[dict[str, str]] = said or []
        for entry in self.entries:
            if set(entry) != {"file", "function", "original", "mutated", "reason"}:
                raise SystemExit(f"{path}: an entry has other keys than it should: {entry}")

    def reason(self, mutant: Mutant) -> str:
        """Why this one does not matter, or nothing."""
        for entry in self.entries:
            at = f"/{mutant.place.path}".endswith(f"/{entry['file']}")
            told = (mutant.place.function, mutant.original, mutant.mutated)
            if at and told == tuple(_plain(entry[k]) for k in ("function", "original", "mutated")):
                return entry["reason"]
        return ""


@dataclass(frozen=True)
class Figures:
    """killed / (tried − accepted), of one group."""

    group: str
    bar: float
    sampled: int
    tried: int
    killed: int
    accepted: int

    @property
    def share(self) -> float:
        left = self.tried - self.accepted
        return self.killed / left if left else 1.0

    @property
    def enough(self) -> bool:
        return self.share >= self.bar

    def line(self) -> str:
        return (
            f"{self.group}: {self.killed} of {self.tried - self.accepted} killed, "
            f"{100 * self.share:.1f} % (bar {100 * self.bar:.0f} %); {self.accepted} accepted; "
            f"{self.tried} of {self.sampled} tried"
        )


def figures(group: str, bar: float, session: Session, accepted: Accepted) -> Figures:
    survivors = surviving(session)
    return Figures(
        group,
        bar,
        len(session.mutants),
        len(session.verdicts),
        len(session.verdicts) - len(survivors),
        sum(bool(accepted.reason(mutant)) for mutant in survivors),
    )


def surviving(session: Session) -> list[Mutant]:
    """By place."""
    found = [session.mutants[job] for job, v in session.verdicts.items() if not v.killed]
    return sorted(found, key=lambda mutant: (mutant.place.path, mutant.place.start))


def table(session: Session, accepted: Accepted) -> str:
    """Markdown: each survivor, and why it does not matter if it does not."""
    rows = ["| place | line → with the fault | why it does not matter |", "|---|---|---|"]
    for mutant in surviving(session):
        place = f"{mutant.place.path}:{mutant.place.start[0]} {mutant.place.function}"
        change = f"`{_cell(mutant.original)}` → `{_cell(mutant.mutated)}`"
        rows.append(f"| {place} | {change} | {accepted.reason(mutant) or 'OPEN'} |")
    return "\n".join(rows)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _plain(text: str) -> str:
    return " ".join(str(text).split())


def _item(mutant: Mutant) -> WorkItem:
    place = mutant.place
    own = {operator.__name__ for operator in OWN.values()}
    name = mutant.operator if mutant.operator in own else f"core/{mutant.operator}"
    return WorkItem.single(
        mutant.id,
        MutationSpec(
            place.path, name, mutant.occurrence, place.start, place.end, {}, place.function
        ),
    )


def _verdict(result: WorkResult) -> Verdict:
    return Verdict(**json.loads(result.output or "{}"))
