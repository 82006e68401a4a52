"""Walk along the gradients of a regressor on codes, without the generator."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from latentedit import Edited, Editor, FitStats, NotFitted, Runtime, Split
from latentedit_neural.regressor import RegressorOptions, Scale, network, train_regressor


class SurrogateGradientOptions(RegressorOptions):
    """Options of surrogate-gradient editing, beside those of the regressor.

    Args:
        walk: steps of one edit.
        ridge: what keeps a step short where gradients are nearly parallel.
    """

    walk: int = Field(default=8, ge=1)
    ridge: float = Field(default=1e-3, gt=0)


class SurrogateGradient(Editor):
    """Small steps along attribute gradients, each projected orthogonal to all others' gradients.

        x ← x + Jᵀ (J Jᵀ + λ I)⁻¹ r / (n − i),    r = h(x₀) + Δ − h(x),    J = ∂h/∂x

    h is a small regressor on whitened codes x, Δ the requested change of every attribute in
    standard deviations. For a single attribute the step is its gradient projected orthogonal to
    those of the attributes that are to stay, as long as the rest of the way over the steps left;
    unlike a fixed direction it turns with the code, and makes up for what earlier steps missed.

    Nonlinear latent walks by gradients of a scoring network: Jahanian, Chai, Isola, "On the
    steerability of generative adversarial networks", ICLR 2020; Shen et al., "InterFaceGAN", TPAMI
    2020, for the projection.
    """

    Options: ClassVar[type[SurrogateGradientOptions]] = SurrogateGradientOptions
    candidates = ({"weight_decay": 1.0}, {"ridge": 0.1}, {"walk": 16})
    options: SurrogateGradientOptions
    net: nn.Sequential
    scale: Scale

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self.scale = Scale(data.code_shape[0], data.schema.width).to(runtime.device)
        self.scale.take(data.codes.to(runtime.device), data.attributes.to(runtime.device))
        self.net, explained = train_regressor(self.scale, data, self.options, runtime)
        return FitStats({"regressor_r2": explained})

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        if not hasattr(self, "net"):
            raise NotFitted("SurrogateGradient is not fitted; call fit or load_state first")
        self.net.to(codes.device)
        self.scale.to(codes.device)
        change = self.scale.change(source, target)
        x = start = self.scale.encode(codes)
        wanted = self.net(x) + change
        for i in range(self.options.walk):
            read, jacobian = self._linearised(x)
            gram = jacobian @ jacobian.mT
            gram = gram + self.options.ridge * torch.eye(gram.shape[1], device=x.device)
            share = (wanted - read) / (self.options.walk - i)
            x = x + (jacobian.mT @ torch.linalg.solve(gram, share[..., None]))[..., 0]
        still = (change == 0).all(1, keepdim=True)
        moved = codes + self.scale.decode(x) - self.scale.decode(start)
        return Edited(torch.where(still, codes, moved), nfe=self.options.walk)

    def _linearised(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """h(x) (N, A) and its Jacobian (N, A, D)."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            read = self.net(x)
            rows = [torch.autograd.grad(column.sum(), x, retain_graph=True)[0] for column in read.T]
        return read.detach(), torch.stack(rows, 1)

    def state(self) -> dict[str, Tensor]:
        if not hasattr(self, "net"):
            raise NotFitted("SurrogateGradient is not fitted; call fit first")
        return both_states(self.net, self.scale)

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        width, dim = len(state["scale.a_mean"]), len(state["scale.mean"])
        self.scale = Scale(dim, width)
        self.net = network(dim, width, self.options.hidden)
        load_both(self.net, self.scale, state)


def both_states(net: nn.Module, scale: Scale) -> dict[str, Tensor]:
    """The tensors of a network and its scale, by name."""
    parts = {"net": net, "scale": scale}
    return {f"{p}.{k}": v for p, module in parts.items() for k, v in module.state_dict().items()}


def load_both(net: nn.Module, scale: Scale, state: Mapping[str, Tensor]) -> None:
    """Take up what `both_states` returned."""
    for part, module in (("net", net), ("scale", scale)):
        prefix = f"{part}."
        module.load_state_dict(
            {k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)}
        )
        module.requires_grad_(False).eval()
