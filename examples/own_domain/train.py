"""Train all networks of this package on drawn cars, and write `weights.safetensors`.

python examples/own_domain/train.py [--steps 600]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from latentedit_cars.drawing import DESIGN, SCHEMA, draw, random_cars, traits
from latentedit_cars.estimators import HIGH, LOW, Judge, Labeller
from latentedit_cars.networks import WEIGHTS, Autoencoder, reader
from torch import Tensor, nn

from latentedit import write_tensors

CARS, BATCH = 6000, 32
NOISE = 0.02
"""Standard deviation of the noise on pictures that readers learn from."""
FALSE_ACCEPTS = 1e-3


def train(network: nn.Module, loss_of: Callable[[Tensor], Tensor], steps: int, seed: int) -> None:
    """AdamW with a rate that rises and falls; `loss_of` takes the rows of a batch."""
    rng = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for step in range(steps):
        loss = loss_of(torch.randint(CARS, (BATCH,), generator=rng))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if step % 100 == 0 or step == steps - 1:
            print(f"{step}: {float(loss.detach()):.4f}", flush=True)


def prior(codes: Tensor) -> dict[str, Tensor]:
    """Mean, and a factor of the covariance, of the codes of drawn cars."""
    flat = codes.flatten(1).double()
    factor = torch.linalg.cholesky(flat.T.cov() + 1e-4 * torch.eye(flat.shape[1]))
    return {"mean": flat.mean(0), "factor": factor}


def train_estimator(
    width: int, cars: tuple[Tensor, Tensor], model: Autoencoder, steps: int, seed: int
) -> nn.Module:
    """Learn shares of the attributes' ranges, from drawn and from decoded pictures in turn."""
    network, wanted = reader(width, SCHEMA.width), (cars[0] - LOW) / (HIGH - LOW)
    pictures = _pictures(cars, model)

    def loss(rows: Tensor) -> Tensor:
        return nn.functional.mse_loss(network(_some(pictures, rows)).sigmoid(), wanted[rows])

    train(network, loss, steps, seed)
    return network.eval()


def train_design(
    cars: tuple[Tensor, Tensor], model: Autoencoder, steps: int, seed: int
) -> nn.Module:
    """Learn what is seen of a car's design."""
    network, pictures, wanted = reader(12, DESIGN), _pictures(cars, model), traits(cars[1])

    def loss(rows: Tensor) -> Tensor:
        return nn.functional.mse_loss(network(_some(pictures, rows)), wanted[rows])

    train(network, loss, steps, seed)
    return network.eval()


def _pictures(cars: tuple[Tensor, Tensor], model: Autoencoder) -> Tensor:
    """(2, N, 3, 32, 32) drawn and decoded."""
    drawn = draw(*cars)
    return torch.stack([drawn, model.decode(model.encode(drawn))])


def _some(pictures: Tensor, rows: Tensor) -> Tensor:
    """Drawn or decoded ones of the cars `rows`, with noise."""
    images = pictures[torch.arange(len(rows)) % 2, rows]
    return images + NOISE * torch.randn(images.shape)


@torch.no_grad()
def thresholds(design: nn.Module, model: Autoencoder) -> dict[str, Tensor]:
    """The cosine that one in a thousand pairs of different cars exceed; and how often two pictures
    of one car, with other attributes, do."""
    rng = torch.Generator().manual_seed(4)
    (attributes, scores), (others, _) = random_cars(1000, rng), random_cars(1000, rng)
    first, second = (
        nn.functional.normalize(design(model.decode(model.encode(draw(values, scores)))), dim=1)
        for values in (attributes, others)
    )
    apart = (first @ second.T)[~torch.eye(1000, dtype=torch.bool)]
    threshold = apart.kthvalue(round((1 - FALSE_ACCEPTS) * len(apart))).values
    return {
        "threshold": threshold,
        "accepted": ((first * second).sum(1) > threshold).float().mean(),
    }


def main(steps: int) -> None:
    torch.manual_seed(0)
    sets = [random_cars(CARS, torch.Generator().manual_seed(seed)) for seed in range(4)]
    model, drawn = Autoencoder(), draw(*sets[0])
    model.fit(drawn)
    parts = {"autoencoder": model.state_dict(), "prior": prior(model.encode(drawn))}
    for seed, plugin in ((1, Labeller), (2, Judge)):
        network = train_estimator(plugin.width, sets[seed], model, steps, seed)
        parts[plugin.network] = network.state_dict()
    design = train_design(sets[3], model, steps, 3)
    parts |= {"design": design.state_dict(), "card": thresholds(design, model)}
    tensors = {f"{name}.{k}": v.half() for name, part in parts.items() for k, v in part.items()}
    write_tensors(WEIGHTS, tensors)
    print(f"{WEIGHTS.name}: {WEIGHTS.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=600, help="of each reader")
    main(parser.parse_args().steps)
