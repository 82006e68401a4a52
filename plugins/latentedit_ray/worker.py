"""The worker that runs on a node of the cluster."""

from __future__ import annotations

import os
import socket
from importlib.metadata import version
from pathlib import Path

from latentedit import Ended, Job, WarmProcess, __version__

WAIT_SECONDS = 1.0


class Worker:
    """One worker of a cluster: a zygote with the suite's models, and a cell at a time.

    Args:
        cpus: what it has reserved of its node's, and so its share of the memory.
    """

    def __init__(self, cpus: float) -> None:
        self.side_by_side = max(1, int((os.cpu_count() or 1) / cpus))
        self.zygote: WarmProcess | None = None

    def greet(self, versions: dict[str, str]) -> str:
        """What keeps this worker from giving the results that the run's machine would, if
        anything does."""
        ours = {"latentedit": __version__, "torch": version("torch")}
        if ours == versions:
            return ""
        return (
            f"node {socket.gethostname()} has {_listed(ours)}, the run has {_listed(versions)}; "
            "install the same versions everywhere"
        )

    def compute(self, job: Job) -> Ended:
        if not Path(job.run_folder, "bank", "bank.json").is_file():
            told = (
                f"node {socket.gethostname()} does not see {job.run_folder}; choose a run folder "
                "on a file system that all nodes share under one path"
            )
            return Ended(job.cell.id, "failed", 0.0, told)
        if self.zygote is None or not self.zygote.alive:
            self.zygote = WarmProcess(job, self.side_by_side)
        self.zygote.start(job)
        while True:
            for event in self.zygote.events(WAIT_SECONDS):
                if isinstance(event, Ended):
                    return event


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())
