"""The guard around every call into a plugin: it names faults, and restores the process's state.

It imports neither torch nor numpy, because the command line discovers plugins without them.
"""

from __future__ import annotations

import gc
import importlib
import locale
import os
import random
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from latentedit.errors import LatentEditError, PluginFault

Part = tuple[Callable[[], Any], Callable[[Any], object]]
"""One part of the process's state: a function that reads it, and one that restores it."""

SIGNALS = tuple(
    int(getattr(signal, name))
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM", "SIGCHLD", "SIGPIPE", "SIGUSR1")
    if hasattr(signal, name)
)

_handler: Callable[[int], Any] = importlib.import_module("_signal").getsignal
"""`signal.getsignal` without the names of signals, which take most of its time."""


class Interrupted(KeyboardInterrupt):
    """A signal by the user, as opposed to a `KeyboardInterrupt` that a plugin raises.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__()
        self.number = number


def interrupt(number: int, frame: object) -> None:
    """The handler of signals that tells the two apart."""
    raise Interrupted(number)


def _torch(read: Callable[[Any], Any], default: Any = None) -> Callable[[], Any]:
    """`read` of torch; its `default` where torch is not imported yet."""
    return lambda: read(sys.modules["torch"]) if "torch" in sys.modules else default


def _with_torch(restore: Callable[[Any, Any], object]) -> Callable[[Any], object]:
    return lambda value: restore(sys.modules["torch"], value)


def _modes(torch: Any) -> tuple[bool, bool, bool]:
    cudnn = torch.backends.cudnn
    return torch.are_deterministic_algorithms_enabled(), cudnn.deterministic, cudnn.benchmark


def _set_modes(torch: Any, modes: tuple[bool, bool, bool]) -> None:
    torch.use_deterministic_algorithms(modes[0])
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = modes[1:]


def _set_dtype(torch: Any, name: str) -> None:
    torch.set_default_dtype(getattr(torch, name.removeprefix("torch.")))


def _set_random(torch: Any, state: bytes) -> None:
    torch.set_rng_state(torch.frombuffer(bytearray(state), dtype=torch.uint8))


def _numpy_state() -> tuple[Any, ...] | None:
    if "numpy" not in sys.modules:
        return None
    algorithm, numbers, *rest = sys.modules["numpy"].random.get_state()
    return algorithm, numbers.tobytes(), *rest


def _set_numpy(state: tuple[Any, ...]) -> None:
    numpy = sys.modules["numpy"]
    numpy.random.set_state((state[0], numpy.frombuffer(state[1], numpy.uint32), *state[2:]))


def _folder() -> str | None:
    try:
        return os.getcwd()
    except OSError:  # it was removed
        return None


def _environment() -> dict[Any, Any]:
    """The variables as the system has them; a copy of `os.environ` takes 100 times longer."""
    found: dict[Any, Any] = vars(os.environ)["_data"].copy()
    return found


def _set_environment(variables: dict[Any, Any]) -> None:
    decode = os.environ.decodevalue
    wanted = {decode(name): decode(value) for name, value in variables.items()}
    for name in set(os.environ) - set(wanted):
        del os.environ[name]
    os.environ.update(wanted)


def _handlers() -> tuple[Any, ...]:
    return tuple(_handler(number) for number in SIGNALS)


def _set_handlers(handlers: tuple[Any, ...]) -> None:
    for number, handler in zip(SIGNALS, handlers, strict=True):
        if handler is not None and _handler(number) is not handler:
            signal.signal(number, handler)


def _set_filters(filters: tuple[Any, ...]) -> None:
    warnings.resetwarnings()
    warnings.filters[:] = filters  # type: ignore[index]


def _set_streams(streams: tuple[Any, ...]) -> None:
    sys.stdin, sys.stdout, sys.stderr, sys.excepthook = streams


def _set_path(path: tuple[str, ...]) -> None:
    sys.path[:] = path


def _set_collecting(on: bool) -> None:
    (gc.enable if on else gc.disable)()


GLOBALS: dict[str, Part] = {
    "the number of threads": (
        _torch(lambda torch: torch.get_num_threads()),
        _with_torch(lambda torch, n: torch.set_num_threads(n)),
    ),
    "the default dtype": (
        _torch(lambda torch: str(torch.get_default_dtype()), "torch.float32"),
        _with_torch(_set_dtype),
    ),
    "the gradient mode": (
        _torch(lambda torch: torch.is_grad_enabled(), True),
        _with_torch(lambda torch, on: torch.set_grad_enabled(on)),
    ),
    "the current folder": (_folder, os.chdir),
}
"""State that decides what other code computes and where it writes. A call may not change it."""

RANDOM: dict[str, Part] = {
    "torch's global random state (use runtime.rng instead)": (
        _torch(lambda torch: torch.get_rng_state().numpy().tobytes()),
        _with_torch(_set_random),
    ),
    "numpy's global random state (use runtime.rng instead)": (_numpy_state, _set_numpy),
    "Python's global random state (use runtime.rng instead)": (random.getstate, random.setstate),
}
"""Random state that `edit` must not use. Other calls may, and it is restored after them."""

OTHERS: dict[str, Part] = {
    "the recursion limit": (sys.getrecursionlimit, sys.setrecursionlimit),
    "the determinism of torch": (_torch(_modes, (False, False, False)), _with_torch(_set_modes)),
    "signal handlers": (_handlers, _set_handlers),
    "the environment": (_environment, _set_environment),
    "warning filters": (lambda: tuple(warnings.filters), _set_filters),
    "the locale": (
        lambda: locale.setlocale(locale.LC_ALL),
        lambda name: locale.setlocale(locale.LC_ALL, name),
    ),
    "the standard streams": (
        lambda: (sys.stdin, sys.stdout, sys.stderr, sys.excepthook),
        _set_streams,
    ),
    "the import path": (lambda: tuple(sys.path), _set_path),
    "garbage collection": (gc.isenabled, _set_collecting),
}
"""State that libraries may change on their way. It is restored after every call."""

EVERY: dict[str, Part] = OTHERS | GLOBALS | RANDOM
# The recursion limit comes first: what restores the others may need it.

CHEAP: dict[str, Part] = {
    what: part for what, part in EVERY.items() if what not in list(RANDOM)[1:]
}
"""For calls that come by the thousand. Reading numpy's and Python's random state takes longest."""


@contextmanager
def guarded(
    plugin: str,
    action: str,
    faults: Collection[str] = tuple(GLOBALS),
    parts: dict[str, Part] = EVERY,
) -> Iterator[list[str]]:
    """Guard a call into a plugin.

    What the call prints goes to stderr, so that it cannot mix with results on stdout.

    Args:
        plugin: its name, for errors.
        action: what it is asked to do, for errors: ``"fit"``, ``"import"``.
        faults: names of the parts that the call may not change.
        parts: the state to restore.

    Yields:
        A list, which holds the names of the changed parts after the call.

    Raises:
        PluginFault: the call raised anything that is not the project's own error, SystemExit and
            KeyboardInterrupt included, or changed one of `faults`. Ctrl-C by the user and
            MemoryError pass.
    """
    before = [(what, read(), read, restore) for what, (read, restore) in parts.items()]
    changed: list[str] = []
    try:
        with _on_stderr(), _interrupts_told_apart(), _named(plugin, action):
            yield changed
    finally:
        for what, value, read, restore in before:
            if value is not None and read() != value:
                changed.append(what)
                with suppress(OSError, ValueError, RuntimeError, locale.Error):
                    restore(value)
    if wrong := [what for what in changed if what in faults]:
        raise PluginFault(plugin, f"{action} changed {', '.join(wrong)}")


def told(error: BaseException) -> str:
    """Type and message of any error, even of one that cannot be printed.

    >>> told(ValueError("no"))
    'ValueError: no'
    """
    name = type(error).__name__
    try:
        return f"{name}: {error}"
    except BaseException:  # __str__ is the plugin's own code
        return f"{name} (its message cannot be printed)"


def one_line(text: str, longest: int = 200) -> str:
    """A text by a plugin as one printable line.

    >>> one_line("no hat\\n on \\x1b[31many face")
    'no hat on [31many face'
    """
    printable = "".join(c if c.isprintable() else " " if c.isspace() else "" for c in text)
    return " ".join(printable.split())[:longest]


@contextmanager
def _named(plugin: str, action: str) -> Iterator[None]:
    """Turn errors of a plugin into `PluginFault`; the project's own errors pass unchanged."""
    try:
        yield
    except (LatentEditError, MemoryError):  # a cell reports MemoryError as a status of its own
        raise
    except KeyboardInterrupt as error:
        if isinstance(error, Interrupted) or _foreign_handler():
            raise
        raise PluginFault(plugin, f"{action} raised {told(error)}") from error
    except BaseException as error:
        raise PluginFault(plugin, f"{action} raised {told(error)}") from error


def _foreign_handler() -> bool:
    """Whether another program's handler of Ctrl-C is in place, which raises what it likes."""
    return _handler(signal.SIGINT) not in (interrupt, signal.SIG_IGN, signal.SIG_DFL)


@contextmanager
def _on_stderr() -> Iterator[None]:
    stdout, redirected = sys.stdout, sys.stderr
    sys.stdout = redirected
    try:
        yield
    finally:
        if sys.stdout is redirected:
            sys.stdout = stdout


@contextmanager
def _interrupts_told_apart() -> Iterator[None]:
    """Where Python's own handler of Ctrl-C is in place, use `interrupt` instead."""
    ours = (
        _handler(signal.SIGINT) is signal.default_int_handler
        and threading.current_thread() is threading.main_thread()
    )
    if not ours:
        yield
        return
    signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    finally:
        if _handler(signal.SIGINT) is interrupt:
            signal.signal(signal.SIGINT, signal.default_int_handler)
