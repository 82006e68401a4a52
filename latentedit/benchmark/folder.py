"""The folder of a run: its mark, its lock, and what may be written or removed in it.

    RUN/run.json      the mark: this project made the folder, and which bank it wrote there
    RUN/run.lock      held by the process that computes

The run removes only files that it wrote and recorded. It refuses symbolic links, because writing
through them would change files outside the folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from latentedit.benchmark.cells.store import SET_ASIDE
from latentedit.data.bank import LatentBank
from latentedit.errors import CorruptArtefact, EnvironmentFault, InputError
from latentedit.files.artefacts import Digest, holds_only, move_aside, write_json
from latentedit.files.records import read_record
from latentedit.files.regular import usable_name
from latentedit.files.staging import remove_abandoned

MARK, LOCK = "run.json", "run.lock"


class RunMark(BaseModel):
    """What `run.json` says.

    Args:
        bank: hash of the bank that the run wrote to ``RUN/bank``; None where it wrote none yet.
        models: code, options and fingerprints of the generator and labeller that made it.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    format: Literal["latentedit run 1"] = "latentedit run 1"
    bank: Digest | None = None
    models: dict[str, Any] | None = None


class RunFolder:
    """A folder that carries a run's mark."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def claim(cls, path: Path) -> RunFolder:
        """Mark a new or empty folder as a run's, or take one that is marked.

        Raises:
            InputError: the folder holds other files, or symbolic links; nothing was written.
        """
        path = usable_name(path).resolve()
        if path.exists() and not path.is_dir():
            raise InputError(f"{path} is a file; a run needs a folder of its own")
        if not (path / MARK).is_file():
            if path.is_dir():
                remove_abandoned(path / MARK)
            if path.is_dir() and (found := sorted(entry.name for entry in path.iterdir())):
                raise InputError(
                    f"{path} holds {found[0]!r} and is not the folder of a run: it has no {MARK}. "
                    "Choose a new or empty folder"
                )
            path.mkdir(parents=True, exist_ok=True)
            write_json(path / MARK, RunMark().model_dump())
        return cls.open(path)

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """A marked folder, to write into.

        Raises:
            InputError: it has no mark, or a symbolic link lies in it; nothing was written.
        """
        folder = cls(usable_name(path).resolve())
        if not (path / MARK).is_file():
            raise InputError(
                f"{path} is not the folder of a run: it has no {MARK}. "
                f"Make one with: latentedit bench run SUITE --out {path}"
            )
        folder.mark()
        folder._refuse_links()
        return folder

    def mark(self) -> RunMark:
        return read_record(self.path / MARK, RunMark)

    def _refuse_links(self) -> None:
        for parent, folders, files in os.walk(self.path):
            for name in (*folders, *files):
                place = Path(parent, name)
                if place.is_symlink():
                    raise InputError(
                        f"{place} is a symbolic link to {os.readlink(place)}. A run writes only "
                        "inside its own folder: put a real file or folder there, or choose "
                        "another --out"
                    )

    @property
    def bank(self) -> Path:
        return self.path / "bank"

    def whole_bank(self) -> LatentBank | None:
        """The bank in the run, every byte as recorded; None where there is none."""
        try:
            bank = LatentBank.open(self.bank)
            if not bank.root:  # else each shard is checked when it is fetched
                bank.verify()
        except (InputError, CorruptArtefact):
            return None
        return bank

    def clear_bank(self) -> Path | None:
        """Make room for a new bank.

        The run's own one is removed. A folder that holds anything else is moved aside.

        Returns:
            Where it was moved to, if it was.
        """
        remove_abandoned(self.bank)
        if not os.path.lexists(self.bank):
            return None
        bank = self.whole_bank()
        mine = bank is not None and bank.hash == self.mark().bank
        if bank is not None and mine and holds_only(self.bank, bank.recorded_files):
            shutil.rmtree(self.bank)
            return None
        return move_aside(self.bank, self.path / SET_ASIDE)

    def begin_bank(self, models: Mapping[str, Any]) -> None:
        """Record that `models` are about to make a bank, so that one that is whole after a stop is
        known to be the run's own."""
        write_json(self.path / MARK, RunMark(models=dict(models)).model_dump())

    def record_bank(self, bank: LatentBank, models: Mapping[str, Any]) -> None:
        """Record a bank that was made just now, and the `models` that made it."""
        mark = RunMark(bank=bank.hash, models=dict(models))
        write_json(self.path / MARK, mark.model_dump())

    def own_bank(self, bank: LatentBank, models: Mapping[str, Any]) -> None:
        """Record a whole bank whose making was stopped before it was recorded."""
        mark = self.mark()
        if mark.bank is None and mark.models == models:
            self.record_bank(bank, models)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder for this process; the lock goes when the process does.

        Raises:
            EnvironmentFault: another process holds it; names it.
            InputError: the lock file is not a plain file of its own.
        """
        with open(_plain_file(self.path / LOCK), "r+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise EnvironmentFault(
                    f"{self.path} is in use by {file.read().strip() or 'another process'}; "
                    "wait for it, or choose another folder"
                ) from None
            file.truncate(0)
            file.write(f"process {os.getpid()} on {socket.gethostname()}\n")
            file.flush()
            yield


def _plain_file(path: Path) -> int:
    """A handle of the regular file `path`, new or old, that no other name leads to."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK, 0o644)
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(handle)
        raise InputError(f"{path} is not a plain file of its own; remove it and try again")
    return handle
