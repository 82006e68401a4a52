"""Settings of the study: worlds and seeds of banks."""

from __future__ import annotations

from dataclasses import dataclass

from latentedit.benchmark.plugin_use import ModelUse, PluginUse
from latentedit.benchmark.suite import Suite

RENDERED, TRAINED = "synthface", "synthface-net"


@dataclass(frozen=True)
class Setting:
    """A world and the seed of a bank.

    Args:
        world: name of the generator.
        world_seed: of the rendered world; the trained one has 0 alone.
    """

    world: str
    world_seed: int
    bank_seed: int

    @property
    def name(self) -> str:
        return f"{self.world}-{self.world_seed}-bank-{self.bank_seed}"

    def suite(self, of: Suite) -> Suite:
        """`of`, which names the rendered world, in this setting."""
        models = of.bank.model_dump() | {"seed": self.bank_seed}
        judge = of.judge
        if self.world == RENDERED:
            options = of.bank.generator.options | {"world_seed": self.world_seed}
            models["generator"] = PluginUse(plugin=RENDERED, options=options)
        else:
            models["generator"] = PluginUse(plugin=TRAINED)
            models["labeller"] = ModelUse(plugin=f"{TRAINED}-labeller")
            judge = ModelUse(plugin=f"{TRAINED}-judge")
        bank = type(of.bank).model_validate(models)
        changes = {"name": f"{of.name}-{self.name}", "bank": bank, "judge": judge}
        return of.model_copy(update=changes)


def settings(worlds: int = 3, banks: int = 3) -> list[Setting]:
    """Both worlds in turn, so that the first few are of both."""
    rendered = [Setting(RENDERED, world, bank) for bank in range(banks) for world in range(worlds)]
    trained = [Setting(TRAINED, 0, bank) for bank in range(worlds * banks)]
    return [setting for both in zip(rendered, trained, strict=True) for setting in both]
