"""The registry: discovery of plugins, isolation of their failures, and import on first use."""

from __future__ import annotations

import importlib
import os
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, is_dataclass
from importlib.metadata import EntryPoint
from typing import TYPE_CHECKING, Any, Literal, cast

from latentedit import __version__
from latentedit.errors import EnvironmentFault, InputError, PluginFault, UnknownName
from latentedit.guard import guarded
from latentedit.plugin import API_VERSION, INTERFACES, PluginKind, PluginSpec
from latentedit.plugin_source import source_digest
from latentedit.plugin_specs import BUILT_IN, entries, read_specs

if TYPE_CHECKING:
    from latentedit.interfaces.editor import Editor
    from latentedit.interfaces.estimators import (
        AttributeEstimator,
        EstimatorTrainer,
        IdentityEncoder,
    )
    from latentedit.interfaces.generator import Generator
    from latentedit.interfaces.metric import EditMetric

OriginStatus = Literal["ok", "broken", "incompatible", "disabled", "collision"]


@dataclass
class Origin:
    """One entry point of plugins, or what is built in, with the result of loading it.

    Args:
        note: what its import changed in the process, and was put back.
    """

    name: str
    distribution: str
    version: str
    status: OriginStatus = "ok"
    detail: str = ""
    specs: list[PluginSpec] = field(default_factory=list)
    note: str = ""


class Registry:
    """Every known plugin, by kind and name.

    `Registry.discover()` reads the installed entry points. `Registry()` has only what is built in;
    `add` registers a plugin module or object, for instance in tests.
    """

    def __init__(self) -> None:
        self.origins = [Origin("latentedit", "latentedit", __version__, specs=list(BUILT_IN))]

    @classmethod
    def discover(cls, environment: Mapping[str, str] | None = None) -> Registry:
        """Load every installed plugin.

        Environment variables: ``LATENTEDIT_LOAD_PLUGINS=a,b`` loads only these entry points (empty:
        none). ``LATENTEDIT_BLOCK_PLUGINS=a,b`` skips these. ``LATENTEDIT_STRICT_PLUGINS=1`` raises
        `EnvironmentFault` for the first plugin that fails to load.
        """
        environment = os.environ if environment is None else environment
        registry = cls()
        only = environment.get("LATENTEDIT_LOAD_PLUGINS")
        blocked = _names(environment.get("LATENTEDIT_BLOCK_PLUGINS", ""))
        found = sorted(entries(), key=lambda e: (e.name, e.value))
        for entry in found:
            origin = _origin(entry)
            if entry.name in blocked or (only is not None and entry.name not in _names(only)):
                origin.status, origin.detail = "disabled", "switched off by the environment"
                registry.origins.append(origin)
            else:
                registry._load(origin, entry)
        if environment.get("LATENTEDIT_STRICT_PLUGINS") == "1":
            registry.require_ok()
        return registry

    def add(self, plugin: object, name: str, distribution: str = "", version: str = "") -> None:
        """Register a plugin module or object like an entry point with this `name`."""
        self._register(Origin(name, distribution or name, version), plugin)

    def _load(self, origin: Origin, entry: EntryPoint) -> None:
        try:
            with guarded(origin.name, "import", faults=()) as changed:
                plugin = entry.load()
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            self.origins.append(origin)
            origin.status, origin.detail = "broken", _traceback(error)
        else:
            origin.note = _put_back(changed)
            self._register(origin, plugin)

    def _register(self, origin: Origin, plugin: object) -> None:
        self.origins.append(origin)
        try:
            with guarded(origin.name, "latentedit_plugins", faults=()) as changed:
                origin.specs = read_specs(plugin)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            origin.status, origin.detail = "broken", _traceback(error)
            return
        origin.note = origin.note or _put_back(changed)
        versions = {spec.api_version for spec in origin.specs}
        if versions - {API_VERSION}:
            origin.status = "incompatible"
            origin.detail = (
                f"written for interface version {max(versions - {API_VERSION})}, this latentedit "
                f"has {API_VERSION}; install a matching release of {origin.distribution}"
            )
        elif rivals := self._rivals(origin):
            origin.status, origin.detail = "collision", rivals

    def _rivals(self, origin: Origin) -> str:
        mine = {(spec.kind, spec.name) for spec in origin.specs}
        return "; ".join(
            f"{other.name} ({other.distribution}) also offers {spec.kind} {spec.name!r}"
            for other in self.origins
            if other is not origin and other.status in ("ok", "collision")
            for spec in other.specs
            if (spec.kind, spec.name) in mine
        )

    def require_ok(self) -> None:
        """Raise `EnvironmentFault` naming the first origin that failed to load."""
        for origin in self.origins:
            if origin.status in ("broken", "incompatible", "collision"):
                raise EnvironmentFault(
                    f"plugin {origin.name!r} ({origin.distribution}) is {origin.status}: "
                    f"{origin.detail}"
                )

    def specs(self, kind: str) -> dict[str, list[tuple[Origin, PluginSpec]]]:
        """Every usable spec of `kind` by name, with its origins. Two are a collision."""
        table: dict[str, list[tuple[Origin, PluginSpec]]] = {}
        for origin in self.origins:
            if origin.status in ("ok", "collision"):
                for spec in origin.specs:
                    if spec.kind == kind:
                        table.setdefault(spec.name, []).append((origin, spec))
        return table

    def names(self, kind: str) -> list[str]:
        return sorted(self.specs(kind))

    def find(self, kind: str, name: str) -> tuple[Origin, PluginSpec]:
        """The spec with this `name`; write ``origin/name`` if two origins offer the same name.

        Raises:
            UnknownName: there is no such plugin; lists the known ones.
            InputError: two origins offer the name; names both.
            EnvironmentFault: the plugin's origin failed to load.
        """
        prefix, _, bare = name.rpartition("/")
        claims = self._claims(kind, name)
        if len(claims) == 1:
            return claims[0]
        if claims:
            origins = ", ".join(f"{o.name}/{bare} ({o.distribution})" for o, _ in claims)
            raise InputError(f"{kind} {bare!r} is offered by more than one plugin; write {origins}")
        for origin in self.origins:
            if origin.status in ("broken", "incompatible") and (
                origin.name in (prefix, bare) or any(s.name == bare for s in origin.specs)
            ):
                raise EnvironmentFault(
                    f"plugin {origin.name!r} is {origin.status}: {origin.detail}"
                )
        raise UnknownName(kind, name, self.names(kind))

    def _claims(self, kind: str, name: str) -> list[tuple[Origin, PluginSpec]]:
        prefix, _, bare = name.rpartition("/")
        found = self.specs(kind).get(bare, [])
        return [claim for claim in found if not prefix or claim[0].name == prefix]

    def only(self, kind: str, option: str) -> str:
        """The name of the only installed plugin of `kind`.

        Args:
            option: the command-line option that chooses one, for the message.

        Raises:
            InputError: none or several are installed.
        """
        names = list(self.specs(kind))
        if len(names) == 1:
            return names[0]
        installed = ", ".join(names) or "(none is installed)"
        raise InputError(f"choose one with {option}; installed {kind}s: {installed}")

    def load(self, kind: str, name: str) -> Any:
        """Import a plugin's target, and check that it implements its interface.

        Returns:
            A class, or an instance if the interface is a dataclass (see `INTERFACES`).

        Raises:
            PluginFault: the target cannot be imported, or does not implement the interface.
        """
        origin, spec = self.find(kind, name)
        with guarded(name, f"import of {spec.target} of {origin.name}"):
            loaded = _imported(spec.target)
            expected: type = _imported(INTERFACES[cast(PluginKind, kind)])
            fits = _implements(loaded, expected)
        if not fits:
            raise PluginFault(name, f"{spec.target} is not a {expected.__name__}")
        return loaded

    def build(self, kind: str, name: str, options: Mapping[str, Any] | None = None) -> Any:
        """An instance of a plugin, with its options checked, and its methods guarded.

        Raises:
            UnknownName: the plugin has no such option.
            InputError: the value of an option is invalid.
            PluginFault: it cannot be made, or lacks an attribute of its interface.
        """
        from latentedit.interfaces import guarded as guards

        loaded, origin = self.load(kind, name), self.find(kind, name)[0]
        if origin.specs == list(BUILT_IN):
            return _made(loaded, name, options)
        with guarded(name, "construction", parts=guards.construction_parts(kind)):
            made = _made(guards.guarded_class(kind, name, loaded), name, options)
        guards.check_attributes(kind, name, made)
        return made

    def bare(self, kind: str, name: str, options: Mapping[str, Any] | None = None) -> Any:
        """The same without any guard, for rules that look at what a plugin does by itself."""
        return _made(self.load(kind, name), name, options)

    def generator(self, name: str, options: Mapping[str, Any] | None = None) -> Generator:
        built: Generator = self.build("generator", name, options)
        return built

    def estimator(self, name: str, options: Mapping[str, Any] | None = None) -> AttributeEstimator:
        built: AttributeEstimator = self.build("estimator", name, options)
        return built

    def identity(self, name: str, options: Mapping[str, Any] | None = None) -> IdentityEncoder:
        built: IdentityEncoder = self.build("identity", name, options)
        return built

    def metric(self, name: str, options: Mapping[str, Any] | None = None) -> EditMetric:
        built: EditMetric = self.build("metric", name, options)
        return built

    def editor(self, name: str, options: Mapping[str, Any] | None = None) -> Editor:
        """An editor or a control."""
        built: Editor = self.build(self.editor_kind(name), name, options)
        return built

    def editor_kind(self, name: str) -> Literal["editor", "control"]:
        """Whether `name` is an editor or a control; ``"editor"`` for an unknown name.

        Raises:
            InputError: an editor and a control have this name.
        """
        if not self._claims("control", name):
            return "editor"
        if self._claims("editor", name):
            raise InputError(f"{name!r} is both an editor and a control; write ORIGIN/{name}")
        return "control"

    def trainer(self, name: str, options: Mapping[str, Any] | None = None) -> EstimatorTrainer:
        built: EstimatorTrainer = self.build("trainer", name, options)
        return built

    def version(self, kind: str, name: str) -> str:
        origin, _ = self.find(kind, name)
        return f"{origin.distribution} {origin.version}".strip()

    def source(self, kind: str, name: str) -> str:
        """SHA-256 over the code of a plugin's package; "" for latentedit's own plugins.

        Authors change their code without a new version, and results must be computed again then.
        """
        origin, spec = self.find(kind, name)
        return "" if origin.distribution == "latentedit" else source_digest(spec.target)


def _made(loaded: type[Any], name: str, options: Mapping[str, Any] | None) -> Any:
    return loaded(parse_options(loaded, name, options)) if options else loaded()


def parse_options(loaded: type[Any], name: str, options: Mapping[str, Any]) -> Any:
    """The options object of a plugin, from a plain mapping."""
    from pydantic import ValidationError

    model = getattr(loaded, "Options", None)
    if model is None:
        raise InputError(f"{name} takes no options, received {', '.join(options)}")
    if unknown := [key for key in options if key not in model.model_fields]:
        raise UnknownName(f"option of {name}", unknown[0], model.model_fields)
    try:
        return model(**options)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise InputError(
            f"option {place!r} of {name}: {first['msg']}, received {first['input']!r}"
        ) from None


def _imported(target: str) -> Any:
    """Import ``"package.module:Name"``."""
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _implements(loaded: Any, interface: type) -> bool:
    if is_dataclass(interface):
        return isinstance(loaded, interface)
    return isinstance(loaded, type) and issubclass(loaded, interface)


def _put_back(changed: list[str]) -> str:
    """A note of what the import of a plugin changed in the process; empty for nothing."""
    return f"its import changed {', '.join(changed)}; this was put back" if changed else ""


def _traceback(error: BaseException) -> str:
    """Of the plugin's own error, without the guard's around it."""
    own = error.__cause__ if isinstance(error, PluginFault) and error.__cause__ else error
    return "".join(traceback.format_exception(own))


def _origin(entry: EntryPoint) -> Origin:
    distribution = entry.dist
    return Origin(
        entry.name,
        distribution.name if distribution else entry.value,
        distribution.version if distribution else "",
    )


def _names(listed: str | Iterable[str]) -> set[str]:
    parts = listed.split(",") if isinstance(listed, str) else listed
    return {part.strip() for part in parts if part.strip()}
