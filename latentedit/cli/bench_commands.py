"""All commands of ``latentedit bench``: each module adds its own to the group."""

from __future__ import annotations

from latentedit.cli import boards, compare, export, merge, publish, rescore, suites, verify
from latentedit.cli.bench import bench

__all__ = [
    "bench",
    "boards",
    "compare",
    "export",
    "merge",
    "publish",
    "rescore",
    "suites",
    "verify",
]
