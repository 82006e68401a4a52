"""A board as a static site: rankings over worlds, and every run with its figures and report.

    SITE/index.html              rankings, figures and runs, with search and filters
    SITE/board.json              the same as data, and the digest of every file
    SITE/runs/NAME/...           of each run its report, suite, provenance and results

Every page holds all that it shows and asks for nothing from elsewhere.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from markupsafe import Markup

from latentedit.benchmark.provenance import PROVENANCE
from latentedit.benchmark.results.board import Board, brief_headline, run_labels
from latentedit.benchmark.results.keys import MetricKey, in_order
from latentedit.benchmark.results.ranking import BlockKind, Ranking, rankings, world_names
from latentedit.benchmark.results.reading import Run
from latentedit.benchmark.results.records import RESULTS
from latentedit.benchmark.results.rows import Measure
from latentedit.benchmark.results.signed import recorded_digest
from latentedit.benchmark.suite import SUITE_FILE
from latentedit.errors import InputError
from latentedit.files.artefacts import (
    Digest,
    file_digest,
    publish,
    staged_folder,
    write_bytes,
    write_json,
)
from latentedit.files.records import StrictRecord, read_record
from latentedit.measures.headline import brief, headlines
from latentedit.report.critical_difference import diagram, in_words
from latentedit.report.tables import Column, columns
from latentedit.report.template import render

RECORD = "board.json"
COPIED = {
    "report/index.html": "report.html",
    **{name: name for name in (SUITE_FILE, PROVENANCE, RESULTS, "results.csv")},
}
"""Files of a run that a site has, by where they lie in the run."""


class SiteRecord(StrictRecord):
    """``board.json``.

    Args:
        files: the digest of every other file, by path.
        board: what the pages show, as data.
    """

    format: Literal["latentedit board 1"] = "latentedit board 1"
    files: dict[str, Digest]
    board: dict[str, Any]


@dataclass(frozen=True)
class PublishedRun:
    """A run on the site.

    Args:
        digest: of its results, as they record it.
        command: makes it again.
        files: that the site has, by name.
    """

    label: str
    world: str
    run: Run
    digest: Digest
    command: str
    files: tuple[str, ...]

    @property
    def id(self) -> str:
        return f"run-{self.label}"


@dataclass(frozen=True)
class Row:
    """An editor of a run, with its mean figures over all tasks; None where there is none."""

    name: str
    published: PublishedRun
    control: bool
    cells: list[Measure | None]


@dataclass(frozen=True)
class RankingPart:
    """A ranking on the page."""

    id: str
    ranking: Ranking
    meaning: str
    svg: Markup
    words: list[str]
    worlds: dict[str, dict[str, float]]


def write_site(
    boards: Sequence[Board],
    refused: Mapping[str, str],
    folder: Path,
    kind: BlockKind = "task",
    error_rate: float = 0.05,
) -> list[Ranking]:
    """Write the boards as a site to `folder`, in place of an older one there.

    Args:
        refused: runs that could not be shown, with the reason.
        kind: what editors are ranked in; see `rankings`.
        error_rate: of the tests.

    Raises:
        InputError: `folder` holds something else than a site.
    """
    recorded = _older(folder)
    runs = _published(boards)
    found = rankings(boards, kind, error_rate)
    with staged_folder(folder) as temporary:
        for one in runs.values():
            _copy(one, temporary / "runs" / one.label)
        page = _page(boards, refused, runs, found, kind)
        write_bytes(temporary / "index.html", page.encode())
        files = {
            path.relative_to(temporary).as_posix(): file_digest(path)
            for path in sorted(temporary.rglob("*"))
            if path.is_file()
        }
        record = SiteRecord(files=files, board=_as_data(runs, found))
        write_json(temporary / RECORD, record.model_dump(mode="json"))
    publish(temporary, folder, recorded, folder.parent / f"{folder.name}-set-aside")
    return found


def _older(folder: Path) -> list[str]:
    """The files of the site that is there; none where nothing is."""
    if (folder / RECORD).is_file():
        return [RECORD, *read_record(folder / RECORD, SiteRecord).files]
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} exists and is no published board: it has no {RECORD}. "
            "Choose a new or empty folder"
        )
    return []


def _published(boards: Sequence[Board]) -> dict[Path, PublishedRun]:
    """By folder every run of `boards`."""
    pairs = [
        (world, run)
        for world, board in zip(world_names(boards), boards, strict=True)
        for run in board.runs
    ]
    labels = [label.replace("/", "-") for label in run_labels([run for _, run in pairs])]
    return {
        run.folder: PublishedRun(
            label,
            world,
            run,
            recorded_digest(run.folder / RESULTS),
            command_of(run, label),
            tuple(name for source, name in COPIED.items() if (run.folder / source).is_file()),
        )
        for label, (world, run) in zip(labels, pairs, strict=True)
    }


def command_of(run: Run, label: str) -> str:
    """The command that makes a run again, in the folder of the site."""
    made = run.provenance
    if made.merged:
        return f"latentedit bench merge {' '.join(made.merged)} --out {label}"
    if made.matched_by is not None:
        return f"latentedit bench rescore RUN --judge {made.judge.name} --out {label}"
    photographs = "" if made.bank.photographs is None else " --photos PHOTOS"
    return f"latentedit bench run runs/{label}/{SUITE_FILE}{photographs} --out {label}"


def _copy(one: PublishedRun, folder: Path) -> None:
    folder.mkdir(parents=True)
    for source, name in COPIED.items():
        if name in one.files:
            shutil.copyfile(one.run.folder / source, folder / name)


def _page(
    boards: Sequence[Board],
    refused: Mapping[str, str],
    runs: Mapping[Path, PublishedRun],
    found: Sequence[Ranking],
    kind: BlockKind,
) -> str:
    heads = _heads(boards)
    rows = [row for board in boards for row in _rows(board, runs, [head.key for head in heads])]
    return render(
        "board.html.jinja",
        runs=list(runs.values()),
        refused=refused,
        columns=heads,
        rows=rows,
        editors=sorted({row.name for row in rows if not row.control}),
        worlds=list(dict.fromkeys(one.world for one in runs.values())),
        rankings=[_part(ranking, i) for i, ranking in enumerate(found)],
        kind=kind,
        headlines=headlines({name: m for board in boards for name, m in board.metrics.items()}),
    )


def _heads(boards: Sequence[Board]) -> list[Column]:
    metrics = {name: metric for board in boards for name, metric in board.metrics.items()}
    keys = (key for board in boards for key in brief_headline(board))
    return columns(in_order(keys, brief(metrics)), metrics)


def _rows(board: Board, runs: Mapping[Path, PublishedRun], keys: Sequence[MetricKey]) -> list[Row]:
    found = {(m.editor, m.metric): m for m in board.over_all_tasks()}
    return [
        Row(
            entry.name,
            runs[entry.run.folder],
            entry.control,
            [found.get((entry.name, key)) for key in keys],
        )
        for entry in board.entries
    ]


def _part(ranking: Ranking, number: int) -> RankingPart:
    meaning = headlines({ranking.metric.name: ranking.metric})[ranking.metric.name].meaning
    words = f"ranking{number}"
    worlds = list(dict.fromkeys(block.world for block in ranking.blocks))
    return RankingPart(
        words,
        ranking,
        meaning,
        diagram(ranking, f"{words}-title"),
        in_words(ranking),
        {world: ranking.means_in(world) for world in worlds},
    )


def _as_data(runs: Mapping[Path, PublishedRun], found: Sequence[Ranking]) -> dict[str, Any]:
    return {
        "runs": [
            {"name": one.label, "world": one.world, "results": one.digest, "command": one.command}
            for one in runs.values()
        ],
        "rankings": [
            {
                "metric": one.metric.name,
                "blocks": [list(block) for block in one.blocks],
                "ranks": {name: one.ranks[:, i].tolist() for i, name in enumerate(one.editors)},
                "friedman": {"statistic": one.test.statistic, "p": one.test.p},
                "critical_difference": one.difference,
                "not_told_apart": [list(group) for group in one.groups],
                "left_out": list(one.left_out),
            }
            for one in found
        ],
    }
