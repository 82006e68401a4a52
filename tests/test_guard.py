"""Whatever a plugin does when it is called, it is named, and nothing else is changed by it.

Each case is one thing that an import, a hook, a class, its construction or a call can do wrong.
"""

from __future__ import annotations

import gc
import importlib
import importlib.metadata
import json
import locale
import os
import random
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from in_process import CommandLine
from torch import Tensor
from toy import (
    RESOLUTION,
    W_DIM,
    ToyEstimator,
    ToyGenerator,
    ToyIdentity,
    toy_plugins,
    toy_registry,
)

from latentedit import Edited, Editor, FitStats, PluginFault, Registry, Runtime, Split
from latentedit.editing import guard as editors
from latentedit.guard import Interrupted, guarded
from latentedit.interfaces.guarded import METHODS
from latentedit.plugin import INTERFACES, PluginSpec, hookimpl
from latentedit.sampling.make import make_bank
from latentedit.testing.world import toy_split

# --- what the process is


def surroundings() -> dict[str, Any]:
    """Everything that a call must leave as it was. `conftest.py` holds every test here to it."""
    state = np.random.get_state()
    return {
        "folder": os.getcwd(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "gradients": torch.is_grad_enabled(),
        "determinism": torch.are_deterministic_algorithms_enabled(),
        "torch": torch.get_rng_state().tolist(),
        "numpy": (state[1].tolist(), *state[2:]),  # type: ignore[union-attr]
        "random": random.getstate(),
        "signals": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM)],
        "warnings": list(warnings.filters),
        "locale": locale.setlocale(locale.LC_ALL),
        "environment": dict(os.environ),
        "recursion": sys.getrecursionlimit(),
        "streams": (sys.stdin, sys.stdout, sys.stderr, sys.excepthook),
        "path": list(sys.path),
        "gc": gc.isenabled(),
    }


LEAVES_ALONE = surroundings


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))


# --- what code may raise

RAISED = {
    "an ordinary error": "raise ValueError('halfway')",
    "exit with success": "raise SystemExit(0)",
    "exit with failure": "import sys; sys.exit(3)",
    "an interrupt of its own": "raise KeyboardInterrupt",
    "the end of a generator": "raise GeneratorExit",
    "endless recursion": "(lambda f: f(f))(lambda f: f(f))",
    "a full disk": "raise OSError(28, 'No space left')",
    "a broken pipe": "raise BrokenPipeError(32, 'x')",
    "an end of input": "raise EOFError",
    "click's exit": "import click; raise click.exceptions.Exit(0)",
    "click's abort": "import click; raise click.Abort()",
    "an error without words": "raise type('Mute', (Exception,), {'__str__': lambda s: 1 / 0})()",
    "an error that is no Exception": "raise type('Odd', (BaseException,), {})()",
}

CHANGED = {
    "the number of threads": "import torch; torch.set_num_threads(torch.get_num_threads() + 1)",
    "the default dtype": "import torch; torch.set_default_dtype(torch.float64)",
    "the gradient mode": "import torch; torch.set_grad_enabled(False)",
    "the current folder": "import os; os.chdir('/')",
    "the determinism of torch": "import torch; torch.use_deterministic_algorithms(True)",
    "torch's global random state": "import torch; torch.manual_seed(5)",
    "numpy's global random state": "import numpy; numpy.random.seed(5)",
    "Python's global random state": "import random; random.seed(5)",
    "signal handlers": "import signal as s; s.signal(s.SIGTERM, s.SIG_IGN)",
    "warning filters": "import warnings; warnings.simplefilter('error')",
    "the locale": "import locale; locale.setlocale(locale.LC_ALL, 'C.UTF-8')",
    "the environment": "import os; os.environ.clear()",
    "the recursion limit": "import sys; sys.setrecursionlimit(sys.getrecursionlimit() - 100)",
    "the standard streams": "import sys; sys.stderr = None",
    "the import path": "import sys; sys.path.clear()",
    "garbage collection": "import gc; gc.disable()",
}
"""By part of the process's state, code that changes it."""

LOUD = ("number of threads", "default dtype", "gradient mode", "current folder")
"""What a call is refused for; the rest is put back without a word."""


@pytest.fixture
def another_locale() -> Iterator[None]:
    before = locale.setlocale(locale.LC_ALL)
    locale.setlocale(locale.LC_ALL, "C")
    yield
    locale.setlocale(locale.LC_ALL, before)


# --- modules and hooks

HOOK = """
from latentedit.interfaces.guarded import METHODS
from latentedit.plugin import INTERFACES, PluginSpec, hookimpl
from latentedit.sampling.make import make_bank
@hookimpl
def latentedit_plugins():
    {body}
    return {result}
"""
SPEC = "[PluginSpec('editor', 'odd', 'toy_editors:Exact', 'moves codes')]"


def discovered(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Registry:
    """What is found where the module of one plugin has this text, and another is sound."""
    texts = {"odd_one": text, "sound_one": HOOK.format(body="", result=SPEC.replace("odd", "fine"))}
    found = []
    for name, content in texts.items():
        (folder / f"{name}.py").write_text(content)
        sys.modules.pop(name, None)
        found.append(importlib.metadata.EntryPoint(name, name, "latentedit.plugins"))
    monkeypatch.setattr("latentedit.plugin_specs.entry_points", lambda group: found)
    return Registry.discover({})


@pytest.mark.parametrize("what", RAISED)
@pytest.mark.parametrize("where", ["import", "hook"])
def test_a_module_or_hook_that_raises_is_broken_and_the_others_work(
    where: str, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = RAISED[what]
    hook = HOOK.format(body=code if where == "hook" else "", result=SPEC)
    registry = discovered(tmp_path, monkeypatch, hook if where == "hook" else f"{code}\n{hook}")
    states = {origin.name: origin.status for origin in registry.origins}
    assert states == {"latentedit": "ok", "odd_one": "broken", "sound_one": "ok"}
    assert registry.names("editor") == ["fine"]
    assert "odd_one.py" in registry.origins[1].detail


@pytest.mark.parametrize("what", CHANGED)
@pytest.mark.parametrize("where", ["import", "hook"])
def test_a_module_or_hook_that_changes_the_process_is_noted_and_it_is_put_back(
    where: str,
    what: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    another_locale: None,
) -> None:
    before, code = surroundings(), CHANGED[what]
    hook = HOOK.format(body=code if where == "hook" else "", result=SPEC)
    registry = discovered(tmp_path, monkeypatch, hook if where == "hook" else f"{code}\n{hook}")
    assert surroundings() == before
    origin = registry.origins[1]
    assert (origin.status, registry.names("editor")) == ("ok", ["fine", "odd"])
    assert what in origin.note
    assert registry.origins[2].note == ""


@pytest.mark.parametrize(
    "result",
    [
        "None",
        "5",
        "[5]",
        "[PluginSpec('editor', 5, 'a:b', 'x')]",
        "[PluginSpec('editor', 'odd', None, 'x')]",
        "[PluginSpec('editor', 'odd', 'a:b', None)]",
        "[PluginSpec('editor', 'odd', 'a:b', 'two\\nlines')]",
        "[PluginSpec('editor', '../../x', 'a:b', 'x')]",
        "[PluginSpec('editor', 'o\\x1b[31m', 'a:b', 'x')]",
        "[PluginSpec(['editor'], 'odd', 'a:b', 'x')]",
        "[PluginSpec('editor', 'odd', 'a:b', 'x', '9')]",
        "(PluginSpec('editor', f'n{i}', 'a:b', 'x') for i in iter(int, 1))",
        "(1 / 0 for _ in [1])",
    ],
)
def test_a_hook_that_returns_something_else_is_broken(
    result: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = discovered(tmp_path, monkeypatch, HOOK.format(body="", result=result))
    assert registry.origins[1].status == "broken"
    assert registry.names("editor") == ["fine"]


def test_plugins_list_shows_what_an_import_changed_and_prints_nothing_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"print('HELLO')\n{CHANGED['the current folder']}\n" + HOOK.format(body="", result=SPEC)
    discover = Registry.discover
    discovered(tmp_path, monkeypatch, text)

    def anew() -> Registry:
        sys.modules.pop("odd_one", None)
        return discover({})

    run, state = CommandLine(tmp_path, anew), random.getstate()  # the command line draws from it
    rows = {row["origin"]: row for row in json.loads(run.ok("plugins", "list", "--json"))}
    assert rows["odd_one"]["note"] == "its import changed the current folder; this was put back"
    assert rows["sound_one"]["note"] == ""
    shown = run.ok("plugins", "list")
    random.setstate(state)
    assert "odd_one (odd_one): its import changed the current folder" in shown
    assert "HELLO" not in shown


def test_metadata_of_one_package_that_cannot_be_read_hides_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def unreadable(group: str) -> Any:
        raise ValueError("no section header")

    class Broken:
        @property
        def entry_points(self) -> Any:
            raise ValueError("no section header")

    class Whole:
        entry_points = (importlib.metadata.EntryPoint("lost", "no_such", "latentedit.plugins"),)

    monkeypatch.setattr("latentedit.plugin_specs.entry_points", unreadable)
    monkeypatch.setattr("latentedit.plugin_specs.distributions", lambda: [Broken(), Whole()])
    assert [origin.name for origin in Registry.discover({}).origins] == ["latentedit", "lost"]


# --- classes and their construction

MODULE = """
from latentedit.testing.world import ToyGenerator
{top}
class Odd(ToyGenerator):
    def __init__(self, options=None):
        super().__init__()
        {init}
"""


def generator_registry(folder: Path, top: str = "", init: str = "pass") -> Registry:
    (folder / "odd_class.py").write_text(MODULE.format(top=top, init=init))
    sys.modules.pop("odd_class", None)
    return registered("generator", "odd_class:Odd")


def registered(kind: str, target: str) -> Registry:
    class Plugin:
        @hookimpl
        def latentedit_plugins(self) -> list[PluginSpec]:
            return [PluginSpec(kind, "odd", target, "for tests")]  # type: ignore[arg-type]

    return toy_registry(Plugin())


@pytest.mark.parametrize("what", RAISED)
@pytest.mark.parametrize("where", ["top", "init"])
def test_a_class_that_cannot_be_had_or_made_names_its_plugin(
    where: str, what: str, tmp_path: Path
) -> None:
    registry = generator_registry(tmp_path, **{where: RAISED[what]})
    action = "import of odd_class:Odd" if where == "top" else "construction"
    with pytest.raises(PluginFault, match=f"plugin 'odd': {action}.* raised "):
        registry.generator("odd")
    assert registry.generator("toy").sample(2, 0).shape == (2, W_DIM)


@pytest.mark.parametrize("what", CHANGED)
@pytest.mark.parametrize("where", ["top", "init"])
def test_a_class_that_changes_the_process_has_it_put_back(
    where: str, what: str, tmp_path: Path, another_locale: None
) -> None:
    registry, before = generator_registry(tmp_path, **{where: CHANGED[what]}), surroundings()
    if what.endswith(LOUD):
        with pytest.raises(PluginFault, match=f"plugin 'odd'.* changed {what}"):
            registry.generator("odd")
    else:
        registry.generator("odd")
    assert surroundings() == before


@pytest.mark.parametrize(
    ("kind", "base", "attribute", "value", "told"),
    [
        ("generator", ToyGenerator, "resolution", "64", "its resolution is str, not int"),
        ("generator", ToyGenerator, "spaces", ["w"], "its spaces is list, not Mapping"),
        ("generator", ToyGenerator, "fingerprint", None, "its fingerprint is NoneType, not str"),
        ("estimator", ToyEstimator, "schema", {}, "its schema is dict, not AttributeSchema"),
        ("identity", ToyIdentity, "same_person_threshold", "0.5", "is str, not int or float"),
    ],
)
def test_an_instance_without_what_its_interface_declares_is_refused(
    kind: str,
    base: type,
    attribute: str,
    value: object,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def made(self: Any, options: Any = None) -> None:
        base.__init__(self)  # type: ignore[misc]
        setattr(self, attribute, value)

    monkeypatch.setattr(sys.modules[__name__], "Odd", type("Odd", (base,), {"__init__": made}))
    with pytest.raises(PluginFault, match=f"plugin 'odd': .*{told}"):
        registered(kind, f"{__name__}:Odd").build(kind, "odd")


class Odd:
    """Stands for the class of a test."""


# --- calls of models


def model(
    kind: str, base: type, method: str, act: Callable[..., Any], patch: pytest.MonkeyPatch
) -> Any:
    """A plugin of the toy world, one method of which does `act` with its own result."""

    def call(self: Any, *given: Any, **named: Any) -> Any:
        return act(getattr(base, method)(self, *given, **named))

    patch.setattr(sys.modules[__name__], "Odd", type("Odd", (base,), {method: call}))
    return registered(kind, f"{__name__}:Odd").build(kind, "odd")


CODES = torch.zeros(2, W_DIM)
CALLS: dict[str, tuple[str, type, Callable[[Any], Any]]] = {
    "sample": ("generator", ToyGenerator, lambda m: m.sample(2, 0)),
    "convert": ("generator", ToyGenerator, lambda m: m.convert(CODES, "w", "w+")),
    "synthesize": ("generator", ToyGenerator, lambda m: m.synthesize(CODES)),
    "truth": ("generator", ToyGenerator, lambda m: m.truth(CODES)),
    "estimate": ("estimator", ToyEstimator, lambda m: m.estimate(pictures())),
    "features": ("estimator", ToyEstimator, lambda m: m.features(pictures())),
    "described": ("estimator", ToyEstimator, lambda m: m.described(pictures())),
    "embed": ("identity", ToyIdentity, lambda m: m.embed(pictures())),
}
"""By method, the kind and class of the toy world that has it, and a call."""


def pictures() -> Tensor:
    world = ToyGenerator()
    return world.synthesize(world.sample(2, 0))


def _nan(result: Tensor) -> Tensor:
    return result * float("nan")


WRONG: dict[str, tuple[Callable[[Any], Any], str]] = {
    "no tensor": (lambda r: r.tolist(), "returned list, not Tensor"),
    "a row less": (lambda r: r[:1], r"returned \(1, "),
    "another dtype": (lambda r: r.double(), "torch.float64"),
    "whole numbers": (lambda r: r.long(), "torch.int64"),
    "not finite": (_nan, "returned NaN or infinity"),
    "another rank": (lambda r: r[..., None], "returned"),
    "another device": (lambda r: r.to("meta"), "on meta"),
    "nothing": (lambda r: None, "returned NoneType, not Tensor"),
}


@pytest.mark.parametrize("what", WRONG)
@pytest.mark.parametrize("method", [name for name in CALLS if name not in ("truth", "described")])
def test_a_result_of_another_kind_is_refused(
    method: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (kind, base, call), (act, told) = CALLS[method], WRONG[what]
    odd = model(kind, base, method, act, monkeypatch)
    with pytest.raises(PluginFault, match=rf"plugin 'odd': {method} .*{told}"):
        call(odd)


@pytest.mark.parametrize(
    ("method", "act", "told"),
    [
        ("synthesize", lambda r: r * 0 + 3, r"images from 3 to 3; they must be in \[-1, 1\]"),
        ("synthesize", lambda r: r[..., :-1], rf"not \(2, 3, {RESOLUTION}, {RESOLUTION}\)"),
        ("embed", lambda r: 2 * r, "an embedding of norm 2; it must be 1"),
        ("estimate", lambda r: r[:, :-1], r"not \(2, "),
        ("described", lambda r: r.values, "Tensor, not Described"),
        ("described", lambda r: type(r)(r.values[:1], r.features), "values"),
        ("described", lambda r: type(r)(r.values, _nan(r.features)), "features NaN"),
        ("truth", lambda r: r.attributes, "Tensor, not Truth"),
        ("truth", lambda r: type(r)(r.attributes[:1], r.identity, r.schema), "attributes"),
        ("truth", lambda r: type(r)(r.attributes, _nan(r.identity), r.schema), "identity NaN"),
    ],
)
def test_a_result_outside_its_range_is_refused(
    method: str, act: Callable[[Any], Any], told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, base, call = CALLS[method]
    with pytest.raises(PluginFault, match=f"plugin 'odd': {method} returned.*{told}"):
        call(model(kind, base, method, act, monkeypatch))


class Loud(ToyGenerator):
    """Its images are far outside their range."""

    def synthesize(self, codes: torch.Tensor, space: str = "w") -> torch.Tensor:
        return super().synthesize(codes, space) * 0 + 3


def test_a_tuned_generator_is_guarded_as_the_one_that_made_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    body = {"tuned": lambda self, tensors: Loud()}
    monkeypatch.setattr(sys.modules[__name__], "Odd", type("Odd", (ToyGenerator,), body))
    tuned = registered("generator", f"{__name__}:Odd").build("generator", "odd").tuned({})
    with pytest.raises(PluginFault, match="plugin 'odd': synthesize returned images from 3 to 3"):
        tuned.synthesize(CODES)


@pytest.mark.parametrize("what", RAISED)
@pytest.mark.parametrize("method", CALLS)
def test_a_call_that_raises_names_its_plugin(
    method: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, base, call = CALLS[method]
    odd = model(kind, base, method, lambda _: exec(RAISED[what]), monkeypatch)
    with pytest.raises(PluginFault, match=f"plugin 'odd': {method} raised "):
        call(odd)


@pytest.mark.parametrize("what", CHANGED)
@pytest.mark.parametrize("method", ["sample", "synthesize", "estimate", "embed"])
def test_a_call_that_changes_the_process_has_it_put_back(
    method: str, what: str, monkeypatch: pytest.MonkeyPatch, another_locale: None
) -> None:
    if method != "sample" and what.startswith(("numpy", "Python")):
        pytest.skip("not restored after calls that come by the thousand")

    def act(result: Any) -> Any:
        exec(CHANGED[what], {})
        return result

    kind, base, call = CALLS[method]
    odd, before = model(kind, base, method, act, monkeypatch), surroundings()
    if what.endswith(LOUD):
        with pytest.raises(PluginFault, match=f"plugin 'odd': {method} changed {what}"):
            call(odd)
    else:
        call(odd)
    assert surroundings() == before


def test_nan_that_a_caller_gives_is_not_blamed_on_the_plugin() -> None:
    odd = toy_registry().generator("toy")
    assert bool(odd.convert(_nan(CODES + 1), "w", "w+").isnan().all())


def test_a_guarded_plugin_is_still_itself_and_lets_gradients_through() -> None:
    made = toy_registry().generator("toy")
    assert isinstance(made, ToyGenerator)
    assert (type(made).__name__, type(made).__module__) == ("ToyGenerator", ToyGenerator.__module__)
    codes = made.sample(2, 0).requires_grad_()
    made.synthesize(codes).sum().backward()
    assert codes.grad is not None
    assert float(codes.grad.abs().sum()) > 0


# --- calls of editors


class Acting(Editor):
    """Does what a test asks for."""

    needs = frozenset()

    def __init__(self, act: Callable[[], Any]) -> None:
        super().__init__()
        self.act = act

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self.act()
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        self.act()
        return Edited(codes.clone())

    def sample(self, attributes: Tensor, runtime: Runtime) -> Any:
        return self.act()


def ask(editor: Editor, method: str) -> object:
    faces = toy_split(4, 0)
    codes, values = faces.codes, faces.attributes
    if method == "fit":
        return editors.fit("odd", editor, faces, Runtime())
    if method == "sample":
        return editors.sample("odd", editor, values, Runtime())
    return editors.edit("odd", editor, codes, values, values + 1, Runtime())


@pytest.mark.parametrize("what", RAISED)
@pytest.mark.parametrize("method", ["fit", "edit", "sample"])
def test_an_editor_that_raises_anything_is_named(method: str, what: str) -> None:
    with pytest.raises(PluginFault, match=f"plugin 'odd': {method} raised "):
        ask(Acting(lambda: exec(RAISED[what])), method)


@pytest.mark.parametrize("what", CHANGED)
@pytest.mark.parametrize("method", ["fit", "edit"])
def test_an_editor_that_changes_the_process_has_it_put_back(
    method: str, what: str, another_locale: None
) -> None:
    before, editor = surroundings(), Acting(lambda: exec(CHANGED[what], {}))
    random_state = "global random state" in what and method == "edit"
    if what.endswith(LOUD) or random_state:
        with pytest.raises(PluginFault, match=f"plugin 'odd': {method} changed {what}"):
            ask(editor, method)
    else:
        ask(editor, method)
    assert surroundings() == before


@pytest.mark.parametrize(
    ("drawn", "told"),
    [
        (None, "sample returned NoneType, not Tensor"),
        (torch.zeros(3, 8), r"sample returned codes \(3, 8\) .* for 4 images"),
        (torch.zeros(4, 8, dtype=torch.long), "sample returned .*torch.int64"),
        (torch.full((4, 8), float("nan")), "sample returned NaN or infinity"),
    ],
)
def test_samples_of_another_kind_are_refused(drawn: object, told: str) -> None:
    with pytest.raises(PluginFault, match=f"plugin 'odd': {told}"):
        ask(Acting(lambda: drawn), "sample")


# --- the guard itself


def test_ctrl_c_by_the_user_passes_whoever_is_running() -> None:
    with pytest.raises(Interrupted), guarded("odd", "fit"):
        signal.raise_signal(signal.SIGINT)


def test_memory_that_is_not_there_passes_as_such() -> None:
    with pytest.raises(MemoryError), guarded("odd", "fit"):
        raise MemoryError


def test_a_message_that_cannot_be_printed_is_said_to_be() -> None:
    words = r"Mute \(its message cannot be printed\)"
    with pytest.raises(PluginFault, match=words), guarded("odd", "fit"):
        exec(RAISED["an error without words"])


def test_a_folder_that_is_gone_is_no_fault_of_the_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    with monkeypatch.context() as patch:
        patch.chdir(gone)
        gone.rmdir()
        with guarded("odd", "fit") as changed:
            pass
        assert changed == []


def test_a_bank_is_that_of_a_process_without_the_plugin_that_changes_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, another_locale: None
) -> None:
    def bank(registry: Registry, folder: str) -> Path:
        made = make_bank(
            registry,
            tmp_path / folder,
            generator="toy",
            labeller="toy-labeller",
            n_fit=50,
            n_test=4,
        )
        return made.folder

    alone = bank(toy_registry(), "alone")
    everything = "\n".join(code for what, code in CHANGED.items() if what != "the import path")
    registry = discovered(tmp_path, monkeypatch, everything + HOOK.format(body="", result=SPEC))
    assert all(what in registry.origins[1].note for what in CHANGED if what != "the import path")
    registry.add(toy_plugins, "toy")
    beside = bank(registry, "beside")
    files = sorted(path.relative_to(alone) for path in alone.rglob("*") if path.is_file())
    assert len(files) > 1
    for file in files:
        assert (alone / file).read_bytes() == (beside / file).read_bytes(), file


# --- every other kind

OTHER_KINDS = [
    (kind, method)
    for kind in ("trainer", "inverter", "landmarks", "perceptual", "executor")
    for method in METHODS[kind]
] + [("weight-importer", "read"), ("bank-importer", "read")]


def of_kind(kind: str, act: Callable[[], Any], patch: pytest.MonkeyPatch) -> Any:
    """A plugin of a kind whose methods all do `act`."""
    module, _, name = INTERFACES[kind].partition(":")  # type: ignore[index]
    interface = getattr(importlib.import_module(module), name)
    body = dict.fromkeys(METHODS[kind], lambda *_: act())
    odd = type("Odd", (interface,), {**body, "fingerprint": "f"})
    patch.setattr(sys.modules[__name__], "Odd", odd)
    return registered(kind, f"{__name__}:Odd").build(kind, "odd")


@pytest.mark.parametrize("what", ["exit with success", "an interrupt of its own"])
@pytest.mark.parametrize(("kind", "method"), OTHER_KINDS)
def test_a_call_of_any_kind_that_raises_names_its_plugin(
    kind: str, method: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = of_kind(kind, lambda: exec(RAISED[what]), monkeypatch)
    with pytest.raises(PluginFault, match=f"plugin 'odd': {method} raised "):
        getattr(odd, method)(None)


@pytest.mark.parametrize(
    ("kind", "method", "expected"),
    [
        ("trainer", "train", "TrainedEstimator"),
        ("inverter", "invert", "Inverted"),
        ("landmarks", "find", "Landmarks"),
        ("perceptual", "features", "Tensor"),
        ("bank-importer", "read", "ImportedCodes"),
        ("executor", "free", "int"),
        ("executor", "events", "list"),
    ],
)
def test_a_result_of_any_kind_that_is_something_else_is_refused(
    kind: str, method: str, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = of_kind(kind, lambda: "words", monkeypatch)
    with pytest.raises(PluginFault, match=f"'odd': {method} returned str, not {expected}"):
        getattr(odd, method)(torch.zeros(1, 3, 2, 2))
