"""A folder that hosts the studio as it is: a bank, editors, and how to build and start it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

from latentedit import __version__
from latentedit.benchmark.suite import SUITE_FILE
from latentedit.files.artefacts import new_folder
from latentedit.studio.session.workbench import Workbench

PORT = 7860

_README = """---
title: latentedit studio
sdk: docker
app_port: {port}
---

# latentedit studio

Editors of latent codes, side by side on the same {one}: {editors}.

Build and start it with:

```
docker build -t studio . && docker run -p {port}:{port} studio
```

Without a container: `pip install -r requirements.txt`, then

```
{command}
```

Everyone who reaches the address can use it, without a token.
"""
_CONTAINER = """FROM python:3.11-slim
WORKDIR /studio
COPY requirements.txt .
RUN pip install --no-cache-dir -r requirements.txt && useradd --create-home visitor
COPY . .
USER visitor
EXPOSE {port}
CMD {command}
"""


def write_space(
    bench: Workbench, folder: Path, judge: str | None = None, recognisers: Sequence[str] = ()
) -> None:
    """Write the bank, the editors, a container file and what it installs to a new folder.

    Args:
        judge, recognisers: as the studio was opened with.

    Raises:
        InputError: `folder` exists already.
    """
    arguments = start_arguments(bench, judge, recognisers)
    with new_folder(folder) as temporary:
        for source, place in hosted_parts(bench):
            if source.is_dir():
                shutil.copytree(source, temporary / place)
            else:
                shutil.copyfile(source, temporary / place)
        for name, text in {
            "README.md": _README.format(
                port=PORT,
                one=bench.generator.subject.one,
                editors=", ".join(bench.editors),
                command=" ".join(arguments),
            ),
            "Dockerfile": _CONTAINER.format(port=PORT, command=json.dumps(arguments)),
            "requirements.txt": f"latentedit[studio]=={__version__}\n",
        }.items():
            (temporary / name).write_text(text, "utf-8")


def hosted_parts(bench: Workbench) -> list[tuple[Path, str]]:
    """Files and folders that the studio needs, the bank first, and their places when hosted."""
    bank, run = bench.bank.folder, bench.run
    if run is None:
        named = [(folder, f"editors/{name}") for name, folder in bench.folders.items()]
        return [(bank, "bank"), *named]
    parts = [bank, *bench.folders.values(), run / SUITE_FILE]
    return [(part, f"run/{part.relative_to(run)}") for part in parts]


def start_arguments(
    bench: Workbench, judge: str | None = None, recognisers: Sequence[str] = ()
) -> list[str]:
    """The command that serves the folder, from within it."""
    found = ["latentedit", "studio", *(["run"] if bench.run else ["--bank", "bank"])]
    for name in bench.editors:
        found += ["--editor", name if bench.run else f"editors/{name}"]
    if judge is not None:
        found += ["--judge", judge]
    for recogniser in recognisers:
        found += ["--identity", recogniser]
    return [*found, "--host", "0.0.0.0", "--port", str(PORT), "--public"]  # noqa: S104
