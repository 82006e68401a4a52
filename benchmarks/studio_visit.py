"""A served studio and a browser that visits it, for measurements and pictures."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]


@contextmanager
def served(arguments: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Address and process id of ``latentedit studio ARGUMENTS``, on a free port."""
    command = [sys.executable, "-m", "latentedit.cli.main", "studio", *arguments, "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout is not None
        said = ""
        while not (found := re.search(r"open (http://\S+)", said)):
            if not (line := server.stdout.readline()):
                raise SystemExit(f"the studio did not start: {said}")
            said += line
        yield found[1], server.pid
    finally:
        server.terminate()
        server.wait()


@contextmanager
def browser() -> Iterator[Any]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    program = shutil.which("chromium") or shutil.which("google-chrome")
    with sync_playwright() as running:
        opened = running.chromium.launch(executable_path=program, args=FLAGS)
        yield opened
        opened.close()


def visited(page: Any, address: str) -> None:
    """Open the studio, and wait until its first pictures are there."""
    page.set_default_timeout(120_000)
    page.goto(address)
    settled(page)


def settled(page: Any) -> None:
    """Wait until no request is running."""
    page.locator("body[data-busy=false]").wait_for()


def slide(page: Any, name: str, value: float) -> None:
    """Move a slider and let it go."""
    page.locator(f"#slider-{name}").evaluate(
        "(e, value) => { e.value = value; for (const name of ['input', 'change'])"
        " e.dispatchEvent(new Event(name)); }",
        value,
    )
    settled(page)
