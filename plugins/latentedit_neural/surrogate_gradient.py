"""Steps along the gradients of a regressor on codes, without the generator."""

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


class SurrogateGradientOptions(RegressorOptions):
    """Options of surrogate-gradient editing, in addition to those of the regressor.

    Args:
        walk: number of steps of one edit.
        ridge: regularisation that keeps steps short where gradients are nearly parallel.
    """

    walk: int = Field(default=8, ge=1)
    ridge: float = Field(default=1e-3, gt=0)


class SurrogateGradient(NetworkEditor):
    """Small steps along attribute gradients, each projected orthogonal to all others' gradients.

        x ← x + Jᵀ (J Jᵀ + λ I)⁻¹ r / (n − i),    r = h(x₀) + Δ − h(x),    J = ∂h/∂x

    h is a small regressor on whitened codes x, and Δ the requested change of every attribute in
    standard deviations. For a single attribute the step is its gradient, projected orthogonal to
    the gradients of attributes that should not change. Its length is the remaining change over the
    remaining steps. Unlike a fixed direction, it turns with the code and corrects earlier errors.

    Nonlinear latent walks by gradients of a scoring network: Jahanian, Chai, Isola, "On the
    steerability of generative adversarial networks", ICLR 2020; Shen et al., "InterFaceGAN", TPAMI
    2020, for the projection.
    """

    Options: ClassVar[type[SurrogateGradientOptions]] = SurrogateGradientOptions
    candidates = ({"weight_decay": 1.0}, {"ridge": 0.1}, {"walk": 16})
    options: SurrogateGradientOptions

    def build(self, dim: int, width: int) -> nn.Module:
        return network(dim, width, self.options.hidden)

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self.scale = Scale(data.code_shape[0], data.schema.width).to(runtime.device)
        self.scale.take(data.codes.to(runtime.device), data.attributes.to(runtime.device))
        self.net, explained = train_regressor(self.scale, data, self.options, runtime)
        return FitStats({"regressor_r2": explained})

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        scale = self.ready(codes)
        change, ok = scale.change(source, target)
        x = start = scale.encode(codes)
        wanted = self.net(x) + change
        for i in range(self.options.walk):
            read, jacobian = self._linearised(x)
            gram = jacobian @ jacobian.mT
            gram = gram + self.options.ridge * torch.eye(gram.shape[1], device=x.device)
            share = (wanted - read) / (self.options.walk - i)
            x = x + (jacobian.mT @ torch.linalg.solve(gram, share[..., None]))[..., 0]
        still = (change == 0).all(1, keepdim=True)
        moved = codes + scale.decode(x) - scale.decode(start)
        return Edited(torch.where(still, codes, moved), ok, self.options.walk, NOT_VARYING)

    def _linearised(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """h(x) (N, A) and its Jacobian (N, A, D)."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            read = self.net(x)
            rows = [torch.autograd.grad(column.sum(), x, retain_graph=True)[0] for column in read.T]
        return read.detach(), torch.stack(rows, 1)
