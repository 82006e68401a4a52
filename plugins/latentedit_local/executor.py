"""Execution of cells on this machine, several at a time."""

from __future__ import annotations

import os
import time

from latentedit import Event, Executor, ExecutorOptions, Job, WarmProcess


class LocalExecutor(Executor):
    """Computes each cell in a process of its own, `workers` at a time; one a core if not given."""

    def __init__(self, options: ExecutorOptions | None = None) -> None:
        super().__init__(options)
        self.workers = self.options.workers or os.cpu_count() or 1
        self.warm: WarmProcess | None = None
        WarmProcess.prepare()

    def free(self) -> int:
        return self.workers - (len(self.warm.running) if self.warm else 0)

    def start(self, job: Job) -> None:
        if self.warm is None or not self.warm.alive:
            self.warm = WarmProcess(job, self.workers)
        self.warm.start(job)

    def events(self, seconds: float) -> list[Event]:
        if self.warm is None or not self.warm.alive:
            time.sleep(seconds)
            return []
        return self.warm.events(seconds)

    def close(self) -> None:
        if self.warm is not None and self.warm.alive:
            self.warm.close()
