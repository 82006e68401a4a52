"""Measurements on networks that others published: scales, agreement and recognisers.

    python benchmarks/real_faces.py calibrate --out plugins/latentedit_tfjs/calibration.json

reads unedited faces of `dcgan-faces` with both families of estimators. The first half sets the
scale of each reading, and the second half tells how far the families agree.

    python benchmarks/real_faces.py recognisers --out plugins/latentedit_tfjs/calibration.json

adds recognisers to it: how well they tell these faces apart, and their thresholds. They also
compare people of `synthface` in two pictures each, and variations of one photograph.

    python benchmarks/real_faces.py page --out docs/faces.md

writes the shipped calibration into the page.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Sequence
from pathlib import Path

import dlib
import skimage
import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import pad

from latentedit import Generator, IdentityEncoder, Registry, images_to_bytes, write_json
from latentedit_faces.thresholds import same_person_threshold
from latentedit_tfjs.attributes import PARTS, FaceApiAttributes, FamilyOptions, HumanAttributes
from latentedit_tfjs.calibration import Calibration, Scale, Verification, read_calibration
from latentedit_tfjs.crops import FACE, Box

FAMILIES = {"human": HumanAttributes, "face-api": FaceApiAttributes}
RECOGNISERS = ("human-mobileface", "human-faceres", "face-api-resnet", "faces-dlib-identity")
BATCH, SEED, PEOPLE = 64, 11, 150
BEGIN, END = "<!-- calibration -->", "<!-- end calibration -->"
PERSONS = Path(__file__).parents[1] / "docs" / "results" / "persons.csv"
"""That ``benchmarks/persons.py`` keeps."""
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
        recognisers={},
    )
    write_json(out, made.model_dump())


def varied(images: Tensor) -> list[Tensor]:
    """The same faces in other pictures: mirrored, and moved by one pixel in 64."""
    step = max(1, images.shape[3] // 64)
    moved = pad(images, (step, 0, step, 0), mode="replicate")[:, :, :-step, :-step]
    return [images.flip(3), moved]


def people(n: int) -> tuple[Tensor, Tensor]:
    """Images of n people of `synthface`, and of the same people: turns of the head, expression and
    light are those of another one."""
    model = Registry.discover().generator("synthface")
    codes = model.sample(n, SEED, "w")
    truth = model.truth(codes, "w")
    wanted = truth.attributes.clone()
    for name in ("yaw", "pitch", "expression", "lighting"):
        wanted[:, truth.schema.columns(name)] = wanted.roll(1, 0)[:, truth.schema.columns(name)]
    again = model.counterfactual(codes, wanted, "w")
    return tuple(batched(lambda part: model.synthesize(part, "w"), own) for own in (codes, again))


def portrait() -> Tensor:
    """(1, 3, 300, 300): an astronaut in scikit-image; the picture is in the public domain."""
    picture = torch.from_numpy(skimage.data.astronaut()[:300, 70:370].copy())
    return picture.permute(2, 0, 1)[None] / 127.5 - 1


def face_box(images: Tensor) -> Box:
    """The median of the boxes in which dlib's detector finds a face, as shares of the sides."""
    detect, found = dlib.get_frontal_face_detector(), []
    for picture in images_to_bytes(images).permute(0, 2, 3, 1).contiguous().numpy():
        for box in list(detect(picture, 2))[:1]:
            found.append([box.top(), box.left(), box.bottom() + 1, box.right() + 1])
    sides = torch.tensor(images.shape[2:]).repeat(2)
    top, left, bottom, right = (torch.tensor(found).median(0).values / sides).tolist()
    print(f"a face was found in {len(found)} of {len(images)}", flush=True)
    return top, left, bottom, right


def recogniser(name: str, box: Box) -> IdentityEncoder:
    """Some take the place of faces; dlib's own finds it."""
    place = {} if name.startswith("faces-") else {"face": list(box)}
    return Registry.discover().identity(name, {"same_person_threshold": 0.0, **place})


def area(one: Tensor, others: Sequence[Tensor]) -> float:
    """Under the ROC curve that tells pairs of one face from pairs of two.

    Args:
        one: (N, E) embeddings of N faces.
        others: (N, E) each, of other pictures of them.
    """
    rows, columns = torch.triu_indices(len(one), len(one), offset=1)
    different = (one @ one.T)[rows, columns]
    same = torch.cat([(one * other).sum(1) for other in others])
    truth = torch.cat([torch.ones_like(same), torch.zeros_like(different)])
    return round(float(roc_auc_score(truth, torch.cat([same, different]))), 4)


def verified(images: Tensor, name: str) -> Verification:
    """What is measured of one recogniser."""
    encoder = recogniser(name, FACE)
    straight, *others = (batched(encoder.embed, shown) for shown in (images, *varied(images)))
    first, second = people(PEOPLE)
    elsewhere = recogniser(name, face_box(first))
    pair = [batched(elsewhere.embed, shown) for shown in (first, second)]
    photograph = portrait()
    shown = torch.cat([photograph, *varied(photograph), photograph * 0.7])
    rows = recogniser(name, face_box(photograph)).embed(shown)
    return Verification(
        area=area(straight, others),
        threshold=round(same_person_threshold(straight), 3),
        people=area(pair[0], pair[1:]),
        portrait=round(float((rows[1:] @ rows[0]).min()), 3),
    )


def with_recognisers(out: Path, faces: int, names: Sequence[str]) -> None:
    """Measure recognisers on the faces of a calibration that there is, and add them to it."""
    known = read_calibration(out)
    images = images_of(known.generator, faces)[1]
    found = dict(known.recognisers)
    for name in names:
        found[name] = verified(images, name)
        print(name, found[name], flush=True)
    write_json(out, known.model_copy(update={"recognisers": found}).model_dump())


def table(found: Calibration) -> str:
    """What the page says of a calibration, in Markdown."""
    rows = [
        f"| {name} | {rho:.2f} | {found.error[name]:.2f} | {'yes' if rho >= LEAST else 'no'} |"
        for name, rho in sorted(found.agreement.items(), key=lambda item: -item[1])
    ]
    known = [
        f"| `{name}` | {own.area:.3f} | {own.threshold:.3f} | {own.people:.3f} "
        f"| {own.portrait:.3f} |"
        for name, own in found.recognisers.items()
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
            f"is the cosine at a false accept rate of 1e-3. {PEOPLE} people of `synthface` have",
            "two pictures each, with other turns of the head, expression and light. The last",
            "column is the least cosine of a photograph with its mirror image, a moved copy, and a",
            "copy of less contrast.",
            "",
            "| recogniser | area | threshold | area, people of `synthface` | photograph |",
            "|---|---|---|---|---|",
            *known,
            "",
            *persons(),
            "",
        ]
    )


def persons() -> list[str]:
    """Agreement on gender and age by several readings, in Markdown."""
    with PERSONS.open(encoding="utf-8", newline="") as file:
        faces, rows = 0, []
        for row in csv.DictReader(file):
            faces = int(row["faces"])
            rows.append(f"| {row['reading']} | {row['gender']} | {row['age'] or '–'} |")
    return [
        f"Gender and age were read in several ways, on {faces} images. The margin is around the",
        "face, as a share of it. Values are log-odds and years, and means of an image and its",
        "mirror image. Several networks or crops are averaged in standard deviations.",
        "",
        "| reading | gender, ρ | age, ρ |",
        "|---|---|---|",
        *rows,
    ]


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
