"""Measurements on networks that others published: scales, agreement and recognisers.

    python benchmarks/real_faces.py calibrate --out plugins/latentedit_tfjs/calibration.json

reads unedited faces of `dcgan-faces` with both families of estimators. The first half sets the
scale of each reading, and the second half tells how far the families agree.

    python benchmarks/real_faces.py recognisers --out plugins/latentedit_tfjs/calibration.json

adds recognisers to it: how well they tell these faces apart, and their thresholds.

    python benchmarks/real_faces.py page --out docs/faces.md

writes the shipped calibration into the page.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from torch import Tensor

from latentedit import Generator, Registry, write_json
from latentedit_faces.thresholds import same_person_threshold
from latentedit_tfjs.attributes import PARTS, FaceApiAttributes, FamilyOptions, HumanAttributes
from latentedit_tfjs.calibration import Calibration, Scale, read_calibration

FAMILIES = {"human": HumanAttributes, "face-api": FaceApiAttributes}
RECOGNISERS = ("human-mobileface", "human-faceres", "faces-dlib-identity")
BATCH, SEED = 64, 11
BEGIN, END = "<!-- calibration -->", "<!-- end calibration -->"
LEAST = 0.7
"""Spearman's ρ of labeller and judge that an attribute of the suites has at least."""


def batched(run: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return torch.cat([run(part) for part in images.split(BATCH)])


def scale(values: Tensor) -> Scale:
    return Scale(mean=float(values.mean()), deviation=float(values.std()))


def scales_of(raw: dict[str, Tensor], attributes: tuple[str, ...]) -> dict[str, Scale]:
    """Of each reading, and of each attribute that is a mean of several."""
    found = {name: scale(values) for name, values in raw.items()}
    for name in attributes:
        if len(PARTS[name]) > 1:
            found[name] = scale(mean_of(raw, PARTS[name], found))
    return found


def value(raw: dict[str, Tensor], name: str, scales: dict[str, Scale]) -> Tensor:
    """(N,) an attribute in standard deviations."""
    mean = mean_of(raw, PARTS[name], scales)
    if len(PARTS[name]) == 1:
        return mean
    return (mean - scales[name].mean) / scales[name].deviation


def mean_of(raw: dict[str, Tensor], parts: tuple[str, ...], scales: dict[str, Scale]) -> Tensor:
    return torch.stack([(raw[p] - scales[p].mean) / scales[p].deviation for p in parts]).mean(0)


def readings(images: Tensor, attributes: tuple[str, ...]) -> dict[str, dict[str, Tensor]]:
    """Raw readings of both families, by family and reading."""
    names = {part for name in attributes for part in PARTS[name]}
    found = {}
    for family, kind in FAMILIES.items():
        reader = kind(FamilyOptions(attributes=attributes))
        parts = [reader.raw(part, names) for part in images.split(BATCH)]
        found[family] = {name: torch.cat([part[name] for part in parts]) for name in names}
        print(family, "was read", flush=True)
    return found


def images_of(generator: str, faces: int) -> tuple[Generator, Tensor, float]:
    """The generator, images of it in which a face is seen, and their share."""
    model = Registry.discover().generator(generator)
    codes = model.sample(faces, SEED, model.home)
    images = batched(lambda part: model.synthesize(part, model.home), codes)
    seen = batched(HumanAttributes().found, images)
    return model, images[seen], round(float(seen.float().mean()), 3)


def calibrate(out: Path, faces: int, generator: str, attributes: tuple[str, ...]) -> None:
    model, images, found = images_of(generator, faces)
    half, raw = len(images) // 2, readings(images, attributes)
    scales = {f: scales_of({n: v[:half] for n, v in raw[f].items()}, attributes) for f in raw}
    agreement, error = {}, {}
    for name in attributes:
        ours, theirs = (
            value({n: v[half:] for n, v in raw[family].items()}, name, scales[family])
            for family in FAMILIES
        )
        agreement[name] = round(float(spearmanr(ours, theirs).statistic), 3)
        error[name] = round(float((ours - theirs).square().mean().sqrt()), 3)
        print(name, agreement[name], error[name], flush=True)
    made = Calibration(
        generator=generator,
        fingerprint=model.fingerprint,
        faces=len(images),
        found=found,
        scales=scales,
        agreement=agreement,
        error=error,
        thresholds={},
        verification={},
    )
    write_json(out, made.model_dump())


def recognised(images: Tensor, names: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Area under the ROC curve and threshold of each recogniser.

    Pairs of one person are a face with its mirror image, and with the image moved by a pixel.
    """
    found = {}
    moved = torch.nn.functional.pad(images, (1, 0, 1, 0), mode="replicate")[:, :, :-1, :-1]
    rows, columns = torch.triu_indices(len(images), len(images), offset=1)
    for name in names:
        encoder = Registry.discover().identity(name, {"same_person_threshold": 0.0})
        straight, mirror, other = (
            batched(encoder.embed, shown) for shown in (images, images.flip(3), moved)
        )
        different = (straight @ straight.T)[rows, columns]
        same = torch.cat([(straight * mirror).sum(1), (straight * other).sum(1)])
        truth = torch.cat([torch.ones_like(same), torch.zeros_like(different)])
        area = float(roc_auc_score(truth, torch.cat([same, different])))
        found[name] = round(area, 4), round(same_person_threshold(straight), 3)
        print(name, found[name], flush=True)
    return found


def with_recognisers(out: Path, faces: int, names: Sequence[str]) -> None:
    """Measure recognisers on the faces of a calibration that there is, and add them to it."""
    known = read_calibration(out)
    found = recognised(images_of(known.generator, faces)[1], names)
    areas = {name: area for name, (area, _) in found.items()}
    thresholds = {name: threshold for name, (_, threshold) in found.items()}
    changed = {
        "verification": known.verification | areas,
        "thresholds": known.thresholds | thresholds,
    }
    write_json(out, known.model_copy(update=changed).model_dump())


def table(found: Calibration) -> str:
    """What the page says of a calibration, in Markdown."""
    rows = [
        f"| {name} | {rho:.2f} | {found.error[name]:.2f} | {'yes' if rho >= LEAST else 'no'} |"
        for name, rho in sorted(found.agreement.items(), key=lambda item: -item[1])
    ]
    known = [
        f"| `{name}` | {found.verification[name]:.3f} | {found.thresholds[name]:.2f} |"
        for name in found.verification
    ]
    return "\n".join(
        [
            f"On {found.faces} images of `{found.generator}`. facemesh sees a face in "
            f"{found.found:.0%} of what was sampled.",
            "",
            "| attribute | ρ of both families | difference, σ | in the suites |",
            "|---|---|---|---|",
            *rows,
            "",
            "The area under the ROC curve tells pairs of one face from pairs of two. The second",
            "picture of a face is its mirror image, or the image moved by a pixel. The threshold",
            "is the cosine at a false accept rate of 1e-3.",
            "",
            "| recogniser | area under the curve | threshold |",
            "|---|---|---|",
            *known,
            "",
        ]
    )


def write_page(page: Path) -> None:
    text = page.read_text("utf-8")
    before, _, rest = text.partition(f"{BEGIN}\n")
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table(read_calibration(None))}{END}{after}", "utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["calibrate", "recognisers", "page"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--faces", type=int, default=1000)
    parser.add_argument("--generator", default="dcgan-faces")
    parser.add_argument("--attributes", nargs="+", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--names", nargs="+", default=RECOGNISERS)
    arguments = parser.parse_args()
    if arguments.what == "page":
        write_page(arguments.out)
    elif arguments.what == "recognisers":
        with_recognisers(arguments.out, arguments.faces, arguments.names)
    else:
        attributes = tuple(arguments.attributes)
        calibrate(arguments.out, arguments.faces, arguments.generator, attributes)


if __name__ == "__main__":
    main()
