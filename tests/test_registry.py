"""The registry keeps each plugin's failures to itself and answers unknown names with known ones."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

import latentedit
from latentedit import EnvironmentFault, InputError, PluginFault, Registry, UnknownName
from latentedit.plugin import PluginSpec, hookimpl


def plugin(*specs: PluginSpec) -> object:
    class Plugin:
        @hookimpl
        def latentedit_plugins(self) -> list[PluginSpec]:
            return list(specs)

    return Plugin()


def editor(name: str, target: str = "x:Y", version: int = 1) -> PluginSpec:
    return PluginSpec("editor", name, target, "moves codes", version)


def test_a_name_that_two_plugins_claim_is_refused_naming_both() -> None:
    registry = Registry()
    registry.add(plugin(editor("flow")), "one")
    registry.add(plugin(editor("flow"), editor("other")), "two")
    assert registry.origins[-1].status == "collision"
    with pytest.raises(InputError, match=r"one/flow \(one\), two/flow \(two\)"):
        registry.find("editor", "flow")
    assert registry.find("editor", "two/flow")[0].name == "two"
    assert registry.find("editor", "other")[0].name == "two"


def test_an_unknown_name_lists_the_valid_ones() -> None:
    registry = Registry()
    registry.add(plugin(editor("styleflow"), editor("sefa")), "one")
    with pytest.raises(UnknownName, match=r"did you mean 'styleflow'\? Valid: sefa, styleflow"):
        registry.find("editor", "stylflow")


@pytest.mark.parametrize(
    ("broken", "told"),
    [
        (object(), "has no hook"),
        (plugin("not a spec"), "not a PluginSpec"),  # type: ignore[arg-type]
        (plugin(PluginSpec("wheel", "x", "x:Y", "")), "unknown plugin kind 'wheel'"),  # type: ignore[arg-type]
    ],
)
def test_a_plugin_that_registers_nonsense_is_broken(broken: object, told: str) -> None:
    registry = Registry()
    registry.add(broken, "bad")
    registry.add(plugin(editor("good")), "fine")
    bad = registry.origins[-2]
    assert (bad.name, bad.status) == ("bad", "broken")
    assert told in bad.detail
    assert registry.names("editor") == ["good"]


def test_a_misspelt_hook_is_broken() -> None:
    class Misspelt:
        @hookimpl
        def latentedit_plugin(self) -> list[PluginSpec]:
            return []

    registry = Registry()
    registry.add(Misspelt(), "bad")
    assert registry.origins[-1].status == "broken"


def test_another_interface_version_is_incompatible() -> None:
    registry = Registry()
    registry.add(plugin(editor("old", version=0)), "old-plugin")
    assert registry.origins[-1].status == "incompatible"
    with pytest.raises(EnvironmentFault, match="old-plugin"):
        registry.find("editor", "old")


@pytest.mark.parametrize("target", ["no_such_module:X", "json:NoSuchName", "json:JSONDecoder"])
def test_a_class_that_cannot_be_had_names_the_plugin(target: str) -> None:
    registry = Registry()
    registry.add(plugin(editor("ghost", target)), "one")
    with pytest.raises(PluginFault, match="plugin 'ghost'"):
        registry.load("editor", "ghost")


@pytest.mark.parametrize(
    ("kind", "target", "expected"),
    [
        ("control", "latentedit.data.bank:LatentBank", "Editor"),
        ("weight-importer", "json:loads", "WeightImporter"),
        ("bank-importer", "latentedit.interfaces.importers:WeightImporter", "BankImporter"),
        ("network", "latentedit.downloads.catalogue:PublishedNetwork", "PublishedNetwork"),
        ("layers", "latentedit.editing.layers:LayerPreset", "LayerPreset"),
        ("landmarks", "latentedit.interfaces.landmarks:Landmarks", "LandmarkDetector"),
    ],
)
def test_a_target_that_is_something_else_names_the_interface(
    kind: str, target: str, expected: str
) -> None:
    registry = Registry()
    registry.add(plugin(PluginSpec(kind, "other", target, "for tests")), "one")  # type: ignore[arg-type]
    with pytest.raises(PluginFault, match=f"{target} is not a {expected}"):
        registry.load(kind, "other")


def test_an_editor_and_a_control_of_one_name_are_told_apart() -> None:
    registry = Registry()
    controls = [PluginSpec("control", name, "x:Y", "") for name in ("still", "both")]
    registry.add(plugin(*controls), "one")
    registry.add(plugin(editor("moves"), editor("both")), "two")
    kinds = [registry.editor_kind(name) for name in ("still", "moves", "one/both", "two/both")]
    assert kinds == ["control", "editor", "control", "editor"]
    with pytest.raises(InputError, match="'both' is both an editor and a control"):
        registry.editor_kind("both")


BROKEN_MODULES = {
    "raises": "raise RuntimeError('no')",
    "exits": "import sys; sys.exit(3)",
    "missing": "import no_such_thing",
    "syntax": "def (",
    "empty": "",
    "hook_raises": (
        "from latentedit.plugin import hookimpl\n"
        "@hookimpl\ndef latentedit_plugins(): raise ValueError('late')"
    ),
}


def test_broken_packages_are_listed_and_harm_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in BROKEN_MODULES.items():
        (tmp_path / f"bad_{name}.py").write_text(text)
    (tmp_path / "good_one.py").write_text(
        "from latentedit.plugin import PluginSpec, hookimpl\n@hookimpl\n"
        "def latentedit_plugins(): return [PluginSpec('editor', 'good', 'x:Y', '')]"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    found = [
        importlib.metadata.EntryPoint(module, module, "latentedit.plugins")
        for module in [*(f"bad_{name}" for name in BROKEN_MODULES), "good_one"]
    ]
    monkeypatch.setattr("latentedit.plugin_specs.entry_points", lambda group: found)
    registry = Registry.discover({})
    statuses = {origin.name: origin.status for origin in registry.origins}
    assert statuses == {f"bad_{name}": "broken" for name in BROKEN_MODULES} | {
        "good_one": "ok",
        "latentedit": "ok",
    }
    assert all(
        "Error" in o.detail or "Exit" in o.detail for o in registry.origins if o.status != "ok"
    )
    assert registry.names("editor") == ["good"]
    with pytest.raises(EnvironmentFault, match="broken"):
        Registry.discover({"LATENTEDIT_STRICT_PLUGINS": "1"})


@pytest.mark.parametrize(
    ("environment", "on"),
    [
        ({}, {"a", "b"}),
        ({"LATENTEDIT_LOAD_PLUGINS": "a"}, {"a"}),
        ({"LATENTEDIT_LOAD_PLUGINS": ""}, set()),
        ({"LATENTEDIT_BLOCK_PLUGINS": "a"}, {"b"}),
    ],
)
def test_off_switches(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], on: set[str]
) -> None:
    found = [
        SimpleNamespace(name=n, value=n, dist=None, load=lambda n=n: plugin(editor(f"{n}-editor")))
        for n in ("a", "b")
    ]
    monkeypatch.setattr("latentedit.plugin_specs.entry_points", lambda group: found)
    registry = Registry.discover(environment)
    assert {origin.name for origin in registry.origins if origin.status == "ok"} == on | {
        "latentedit"
    }


def test_the_executor_of_this_machine_is_known_without_a_plugin() -> None:
    registry = Registry.discover({"LATENTEDIT_LOAD_PLUGINS": ""})
    assert registry.names("executor") == ["local"]
    assert registry.names("editor") == []
    assert registry.load("executor", "local").__name__ == "LocalExecutor"
    rival = PluginSpec("executor", "local", "x:Y", "another")
    registry.add(plugin(rival), "mine")
    with pytest.raises(InputError, match=r"latentedit/local \(latentedit\), mine/local \(mine\)"):
        registry.find("executor", "local")


def test_listing_plugins_never_imports_torch() -> None:
    script = (
        "import sys; from latentedit.cli.main import cli; "
        "cli.main(['plugins', 'list', '--json'], standalone_mode=False); "
        "assert not {'torch', 'sklearn', 'scipy', 'numpy'} & set(sys.modules), 'imported'"
    )
    found = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    rows = json.loads(found.stdout)
    assert {"styleflow", "linear", "synthface"} <= {row["origin"] for row in rows}
    assert {row["status"] for row in rows} == {"ok"}


def test_the_public_names_are_the_ones_that_load() -> None:
    source = Path(latentedit.__file__).with_suffix(".pyi").read_text()
    for name in latentedit.__all__:
        assert getattr(latentedit, name) is not None
        assert name == "__version__" or name in source
    with pytest.raises(AttributeError):
        _ = latentedit.no_such_name


class _Mine:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [
            PluginSpec("editor", "mine", "mine_package.deep.editor:Mine", "a package"),
            PluginSpec("editor", "module", "mine_module:Mine", "a module"),
            PluginSpec("editor", "gone", "mine_nowhere:Mine", "what cannot be found"),
        ]


@pytest.mark.parametrize(
    ("name", "file"), [("mine", "mine_package/other.py"), ("module", "mine_module.py")]
)
def test_the_code_of_a_plugin_is_told_apart_from_its_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, file: str
) -> None:
    (tmp_path / "mine_package" / "deep").mkdir(parents=True)
    for path in ("mine_package/__init__.py", "mine_package/deep/editor.py", file):
        (tmp_path / path).write_text("raise RuntimeError('imported')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    registry = Registry()
    registry.add(_Mine(), "mine", version="0.1")
    before, version = registry.source("editor", name), registry.version("editor", name)
    assert len(before) == 64
    assert registry.source("editor", name) == before
    (tmp_path / file).write_text("changed = True\n")
    assert registry.source("editor", name) != before
    assert registry.version("editor", name) == version
    assert registry.source("editor", "gone") == ""
    assert Registry.discover({}).source("editor", "styleflow") == ""
