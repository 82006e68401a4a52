"""The documentation as a site: whole, searchable, and without a request to anywhere."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import latentedit

ROOT = Path(__file__).parent.parent
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.skipif(
        importlib.util.find_spec("sphinx") is None,
        reason="sphinx is not installed: pip install 'latentedit[docs]'",
    )
]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site without the output of its notebooks; `make site` has it."""
    folder = tmp_path_factory.mktemp("site") / "html"
    command = [
        sys.executable,
        ROOT / "docs" / "site" / "build.py",
        "--no-notebooks",
        "--out",
        folder,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_reference_has_every_public_name(site: Path) -> None:
    page = (site / "reference" / "python.html").read_text("utf-8")
    names = set(latentedit.__all__) - {"__version__"}
    assert {name for name in names if f'id="latentedit.{name}"' not in page} == set()


def test_the_reference_has_every_command_and_every_plugin(site: Path) -> None:
    commands = (site / "reference" / "commands.html").read_text("utf-8")
    assert all(f"latentedit {name}" in commands for name in ("bank make", "bench run", "fit"))
    plugins = (site / "reference" / "plugins.html").read_text("utf-8")
    specs = [spec for origin in latentedit.Registry.discover().origins for spec in origin.specs]
    assert {s.name for s in specs if f"<h3>{s.name}<" not in plugins} == set()


@pytest.fixture
def asked(site: Path) -> Iterator[list[str]]:
    """Addresses that the search page asks for; its results are the last entry."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as browsers:
        browser = browsers.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        page, requests = browser.new_page(), list[str]()
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{(site / 'search.html').as_uri()}?q=leakage")
        page.wait_for_selector("#search-results li a", timeout=60_000)
        yield [*requests, page.inner_text("#search-results")]
        browser.close()


def test_the_search_finds_pages_and_asks_nobody(asked: list[str]) -> None:
    *addresses, results = asked
    assert "Glossary" in results
    assert {address.partition(":")[0] for address in addresses} <= {"file", "data"}
