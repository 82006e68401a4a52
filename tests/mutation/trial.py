"""A run: sample, see the tests pass without a fault, try each fault, tell."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from mutation.lines import Lines
from mutation.mutants import Mutant, places, sample
from mutation.plan import Group, Plan, chosen, touched
from mutation.session import (
    Accepted,
    Figures,
    Session,
    Verdict,
    figures,
    surviving,
    table,
    write_verdicts,
)
from mutation.workers import Pool, Worker, kept

SHIPPED = "docs/results/mutants.csv"
"""Verdicts that the project ships: they hold for sources that are as they were."""
FAR = 1800.0
"""Seconds that one test file may take without a fault."""
NOTHING_RAN = 5
"""What pytest says where it found no test."""


class Trial:
    """Everything that one run of the driver knows."""

    def __init__(
        self,
        root: Path,
        plan: Plan,
        out: Path,
        accepted: Path,
        *,
        seed: int = 0,
        count: int | None = None,
        changed: str | None = None,
        paths: Iterable[str] = (),
        fresh: bool = False,
    ) -> None:
        """`count`: of places in each group; 0 for all, None for what the plan says."""
        self.root, self.plan, self.out = root, plan, out
        self.accepted = Accepted(accepted)
        self.seed, self.count, self.fresh = seed, count, fresh
        self.lines = None if changed is None else touched(root, changed)
        self.paths = list(paths)
        self.lines_run = Lines(out / "lines")
        self.shipped = root / SHIPPED

    def sample(self, name: str) -> list[Mutant]:
        """The faults that a group is tried with."""
        group = self.plan.groups[name]
        sources = [path for path in group.sources if chosen(path, self.paths)]
        found = places(self.root, sources)
        if self.lines is not None:
            found = [p for p in found if p.start[0] in self.lines.get(p.path, ())]
        count = group.count if self.count is None else self.count
        return list(sample(self.root, found, count or None, self.seed))

    def run(self, names: list[str], workers: int, until: float | None = None) -> list[Figures]:
        """Try what is not tried yet, as far as there is time (`until`, of the monotonic clock)."""
        sessions = {
            name: Session(
                self.out / f"{name}.sqlite", self.sample(name), self.shipped, fresh=self.fresh
            )
            for name in names
        }
        with Pool(self.root, self.plan, workers) as pool:
            for name, session in sessions.items():
                self._try(self.plan.groups[name], session, pool, until)
        return self._tell(sessions)

    def _try(self, group: Group, session: Session, pool: Pool, until: float | None) -> None:
        tests = {
            m.place.path: self._tests_of(group, m.place.path) for m in session.mutants.values()
        }
        digests = {
            path: self._digest([*files, *self.plan.helpers]) for path, files in tests.items()
        }
        pending = [
            mutant
            for mutant in session.pending(digests)
            if mutant.id not in session.verdicts or not self.accepted.reason(mutant)
        ]
        if not pending or (until is not None and time.monotonic() > until):
            return
        needed = {file for mutant in pending for file in tests[mutant.place.path]}
        clean = self._clean(needed, pool)

        def attempt(worker: Worker, mutant: Mutant) -> tuple[Mutant, Verdict | None]:
            path = mutant.place.path
            if until is not None and time.monotonic() > until:
                return mutant, None
            return mutant, self._verdict(worker, mutant, tests[path], clean, digests[path])

        done = 0
        for mutant, verdict in pool.each(pending, attempt):
            if verdict is None:
                continue
            session.keep(mutant, verdict)
            done += 1
            what = "killed  " if verdict.killed else "SURVIVED"
            where = f"{mutant.place.path}:{mutant.place.start[0]}"
            print(
                f"[{group.name} {done}/{len(pending)}] {what} {verdict.seconds:5.1f} s  {where}  "
                f"{mutant.original} → {mutant.mutated}  {verdict.by}",
                flush=True,
            )

    def _tests_of(self, group: Group, path: str) -> list[str]:
        own = [path] if ">>> " in (self.root / path).read_text(encoding="utf-8") else []
        return own + group.tests_of(path)

    def _clean(self, files: set[str], pool: Pool) -> dict[str, dict[str, Any]]:
        """Of each test file without a fault, its seconds and what fails; kept for the next run."""
        cache = self.out / "clean.json"
        found: dict[str, dict[str, Any]] = {}
        if cache.is_file():
            found = json.loads(cache.read_text(encoding="utf-8"))
        code = self._digest(
            path
            for path in kept(self.root)
            if not path.startswith("tests/test_") and path.endswith((".py", ".toml", ".yaml"))
        )
        keys = {file: f"{code} {self._digest([file])}" for file in files}
        unknown = [file for file in sorted(files) if found.get(file, {}).get("key") != keys[file]]

        def look(worker: Worker, file: str) -> tuple[str, dict[str, Any]]:
            told = worker.run([file], FAR, stop=False, lines=self.lines_run.forget(file))
            if told["code"]:  # a record of lines makes tests slower, and some may fail for it
                told = worker.run([file], FAR, stop=False)
            return file, told

        for file, told in pool.each(unknown, look):
            unread = told["code"] not in {0, 1} or not told["passed"]
            found[file] = {"key": keys[file], "seconds": told["wall"], "failed": told["failed"]}
            found[file] |= {"unread": unread, "tests": told["seconds"]}
            print(f"[without a fault] {told['wall']:5.1f} s  {file}", flush=True)
            if unread:
                print(f"  left out, it has no test that passes: {told['output'][-800:]}")
            elif told["failed"]:
                print(f"  left out, they fail without a fault: {', '.join(told['failed'])}")
            cache.parent.mkdir(parents=True, exist_ok=True)
            cache.write_text(json.dumps(found, indent=1), encoding="utf-8")
        return found

    def _verdict(
        self,
        worker: Worker,
        mutant: Mutant,
        tests: list[str],
        clean: dict[str, dict[str, Any]],
        digest: str,
    ) -> Verdict:
        asked = sorted(
            (file for file in tests if not clean[file]["unread"]),
            key=lambda file: clean[file]["seconds"],
        )
        if not asked:
            raise SystemExit(f"no test speaks for {mutant.place.path}")
        leave_out = [name for file in asked for name in clean[file]["failed"]]
        seconds = {name: s for file in asked for name, s in clean[file]["tests"].items()}
        likely = [name for file in asked for name in self._likely(file, clean[file], mutant)]
        limit = self._limit(clean[file]["seconds"] for file in asked)
        soon = self._limit(seconds.get(name, 0.0) for name in likely)
        limits = {file: self._limit([max(clean[file]["tests"].values())]) for file in asked}
        spent = 0.0
        with worker.with_code(mutant.place.path, mutant.code):
            if likely:
                told = worker.run(likely, soon, stop=True, limits=limits)
                if told["failed"] or told["timed_out"]:
                    by = "took too long" if told["timed_out"] else told["failed"][0]
                    return Verdict(True, by, told["wall"], digest)
                if told["code"] == 0:
                    leave_out += likely
                spent = told["wall"]
            told = worker.run(asked, limit, leave_out=leave_out, stop=True, limits=limits)
            if told.get("lost"):  # by the fault, or by chance
                told = worker.run(asked, limit, leave_out=leave_out, stop=True, limits=limits)
        spent += told["wall"]
        if told["code"] == 0 or (told["code"] == NOTHING_RAN and likely):
            return Verdict(False, "", spent, digest)
        if told["code"] == NOTHING_RAN:
            raise SystemExit(f"no test ran for {mutant.place.path}: {told['output']}")
        by = "took too long" if told["timed_out"] else "".join(told["failed"][:1])
        return Verdict(True, by or f"pytest left with {told['code']}", spent, digest)

    def _limit(self, seconds: Iterable[float]) -> float:
        return self.plan.factor * sum(seconds) + self.plan.slack_seconds

    def _likely(self, file: str, clean: dict[str, Any], mutant: Mutant) -> list[str]:
        """The tests of a file that run the line of the fault, the quickest first."""
        place = mutant.place
        found = set(self.lines_run.tests(file, place.path, place.start[0]))
        return sorted(found - set(clean["failed"]), key=lambda name: clean["tests"].get(name, 0))

    def _tell(self, sessions: dict[str, Session]) -> list[Figures]:
        found, parts = [], ["# Faults that no test notices\n"]
        for name, session in sessions.items():
            figure = figures(name, self.plan.groups[name].bar, session, self.accepted)
            found.append(figure)
            parts.append(f"## {name}\n\n{figure.line()}.\n")
            parts.append(table(session, self.accepted) + "\n")
            for mutant in surviving(session):
                if not self.accepted.reason(mutant):
                    print(
                        f"OPEN {mutant.place.path}:{mutant.place.start[0]} "
                        f"{mutant.original} → {mutant.mutated}"
                    )
        self.out.mkdir(parents=True, exist_ok=True)
        (self.out / "survivors.md").write_text("\n".join(parts), encoding="utf-8")
        write_verdicts(self.out / "verdicts.csv", sessions)
        return found

    def _digest(self, files: Iterable[str]) -> str:
        digest = hashlib.sha256()
        for file in sorted(set(files)):
            digest.update(f"{file}\0".encode() + (self.root / file).read_bytes())
        return digest.hexdigest()
