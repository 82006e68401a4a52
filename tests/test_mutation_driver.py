"""The driver of mutation testing: what it samples, what counts as noticed, and how it goes on."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import pytest
import yaml
from mutation.irrelevant import irrelevant, within
from mutation.mutants import Mutant, places, sample
from mutation.plan import read_plan, touched
from mutation.session import Accepted
from mutation.trial import Trial
from mutation.workers import Pool

ROOT = Path(__file__).parent.parent
SEEN = "def area(a, b):\n    return a * b\n"
UNSEEN = "def perimeter(a, b):\n    return 2 * (a + b)\n"
TESTS = """\
from shapes.seen import area
from shapes.unseen import perimeter


def test_area():
    assert area(3, 4) == 12


def test_perimeter_is_positive():
    assert perimeter(3, 4) > 0
    with open("asked", "a") as asked:
        asked.write(".")


def test_that_fails_without_a_fault():
    assert area(1, 1) == 2
"""
ELSEWHERE = """\
import subprocess
import sys

CODE = "from shapes.seen import area; assert area(3, 4) == 12"


def test_in_a_new_interpreter(tmp_path):
    assert subprocess.run([sys.executable, "-c", CODE], cwd=tmp_path).returncode == 0
"""
FORKED = """\
import multiprocessing


def look():
    from shapes.seen import area

    assert area(3, 4) == 12


def test_in_a_fork_server():
    process = multiprocessing.get_context("forkserver").Process(target=look)
    process.start()
    process.join()
    assert process.exitcode == 0
"""
ENDLESS = """\
import subprocess
import sys
from pathlib import Path

from shapes.seen import area

SLEEP = "import os, time; os.setsid(); open(r'{}', 'w').write(str(os.getpid())); time.sleep(600)"


def test_that_waits():
    subprocess.run([sys.executable, "-c", "pass"])
    if area(3, 4) != 12:
        process = subprocess.Popen([sys.executable, "-c", SLEEP.format(Path.home() / "pid")])
        process.wait()
"""
SPOILING = """\
import shutil

from shapes.seen import area
from shapes.unseen import perimeter


def test_that_removes_everything():
    if area(3, 4) != 12:
        shutil.rmtree("shapes")
        raise AssertionError


def test_perimeter_is_positive():
    assert perimeter(3, 4) > 0
"""
TOLD = """\
from pathlib import Path

from shapes.seen import area
from shapes.unseen import perimeter


def tell(name):
    with open(Path.home() / "asked", "a") as asked:
        asked.write(name + " ")


def test_perimeter():
    tell("perimeter")
    assert perimeter(3, 4) > 0


def test_area():
    tell("area")
    assert area(3, 4) == 12
"""
AREAS = """\
[settings]
factor = 3
slack_seconds = {slack}
import_from = ["."]
helpers = []
built = ["*.so"]
packages = ["shapes"]
preload = ["pytest"]

[groups.shapes]
bar = 0.5
count = 0

[[groups.shapes.areas]]
sources = ["shapes/*.py", "!*/__init__.py"]
tests = ["{tests}"]
"""


def project(folder: Path, tests: str = TESTS, slack: float = 60) -> Path:
    for name, text in (("__init__", ""), ("seen", SEEN), ("unseen", UNSEEN)):
        (folder / "shapes").mkdir(parents=True, exist_ok=True)
        (folder / "shapes" / f"{name}.py").write_text(text)
    (folder / "test_shapes.py").write_text(tests)
    (folder / "areas.toml").write_text(AREAS.format(slack=slack, tests="test_*.py"))
    return folder


def trial(root: Path, out: Path, **said: object) -> Trial:
    plan = read_plan(root / "areas.toml", root)
    return Trial(root, plan, out, root / "accepted.yaml", **said)  # type: ignore[arg-type]


def told(mutants: list[Mutant]) -> list[tuple[str, str]]:
    return [(mutant.original, mutant.mutated) for mutant in mutants]


def test_equal_seeds_sample_equal_faults_and_a_smaller_sample_begins_a_larger(
    tmp_path: Path,
) -> None:
    source = "".join(f"def f{i}(a, b):\n    return a * b - {i}\n\n\n" for i in range(20))
    (tmp_path / "many.py").write_text(source)
    found = places(tmp_path, ["many.py"])
    assert len(found) == 60  # a product, a difference and a number each
    once, again = (told(list(sample(tmp_path, found, 15, seed=3))) for _ in range(2))
    assert once == again
    assert told(list(sample(tmp_path, found, 5, seed=3))) == once[:5]
    other = told(list(sample(tmp_path, found, 15, seed=4)))
    assert {original for original, _ in other} != {original for original, _ in once}
    assert len(list(sample(tmp_path, found, None, seed=3))) == 60


def test_a_change_elsewhere_leaves_the_sample_of_the_other_functions(tmp_path: Path) -> None:
    (tmp_path / "few.py").write_text(SEEN + UNSEEN)
    before = told(list(sample(tmp_path, places(tmp_path, ["few.py"]), None, seed=0)))
    (tmp_path / "few.py").write_text("NEW = 7\n\n\n" + SEEN + UNSEEN)
    after = told(list(sample(tmp_path, places(tmp_path, ["few.py"]), None, seed=0)))
    assert [change for change in after if "NEW" not in change[0]] == before


class Tried:
    """A sample of two faults, then all four; what was printed of each run."""

    def __init__(self, folder: Path) -> None:
        self.root, self.out = project(folder / "p"), folder / "out"
        self.figures, self.printed = [], []
        for count in (2, 0):
            self.again(count)

    def again(self, count: int = 0) -> None:
        with redirect_stdout(StringIO()) as printed:
            [figure] = trial(self.root, self.out, count=count).run(["shapes"], workers=1)
        self.figures.append(figure)
        self.printed.append(printed.getvalue())


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Tried:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
        return Tried(tmp_path_factory.mktemp("tried"))


@pytest.fixture(autouse=True)
def _pytest_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")  # plugins take a second to load


def test_a_fault_that_a_test_sees_is_killed_and_another_survives(tried: Tried) -> None:
    figure = tried.figures[1]
    assert (figure.sampled, figure.tried, figure.accepted) == (4, 4, 0)
    text = (tried.out / "survivors.md").read_text()
    sampled = trial(tried.root, tried.out).sample("shapes")
    killed = [m.place.function for m in sampled if f"`{m.mutated}`" not in text]
    assert killed == ["area"]
    assert (figure.killed, figure.share, figure.enough) == (1, 0.25, False)
    assert text.count("OPEN") == 3


def test_the_checkout_stays_as_it_is(tried: Tried) -> None:
    assert (tried.root / "shapes" / "seen.py").read_text() == SEEN
    assert (tried.root / "shapes" / "unseen.py").read_text() == UNSEEN
    assert not (tried.root / "asked").exists()


def test_a_test_that_fails_without_a_fault_is_not_asked(tried: Tried) -> None:
    assert "test_shapes.py::test_that_fails_without_a_fault" in tried.printed[0]


def test_a_run_goes_on_where_it_was_and_asks_new_tests_about_survivors(tmp_path: Path) -> None:
    this = Tried(tmp_path)
    assert [figure.tried for figure in this.figures] == [2, 4]
    assert [printed.count("[shapes ") for printed in this.printed] == [2, 2]
    this.again()
    assert (this.printed[-1].count("[shapes "), this.figures[-1].killed) == (0, 1)
    better = TESTS.replace("perimeter(3, 4) > 0", "perimeter(3, 4) == 14")
    (this.root / "test_shapes.py").write_text(better)
    this.again()
    assert this.printed[-1].count("[shapes ") == 3  # the killed one is not tried again
    figure = this.figures[-1]
    assert (figure.killed, figure.share, figure.enough) == (4, 1.0, True)


def test_tests_that_run_the_line_are_asked_first_and_all_others_where_it_survives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    root, asked = project(tmp_path / "p", TOLD), tmp_path / "asked"
    [figure] = trial(root, tmp_path / "out", paths=["shapes/seen.py"]).run(["shapes"], workers=1)
    without_a_fault, told = "perimeter area ", asked.read_text()
    assert (figure.killed, told) == (1, without_a_fault + "area ")
    trial(root, tmp_path / "out", paths=["shapes/unseen.py"], count=1).run(["shapes"], workers=1)
    assert asked.read_text() == told + "perimeter area "


def test_shipped_verdicts_hold_for_sources_that_are_as_they_were(
    tried: Tried, tmp_path: Path
) -> None:
    root = project(tmp_path / "p")
    (root / "docs" / "results").mkdir(parents=True)
    shutil.copy(tried.out / "verdicts.csv", root / "docs" / "results" / "mutants.csv")
    (root / "shapes" / "unseen.py").write_text(UNSEEN + "\n\nSIDES = 4\n")
    sampled = trial(root, tmp_path / "out").sample("shapes")
    [figure] = trial(root, tmp_path / "out").run(["shapes"], workers=1, until=0.0)
    seen = [mutant for mutant in sampled if mutant.place.path == "shapes/seen.py"]
    assert (figure.sampled, figure.tried, figure.killed) == (len(sampled), len(seen), 1)


def test_an_accepted_survivor_does_not_count(tried: Tried, tmp_path: Path) -> None:
    out = shutil.copytree(tried.out, tmp_path / "out")
    entries = [
        {
            "file": "unseen.py",
            "function": "perimeter",
            "original": mutant.original,
            "mutated": mutant.mutated,
            "reason": "nobody walks round it",
        }
        for mutant in trial(tried.root, out).sample("shapes")
        if mutant.place.function == "perimeter"
    ]
    accepted = tmp_path / "accepted.yaml"
    accepted.write_text(yaml.safe_dump(entries[:2]))
    plan = read_plan(tried.root / "areas.toml", tried.root)
    [figure] = Trial(tried.root, plan, out, accepted).run(["shapes"], workers=1)
    assert (figure.killed, figure.accepted, figure.share) == (1, 2, 0.5)
    text = (out / "survivors.md").read_text()
    assert (text.count("nobody walks round it"), text.count("OPEN")) == (2, 1)


@pytest.mark.parametrize("tests", [ELSEWHERE, FORKED], ids=["interpreter", "fork-server"])
def test_processes_that_a_test_starts_see_the_fault(tmp_path: Path, tests: str) -> None:
    root = project(tmp_path / "p", tests)
    [figure] = trial(root, tmp_path / "out", paths=["shapes/seen.py"]).run(["shapes"], workers=1)
    assert (figure.tried, figure.killed) == (1, 1)


def test_a_fault_that_never_ends_is_ended_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    root = project(tmp_path / "p", ENDLESS)
    plan = read_plan(root / "areas.toml", root)
    with Pool(root, plan, 1) as pool:
        worker = pool.workers[0]
        with worker.with_code("shapes/seen.py", SEEN.replace("*", "+")):
            found = worker.run(["test_shapes.py"], 5, stop=True)
        assert found["timed_out"]
        assert not Path(f"/proc/{(tmp_path / 'pid').read_text()}").exists()
        assert worker.run(["test_shapes.py"], 60, stop=True)["code"] == 0
        with worker.with_code("shapes/seen.py", SEEN.replace("*", "+")):
            found = worker.run(["test_shapes.py"], 600, stop=True, limits={"test_shapes.py": 3})
        assert found["timed_out"]


def test_a_copy_that_a_test_spoils_is_made_anew(tmp_path: Path) -> None:
    root = project(tmp_path / "p", SPOILING)
    [figure] = trial(root, tmp_path / "out").run(["shapes"], workers=1)
    assert (figure.tried, figure.killed) == (4, 1)


def test_a_run_without_time_left_says_what_it_has_not_tried(tmp_path: Path) -> None:
    root = project(tmp_path / "p")
    [figure] = trial(root, tmp_path / "out").run(["shapes"], workers=1, until=0.0)
    assert (figure.sampled, figure.tried) == (4, 0)


def test_lines_that_a_commit_touches(tmp_path: Path) -> None:
    def git(*words: str) -> None:
        who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
        subprocess.run(["git", *who, *words], cwd=tmp_path, check=True, capture_output=True)

    (tmp_path / "old.py").write_text("a = 1\nb = 2\nc = 3\n")
    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "one")
    (tmp_path / "old.py").write_text("a = 1\nb = 5\nc = 3\nd = 4\n")
    (tmp_path / "new.py").write_text("e = 1\nf = 2\n")
    assert touched(tmp_path, "HEAD") == {"old.py": {2, 4}, "new.py": {1, 2}}


def test_what_nobody_depends_on_is_left_out(tmp_path: Path) -> None:
    source = (
        "def f(x: int = 1, *, y: 'A | B' = 2) -> Literal[3]:\n"
        "    progress(4, 'told')\n"
        "    if x > 5:\n"
        "        raise ValueError(f'{x + 6}')\n"
        "    plot(x, alpha=7, order=8)\n"
    )
    (tmp_path / "shown.py").write_text(source)
    ranges = irrelevant(source)
    lines = source.splitlines()
    left = [
        number
        for number in "12345678"
        for i, line in enumerate(lines)
        if number in line and not within((i + 1, line.index(number)), ranges)
    ]
    assert left == ["1", "2", "5", "8"]
    kinds = {(p.start[0], p.kind) for p in places(tmp_path, ["shown.py"])}
    assert kinds == {
        *((1, "number"), (3, "number"), (3, "comparison"), (3, "logic")),
        *((5, "number"), (5, "keyword")),
    }


def test_an_accepted_entry_with_a_missing_reason_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "accepted.yaml"
    path.write_text("- {file: a.py, function: f, original: a, mutated: b}\n")
    with pytest.raises(SystemExit, match="other keys"):
        Accepted(path)


def test_a_pattern_that_finds_no_file_is_refused(tmp_path: Path) -> None:
    root = project(tmp_path / "p")
    (root / "areas.toml").write_text(AREAS.format(slack=1, tests="test_moved.py"))
    with pytest.raises(SystemExit, match="test_moved"):
        read_plan(root / "areas.toml", root)


def test_a_copy_has_what_git_keeps_and_what_was_built(tmp_path: Path) -> None:
    root = project(tmp_path / "p")
    subprocess.run(["git", "init", "-q"], cwd=root, check=True)
    (root / ".gitignore").write_text("*.so\n*.log\n")
    (root / "built.so").write_bytes(b"code")
    (root / "a.log").write_bytes(b"told")
    with Pool(root, read_plan(root / "areas.toml", root), 1) as pool:
        copied = {path.name for path in pool.workers[0].copy.iterdir()}
    assert copied == {".gitignore", "areas.toml", "built.so", "shapes", "test_shapes.py"}


@pytest.mark.parametrize(
    ("group", "folders"),
    [
        (
            "results",
            ["measures", "data", "sampling", "photos", "benchmark", "report", "studio/session"],
        ),
        ("editors", ["editing"]),
    ],
)
def test_every_source_that_decides_figures_is_in_an_area(group: str, folders: list[str]) -> None:
    plan = read_plan(ROOT / "tests/mutation/areas.toml", ROOT)
    sources = {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / "latentedit" / folder).rglob("*.py")
        if path.name != "__init__.py"
    }
    elsewhere = {"latentedit/data/moments.py"}  # tried with the editors, which read it
    assert sources - elsewhere <= set(plan.groups[group].sources)
    assert elsewhere <= set(plan.groups["editors"].sources)
