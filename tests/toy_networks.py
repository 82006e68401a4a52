"""A plugin that offers the published networks in `NETWORKS`."""

from __future__ import annotations

from latentedit import PluginSpec, PublishedNetwork, hookimpl

NETWORKS: dict[str, PublishedNetwork] = {}


def __getattr__(name: str) -> PublishedNetwork:
    """A network of `NETWORKS` as a name of this module, which a plugin's target takes."""
    if name not in NETWORKS:
        raise AttributeError(name)
    return NETWORKS[name]


class _Networks:
    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [PluginSpec("network", n, f"toy_networks:{n}", "for tests") for n in NETWORKS]


plugin = _Networks()
