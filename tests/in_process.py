"""The command line called in this process, with what it prints and its exit status."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from latentedit import Registry
from latentedit.cli.main import main


@dataclass
class Finished:
    """What a command left: the exit status that its process would have, and its two streams."""

    returncode: int
    stdout: str
    stderr: str


@dataclass
class CommandLine:
    """`latentedit` as it runs in `folder` where `registry` finds the plugins.

    What one call changes in this process (arguments, folder, streams) is put back after it.
    """

    folder: Path
    registry: Callable[[], Registry]

    def __call__(self, *arguments: str) -> Finished:
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(Registry, "discover", staticmethod(self.registry))
            patch.setattr(sys, "argv", ["latentedit", *arguments])
            patch.setattr(sys, "stdin", io.StringIO())
            patch.chdir(self.folder)
            with (
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
                pytest.raises(SystemExit) as ended,
            ):
                main()
        code = ended.value.code
        assert isinstance(code, int)
        return Finished(code, out.getvalue(), err.getvalue())

    def ok(self, *arguments: str) -> str:
        """What a command prints that has to succeed."""
        found = self(*arguments)
        assert found.returncode == 0, found.stderr
        return found.stdout

    def refused(self, *arguments: str, code: int = 2) -> str:
        """The error of a command that has to be refused."""
        found = self(*arguments)
        assert found.returncode == code, (found.returncode, found.stderr)
        assert found.stderr.startswith(("error: ", "Usage: "))
        return found.stderr
