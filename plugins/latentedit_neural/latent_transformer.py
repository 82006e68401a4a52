"""A residual network for each attribute, trained against a regressor on codes."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from latentedit import Edited, FitStats, Runtime, Split
from latentedit_neural.network_editor import NetworkEditor
from latentedit_neural.regressor import (
    NOT_VARYING,
    RegressorOptions,
    Scale,
    network,
    train_regressor,
)

LARGEST_CHANGE = 2.0
"""Largest change in training, in standard deviations."""


class LatentTransformerOptions(RegressorOptions):
    """Options of the latent transformer, in addition to those of the regressor.

    Args:
        transformer_hidden: width of each attribute's network.
        transformer_steps: number of training steps of all networks together.
        preserve: weight of the loss on other attributes.
        distance: weight of the move of the codes.
    """

    transformer_hidden: int = Field(default=128, ge=1)
    transformer_steps: int = Field(default=1000, ge=1)
    preserve: float = Field(default=1.0, ge=0)
    distance: float = Field(default=0.05, ge=0)


class LatentTransformer(NetworkEditor):
    """w' = w + Σ_k δ_k T_k(w), with a residual network T_k for every attribute column.

        L = (h_k(w') − h_k(w) − δ)² + λ_p mean_{i≠k} (1 − |γ_ik|) (h_i(w') − h_i(w))²
            + λ_d ‖w' − w‖²

    h is a regressor on whitened codes, γ the correlation of the attributes over the fit split, and
    δ a change in standard deviations, drawn from [−2, 2] in training. The mask 1 − |γ| allows
    correlated attributes to change together.

    Yao, Newson, Gousseau, Hellier: "A latent transformer for disentangled face editing in images
    and videos", ICCV 2021. There a classifier drives the networks and the target is the other
    class; here it is a regressor, so that a request is a quantity.
    """

    Options: ClassVar[type[LatentTransformerOptions]] = LatentTransformerOptions
    candidates = ({"preserve": 4.0}, {"distance": 0.2}, {"weight_decay": 1.0})
    options: LatentTransformerOptions
    net: nn.ModuleList

    def build(self, dim: int, width: int) -> nn.ModuleList:
        return nn.ModuleList(
            network(dim, dim, self.options.transformer_hidden) for _ in range(width)
        )

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        o, device = self.options, runtime.device
        self.scale = Scale(data.code_shape[0], data.schema.width).to(device)
        self.scale.take(data.codes.to(device), data.attributes.to(device))
        regressor, explained = train_regressor(self.scale, data, o, runtime)
        x = self.scale.encode(data.codes.to(device))
        together = torch.atleast_2d(torch.corrcoef(data.attributes.T))  # a number for one column
        apart = 1 - together.nan_to_num(0).abs().to(device)
        with torch.random.fork_rng():
            torch.manual_seed(runtime.rng(4).initial_seed())
            self.net = self.build(x.shape[1], len(apart)).to(device)
        optimizer = torch.optim.Adam(self.net.parameters(), o.learning_rate)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, o.transformer_steps)
        rng = runtime.rng(5)
        for step in range(o.transformer_steps):
            rows = torch.randint(len(x), (o.batch,), generator=rng).to(device)
            delta = LARGEST_CHANGE * (2 * torch.rand(o.batch, 1, generator=rng) - 1).to(device)
            k = step % len(apart)
            before = regressor(x[rows])
            move = delta * self.net[k](x[rows])
            change = regressor(x[rows] + move) - before
            others = apart[k] * change.square()
            total = (change[:, k] - delta[:, 0]).square().mean()
            total = total + o.preserve * others.sum(1).mean() / max(1, len(apart) - 1)
            total = total + o.distance * move.square().sum(1).mean()
            optimizer.zero_grad()
            total.backward()
            optimizer.step()
            schedule.step()
            if step % 100 == 0:
                share = (step + 1) / o.transformer_steps
                loss = float(total.detach())
                runtime.progress(share, f"transformers, loss {loss:.3f}")
                runtime.log(step, {"transformers/loss": loss})
        self.net.requires_grad_(False).eval()
        return FitStats({"regressor_r2": explained})

    @torch.no_grad()
    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        scale = self.ready(codes)
        change, ok = scale.change(source, target)
        x = scale.encode(codes)
        move = torch.zeros_like(x)
        for k in change.any(0).nonzero()[:, 0].tolist():
            move = move + change[:, k, None] * self.net[k](x)
        return Edited(codes + move @ scale.colouring, ok, reason=NOT_VARYING)
