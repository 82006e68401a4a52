"""The toy world by a generator that is odd in one way, from when a file is there on."""

from __future__ import annotations

import os
import queue
import threading
from pathlib import Path
from typing import Any, ClassVar, Literal

import harness_plugins
from torch import Tensor
from toy import ToyGenerator, ToyOptions

from latentedit import InputError, PluginSpec, Registry, hookimpl


class OddOptions(ToyOptions):
    """Options of the odd generator.

    Args:
        note: while this file is there, each loading writes the process's number into it.
        way: to be odd in; ``threads`` answers from a thread that loading has started.
    """

    note: str = ""
    way: Literal["", "threads", "leaves", "talks"] = ""


class OddGenerator(ToyGenerator):
    Options: ClassVar[type[OddOptions]] = OddOptions

    def __init__(self, options: OddOptions) -> None:
        super().__init__(options)
        self.note, self.way = Path(options.note), options.way
        if self.note.is_file():
            with self.note.open("a") as file:
                file.write(f"{os.getpid()}\n")
            if self.way == "threads":
                self.asked: queue.SimpleQueue[Any] = queue.SimpleQueue()
                self.answers: queue.SimpleQueue[Any] = queue.SimpleQueue()
                threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            self.answers.put(super().synthesize(*self.asked.get()))

    def synthesize(self, codes: Tensor, space: str = "w") -> Tensor:
        if self.note.is_file():
            if self.way == "threads":
                self.asked.put((codes, space))
                images: Tensor = self.answers.get(timeout=10)
                return images
            if self.way == "leaves":
                print("about to leave")
                os._exit(3)
            if self.way == "talks":
                raise InputError("a" * 20_000 + "b" * 20_000)
        return super().synthesize(codes, space)


class _Odd:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [PluginSpec("generator", "odd", "odd_generators:OddGenerator", "for tests")]


def registry() -> Registry:
    found = harness_plugins.registry()
    found.add(_Odd(), "odd", version="1")
    return found


def leaving() -> Registry:
    """Ends the process that looks for plugins, as if its work were done."""
    os._exit(0)
