"""Files of a training run: tensors of several modules in one file, optimizer state, and the log."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn


def prefixed(**modules: nn.Module) -> dict[str, Tensor]:
    """State of several modules, each tensor under ``NAME.KEY``."""
    return {
        f"{name}.{key}": tensor.cpu()
        for name, module in modules.items()
        for key, tensor in module.state_dict().items()
    }


def load(tensors: Mapping[str, Tensor], **modules: nn.Module) -> None:
    """Load what `prefixed` made; other tensors are ignored."""
    for name, module in modules.items():
        module.load_state_dict(beginning(tensors, f"{name}."))


def beginning(tensors: Mapping[str, Tensor], start: str) -> dict[str, Tensor]:
    """The tensors whose names begin with `start`, without that beginning."""
    return {k.removeprefix(start): t for k, t in tensors.items() if k.startswith(start)}


def optimizer_state(optimizer: torch.optim.Optimizer, net: nn.Module) -> dict[str, Tensor]:
    """Moments of each parameter of `net`, under ``optimizer.MOMENT.PARAMETER``."""
    return {
        f"optimizer.{moment}.{name}": tensor
        for name, parameter in net.named_parameters()
        for moment, tensor in optimizer.state[parameter].items()
    }


def load_optimizer(
    tensors: Mapping[str, Tensor], optimizer: torch.optim.Optimizer, net: nn.Module
) -> None:
    """Load what `optimizer_state` made of a `Muon`; moments go where the parameters are."""
    for name, parameter in net.named_parameters():
        optimizer.state[parameter] = {
            moment: tensors[f"optimizer.{moment}.{name}"].to(
                "cpu" if moment == "step" else parameter.device
            )
            for moment in ("step", "mean", "square")
        }


def log(path: Path, row: Mapping[str, float | str]) -> None:
    """Add a row to a table, with a header to a new one."""
    new = not path.exists()
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, list(row))
        if new:
            writer.writeheader()
        writer.writerow(row)
