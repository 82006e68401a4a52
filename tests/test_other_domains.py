"""A network of a domain without attributes: from its file to labels by people and to a report."""

from __future__ import annotations

import csv
from pathlib import Path

import pickles
import yaml
from in_process import CommandLine
from PIL import Image, ImageStat

import latentedit_faces
import latentedit_linear
import latentedit_stylegan
from latentedit import LatentBank, Registry

READER = """
def brightness(images):
    return images.mean((1, 2, 3))[:, None]

def redness(images):
    return images[:, :1].mean((2, 3)) - images[:, 1:].mean((1, 2, 3))[:, None]
"""


def registry() -> Registry:
    found = Registry()
    for name, plugin in (
        ("stylegan", latentedit_stylegan),
        ("faces", latentedit_faces),
        ("linear", latentedit_linear),
    ):
        found.add(plugin, name)
    return found


def redness_of(picture: Path) -> float:
    """By a person, in levels."""
    red, green, blue = ImageStat.Stat(Image.open(picture).convert("RGB")).mean
    return red - (green + blue) / 2


def test_a_network_of_any_domain_is_labelled_by_people_and_compared(tmp_path: Path) -> None:
    terminal = CommandLine(tmp_path, registry)
    network = pickles.nvidia_pickle(pickles.random_network())
    pickles.write(tmp_path / "cats.pkl", network)
    (tmp_path / "reader.py").write_text(READER)
    terminal.ok("import", "cats.pkl", "--as", "stylegan2", "--out", "G")
    reads = "attributes=[{name: brightness, low: -1, high: 1}]"
    terminal.ok(
        *("bank", "make", "--generator", "stylegan2", "--generator-option", "path=G"),
        *("--labeller", "faces-python", "--labeller-option", "function=reader.py:brightness"),
        *("--labeller-option", reads, "--n", "60", "--test", "20", "--out", "B"),
    )
    for split in ("fit", "test"):
        terminal.ok("bank", "images", "B", "--split", split, "--out", split)
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["split", "index", "redness"])
        for split, n in (("fit", 60), ("test", 20)):
            pictures = (tmp_path / split / f"{split}-{i:05d}.png" for i in range(n))
            table.writerows([split, i, redness_of(p) / 127.5] for i, p in enumerate(pictures))
    schema = "attributes=[{name: redness, low: -2, high: 2}]"
    terminal.ok(
        *("bank", "label", "B", "--labeller", "faces-csv", "--labeller-option", "file=labels.csv"),
        *("--labeller-option", schema, "--out", "C"),
    )
    bank = LatentBank.open(tmp_path / "C")
    assert bank.schema.names == ("redness",)
    judge = {
        "function": "reader.py:redness",
        "attributes": [{"name": "redness", "low": -2, "high": 2}],
    }
    suite = {
        "name": "cats",
        "bank": {"path": "C", "hash": bank.hash},
        "judge": {"plugin": "faces-python", "options": judge},
        "identity": [],
        "editors": {"regression": {"plugin": "regression"}},
        "controls": ["no-edit"],
        "metrics": ["structural-similarity"],
        "tasks": [{"attribute": "redness", "change": {"sigma": 1.0}}],
        "effects": [0.5],
    }
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(suite))
    told = terminal.ok("bench", "run", "suite.yaml", "--out", "run", "--workers", "1")
    assert "20 images" in told
    page = (tmp_path / "run" / "report" / "index.html").read_text()
    assert "structural-similarity" in page
