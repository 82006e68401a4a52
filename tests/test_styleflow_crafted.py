"""Crafted StyleFlow checkpoints are refused before a network is built from them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from latentedit import LatentEditError
from latentedit_styleflow.importing import import_checkpoint

LAYER = "chain.1.odefunc.diffeq.layers.0."


def released(dim: int = 4, hidden: int = 6) -> dict[str, Tensor]:
    """A small state dict in the released layout."""
    norm = {"weight": dim, "bias": dim, "running_mean": dim, "running_var": dim, "step": 1}
    state = {f"chain.{i}.{name}": torch.ones(n) for i in (0, 2) for name, n in norm.items()}
    state["chain.1.sqrt_end_time"] = torch.tensor(1.0)
    for i, (a, b) in enumerate(((dim, hidden), (hidden, dim))):
        place = f"chain.1.odefunc.diffeq.layers.{i}."
        state[f"{place}_layer.weight"] = torch.randn(b, a, generator=torch.Generator())
        state[f"{place}_layer.bias"] = state[f"{place}_hyper_gate.bias"] = torch.zeros(b)
        for name in ("_hyper_bias.weight", "_hyper_gate.weight"):
            state[place + name] = torch.zeros(b, 4)
    return state


def test_the_plain_checkpoint_is_read(tmp_path: Path) -> None:
    torch.save(released(), tmp_path / "a.pt")
    assert import_checkpoint(tmp_path / "a.pt", tmp_path / "out").folder == tmp_path / "out"


@pytest.mark.parametrize(
    "changes",
    [
        {f"{LAYER}_layer.weight": torch.zeros(0, 300_000_000)},
        {f"{LAYER}_layer.weight": torch.zeros(0, 16_000), "norms.0.basis": torch.zeros(1)},
        {f"{LAYER}_hyper_gate.weight": torch.zeros(0, 1_000_000_000)},
        {f"{LAYER}_layer.weight": torch.tensor(1.0)},
        {"chain.1.odefunc.diffeq.layers.1._layer.weight": torch.tensor(1.0)},
        {f"{LAYER}_layer.weight": torch.zeros(1, 20_000)},
        {
            f"chain.1.odefunc.diffeq.layers.{i}._layer.weight": torch.zeros(20_000, 1)
            for i in (0, 1)
        },
        {"chain.4001.x": torch.zeros(1)},
        {"chain.1999999999.x": torch.zeros(1)},
        {"chain.².x": torch.zeros(1)},
        {f"chain.{'9' * 5000}.x": torch.zeros(1)},
        {"blocks.99999.x": torch.zeros(1)},
        {"norms.x.y": torch.zeros(1)},
        {"chain.0.weight": torch.zeros(4, dtype=torch.int64)},
    ],
)
def test_a_crafted_checkpoint_is_refused(tmp_path: Path, changes: dict[str, Tensor]) -> None:
    torch.save(released() | changes, tmp_path / "a.pt")
    with pytest.raises(LatentEditError):
        import_checkpoint(tmp_path / "a.pt", tmp_path / "out")
    assert not (tmp_path / "out").exists()
