"""Cells on this machine, so many at a time."""

from __future__ import annotations

import os
import time

from latentedit.benchmark.execution.events import Event
from latentedit.benchmark.execution.executor import Executor, ExecutorOptions
from latentedit.benchmark.execution.warm_process import WarmProcess
from latentedit.benchmark.execution.worker import Job


class LocalExecutor(Executor):
    """Computes each cell in a process of its own, `workers` at a time; one a core if not given."""

    def __init__(self, options: ExecutorOptions | None = None) -> None:
        super().__init__(options)
        self.workers = self.options.workers or os.cpu_count() or 1
        self.zygote: WarmProcess | None = None
        WarmProcess.prepare()

    def free(self) -> int:
        return self.workers - (len(self.zygote.running) if self.zygote else 0)

    def start(self, job: Job) -> None:
        if self.zygote is None or not self.zygote.alive:
            self.zygote = WarmProcess(job, self.workers)
        self.zygote.start(job)

    def events(self, seconds: float) -> list[Event]:
        if self.zygote is None or not self.zygote.alive:
            time.sleep(seconds)
            return []
        return self.zygote.events(seconds)

    def close(self) -> None:
        if self.zygote is not None and self.zygote.alive:
            self.zygote.close()
