"""Puts a trained ``synthface-net`` into the package:

``python -m latentedit_synthface.export_generator --data FOLDER`` reads the checkpoint that
``train_generator`` left in FOLDER, and writes half-precision weights, their card with what *they*
reach on held-out codes, the training log, and a grid of samples beside renders.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from latentedit import read_json, read_tensors, write_json, write_tensors
from latentedit_synthface.adversarial_training import CHECKPOINT
from latentedit_synthface.coded_renders import MIXED_SHARE, CodedRenders, coded_renders
from latentedit_synthface.generator_figures import generated, held_out_figures
from latentedit_synthface.renders import packed
from latentedit_synthface.style_network import architecture
from latentedit_synthface.train_generator import (
    HELD_OUT_IMAGES,
    HELD_OUT_SEED,
    SEED,
    TRAINING_SEED,
    mapping_stage,
)
from latentedit_synthface.trained_generator import NETWORK, SynthFaceNet

_EXACT = ("reader.head", "mapping.centre", "mapping.scale")
"""Small, and part of what codes stand for: kept in single precision."""
_GRID_FACES = 16

_PAGE = """# synthface-net

A style-based generator of 64-pixel SynthFace images: a mapping network of four dense layers, ten
rows of W+, a fixed bend, and modulated convolutions. It knows renders of drawn heads alone, and has
never seen a photograph. This page is written by `python -m latentedit_synthface.export_generator`.

![renders, and below each the generated image of the same code](samples.png)

Renders, and below each the generated image of the same held-out code; the first of the set, not
chosen.

## How it was made

| | |
|---|---|
| parameters, sha256 | {parameters}, half precision, `{digest}` |
| data | {training} |
| seeds | {seeds} |
| mapping network | trained for a minute to a fixed curved function of z, then frozen |
| factors | a warped, whitened linear function of w, and the joint distribution of the renders |
| distillation | {steps}: {precision}, on a CPU; PSNR {distilled:.2f} dB |
| learning rate | {rate:g} for a third of the run, then a cosine to zero |
| optimizer | {optimizer} |
| loss | {loss} |
| refinement | {refinement} |
| log | [log.csv](log.csv): held-out PSNR by step |

## What it reaches

On {held_out}, with the half-precision weights in this folder.

| figure | value |
|---|---|
| PSNR to renders of the same codes | {psnr:.2f} dB |
| Fréchet distance to renders of other faces, in the judge's features | {distance:.3f} |
| the same of renders, equal n | {reference:.3f} |
| ratio | {ratio:.2f} |
| share of the renders' fine detail in strands of hair that is there, and its strength | {strands} |
| the same of folds of the skin | {folds} |

R² of the judge, which was trained on renders alone, against what the codes stand for; and what a
straight-line calibration of its readings would reach:

| attribute | on generated images | calibrated | on renders of the same codes |
|---|---|---|---|
{attributes}

Verification of generated people, equal in identity factors and in nothing else:

| recogniser | AUC | true accept rate at false accept rate 0.001 |
|---|---|---|
{recognisers}
"""


_REFINEMENT = (
    "{:,} steps of 32 images: the distillation loss and 0.05 of a discriminator's non-saturating "
    "loss"
)
_EARLIER_ROUNDS = (
    "The first round had neither waves nor the loss of the whole face, and a feature network that "
    "had hardly learned to read faces; the second had waves of strands and of the forehead alone; "
    "the third counted folds by their area, and drew old faces once."
)


def export(data: Path, out: Path = NETWORK) -> dict[str, Any]:
    """Write weights, card, log and grid into `out`; return the card."""
    out.mkdir(parents=True, exist_ok=True)
    distilled = read_tensors(data / "checkpoint.safetensors")
    refined = data / CHECKPOINT
    checkpoint = read_tensors(refined) if refined.exists() else distilled
    weights = {
        **read_tensors(data / "mapping.safetensors"),
        **{
            key.replace("average.", "synthesis.", 1): tensor
            for key, tensor in checkpoint.items()
            if key.startswith("average.")
        },
    }
    weights = {k: t.float() if k in _EXACT else t.half() for k, t in weights.items()}
    digest = write_tensors(out / "generator.safetensors", weights)
    card = _card(data, digest, weights, int(distilled["step"]), checkpoint)
    write_json(out / "generator.json", card)
    shutil.copyfile(data / "log.csv", out / "log.csv")
    generator = SynthFaceNet(folder=out)
    mapping, reader = mapping_stage(data)
    held_out = coded_renders(data, HELD_OUT_IMAGES, HELD_OUT_SEED, mapping, reader)
    card["held_out"] = held_out_figures(generator, held_out)
    write_json(out / "generator.json", card)
    side_by_side(generator, held_out).save(out / "samples.png")
    (out / "CARD.md").write_text(page(card), "utf-8")
    return card


def page(card: dict[str, Any]) -> str:
    """The card as Markdown."""
    schedule, data, held_out = card["schedule"], card["data"], card["held_out"]
    attributes = [
        f"| {name} | {f['r2']:.3f} | {f['r2_calibrated']:.3f} "
        f"| {held_out['judge_on_renders'][name]['r2']:.3f} |"
        for name, f in held_out["judge"].items()
    ]
    recognisers = [
        f"| {name} | {held_out[name]['auc']:.4f} | {held_out[name]['true_accept_rate']:.3f} |"
        for name in ("identity-contrastive", "identity-regression")
    ]
    frechet = held_out["frechet"]
    return _PAGE.format(
        parameters=f"{card['parameters']:,}",
        digest=card["sha256"][:16],
        training=data["training"],
        seeds=f"{card['seed']} (networks), {data['training_seed']} (codes)",
        steps=_distillation(schedule, card["steps_done"]),
        rate=schedule["learning_rate"],
        precision=schedule["precision"],
        optimizer=card["optimizer"],
        loss=card["loss"],
        distilled=float(card["final_log"]["psnr"]),
        refinement=_REFINEMENT.format(refined) if (refined := card["refinement_steps"]) else "none",
        held_out=f"{data['held_out']} (seed {data['held_out_seed']})",
        psnr=held_out["psnr"],
        distance=frechet["generated_to_renders"],
        reference=frechet["renders_to_renders"],
        ratio=frechet["ratio"],
        **{
            name: f"{detail['share']:.2f}, {detail['strength']:.2f}"
            for name, detail in held_out["detail"].items()
        },
        attributes="\n".join(attributes),
        recognisers="\n".join(recognisers),
    )


def _distillation(schedule: dict[str, Any], done: int) -> str:
    rounds = ", then ".join(_rounds(schedule))
    stopped = "" if done == schedule["steps"] else f", stopped after {done:,} of the last"
    return f"{rounds}{stopped}" + (f". {_EARLIER_ROUNDS} Of the last" if schedule["again"] else "")


def _rounds(schedule: dict[str, Any] | None) -> list[str]:
    """How many steps of how many images, the first round first."""
    if schedule is None:
        return []
    own = f"{schedule['steps']:,} steps of {schedule['batch']} images"
    return [*_rounds(schedule.get("again")), own]


def _card(
    data: Path,
    digest: str,
    weights: dict[str, Tensor],
    step: int,
    checkpoint: dict[str, Tensor],
) -> dict[str, Any]:
    with (data / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    schedule = read_json(data / "schedule.json")
    return {
        "name": "synthface-net",
        "sha256": digest,
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "architecture": architecture(),
        "seed": SEED,
        "steps_done": step,
        "schedule": schedule,
        "optimizer": "Muon for convolutions, Adam for all else",
        "refinement_steps": int(checkpoint["step"]) if "steps" in checkpoint else 0,
        "loss": "L1 + ½ pooled L1 (2, 4) + gradient L1 + ¼ L1 of features + 0.3 L1 of what three "
        "networks, one of them the labeller, make of the whole face + 0.05 Huber distance of the "
        "phases of waves; average of weights kept",
        "final_log": rows[-1],
        "data": {
            "training": f"{schedule['images']} renders of sampled codes, {MIXED_SHARE:.0%} of them "
            "with coarse, middle and fine rows of three faces; rare faces drawn twice as often",
            "training_seed": TRAINING_SEED,
            "held_out": f"{HELD_OUT_IMAGES} renders of other sampled codes",
            "held_out_seed": HELD_OUT_SEED,
        },
        "versions": {"torch": torch.__version__},
    }


def side_by_side(generator: SynthFaceNet, held_out: CodedRenders, scale: int = 2) -> Image.Image:
    """Rows of renders, each above the generated images of the same codes."""
    images = packed(generated(generator, held_out.codes[:_GRID_FACES]))
    rows = []
    for part in torch.arange(_GRID_FACES).split(8):
        rows += [held_out.images[part], images[part]]
    grid = torch.cat([torch.cat(list(row), dim=2) for row in rows], dim=1)
    picture = Image.fromarray(grid.permute(1, 2, 0).numpy())
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)


def main() -> None:
    parser = argparse.ArgumentParser("latentedit_synthface.export_generator", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--out", type=Path, default=NETWORK, help="where weights and card go")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(export(given.data, given.out)["held_out"])


if __name__ == "__main__":
    main()
