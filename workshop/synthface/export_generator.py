"""Export of a trained ``synthface-net`` into the package:

``python -m workshop.synthface.export_generator --data FOLDER`` reads the checkpoint that
``train_generator`` left in FOLDER, and writes half-precision weights, their card with what *they*
reach on held-out codes, the training log, and a grid of samples beside renders.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from latentedit import images_to_bytes, read_json, read_tensors, write_json, write_tensors
from latentedit_synthface.style_network import architecture
from latentedit_synthface.trained_generator import NETWORK, SynthFaceNet
from workshop import LICENCE
from workshop.synthface.adversarial_training import ADVERSARIAL, BATCH, CHECKPOINT, LOG
from workshop.synthface.coded_renders import MIXED_SHARE, coded_renders
from workshop.synthface.generator_figures import generated, held_out_figures
from workshop.synthface.pairs_grid import pairs_grid
from workshop.synthface.train_generator import (
    HELD_OUT_IMAGES,
    HELD_OUT_SEED,
    SEED,
    TRAINING_SEED,
    mapping_stage,
)

_EXACT = ("reader.head", "mapping.centre", "mapping.scale")
"""Small, and part of what codes stand for: kept in single precision."""
_GRID_FACES = 16
_REFINEMENT_LOG = "refinement.csv"

_PAGE = """# synthface-net

`synthface-net` is a style-based generator of 64-pixel SynthFace images. It has a mapping network of
four dense layers, ten rows of W+, a fixed bend, and modulated convolutions. It was trained on
renders of heads alone, and on no photograph. `make synthface-net` trains such a network and writes
such a page.

![renders, and below each the generated image of the same code](samples.png)

The picture has renders, and below each the generated image of the same held-out code. These are the
first codes of the set, not chosen ones.

## Training

| | |
|---|---|
| parameters, sha256 | {parameters}, half precision, `{digest}` |
| data | {training} |
| seeds | {seeds} |
| mapping network | trained for a minute to a fixed curved function of z, then frozen |
| factors | a warped, whitened linear function of w, and the joint distribution of the renders |
| distillation | {history}{steps}, {precision}; PSNR {distilled:.2f} dB |
| learning rate | {rate:g} for a third of the steps, then a cosine to zero |
| optimizer | {optimizer} |
| loss | {loss} |
| refinement | {refinement} |
| logs | [log.csv](log.csv), {refinement_log}held-out figures by step |

## Accuracy

The figures are for {held_out}, with the half-precision weights in this folder.

| figure | value |
|---|---|
| PSNR to renders of the same codes | {psnr:.2f} dB |
| Fréchet distance to renders of other faces, in the judge's features | {distance:.3f} |
| the same of renders, equal n | {reference:.3f} |
| ratio | {ratio:.2f} |
| share of the renders' fine detail in strands of hair that is there, and its strength | {strands} |
| the same of folds of the skin | {folds} |

The next table has R² of the judge against the factors of the codes, and the same after a
straight-line calibration. The judge was trained on renders alone.

| attribute | on generated images | calibrated | on renders of the same codes |
|---|---|---|---|
{attributes}

The last table is about verification of generated people. Images of one person have equal identity
factors, and nothing else in common.

{recognisers}

## Licence

This project trained the network, on renders that it made itself. No photograph and no network of
others took part.

| files | licence |
|---|---|
| `generator.safetensors`, `generator.json`, `samples.png` and logs | {licence} |
"""


_REFINEMENT = (
    f"{{:,}} steps of {BATCH} images: the distillation loss and {ADVERSARIAL:g} of a "
    "discriminator's non-saturating loss"
)


def export(
    data: Path, out: Path = NETWORK, notes: str = "", held_out_images: int = HELD_OUT_IMAGES
) -> dict[str, Any]:
    """Write weights, card, logs and grid into `out`; return the card.

    Args:
        notes: what the card says of this round beside its schedule.
    """
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
    card = _card(data, digest, weights, int(distilled["step"]), checkpoint, held_out_images)
    card["notes"] = notes
    write_json(out / "generator.json", card)
    shutil.copyfile(data / "log.csv", out / "log.csv")
    (out / _REFINEMENT_LOG).unlink(missing_ok=True)
    if refined.exists():
        shutil.copyfile(data / LOG, out / _REFINEMENT_LOG)
    generator = SynthFaceNet(folder=out)
    mapping, reader = mapping_stage(data)
    held_out = coded_renders(data, held_out_images, HELD_OUT_SEED, mapping, reader)
    card["held_out"] = held_out_figures(generator, held_out)
    write_json(out / "generator.json", card)
    images = images_to_bytes(generated(generator, held_out.codes[:_GRID_FACES]))
    pairs_grid(held_out.images[:_GRID_FACES], images, Image.Resampling.NEAREST).save(
        out / "samples.png"
    )
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
    frechet, refined = held_out["frechet"], card["refinement_steps"]
    return _PAGE.format(
        parameters=f"{card['parameters']:,}",
        digest=card["sha256"][:16],
        training=data["training"],
        seeds=f"{card['seed']} (networks), {data['training_seed']} (codes)",
        history=_history(card["schedule"]),
        steps=_round(card),
        rate=schedule["learning_rate"],
        precision=schedule["precision"],
        optimizer=card["optimizer"],
        loss=card["loss"],
        distilled=float(card["final_log"]["psnr"]),
        refinement=_REFINEMENT.format(refined) if refined else "none",
        refinement_log=f"[{_REFINEMENT_LOG}]({_REFINEMENT_LOG}): " if refined else "",
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
        recognisers=verification_table(held_out),
        licence=card["licence"],
    )


def verification_table(held_out: Mapping[str, Any]) -> str:
    """What both recognisers make of generated people, as Markdown: at a threshold chosen on other
    generated people, and at that which suites use, chosen on renders."""
    lines = [
        "| recogniser | AUC | true accept rate at false accept rate 0.001 "
        "| threshold of suites | true, false accept rate at it |",
        "|---|---|---|---|---|",
    ]
    for name in ("identity-contrastive", "identity-regression"):
        found = held_out[name]
        shipped = found["at_shipped_threshold"]
        lines.append(
            f"| {name} | {found['auc']:.4f} | {found['true_accept_rate']:.3f} "
            f"| {shipped['threshold']:.3f} "
            f"| {shipped['true_accept_rate']:.3f}, {shipped['false_accept_rate']:.2g} |"
        )
    return "\n".join(lines)


def _history(schedule: dict[str, Any]) -> str:
    """What came before a round, the first round first."""
    rounds = []
    while schedule["again"]:
        rounds.append(_round(schedule["again"]))
        schedule = schedule["again"]["schedule"]
    return "".join(f"{text}. Then: " for text in reversed(rounds))


def _round(made: dict[str, Any]) -> str:
    """Steps, refinement and notes of a round."""
    schedule, done = made["schedule"], made["steps_done"]
    steps = f"{done:,}" + (f" of {schedule['steps']:,}" if done < schedule["steps"] else "")
    text = f"{steps} steps of {schedule['batch']} images at {schedule['learning_rate']:g}"
    text += f", {made['refinement_steps']:,} of refinement" if made["refinement_steps"] else ""
    return text + (f" ({made['notes']})" if made["notes"] else "")


def _card(
    data: Path,
    digest: str,
    weights: dict[str, Tensor],
    step: int,
    checkpoint: dict[str, Tensor],
    held_out_images: int,
) -> dict[str, Any]:
    with (data / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    schedule = read_json(data / "schedule.json")
    return {
        "name": "synthface-net",
        "licence": LICENCE,
        "sha256": digest,
        "parameters": sum(tensor.numel() for tensor in weights.values()),
        "architecture": architecture(),
        "seed": SEED,
        "steps_done": step,
        "schedule": schedule,
        "optimizer": "Muon for convolutions, Adam for all else",
        "refinement_steps": int(checkpoint["step"]) if "steps" in checkpoint else 0,
        "loss": "L1 + 4 L2 + 80 L2 of chroma + ½ pooled L1 (2, 4) + gradient L1 + ¼ L1 of features "
        "+ 0.3 L1 of what three networks, one of them the labeller, make of the whole face + 0.05 "
        "Huber distance of the phases of waves + L1 of fine detail in strands and folds; "
        "average of weights kept",
        "final_log": rows[-1],
        "data": {
            "training": f"{schedule['images']} renders of sampled codes, {MIXED_SHARE:.0%} of them "
            "with coarse, middle and fine rows of three faces; rare faces drawn twice as often",
            "training_seed": TRAINING_SEED,
            "held_out": f"{held_out_images} renders of other sampled codes",
            "held_out_seed": HELD_OUT_SEED,
        },
        "versions": {"torch": torch.__version__},
    }


def main() -> None:
    parser = argparse.ArgumentParser("workshop.synthface.export_generator", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder of the training run")
    parser.add_argument("--out", type=Path, default=NETWORK, help="where weights and card go")
    parser.add_argument("--notes", default="", help="what else the card says of this round")
    given = parser.parse_args()
    torch.set_num_threads(1)
    print(export(given.data, given.out, given.notes)["held_out"])


if __name__ == "__main__":
    main()
