"""The page ``docs/worlds.md``, from measurements of both worlds.

``python -m workshop.synthface.worlds --out docs`` measures, which takes minutes. It draws the
pictures and writes ``OUT/results/worlds.json``. `written` makes the page from that file.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from latentedit import images_to_bytes, read_json, write_json
from latentedit_synthface.factors import factors_from_scores
from latentedit_synthface.generator import SynthFace, SynthFaceOptions
from latentedit_synthface.pretrained import Pretrained
from latentedit_synthface.renderer import render
from latentedit_synthface.schema import SCHEMA
from latentedit_synthface.trained_generator import SynthFaceNet
from workshop.synthface.export_generator import verification_table
from workshop.synthface.pairs_grid import pairs_grid
from workshop.synthface.world_figures import (
    CODES,
    COLUMNS,
    COMPONENTS,
    FACE,
    PROBED,
    WorldFigures,
    measured,
)

FIGURES = Path("results", "worlds.json")
"""Within the folder of the page."""
_FACES, _SHOWN_SEED = 32, 2_024
_STYLEGAN2_SHARE = {100: 0.85}
"""Share of the variance of w in leading principal components, StyleGAN2 on FFHQ."""

_PAGE = """# Two worlds

`synthface` renders a face from factors that are a known function of the code. `synthface-net` is a
style-based network that learned to draw such faces. Its codes have known factors too, but its
images follow them only as far as the network learned. A finding that holds in one world and not in
the other depends on that world.

`make worlds` measures both worlds, and `make figures` writes this page from these measurements.
[The card of `synthface-net`](../plugins/latentedit_synthface/network/CARD.md) describes
its training. Terms are in the [glossary](glossary.md).

## The same faces, rendered and generated

Rows are in pairs: the render of a code's factors, and below it the image that the network draws.
The codes were sampled, not chosen, and no training used them.

![rendered and generated faces](worlds-faces.png)

The next picture has rare faces: {rare}.

![rendered and generated rare faces](worlds-rare.png)

Generated images have glasses, beards, teeth, strands of hair, folds of old skin, irises and light.
No part of a face melts into another. These signs show that an image is generated:

- Outlines are smooth; in renders they are stair-stepped.
- Some bald heads have a faint halo.
- Some faces have faint folds before the age of folds.
- Heads that are turned far, and thin rims of glasses on them, are drawn less well.

## Quality of the images

Fine detail is the difference between an image and its own means over 3 × 3 pixels. It is measured
in strands of hair, and in the folds of skin of over fifty years. *Share* is the part of the
renders' detail that the generated images have in the same place. *Strength* is the amount of their
detail in any place, relative to the renders. A share and a strength of 1 are perfect. A share of 0
and a strength of 1 mean the same grain in other places.

{fidelity}

## Judges and recognisers on generated images

The first table has R² of attributes against the factors of the code, on {n} held-out codes. There
are three figures for each network: on generated images, the same after a straight-line calibration,
and on renders of the same codes. AUC is for attributes that are present or absent.

The second table is about verification of generated people. A pair shows one person if all identity
factors are equal; everything else is drawn anew. All these networks were trained on renders alone.
The labeller had a part in the loss of the generator. The judge and the recognisers had none.

{judges}

`synthface-net-judge` and `synthface-net-labeller` are the same networks after a further training on
generated images, each on its own. Suites on `synthface-net` use them. The table is for {taught_n}
generated images that neither was trained on.

{taught}

## The space W

The table has the share of the variance of w in its leading principal components. For StyleGAN2 on
photographs of faces, it is about {stylegan2}.

{spectrum}

![spectrum](worlds-spectrum.png)

The next table has R² of a ridge regression from w to attribute values in natural units. It was
fitted on {probed:,} codes, and the figures are for {held_out:,} others.

{probes}

## Effect of each row of W+

One row of a face's W+ code is replaced by that of another face. A cell is the change that the judge
measures, as a share of the whole difference between the two faces. Identity is measured by the
contrastive recogniser. The cells of a column can sum to more than 1 if changes undo each other.

![row control](worlds-rows.png)

{rows}

## Correlations of attributes

The tables have correlations of the attribute values of sampled codes. Both worlds draw them from
the same joint distribution.

{correlations}

## Path length

The path length is the squared distance of the judge's features, at unit length, for a unit step of
w between two faces (Karras et al. 2019, with the judge's features instead of LPIPS).

{paths}
"""


def page(figures: Mapping[str, Mapping[str, Any]], card: Mapping[str, Any]) -> str:
    """The page as Markdown; `figures`: of each world, as `WorldFigures.to_json` has them; `card`:
    of `synthface-net`."""
    held_out = card["held_out"]
    columns = [SCHEMA.names[i] for i in range(FACE)]
    return _PAGE.format(
        rare="glasses, beard, bald, turned and laughing",
        fidelity=_fidelity(held_out),
        n=f"{held_out['n']:,}",
        judges=_judges(held_out),
        taught_n=f"{Pretrained('net-judge').card['held_out']['n']:,}",
        taught=_taught(),
        stylegan2=" and ".join(
            f"{share:.0%} in the first {first}" for first, share in _STYLEGAN2_SHARE.items()
        ),
        probed=PROBED,
        held_out=CODES - PROBED,
        spectrum=_table(
            ["first components", *map(str, COMPONENTS)],
            [
                [name, *(f"{f['spectrum'][str(k)]:.2f}" for k in COMPONENTS)]
                for name, f in figures.items()
            ],
        ),
        probes=_table(
            ["world", *columns, "identity scores"],
            [
                [name, *(f"{v:.2f}" for v in f["probes"]), f"{f['score_probe']:.2f}"]
                for name, f in figures.items()
            ],
        ),
        rows="\n\n".join(_row_table(name, f["rows"]) for name, f in figures.items()),
        correlations="\n\n".join(
            f"{name}\n\n"
            + _table(
                ["", *columns],
                [
                    [column, *(f"{v:+.2f}" for v in row)]
                    for column, row in zip(columns, f["correlations"], strict=True)
                ],
            )
            for name, f in figures.items()
        ),
        paths=_table(
            ["world", "path length"],
            [[name, f"{f['path_length']:.4f}"] for name, f in figures.items()],
        ),
    )


def _fidelity(held_out: Mapping[str, Any]) -> str:
    frechet = held_out["frechet"]
    return _table(
        ["figure", "value"],
        [
            ["PSNR to renders of the same codes", f"{held_out['psnr']:.1f} dB"],
            [
                "Fréchet distance to other renders, judge's features",
                f"{frechet['generated_to_renders']:.3f}",
            ],
            ["the same of renders to renders", f"{frechet['renders_to_renders']:.3f}"],
            ["ratio", f"{frechet['ratio']:.2f}"],
            *(
                [
                    f"{name}: share of fine detail, strength",
                    f"{d['share']:.2f}, {d['strength']:.2f}",
                ]
                for name, d in held_out["detail"].items()
            ),
        ],
    )


def _judges(held_out: Mapping[str, Any]) -> str:
    rows = []
    for name in SCHEMA.names[:FACE]:
        row = [name]
        for network in ("judge", "labeller"):
            there, here = held_out[network][name], held_out[f"{network}_on_renders"][name]
            auc = f"{there['auc']:.4f}" if "auc" in there else ""
            row += [f"{f:.3f}" for f in (there["r2"], there["r2_calibrated"], here["r2"])]
            row.append(auc)
        rows.append(row)
    columns = ["calibrated", "on renders", "AUC"]
    header = ["attribute", "judge", *columns, "labeller", *columns]
    return _table(header, rows) + "\n\n" + verification_table(held_out)


def _taught() -> str:
    cards = [Pretrained(name).card for name in ("net-judge", "net-labeller")]
    rows = []
    for name in SCHEMA.names[:FACE]:
        found = [card["held_out"]["columns"][name] for card in cards]
        pairs = [(f"{f['r2']:.3f}", f"{f['auc']:.4f}" if "auc" in f else "") for f in found]
        rows.append([name, *(cell for pair in pairs for cell in pair)])
    return _table(["attribute", "net-judge", "AUC", "net-labeller", "AUC"], rows)


def _row_table(name: str, rows: Sequence[Sequence[float]]) -> str:
    body = [[str(i), *(f"{v:.2f}" for v in row)] for i, row in enumerate(rows)]
    return f"{name}\n\n" + _table(["row", *COLUMNS], body)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


@torch.no_grad()
def pairs_picture(generator: SynthFaceNet, codes: Tensor) -> Image.Image:
    """Rows of eight renders, each above the generated images of the same codes."""
    renders = images_to_bytes(render(factors_from_scores(generator.scores(codes))))
    images = images_to_bytes(generator.synthesize(codes))
    return pairs_grid(renders, images, Image.Resampling.BICUBIC)


def rare_codes(generator: SynthFaceNet, seed: int = _SHOWN_SEED) -> Tensor:
    """Codes that stand for glasses, beards, bald heads, turned heads and broad smiles, the first
    eight of each among sampled codes."""
    codes = generator.sample(4_000, seed + 1)
    a = generator.truth(codes).attributes
    columns = {name: a[:, SCHEMA.columns(name).start] for name in SCHEMA.names[:FACE]}
    chosen = [
        columns["glasses"] > 0.8,
        columns["beard"] > 0.5,
        columns["baldness"] > 0.5,
        columns["yaw"].abs() > 25,
        columns["expression"] > 0.95,
    ]
    return torch.cat([codes[mask][:8] for mask in chosen])


def _spectrum_figure(figures: Mapping[str, WorldFigures]) -> Figure:
    figure = Figure(figsize=(5, 3), layout="constrained")
    axes = figure.subplots()
    for name, f in figures.items():
        axes.plot(range(1, len(f.spectrum) + 1), f.spectrum, label=name)
    axes.plot(*zip(*_STYLEGAN2_SHARE.items(), strict=True), "kx", label="StyleGAN2 (FFHQ)")
    axes.set(xlabel="principal components of w", ylabel="share of the variance", ylim=(0, 1.02))
    axes.legend()
    return figure


def _rows_figure(figures: Mapping[str, WorldFigures]) -> Figure:
    figure = Figure(figsize=(9, 4.2), layout="constrained")
    for axes, (name, f) in zip(figure.subplots(1, len(figures)), figures.items(), strict=True):
        shown = axes.imshow(f.rows, vmin=0, vmax=1, cmap="viridis", aspect="auto")
        axes.set(title=name, ylabel="row of W+", yticks=range(len(f.rows)))
        axes.set_xticks(range(len(COLUMNS)), COLUMNS, rotation=60, ha="right")
    figure.colorbar(shown)
    return figure


def measure(out: Path) -> None:
    """Measure both worlds, draw the pictures of the page and write the figures; minutes."""
    net = SynthFaceNet()
    worlds = {"synthface": SynthFace(SynthFaceOptions()), "synthface-net": net}
    figures = {name: measured(world) for name, world in worlds.items()}
    mpl.use("Agg")
    pairs_picture(net, net.sample(_FACES, _SHOWN_SEED)).save(out / "worlds-faces.png")
    pairs_picture(net, rare_codes(net)).save(out / "worlds-rare.png")
    _spectrum_figure(figures).savefig(out / "worlds-spectrum.png", dpi=100)
    _rows_figure(figures).savefig(out / "worlds-rows.png", dpi=100)
    write_json(out / FIGURES, {name: f.to_json() for name, f in figures.items()})


def written(out: Path) -> str:
    """The page, from the figures that `measure` wrote into `out`."""
    return page(read_json(out / FIGURES), SynthFaceNet().card)


def main() -> None:
    parser = argparse.ArgumentParser("workshop.synthface.worlds", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="folder of the page")
    measure(parser.parse_args().out)


if __name__ == "__main__":
    main()
