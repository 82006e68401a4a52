"""Training of one network: ``python -m workshop.synthface.train NAME --out FOLDER``.

``judge``, ``labeller`` and the identity encoders learn from renders; ``net-judge`` and
``net-labeller`` begin where these ended and go on with pictures of ``synthface-net``. With
``--again`` one of these two begins where it ended itself, and goes on with fresh pictures, in a
FOLDER of its own.

Leaves ``NAME.safetensors`` (half precision) and its card ``NAME.json`` in FOLDER, with
``NAME-log.csv`` and ``NAME-checkpoint.safetensors`` beside them; the same command again goes on
from the checkpoint. The learning rate follows the step, not the clock.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy, huber_loss, normalize

from latentedit import InputError, read_tensors, write_json, write_tensors
from latentedit_synthface.factors import factors_from_scores, sample_scores
from latentedit_synthface.networks import ConvNet
from latentedit_synthface.pretrained import WEIGHTS, Pretrained
from latentedit_synthface.schema import SCHEMA
from latentedit_synthface.trained_generator import SynthFaceNet
from workshop import LICENCE
from workshop.synthface.generated_images import generated_images
from workshop.synthface.optimizer import Muon
from workshop.synthface.recipes import RECIPES, Recipe, Schedule, learned
from workshop.synthface.renders import VIEWS, Renders, rendered_set, unpacked
from workshop.synthface.scorecard import attribute_figures, coefficient, identity_figures
from workshop.synthface.training_files import load, load_optimizer, log, optimizer_state, prefixed

HELD_OUT_SEED = 9_000
HELD_OUT_IMAGES = 6_000
LIGHTING_WEIGHT = 0.5
"""Of a lighting column in the loss, where another attribute's weight is 1."""
TEMPERATURE = 0.1
"""Of the contrastive loss (Khosla et al. 2020, section 4.4)."""


def train(
    name: str,
    out: Path,
    data: Path,
    schedule: Schedule,
    device: str = "cpu",
    checkpoint_every: int = 500,
    say: Callable[[str], None] = print,
    again: bool = False,
) -> dict[str, Any]:
    """Train the network `name`, write weights and card into `out`, return the card."""
    recipe = RECIPES[name].again(name) if again else RECIPES[name]
    renders, held_out = _images(recipe, schedule, data, say)
    centre, spread = _standard(recipe)
    torch.manual_seed(recipe.seed)
    net = (_begun(recipe, centre, spread) if recipe.start else ConvNet(**recipe.plan)).to(device)
    optimizer = Muon(net.parameters(), schedule.learning_rate, schedule.weight_decay)
    checkpoint = out / f"{name}-checkpoint.safetensors"
    step = _resume(checkpoint, net, optimizer) if checkpoint.exists() else 0
    say(f"{name}: {sum(p.numel() for p in net.parameters()):,} parameters, from step {step}")
    started, began = time.monotonic(), step
    while step < schedule.steps:
        for group in optimizer.param_groups:
            group["lr"] = schedule.rate(step)
        labels = _batch(recipe, schedule, renders, step)
        with torch.autocast(device, torch.bfloat16, enabled=schedule.precision == "bf16"):
            output = net(unpacked(labels.images).to(device))
        loss = _loss(recipe, output.float(), labels, centre, spread)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        step += 1
        if step % checkpoint_every == 0 or step == schedule.steps:
            rate = (step - began) * schedule.batch / (time.monotonic() - started)
            _save(checkpoint, net, optimizer, step)
            score = _progress_score(recipe, net, held_out, centre, spread, device)
            row: dict[str, float | str] = {
                "step": step,
                "loss": f"{loss.item():.5f}",
                "held_out": f"{score:.5f}",
                "images_per_second": f"{rate:.0f}",
            }
            log(out / f"{name}-log.csv", row)
            say(f"{name} step {step} loss {loss:.4f} held-out {score:.4f} {rate:.0f} images/s")
    return finish(name, recipe, net.cpu(), out, schedule, held_out, centre, spread)


def _images(
    recipe: Recipe, schedule: Schedule, data: Path, say: Callable[[str], None]
) -> tuple[Renders, Renders]:
    """To train on, and held out."""
    if recipe.start is None:
        return (
            rendered_set(data, schedule.images, recipe.data_seed, broadened=True, report=say),
            rendered_set(data, HELD_OUT_IMAGES, HELD_OUT_SEED, broadened=False, report=say),
        )
    say(f"drawing {schedule.images + HELD_OUT_IMAGES:,} images with synthface-net")
    generator = SynthFaceNet()
    return (
        generated_images(generator, schedule.images, recipe.data_seed, broadened=True),
        generated_images(generator, HELD_OUT_IMAGES, HELD_OUT_SEED, broadened=False),
    )


def _begun(recipe: Recipe, centre: Tensor, spread: Tensor) -> ConvNet:
    """The network that `recipe` starts from, its outputs standardised again."""
    net = ConvNet(**recipe.plan).folded()
    tensors = read_tensors(WEIGHTS / f"{recipe.start}.safetensors")
    net.load_state_dict({key: tensor.float() for key, tensor in tensors.items()})
    return net.folded(1 / spread, -centre / spread).train()


def finish(
    name: str,
    recipe: Recipe,
    net: ConvNet,
    out: Path,
    schedule: Schedule,
    held_out: Renders,
    centre: Tensor,
    spread: Tensor,
) -> dict[str, Any]:
    """Write the folded half-precision weights and a card with what *they* reach."""
    physical = recipe.target == "attributes"
    folded = net.folded(spread, centre) if physical else net.folded()
    weights = {key: tensor.half() for key, tensor in folded.state_dict().items()}
    digest = write_tensors(out / f"{name}.safetensors", weights)
    card = {
        "name": f"synthface-{name}",
        "licence": LICENCE,
        "plan": recipe.plan,
        "sha256": digest,
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "learns": recipe.target,
        "seed": recipe.seed,
        "schedule": asdict(schedule),
        "data": {
            **_data(recipe, schedule, held_out),
            "training_seed": recipe.data_seed,
            "held_out_seed": HELD_OUT_SEED,
        },
        "versions": {"torch": torch.__version__},
    }
    write_json(out / f"{name}.json", card)
    output = _outputs(Pretrained(name, out), held_out)
    figures = attribute_figures if physical else identity_figures
    card["held_out"] = figures(output, held_out)
    write_json(out / f"{name}.json", card)
    return card


def _data(recipe: Recipe, schedule: Schedule, held_out: Renders) -> dict[str, str]:
    """What it learned from and is measured on, in words."""
    if recipe.start is None:
        return {
            "training": f"{schedule.images} renders, half natural and half broadened",
            "held_out": f"{len(held_out)} natural renders, {VIEWS} of each person",
        }
    return {
        "training": f"{schedule.images} pictures of synthface-net, half of them broadened, after "
        + learned(recipe.start),
        "held_out": f"{len(held_out)} pictures of synthface-net, of sampled codes",
    }


def _standard(recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation, among natural faces, of what is regressed."""
    if recipe.target == "attributes":
        natural = factors_from_scores(sample_scores(20_000, recipe.seed))[:, : SCHEMA.width]
        return natural.mean(0), natural.std(0)
    return torch.zeros(recipe.outputs), torch.ones(recipe.outputs)


def _batch(recipe: Recipe, schedule: Schedule, renders: Renders, step: int) -> Renders:
    """One batch, half of it mirrored: a function of seed and step alone, so that resuming changes
    nothing."""
    group = VIEWS if recipe.target == "person" else 1
    epoch, place = divmod(step, len(renders) // schedule.batch)
    rng = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
    take = schedule.batch // group
    order = torch.randperm(len(renders) // group, generator=rng)
    chosen = order[place * take : (place + 1) * take, None] * group + torch.arange(group)
    coins = torch.rand(len(renders), generator=rng) < 0.5
    rows = chosen.flatten()
    return renders.rows(rows).mirrored(coins[rows])


def _loss(
    recipe: Recipe, output: Tensor, labels: Renders, centre: Tensor, spread: Tensor
) -> Tensor:
    if recipe.target == "person":
        return contrastive_loss(output, labels.person.to(output.device))
    wanted = labels.identity if recipe.target == "identity" else labels.attributes
    wanted = ((wanted - centre) / spread).to(output)
    loss = huber_loss(output, wanted, reduction="none")
    if recipe.target == "attributes":
        weights = torch.ones(SCHEMA.width)
        weights[SCHEMA.columns("lighting")] = LIGHTING_WEIGHT
        loss = loss * (weights / weights.mean()).to(loss)
    return loss.mean()


def contrastive_loss(output: Tensor, person: Tensor) -> Tensor:
    """Supervised contrastive loss, L_out of Khosla et al. 2020, equation 2.

    Args:
        output: (N, E), normalised here.
        person: (N,), equal where two rows show one person.
    """
    embedded = normalize(output, dim=1)
    similarity = embedded @ embedded.T / TEMPERATURE
    itself = torch.eye(len(output), dtype=torch.bool, device=output.device)
    same = ((person[:, None] == person) & ~itself).float()
    similarity = similarity.masked_fill(itself, -1e9)
    return cross_entropy(similarity, same / same.sum(1, keepdim=True))


@torch.no_grad()
def _progress_score(
    recipe: Recipe, net: ConvNet, held_out: Renders, centre: Tensor, spread: Tensor, device: str
) -> float:
    """Mean R² of what is regressed, or verification AUC."""
    net.eval()
    parts = [net(unpacked(part).to(device)).cpu() for part in held_out.images.split(256)]
    net.train()
    output = torch.cat(parts)
    if recipe.target == "person":
        return float(identity_figures(output, held_out)["auc"])
    wanted = held_out.identity if recipe.target == "identity" else held_out.attributes
    return float(coefficient(output * spread + centre, wanted).mean())


@torch.no_grad()
def _outputs(network: Pretrained, renders: Renders) -> Tensor:
    return torch.cat([network(unpacked(part)) for part in renders.images.split(256)])


def _save(path: Path, net: ConvNet, optimizer: torch.optim.Optimizer, step: int) -> None:
    state = prefixed(net=net) | optimizer_state(optimizer, net)
    write_tensors(path, {**state, "step": torch.tensor(step)})


def _resume(path: Path, net: ConvNet, optimizer: torch.optim.Optimizer) -> int:
    state = read_tensors(path)
    load(state, net=net)
    load_optimizer(state, optimizer, net)
    return int(state["step"])


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="workshop.synthface.train", description=__doc__)
    parser.add_argument("name", choices=sorted(RECIPES))
    parser.add_argument(
        "--again", action="store_true", help="begin with the shipped weights of NAME itself"
    )
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="where weights and card go")
    parser.add_argument("--data", type=Path, required=True, help="where renders are kept")
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=48_000, help="renders to train on")
    parser.add_argument("--learning-rate", type=float, default=4e-3)
    parser.add_argument("--weight-decay", type=float, default=0.05)
    parser.add_argument("--precision", choices=["bf16", "float32"], default="bf16")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    return parser


def main() -> None:
    given = _arguments().parse_args()
    if given.batch % VIEWS or given.batch > given.images:
        raise InputError(
            f"--batch is a multiple of {VIEWS} and at most --images ({given.images}), "
            f"received {given.batch}"
        )
    if given.again and RECIPES[given.name].start is None:
        raise InputError(
            f"--again is for networks that learn from generated pictures, received {given.name}; "
            "train it with more --steps or --images instead"
        )
    if given.again and given.out.resolve() == WEIGHTS.resolve():
        raise InputError(
            f"--again begins with the weights in {WEIGHTS} and cannot write there: give an --out"
        )
    torch.set_num_threads(given.threads)
    given.out.mkdir(parents=True, exist_ok=True)
    given.data.mkdir(parents=True, exist_ok=True)
    schedule = Schedule(
        given.steps,
        given.batch,
        given.images,
        given.learning_rate,
        given.weight_decay,
        given.precision,
    )
    card = train(given.name, given.out, given.data, schedule, given.device, again=given.again)
    print(json.dumps(card["held_out"], indent=2))


if __name__ == "__main__":
    main()
