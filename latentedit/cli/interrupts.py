"""Ctrl-C and SIGTERM, from the first import of a command to its last line."""

from __future__ import annotations

import os
import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from latentedit.guard import Interrupted, interrupt

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def begin(*, is_program: bool) -> bool:
    """End at once on a signal, until a command has begun: there is nothing to keep.

    Args:
        is_program: whether Python runs the command line as a module; its script is known by name.

    Returns:
        Whether the process is a command's own.
    """
    script = Path(sys.argv[0])
    named = script.stem if script.stem != "__main__" else script.parent.name
    is_program = is_program or named == "latentedit"
    if is_program:
        _answer(_end_at_once)
    return is_program


@contextmanager
def importing() -> Iterator[None]:
    """End at once on a signal while a command is imported, where `interrupt` would raise within
    whatever module is being read."""
    before = signal.getsignal(signal.SIGINT)
    if before is not interrupt or threading.current_thread() is not threading.main_thread():
        yield
        return
    _answer(_end_at_once)
    try:
        yield
    finally:
        _answer(interrupt)


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` on a signal; afterwards the handlers are those of before."""
    if threading.current_thread() is not threading.main_thread():  # only that one gets signals
        yield
        return
    before = [signal.getsignal(number) for number in SIGNALS]
    _answer(interrupt)
    try:
        yield
    finally:
        for number, handler in zip(SIGNALS, before, strict=True):
            if handler is not None:  # of a library that is not written in Python
                signal.signal(number, handler)


def told(error: BaseException | None) -> tuple[str, int]:
    """What a stopped command says, and its exit code: 130 after Ctrl-C, 143 after SIGTERM."""
    number = error.number if isinstance(error, Interrupted) else signal.SIGINT
    return _word(number), 128 + number


def stop(error: KeyboardInterrupt) -> NoReturn:
    """Say how to go on with the running command, and exit as a shell does after the signal."""
    import click

    word, code = told(error)
    again = shlex.join(["latentedit", *_again(click.get_current_context())])
    with suppress(OSError):
        click.echo(f"{word}; finished cells are kept. Go on with: {again}", err=True)
    sys.exit(code)


def _again(context: Any) -> list[str]:
    """The arguments of the running command, as they were given; defaults are left out."""
    words: list[str] = context.command_path.split()[1:]
    for parameter in context.command.params:
        name = parameter.name
        if context.get_parameter_source(name).name.startswith("DEFAULT"):
            continue
        value = context.params[name]
        option = [] if parameter.param_type_name == "argument" else parameter.opts[:1]
        for given in value if isinstance(value, tuple) else (value,):
            words += option if given is True else [*option, str(given)]
    return words


def _word(number: int) -> str:
    return "terminated" if number == signal.SIGTERM else "interrupted"


def _answer(handler: Any) -> None:
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:  # as nohup and shells want it
            signal.signal(number, handler)


def _end_at_once(number: int, frame: object) -> NoReturn:
    os.write(2, f"{_word(number)}\n".encode())
    os._exit(128 + number)
