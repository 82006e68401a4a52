"""What this package offers. It imports no torch, so that listing plugins stays fast."""

from latentedit.plugin import PluginSpec, hookimpl


@hookimpl
def latentedit_plugins() -> list[PluginSpec]:
    here = "latentedit_cars"
    return [
        PluginSpec("generator", "cars", f"{here}.generator:Cars", "drawn cars, by an autoencoder"),
        PluginSpec("estimator", "cars-labeller", f"{here}.estimators:Labeller", "labels cars"),
        PluginSpec("estimator", "cars-judge", f"{here}.estimators:Judge", "judges edits of cars"),
        PluginSpec("identity", "cars-identity", f"{here}.estimators:Design", "tells cars apart"),
    ]
