"""A small network that predicts attributes from codes, and the scaling of its data."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn

from latentedit import Options, Runtime, Split

_HELD_OUT_SHARE = 0.1
_EVALUATIONS = 20

NOT_VARYING = "what is to change does not vary over the fit split"
"""Why faces are refused."""


class RegressorOptions(Options):
    """Options of the regressor.

    Args:
        hidden: width of its two hidden layers.
        steps: number of training steps; the weights with the least held-out error are kept.
        batch: codes per step.
        learning_rate: of Adam, with a cosine schedule.
        weight_decay: of AdamW.
    """

    hidden: int = Field(default=256, ge=1)
    steps: int = Field(default=1500, ge=1)
    batch: int = Field(default=256, ge=2)
    learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.1, ge=0)


class Scale(nn.Module):
    """Scaling of codes to x = (w − mean) @ whitening, and of attributes to standard scores.

    x has unit covariance. An attribute that does not vary has deviation 0 and all scores 0.
    """

    mean: Tensor
    whitening: Tensor
    colouring: Tensor
    a_mean: Tensor
    a_std: Tensor

    def __init__(self, dim: int, width: int) -> None:
        super().__init__()
        for name, shape in (
            ("mean", (dim,)),
            ("whitening", (dim, dim)),
            ("colouring", (dim, dim)),
            ("a_mean", (width,)),
            ("a_std", (width,)),
        ):
            self.register_buffer(name, torch.zeros(shape))

    @torch.no_grad()
    def take(self, codes: Tensor, attributes: Tensor) -> None:
        """Learn the scale of codes (N, D) and attributes (N, A)."""
        self.mean.copy_(codes.mean(0))
        variance, basis = torch.linalg.eigh(codes.double().T.cov())
        # With fewer codes than dimensions some variances are 0, and whitening would divide by them.
        deviation = variance.clamp_min(1e-6 * float(variance[-1])).sqrt()
        self.whitening.copy_(basis / deviation)
        self.colouring.copy_((basis * deviation).T)
        self.a_mean.copy_(attributes.mean(0))
        deviation, size = attributes.std(0), attributes.abs().amax(0)
        self.a_std.copy_(torch.where(deviation > 1e-6 * size, deviation, 0.0))

    def encode(self, codes: Tensor) -> Tensor:
        return (codes - self.mean) @ self.whitening

    def decode(self, x: Tensor) -> Tensor:
        return x @ self.colouring + self.mean

    def scores(self, attributes: Tensor) -> Tensor:
        """(N, A) in natural units → (N, A) in standard deviations from the mean."""
        return self._in_deviations(attributes - self.a_mean)

    def change(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """(N, A) requested change in standard deviations, and (N,) whether it can be made.

        It cannot if it includes an attribute that did not vary over the fit split.
        """
        change = target - source
        return self._in_deviations(change), ((change == 0) | (self.a_std > 0)).all(1)

    def _in_deviations(self, values: Tensor) -> Tensor:
        return torch.where(self.a_std > 0, values / self.a_std, 0.0)


def network(dim: int, width: int, hidden: int) -> nn.Sequential:
    """A network (N, D) → (N, A). SiLU makes it smooth, since editors follow its gradients."""
    return nn.Sequential(
        nn.Linear(dim, hidden),
        nn.SiLU(),
        nn.Linear(hidden, hidden),
        nn.SiLU(),
        nn.Linear(hidden, width),
    )


def train_regressor(
    scale: Scale, data: Split, options: RegressorOptions, runtime: Runtime
) -> tuple[nn.Sequential, float]:
    """A network from whitened codes to standard scores of the attributes.

    Returns:
        The network, and the share of variance that it explains on held-out codes.
    """
    device = runtime.device
    x = scale.encode(data.codes.to(device))
    y = scale.scores(data.attributes.to(device))
    order = torch.randperm(len(x), generator=runtime.rng(1)).to(device)
    held = max(1, int(_HELD_OUT_SHARE * len(x)))
    test, kept = order[:held], order[held:]
    with torch.random.fork_rng():
        torch.manual_seed(runtime.rng(2).initial_seed())
        net = network(x.shape[1], y.shape[1], options.hidden).to(device)
    optimizer = torch.optim.AdamW(
        net.parameters(), options.learning_rate, weight_decay=options.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, options.steps)
    best, best_error, rng = net.state_dict(), float("inf"), runtime.rng(3)
    every = max(1, options.steps // _EVALUATIONS)
    for step in range(options.steps):
        rows = kept[torch.randint(len(kept), (options.batch,), generator=rng).to(device)]
        loss = (net(x[rows]) - y[rows]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % every == 0 or step + 1 == options.steps:
            with torch.no_grad():
                error = float((net(x[test]) - y[test]).square().mean())
            if error < best_error:
                best_error = error
                best = {name: value.clone() for name, value in net.state_dict().items()}
            runtime.progress((step + 1) / options.steps, f"regressor, held-out error {error:.3f}")
            runtime.log(step + 1, {"regressor/held-out error": error})
    net.load_state_dict(best)
    net.requires_grad_(False).eval()
    explained = 1 - best_error / float(y[test].var(0).mean().clamp_min(1e-6))
    return net, explained
