"""Optimisation of codes through generator and labeller, a slow reference for other editors."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import Edited, Editor, FitStats, Options, Runtime, Split, Unsupported
from latentedit_neural.regressor import NOT_VARYING


class GeneratorOptimizationOptions(Options):
    """Options of optimisation through the generator.

    Args:
        steps: number of Adam steps for each batch of faces.
        learning_rate: of Adam, in standard deviations of the codes.
        preserve: weight of changes of the other attributes.
        distance: weight of the move of the codes.
        pixels: weight of the change of the image, a proxy for identity.
    """

    steps: int = Field(default=60, ge=1)
    learning_rate: float = Field(default=0.05, gt=0)
    preserve: float = Field(default=0.5, ge=0)
    distance: float = Field(default=0.002, ge=0)
    pixels: float = Field(default=1.0, ge=0)


class GeneratorOptimization(Editor):
    """w' = argmin ‖A_k(G(w')) − target_k‖² + λ_p ‖A_i(G(w')) − A_i(G(w))‖² + λ_d ‖x' − x‖² +
    λ_x ‖G(w') − G(w)‖², in standard deviations of attributes and codes x.

    A is the labeller, never the judge. Pixels stand for identity, because a recogniser that
    measures results must not be optimised. Attributes that do not vary over the fit split are left
    out.

    Latent optimisation as in StyleCLIP: Patashnik et al., ICCV 2021, eq. 1, with an attribute
    network in the place of CLIP.
    """

    Options: ClassVar[type[GeneratorOptimizationOptions]] = GeneratorOptimizationOptions
    candidates = ({"preserve": 2.0}, {"pixels": 4.0}, {"learning_rate": 0.1})
    options: GeneratorOptimizationOptions
    needs = frozenset({"attributes", "generator", "estimator"})
    fitted: ClassVar[tuple[str, ...]] = ("deviation", "sigma")
    seeded = False
    deviation: Tensor
    sigma: Tensor

    def fit(self, data: Split, runtime: Runtime) -> FitStats:
        self.deviation = data.codes.std(0)
        sigma, size = data.attributes.std(0), data.attributes.abs().amax(0)
        self.sigma = torch.where(sigma > 1e-6 * size, sigma, 0.0)
        return FitStats()

    def edit(self, codes: Tensor, source: Tensor, target: Tensor, runtime: Runtime) -> Edited:
        self.state()  # raises NotFitted before fit
        o = self.options
        generator, estimator = runtime.generator, runtime.estimator
        if generator is None or estimator is None:
            raise Unsupported(
                "generator-optimization descends through both: give a generator and an estimator"
            )
        deviation, varies = self.deviation.to(codes), (self.sigma > 0).to(codes.device)
        sigma = torch.where(varies, self.sigma.to(codes), 1.0)
        with torch.no_grad():
            image = generator.synthesize(codes)
            read = estimator.estimate(image)
        change = target - source
        edited = (change != 0).to(codes)
        weight = (edited + o.preserve * (1 - edited)) * varies
        x = torch.zeros_like(codes, requires_grad=True)
        optimizer = torch.optim.Adam([x], o.learning_rate)
        for i in range(o.steps):
            with torch.enable_grad():
                now = generator.synthesize(codes + deviation * x)
                missed = (estimator.estimate(now) - read - change) / sigma
                losses = (weight * missed.square()).sum(1) + o.distance * x.square().sum(1)
                losses = losses + o.pixels * (now - image).square().flatten(1).mean(1)
                (x.grad,) = torch.autograd.grad(losses.sum(), x)
            optimizer.step()
            runtime.progress((i + 1) / o.steps, "descending")
        still = (change == 0).all(1, keepdim=True)
        moved = codes + deviation * x.detach()
        ok = ((change == 0) | varies).all(1)
        return Edited(torch.where(still, codes, moved), ok, o.steps, NOT_VARYING)
