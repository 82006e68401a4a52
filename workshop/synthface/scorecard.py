"""Figures of the networks on held-out renders, and the page that lists them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import normalize

from latentedit_synthface.pretrained import WEIGHTS
from latentedit_synthface.schema import SCHEMA
from workshop import LICENCE
from workshop.synthface.renders import Renders

FALSE_ACCEPT_RATE = 1e-3
PAGE = WEIGHTS.parent / "CARD.md"

_INTRODUCTION = """# SynthFace networks

This package has six small networks that read 64-pixel SynthFace images:

- a labeller and a judge of attributes, independent of each other in architecture, training renders
  and seed;
- the same two, trained further on images of `synthface-net`, for those images;
- two recognisers (identity encoders) of different kinds.

They know this world alone. Their output on photographs has no meaning.

`make synthface-card` writes this page from `weights/*.json`. Every figure is for the half-precision
weights in this folder, computed in float32. The images show people who are in no training. They are
drawn from the natural joint distribution of the factors. The figures of `net-judge` and
`net-labeller` are for generated images, against the factors of their codes.

`noise` is the standard deviation of the error, as a share of the attribute's own standard
deviation. On one image, a change or a leakage below it can be an error of the network.
"""

_LICENCE = """## Licence

This project trained every network here, on pictures that it made itself. No photograph and no
network of others took part. `copula.json` sets how attributes are distributed in these pictures. It
holds quantiles and correlations, measured on 1,000 rows of attributes from the StyleFlow release
(CC BY-NC-SA 4.0). It holds none of the rows, and no other file of that release is in this package.

| files | licence |
|---|---|
{files}
| `copula.json` | {licence} |
"""


def coefficient(estimate: Tensor, truth: Tensor) -> Tensor:
    """R² of each column: 1 − Σ (estimate − truth)² / Σ (truth − mean)²; (N, A), (N, A) → (A,)."""
    residual = (estimate - truth).square().sum(0)
    return 1 - residual / (truth - truth.mean(0)).square().sum(0)


def attribute_figures(estimate: Tensor, held_out: Renders) -> dict[str, Any]:
    """R², mean absolute error and noise of every column; accuracy and AUC of binary attributes.

    Args:
        estimate: (N, 17) of the held-out images, natural units.
    """
    truth = held_out.attributes
    error = estimate - truth
    figures: dict[str, Any] = {"n": len(truth), "columns": {}}
    for i, name in enumerate(SCHEMA.column_names):
        figures["columns"][name] = {
            "r2": _rounded(coefficient(estimate, truth)[i]),
            "mae": _rounded(error[:, i].abs().mean()),
            "bias": _rounded(error[:, i].mean()),
            "error_sd": _rounded(error[:, i].std()),
            "truth_sd": _rounded(truth[:, i].std()),
        }
        if i < len(SCHEMA) - 1 and SCHEMA[name].kind == "binary":
            figures["columns"][name] |= _detection(estimate[:, i], truth[:, i] > 0.5)
    return figures


def _detection(estimate: Tensor, present: Tensor) -> dict[str, float]:
    return {
        "accuracy": _rounded(((estimate > 0.5) == present).float().mean()),
        "auc": _rounded(roc_auc_score(present.numpy(), estimate.numpy())),
        "share_present": _rounded(present.float().mean()),
    }


def identity_figures(
    output: Tensor, held_out: Renders, threshold: float | None = None
) -> dict[str, Any]:
    """Verification on pairs of held-out people.

    Unless it is given, the threshold is chosen on the first half of the people; every other figure
    is measured on the second half. A genuine pair shows one person's identity factors with
    everything else drawn anew; an impostor pair shows two people.

    Args:
        output: (N, E) of the held-out images, normalised here.
    """
    embedded, person = normalize(output, dim=1), held_out.person
    first = person < person.max() // 2
    if threshold is None:
        _, impostor = _pairs(embedded[first], person[first])
        threshold = np.quantile(impostor.numpy(), 1 - FALSE_ACCEPT_RATE)
    genuine, impostor = _pairs(embedded[~first], person[~first])
    return {
        "threshold": _rounded(threshold),
        "false_accept_rate_asked": FALSE_ACCEPT_RATE,
        "false_accept_rate": float(f"{(impostor > threshold).double().mean():.2e}"),
        "true_accept_rate": _rounded((genuine > threshold).float().mean()),
        "auc": _rounded(_auc(genuine, impostor)),
        "genuine_similarity": _rounded(genuine.mean()),
        "impostor_similarity": _rounded(impostor.mean()),
        "people": int(person[~first].unique().numel()),
        "genuine_pairs": len(genuine),
        "impostor_pairs": len(impostor),
    }


def _pairs(embedded: Tensor, person: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines of all genuine and all impostor pairs."""
    similarity = embedded @ embedded.T
    once = torch.ones_like(similarity, dtype=torch.bool).triu(1)
    same = person[:, None] == person
    return similarity[once & same], similarity[once & ~same]


def _auc(genuine: Tensor, impostor: Tensor) -> float:
    """P(genuine > impostor)."""
    below = torch.searchsorted(impostor.sort().values, genuine)
    return float(below.double().mean() / len(impostor))


def _rounded(value: Any) -> float:
    return round(float(value), 5)


def page(cards: Sequence[Mapping[str, Any]]) -> str:
    """The model cards as Markdown."""
    return "\n".join([_INTRODUCTION, *(_section(card) for card in cards), _licence(cards)])


def _licence(cards: Sequence[Mapping[str, Any]]) -> str:
    files = []
    for card in cards:
        stem = f"weights/{card['name'].removeprefix('synthface-')}"
        files.append(f"| `{stem}.safetensors`, `{stem}.json` | {card['licence']} |")
    return _LICENCE.format(files="\n".join(files), licence=LICENCE)


def _section(card: Mapping[str, Any]) -> str:
    schedule, data = card["schedule"], card["data"]
    lines = [
        f"## {card['name']}",
        "",
        f"{card['parameters']:,} parameters, seed {card['seed']}, sha256 `{card['sha256'][:16]}`. "
        f"Learns {card['learns']} from {data['training']} (seed {data['training_seed']}): "
        f"{schedule['steps']:,} steps of {schedule['batch']} images, Muon at "
        f"{schedule['learning_rate']:g}, {schedule['precision']}. "
        f"Held out: {data['held_out']} (seed {data['held_out_seed']}).",
        "",
    ]
    figures = card["held_out"]
    return "\n".join(lines + (_columns(figures) if "columns" in figures else _pairs_table(figures)))


def _columns(figures: Mapping[str, Any]) -> list[str]:
    rows = ["| attribute | R² | mean abs. error | bias | noise | accuracy | AUC |"]
    rows.append("|---|---|---|---|---|---|---|")
    for name, f in figures["columns"].items():
        noise = f["error_sd"] / f["truth_sd"]
        detection = f"{f['accuracy']:.4f} | {f['auc']:.4f}" if "auc" in f else " | "
        errors = f"{f['r2']:.3f} | {f['mae']:.3f} | {f['bias']:+.3f} | {noise:.2f}"
        rows.append(f"| {name} | {errors} | {detection} |")
    return [*rows, ""]


def _pairs_table(figures: Mapping[str, Any]) -> list[str]:
    return [
        "| figure | value |",
        "|---|---|",
        f"| AUC | {figures['auc']:.4f} |",
        f"| true accept rate at false accept rate {figures['false_accept_rate_asked']:g} "
        f"| {figures['true_accept_rate']:.3f} |",
        f"| same-person threshold (cosine) | {figures['threshold']:.3f} |",
        f"| false accept rate measured at it | {figures['false_accept_rate']:.2g} |",
        f"| mean cosine of one person, of two | {figures['genuine_similarity']:.3f}, "
        f"{figures['impostor_similarity']:.3f} |",
        f"| people, genuine pairs, impostor pairs | {figures['people']:,}, "
        f"{figures['genuine_pairs']:,}, {figures['impostor_pairs']:,} |",
        "",
    ]


def written_cards(folder: Path = WEIGHTS) -> list[dict[str, Any]]:
    """Every card in `folder`, by name."""
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]


if __name__ == "__main__":
    PAGE.write_text(page(written_cards()), "utf-8")
