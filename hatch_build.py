"""Compiles the C code of the renderer when a wheel is built.

The wheel then fits this platform alone. Without a C compiler the wheel has Python code only, fits
every platform, and computes the same, but slower.
"""

from __future__ import annotations

import hashlib
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

FOLDER = Path("plugins", "latentedit_synthface")
SOURCES = ("march.c", "distance.h", "paint.h")
LIBRARY = "march.so"
FLAGS = (
    "-O3",
    "-shared",
    "-fPIC",
    "-ffp-contract=off",  # a product and a sum are rounded one by one, as in torch
    "-fno-math-errno",
    "-fno-trapping-math",
    "-fno-signed-zeros",
    *(["-mprefer-vector-width=512"] if platform.machine() == "x86_64" else []),
)


def compiled(folder: Path, out: Path) -> str:
    """Compile the sources in `folder` into the library `out`.

    Returns:
        Why there is none; "" if there is.
    """
    command = shlex.split(os.environ.get("CC", "cc"))
    if sys.platform == "win32" or shutil.which(command[0]) is None:
        return f"there is no C compiler {command[0]!r}"
    digest = hashlib.sha256()
    for name in SOURCES:
        digest.update((folder / name).read_bytes())
    define = f'-DSOURCE_DIGEST="{digest.hexdigest()}"'
    source = str(folder / SOURCES[0])
    with tempfile.TemporaryDirectory(dir=out.parent) as made:
        library = Path(made, out.name)
        call = [*command, *FLAGS, define, "-o", str(library), source, "-lm"]
        done = subprocess.run(call, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode:
            return f"{command[0]} failed: {done.stderr.strip()[-500:]}"
        library.replace(out)
    return ""


class CompiledRenderer(BuildHookInterface[Any]):
    """Adds the library to a wheel, or puts it beside its sources for an editable installation."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        folder = Path(self.root) / FOLDER
        self._made = tempfile.TemporaryDirectory()
        in_place = version == "editable"
        library = (folder if in_place else Path(self._made.name)) / LIBRARY
        if missing := compiled(folder, library):
            self.app.display_warning(f"The renderer is slower than it could be: {missing}")
        elif not in_place:
            build_data["force_include"][str(library)] = f"{FOLDER.name}/{LIBRARY}"
            build_data["pure_python"] = False
            build_data["tag"] = "py3-none-" + re.sub("[.-]", "_", sysconfig.get_platform())

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._made.cleanup()


if __name__ == "__main__":
    sys.exit(compiled(FOLDER, FOLDER / LIBRARY) or 0)
