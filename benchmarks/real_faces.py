"""Measurements on networks that others published: scales, agreement and recognisers.

    python benchmarks/real_faces.py calibrate --out plugins/latentedit_tfjs/calibration.json

reads unedited faces of `dcgan-faces` with both families of estimators. The first half sets the
scale of each reading, and the second half tells how far the families agree.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from torch import Tensor

from latentedit import Registry, write_json
from latentedit_faces.thresholds import same_person_threshold
from latentedit_tfjs.attributes import PARTS, FaceApiAttributes, FamilyOptions, HumanAttributes
from latentedit_tfjs.calibration import Calibration, Scale
from latentedit_tfjs.identity import FaceRes, MobileFace, RecogniserOptions

FAMILIES = {"human": HumanAttributes, "face-api": FaceApiAttributes}
READINGS = {part for parts in PARTS.values() for part in parts}
RECOGNISERS = {"human-mobileface": MobileFace, "human-faceres": FaceRes}
BATCH, SEED = 64, 11
SHIFT = 0.04
"""Of the crop, up and to the left: another picture of the same face."""


def batched(run: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return torch.cat([run(part) for part in images.split(BATCH)])


def scale(values: Tensor) -> Scale:
    return Scale(mean=float(values.mean()), deviation=float(values.std()))


def scales_of(raw: dict[str, Tensor]) -> dict[str, Scale]:
    """Of each reading, and of each attribute that is a mean of several."""
    found = {name: scale(values) for name, values in raw.items()}
    for name, parts in PARTS.items():
        if len(parts) > 1:
            found[name] = scale(mean_of(raw, parts, found))
    return found


def mean_of(raw: dict[str, Tensor], parts: tuple[str, ...], scales: dict[str, Scale]) -> Tensor:
    return torch.stack([(raw[p] - scales[p].mean) / scales[p].deviation for p in parts]).mean(0)


def calibrate(out: Path, faces: int, generator: str) -> None:
    model = Registry.discover().generator(generator)
    codes = model.sample(faces, SEED, "z")
    images = batched(lambda z: model.synthesize(z, "z"), codes)
    flags = batched(HumanAttributes().found, images)
    print(f"{float(flags.float().mean()):.1%} of {faces} are called faces", flush=True)
    images = images[flags]
    half = len(images) // 2
    scales: dict[str, dict[str, Scale]] = {}
    values: dict[str, dict[str, Tensor]] = {}
    for family, kind in FAMILIES.items():
        reader = kind(FamilyOptions(attributes=tuple(PARTS)))
        parts = [reader.raw(part, READINGS) for part in images.split(BATCH)]
        raw = {name: torch.cat([part[name] for part in parts]) for name in READINGS}
        scales[family] = scales_of({name: numbers[:half] for name, numbers in raw.items()})
        held = {name: numbers[half:] for name, numbers in raw.items()}
        values[family] = {}
        for name, of in PARTS.items():
            mean = mean_of(held, of, scales[family])
            found = scales[family][name]
            values[family][name] = mean if len(of) == 1 else (mean - found.mean) / found.deviation
        print(family, "was read", flush=True)
    agreement, error = {}, {}
    for name in PARTS:
        ours, theirs = (values[family][name] for family in FAMILIES)
        agreement[name] = round(float(spearmanr(ours, theirs).statistic), 3)
        error[name] = round(float((ours - theirs).square().mean().sqrt()), 3)
        print(name, agreement[name], error[name], flush=True)
    thresholds, areas = recognised(images)
    made = Calibration(
        generator=generator,
        fingerprint=model.fingerprint,
        faces=len(images),
        found=float(flags.float().mean()),
        scales=scales,
        agreement=agreement,
        error=error,
        thresholds=thresholds,
        verification=areas,
    )
    write_json(out, made.model_dump())
    print(json.dumps(made.model_dump()["agreement"]), thresholds, areas)


def recognised(images: Tensor) -> tuple[dict[str, float], dict[str, float]]:
    """Threshold and area under the ROC curve of each recogniser.

    Pairs of one person are a face with its mirror image, and with a shifted crop of it.
    """
    thresholds, areas = {}, {}
    top, left, bottom, right = RecogniserOptions().face
    shifted = (top - SHIFT, left - SHIFT, bottom - SHIFT, right - SHIFT)
    for name, kind in RECOGNISERS.items():
        some = images if name == "human-mobileface" else images[:200]
        options = RecogniserOptions(same_person_threshold=0.0)
        straight = batched(kind(options).embed, some)
        mirror = batched(kind(options).embed, some.flip(3))
        moved = batched(
            kind(RecogniserOptions(same_person_threshold=0.0, face=shifted)).embed, some
        )
        thresholds[name] = round(same_person_threshold(straight), 4)
        rows, columns = torch.triu_indices(len(some), len(some), offset=1)
        different = (straight @ straight.T)[rows, columns]
        same = torch.cat([(straight * mirror).sum(1), (straight * moved).sum(1)])
        truth = torch.cat([torch.ones_like(same), torch.zeros_like(different)])
        areas[name] = round(float(roc_auc_score(truth, torch.cat([same, different]))), 4)
        print(name, thresholds[name], areas[name], float(same.mean()), float(different.mean()))
    return thresholds, areas


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["calibrate"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=1000)
    parser.add_argument("--generator", default="dcgan-faces")
    arguments = parser.parse_args()
    calibrate(arguments.out, arguments.faces, arguments.generator)


if __name__ == "__main__":
    main()
