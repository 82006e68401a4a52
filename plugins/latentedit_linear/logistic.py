"""The normals of logistic regression."""

from __future__ import annotations

from typing import ClassVar

import torch
from pydantic import Field
from torch import Tensor

from latentedit import Attribute, Runtime, Split
from latentedit_linear.directions import Figures, by_column, unit
from latentedit_linear.whitening import NormalEditor, WhitenOptions

MAX_STEPS = 1000
TOLERANCE = 1e-5
"""Largest norm of the last step, relative to the weights."""


class LogisticOptions(WhitenOptions):
    """Options of logistic directions, in addition to `whiten`.

    Args:
        c: inverse of the penalty on the weights, per face; smaller values regularise more.
    """

    c: float = Field(default=0.001, gt=0)


class Logistic(NormalEditor):
    """Moves along the normal of the boundary between faces with and without the attribute.

        n = argmin ½‖n‖² + C Σ_i log(1 + exp(−y_i (n·w_i + b))),    d = n / ‖n‖

    A face counts as having an attribute above the middle of its range if it is binary, and above
    its median otherwise.

    Cox: "The regression analysis of binary sequences", 1958.
    """

    Options: ClassVar[type[LogisticOptions]] = LogisticOptions
    seeded = False
    candidates = ({"whiten": True}, {"c": 0.01}, {"c": 0.0001}, {"c": 0.1})
    options: LogisticOptions

    def find_normals(self, data: Split, runtime: Runtime) -> tuple[Tensor, Figures]:
        labels = _labels(data)
        share = labels.double().mean(0)
        normals, biases = logistic_regression(data.codes, labels, self.options.c)
        agree = ((data.codes.double() @ normals.T + biases) > 0) == labels
        normals[(share == 0) | (share == 1)] = 0
        return unit(normals), by_column("accuracy", agree.double().mean(0), data)


def logistic_regression(codes: Tensor, labels: Tensor, c: float) -> tuple[Tensor, Tensor]:
    """Penalised logistic regression of every column at once.

    It takes accelerated steps with an upper bound of the Hessian. All columns share the bound, so
    it is factorised only once:

        g = n + C Σ_i (p_i − t_i) w_i,    H = I + C/4 Σ_i w_i w_iᵀ,    n ← n − H⁻¹ g

    Böhning, Lindsay: "Monotonicity of quadratic-approximation algorithms", 1988; momentum with
    restarts as in O'Donoghue, Candès: "Adaptive restart for accelerated gradient schemes", 2015.

    Args:
        codes: (N, D).
        labels: (N, A) bool, t.
        c: C; the intercept is not penalised.

    Returns:
        (A, D) normals n and (A,) intercepts b.
    """
    mean = codes.double().mean(0)
    # Centred codes separate the intercept from the weights; the mean is restored at the end.
    x = torch.cat([codes - mean, torch.ones(len(codes), 1)], 1).double()
    truth, penalty = labels.double(), torch.ones(x.shape[1], 1, dtype=x.dtype)
    penalty[-1] = 0
    bound = torch.linalg.cholesky(torch.diag(penalty[:, 0]) + c / 4 * x.T @ x)
    now = ahead = x.new_zeros(x.shape[1], labels.shape[1])
    age = torch.zeros(labels.shape[1], dtype=x.dtype)
    for _ in range(MAX_STEPS):
        gradient = penalty * ahead + c * x.T @ (torch.sigmoid(x @ ahead) - truth)
        step = torch.cholesky_solve(gradient, bound)
        following = ahead - step
        # Restart a column's momentum when its step points uphill (gradient restart).
        age = torch.where((step * (following - now)).sum(0) > 0, 0.0, age + 1)
        now, ahead = following, following + age / (age + 3) * (following - now)
        if bool((step.norm(dim=0) <= TOLERANCE * now.norm(dim=0)).all()):
            break
    return now[:-1].T.contiguous(), now[-1] - mean @ now[:-1]


def _labels(data: Split) -> Tensor:
    """(N, A) whether each face has each attribute."""
    attributes = data.attributes
    thresholds = [
        _threshold(attribute, attributes[:, k])
        for attribute in data.schema
        for k in range(data.schema.width)[data.schema.columns(attribute.name)]
    ]
    return attributes > torch.stack(thresholds)


def _threshold(attribute: Attribute, values: Tensor) -> Tensor:
    if attribute.kind == "binary":
        return values.new_tensor((attribute.low + attribute.high) / 2)
    return values.median()
