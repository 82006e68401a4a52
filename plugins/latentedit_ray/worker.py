"""The worker that runs on a node of the cluster."""

from __future__ import annotations

import os
import socket
from importlib.metadata import version
from pathlib import Path

from latentedit import Ended, EnvironmentFault, Job, WarmProcess, __version__, check_code

WAIT_SECONDS = 1.0


class Worker:
    """One worker of a cluster: it keeps the suite's models loaded, and computes one cell at a time.

    Args:
        cpus: reserved CPUs of its node, which also decide its share of the node's memory.
    """

    def __init__(self, cpus: float) -> None:
        self.side_by_side = max(1, int((os.cpu_count() or 1) / cpus))
        self.warm: WarmProcess | None = None

    def version_problem(self, versions: dict[str, str]) -> str:
        """The difference between the versions here and on the run's machine; empty if none."""
        ours = {"latentedit": __version__, "torch": version("torch")}
        if ours == versions:
            return ""
        return (
            f"node {socket.gethostname()} has {_listed(ours)}, the run has {_listed(versions)}; "
            "install the same versions everywhere"
        )

    def compute(self, job: Job) -> Ended | str:
        """The end of the cell; a text if no cell of the run can be computed on this node."""
        if not Path(job.run_folder, "bank", "bank.json").is_file():
            error = (
                f"node {socket.gethostname()} does not see {job.run_folder}; choose a run folder "
                "on a file system that all nodes share under one path"
            )
            return Ended(job.cell.id, "failed", 0.0, error)
        if self.warm is None:
            try:
                check_code(job)
            except EnvironmentFault as error:
                return f"node {socket.gethostname()}: {error}"
        if self.warm is None or not self.warm.alive:
            self.warm = WarmProcess(job, self.side_by_side)
        self.warm.start(job)
        while True:
            for event in self.warm.events(WAIT_SECONDS):
                if isinstance(event, Ended):
                    return event


def _listed(versions: dict[str, str]) -> str:
    return ", ".join(f"{name} {number}" for name, number in versions.items())
