"""Mutants of every kind of file that is read, each with the structure of its kind.

`KINDS` has the kinds by name. A reader of another format adds an entry: a function that takes an
empty folder and gives a `Kind`.
"""

from __future__ import annotations

import gzip
import io
import itertools
import json
import pickletools
import random
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import mutants
import numpy as np
import pickles
import record_mutants
import test_record_fuzz
import tfjs_files
import torch
from flat_results import read_flat, write_flat
from PIL import Image
from test_styleflow_crafted import released

from latentedit import (
    InputError,
    Registry,
    file_digest,
    mapped_array,
    open_picture,
    parsed_array,
    read_tensors,
)
from latentedit.benchmark.suite import parse_suite
from latentedit.files.artefacts import map_tensors
from latentedit.files.strict_yaml import read_yaml
from latentedit.files.suites import suite_folder
from latentedit.photos.align import read_photograph
from latentedit.photos.landmarks import landmark_finder
from latentedit_dcgan.weights import KERNEL, LAYERS, NORM, read_generator
from latentedit_faces.declarations import DeclaredAttribute, read_declaration
from latentedit_faces.labels import read_table
from latentedit_styleflow.importing import import_checkpoint
from latentedit_stylegan.importing import import_network
from latentedit_tfjs.importing import HumanModels
from latentedit_tfjs.packages import HUMAN_MODELS

Rng = random.Random
EDGES = (0, 1, 2, 3, 7, 127, 128, 255, 256, 65_535, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    Args:
        file: where each mutant is written.
        mutants: endless, from a seed.
        read: what a user does with such a file; the first mutants come from what it accepts.
    """

    file: Path
    mutants: Callable[[int], Iterator[bytes]]
    read: Callable[[Path], object]


def spliced(parts: list[bytes], others: list[bytes], rng: Rng) -> list[bytes]:
    """`parts` with one to four of them removed, repeated, exchanged or taken from `others`."""
    parts = list(parts)
    for _ in range(rng.choice((1, 1, 2, 4))):
        i, j = rng.randrange(len(parts) + 1), rng.randrange(len(parts) + 1)
        match rng.randrange(5):
            case 0:
                del parts[min(i, j) : min(i, j) + rng.choice((1, 1, 2, 8))]
            case 1:
                parts[i:i] = parts[j : j + rng.choice((1, 1, 3, 20))] * rng.choice((1, 1, 2, 50))
            case 2 if max(i, j) < len(parts):
                parts[i], parts[j] = parts[j], parts[i]
            case 3:
                at = rng.randrange(len(others))
                parts[i:i] = others[at : at + rng.choice((1, 1, 3, 20))]
            case _:
                at = rng.randrange(len(others))
                parts[i : i + 1] = [others[at]]
        parts = parts or list(others[:1])
    return parts


# pickles

LEGACY = b"\x80\x02\x8a\x0a"
"""How files of ``torch.save`` before version 1.6 begin: several pickles in a row."""


def opcodes(data: bytes) -> list[bytes]:
    """The opcodes of a pickle, each with its argument; nested pickles are one argument."""
    starts = [at for _, _, at in pickletools.genops(data)]
    ends = [*starts[1:], len(data)]
    return [data[a:b] for a, b in zip(starts, ends, strict=True)]


def other_argument(opcode: bytes, rng: Rng) -> bytes:
    """The same opcode with another number or text."""
    edge = rng.choice(EDGES)
    match opcode[:1]:
        case b"K" | b"q" | b"h":
            return opcode[:1] + bytes([edge & 0xFF])
        case b"M":
            return opcode[:1] + struct.pack("<H", edge & 0xFFFF)
        case b"J":
            return opcode[:1] + struct.pack("<I", edge)
        case b"\x8a":
            size = rng.choice((0, 1, 4, 8, 64))
            return b"\x8a" + bytes([size]) + rng.choice((b"\xff", b"\x7f", b"\1")) * size
        case b"G":
            return b"G" + struct.pack(">d", rng.choice((0.0, -1.0, 1e300, float("nan"), 1e-300)))
        case b"X":
            text = rng.choice((b"", b"G_ema", b"weight", b"9" * 300, b"z_dim", b"synthesis"))
            return b"X" + struct.pack("<I", len(text)) + text
    return opcode


def pickle_mutant(data: list[bytes], others: list[bytes], rng: Rng) -> bytes:
    parts = spliced(data, others, rng) if rng.random() < 0.6 else list(data)
    for _ in range(rng.choice((0, 1, 1, 3))):
        at = rng.randrange(len(parts))
        parts[at] = other_argument(parts[at], rng)
    return b"".join(parts)


def zip_mutant(members: dict[str, bytes], program: list[bytes], rng: Rng) -> bytes:
    """A file of ``torch.save`` whose program or storages differ, with CRCs that match."""
    changed = dict(members)
    name = next(name for name in members if name.endswith("data.pkl"))
    changed[name] = pickle_mutant(program, program, rng)
    if rng.random() < 0.3:
        other = rng.choice(sorted(changed))
        if rng.random() < 0.5:
            del changed[other]
        else:
            changed[rng.choice((other, "archive/data/0", "x"))] = changed[other][
                : rng.randrange(64)
            ]
    return pickles.zip_of(changed)


def members_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pickle_mutants(files: list[bytes]) -> Callable[[int], Iterator[bytes]]:
    """By opcode, by argument, and by byte."""
    whole = [data for data in files if not data.startswith(b"PK")]
    # A legacy file is several pickles in a row; only its bytes are changed.
    programs = [opcodes(d) for d in whole if not d.startswith(LEGACY)]
    zips = [members_of(data) for data in files if data.startswith(b"PK")]
    zipped = [opcodes(next(v for k, v in z.items() if k.endswith("data.pkl"))) for z in zips]

    def make(seed: int) -> Iterator[bytes]:
        rng = Rng(seed)
        bytewise = mutants.mutants(files, seed)
        while True:
            choice = rng.random()
            if choice < 0.4 and programs:
                yield pickle_mutant(rng.choice(programs), rng.choice(programs), rng)
            elif choice < 0.75 and zips:
                at = rng.randrange(len(zips))
                yield zip_mutant(zips[at], zipped[at], rng)
            else:
                yield next(bytewise)

    return make


def saved(tree: Any) -> bytes:
    file = io.BytesIO()
    torch.save(tree, file)
    return file.getvalue()


def networks(folder: Path) -> Kind:
    """StyleGAN2 and StyleGAN3 in all layouts; what is accepted is written and built."""
    return Kind(folder / "n.pkl", pickle_mutants(list(mutants.originals().values())), _importing(
        import_network, folder / "out"
    ))  # fmt: skip


def flows(folder: Path) -> Kind:
    tensors = {name: t.numpy() for name, t in released().items()}
    files = [saved(released()), pickles.pytorch_zip(tensors), pickles.pytorch_legacy(tensors)]
    return Kind(folder / "f.pt", pickle_mutants(files), _importing(
        import_checkpoint, folder / "out"
    ))  # fmt: skip


def dcgan(folder: Path) -> Kind:
    """The weight file of a package: a state dict in an entry, or alone."""
    state = dcgan_state()
    files = [saved({"netG_state_dict": {f"main.{n}": torch.from_numpy(a) for n, a in state.items()},
                    "epoch": 3}),
             pickles.pytorch_zip({f"main.{name}": array for name, array in state.items()}),
             pickles.pytorch_legacy({"netG_state_dict": state})]  # fmt: skip
    return Kind(folder / "weights.tar", pickle_mutants(files), read_generator)


def dcgan_state() -> dict[str, np.ndarray[Any, Any]]:
    """Weights of the smallest DCGAN."""
    sides = dict(zip(LAYERS, itertools.pairwise((2, 1, 1, 1, 1, 3)), strict=True))
    state = {f"{layer}.weight": np.ones((*side, KERNEL, KERNEL), "<f4")
             for layer, side in sides.items()}  # fmt: skip
    for layer in LAYERS[:-1]:
        state |= {f"{layer + 1}.{name}": np.ones(sides[layer][1], "<f4") for name in NORM}
    return state


def _importing(read: Callable[[Path, Path], object], out: Path) -> Callable[[Path], None]:
    def act(file: Path) -> None:
        try:
            read(file, out)
        finally:
            shutil.rmtree(out, ignore_errors=True)

    return act


# packages of TensorFlow.js


def tfjs(folder: Path) -> Kind:
    """Manifest, graph and shards of a package, and the package; each mutant has its digest."""
    arrays = tfjs_files.arrays()
    record, shard = json.loads(tfjs_files.model_json(arrays)), tfjs_files.shard(arrays)

    def make(seed: int) -> Iterator[bytes]:
        rng = Rng(seed)
        records = record_mutants.json_mutants(record, seed)
        whole = tfjs_files.packed(
            folder / "whole.tgz", _members(json.dumps(record).encode(), shard)
        )
        data = whole.read_bytes()
        while True:
            choice = rng.random()
            if choice < 0.8:
                held = shard if choice < 0.7 else mutants.mutant(shard, shard, rng)
                yield tfjs_files.package(_members(next(records), held), level=0)
            elif choice < 0.9:
                yield gzip.compress(mutants.mutant(gzip.decompress(data), data, rng), 1)
            else:
                yield mutants.mutant(data, data, rng)

    def read(file: Path) -> None:
        class Importer(HumanModels):
            PACKAGE = replace(
                HUMAN_MODELS, sha256=file_digest(file), networks={"small": "package/m/small"}
            )

        _importing(lambda file, out: Importer().read(file, out), folder / "out")(file)

    return Kind(folder / "p.tgz", make, read)


def _members(described: bytes, shard: bytes) -> dict[str, bytes]:
    return {"package/m/small.json": described, "package/m/small.bin": shard}


# tensors


def safetensors(folder: Path) -> Kind:
    whole = mutants.safetensors()

    def read(file: Path) -> None:
        by_any(lambda: read_tensors(file), lambda: map_tensors(file))

    return Kind(folder / "a.safetensors", lambda seed: record_mutants.header_mutants(whole, seed),
                read)  # fmt: skip


DESCR = ("<f4", "<f8", "|u1", "<i8", ">f4", "|O", "<U4", "<f2", "<c8", "", "<f4'", "<f444", "|V8")
SHAPES = ("(2, 3)", "(6,)", "()", "(0,)", "(2, 3, )", "(3)", "(2,, 3)", "(-1, 6)", "(10**9, 6)",
          "(999999999999, 999999999999)", "(" + "1, " * 9 + ")", "(" + "9" * 400 + ",)", "[2, 3]",
          "(2L, 3L)", "(0, 999999999999)")  # fmt: skip


def npy(folder: Path) -> Kind:
    def make(seed: int) -> Iterator[bytes]:
        rng = Rng(seed)

        def usually(value: Any, *others: Any) -> Any:
            return value if rng.random() < 0.7 else rng.choice(others)

        while True:
            descr, order = usually("<f4", *DESCR), usually("False", "True", "0", "None")
            shape = usually("(2, 3)", *SHAPES)
            header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
            odd = (header[:-3], header.replace("'", '"'), "{" * 900, header * 9, "__import__('os')")
            text = usually(header, *odd).encode() + b" " * rng.choice((0, 5, 60)) + b"\n"
            version = usually(b"\1\0", b"\2\0", b"\3\0", b"\0\0")
            stated = usually(len(text), 0, 65_535, len(text) + 1)
            length = struct.pack("<H" if version == b"\1\0" else "<I", stated)
            data = b"\x93NUMPY" + version + length + text + bytes(usually(24, 48, 6, 0, 23))
            yield data if rng.random() < 0.8 else mutants.mutant(data, data, rng)

    def read(file: Path) -> None:
        np.asarray(mapped_array(file)).sum()
        parsed_array(file.read_bytes(), file.name)

    return Kind(folder / "a.npy", make, read)


# records


@cache
def artefacts() -> TemporaryDirectory[str]:
    """The artefacts whose records are changed; copied for each, since they take seconds."""
    folder: TemporaryDirectory[str] = TemporaryDirectory()
    test_record_fuzz.made_artefacts(Path(folder.name))
    for run in ("run", "other-run"):
        written = Path(folder.name) / run
        few = read_flat(written)
        for rows in ("measures", "comparisons", "curves", "leakage"):
            metrics = ("reach", "identity similarity · rec-zeta")
            few[rows] = [row for row in few[rows] if row.get("metric", "reach") in metrics][:60]
        write_flat(written, few)
    return folder


def made_once() -> None:
    """Make what all processes of the fuzzer share."""
    artefacts()


def records(number: int) -> Callable[[Path], Kind]:
    kind, name, use = test_record_fuzz.READERS[number]

    def of(folder: Path) -> Kind:
        home = folder / "artefacts"
        shutil.copytree(artefacts().name, home)
        whole = json.loads((home / kind / name).read_bytes())
        return Kind(home / kind / name, lambda seed: record_mutants.json_mutants(whole, seed),
                    lambda _: use(home / kind))  # fmt: skip

    return of


# texts

YAML_PIECES = (b"- ", b": ", b"{", b"}", b"[", b"]", b"!!int ", b"&a ", b"*a", b"<<: ", b"? ",
               b"2001-99-99", b"0x_", b"1e999", b".inf", b"~", b"|\n", b">\n", b"%YAML 9\n",
               b"---\n", b"\t", b"\xef\xbb\xbf", b"\xff", b'"\\U00110000"', b"'", b"#", b"yes",
               b"[" * 200, b"9" * 400, b"\0", b"=cmd", b"age", b"plugin", b"..",
               b"/dev/zero")  # fmt: skip
CSV_PIECES = (b",", b";", b"\t", b'"', b"\n", b"\r", b"\0", b"1e39", b"nan", b"-1", b"file",
              b"split", b"index", b"fit", b"9" * 30, b"=1+1", b"\xff", b"\xef\xbb\xbf", b" ",
              b"../a.png", b"x" * 140_000)  # fmt: skip


def text_mutants(
    texts: list[bytes], cut: re.Pattern[bytes], pieces: tuple[bytes, ...]
) -> Callable[[int], Iterator[bytes]]:
    """Texts as tokens, some of which are removed, repeated, exchanged, or others."""
    tokens = [[part for part in cut.split(text) if part] for text in texts]

    def make(seed: int) -> Iterator[bytes]:
        rng = Rng(seed)
        while True:
            yield b"".join(spliced(rng.choice(tokens), list(pieces), rng))

    return make


def yaml(folder: Path) -> Kind:
    texts = [path.read_bytes() for path in sorted(suite_folder().glob("*.yaml"))]
    texts.append(b"name: age\nkind: continuous\nlow: 0\nhigh: 70.5\nunit: years\n")

    def read(file: Path) -> None:
        text = file.read_text("utf-8", errors="replace")
        by_any(
            lambda: read_yaml(text, "a"),
            lambda: parse_suite(text),
            lambda: read_declaration(DeclaredAttribute, file),
        )

    cut = re.compile(rb"([\s{}\[\],:]+)")
    return Kind(folder / "a.yaml", text_mutants(texts, cut, YAML_PIECES), read)


def csv(folder: Path) -> Kind:
    texts = [
        b"file,age,smile\na.png,30,1\nb.png,41.5,0\nc.png,,1\n",
        b"split,index,age\nfit,0,1\nfit,1,2\ntest,0,3\n",
        b"index,age\n0,30\n2,40\n",
    ]

    def read(file: Path) -> None:
        by_any(lambda: read_table(file), lambda: read_table(file, keys=("index",)))

    return Kind(folder / "a.csv", text_mutants(texts, re.compile(rb"([,\n])"), CSV_PIECES), read)


def by_any(*readers: Callable[[], object]) -> None:
    """Call every reader; raise the last refusal if all refuse."""
    refusals: list[InputError] = []
    for read in readers:
        try:
            read()
        except InputError as error:
            refusals.append(error)
    if len(refusals) == len(readers):
        raise refusals[-1]


def landmarks(folder: Path) -> Kind:
    points = {"left_eye": [60, 85], "right_eye": [100, 85], "left_mouth": [70, 112],
              "right_mouth": [90, 112]}  # fmt: skip
    record = {"a.png": points, "b.png": {**points, "left_eye": [61.5, 80]}}
    Image.fromarray(np.zeros((200, 160, 3), np.uint8)).save(folder / "a.png")
    registry = Registry()

    def read(file: Path) -> None:
        read_photograph(folder / "a.png", 16, landmark_finder(registry, str(file)))

    return Kind(folder / "m.json", lambda seed: record_mutants.json_mutants(record, seed), read)


# pictures


def png_chunks(data: bytes) -> list[bytes]:
    """Type and content of each chunk of a PNG."""
    found, at = [], 8
    while at < len(data):
        length = int.from_bytes(data[at : at + 4], "big")
        found.append(data[at + 4 : at + 8 + length])
        at += 12 + length
    return found


def png_of(chunks: list[bytes]) -> bytes:
    """A PNG of these chunks, with lengths and CRCs that match."""
    made = b"\x89PNG\r\n\x1a\n"
    for chunk in chunks:
        made += (
            struct.pack(">I", max(len(chunk) - 4, 0)) + chunk + struct.pack(">I", zlib.crc32(chunk))
        )
    return made


def pictures(folder: Path) -> Kind:
    rows = np.arange(12 * 9 * 3, dtype=np.uint8).reshape(12, 9, 3)
    whole, deep = Image.fromarray(rows), Image.fromarray(rows[:, :, 0].astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112] = 6
    files = [_encoded(whole, "JPEG", exif=exif), _encoded(whole, "WEBP"), _encoded(whole, "BMP"),
             _encoded(whole, "TIFF"), _encoded(deep, "TIFF"), _encoded(deep, "PNG"),
             _encoded(whole.convert("P"), "PNG", transparency=3), _encoded(whole, "PNG"),
             _encoded(whole, "WEBP", lossless=True)]  # fmt: skip
    chunks = [png_chunks(data) for data in files if data.startswith(b"\x89PNG")]

    def make(seed: int) -> Iterator[bytes]:
        rng = Rng(seed)
        bytewise = mutants.mutants(files, seed)
        while True:
            if rng.random() < 0.5:
                yield next(bytewise)
                continue
            parts = spliced(rng.choice(chunks), rng.choice(chunks), rng)
            at = rng.randrange(len(parts))
            if parts[at][:4] == b"IHDR" and rng.random() < 0.7:
                size = struct.pack(">II", rng.choice(EDGES), rng.choice(EDGES))
                parts[at] = b"IHDR" + size + parts[at][12:]
            else:
                parts[at] = mutants.mutant(parts[at], parts[at], rng)
            yield png_of(parts)

    return Kind(folder / "a.png", make, lambda file: open_picture(file).load())


def _encoded(picture: Image.Image, form: str, **more: Any) -> bytes:
    file = io.BytesIO()
    picture.save(file, form, **more)
    return file.getvalue()


KINDS: dict[str, Callable[[Path], Kind]] = {
    "pickled networks": networks,
    "pickled flows": flows,
    "dcgan": dcgan,
    "tfjs": tfjs,
    "safetensors": safetensors,
    "npy": npy,
    "yaml": yaml,
    "csv": csv,
    "landmarks": landmarks,
    "pictures": pictures,
    **{
        f"record {i} {kind}/{name}": records(i)
        for i, (kind, name, _) in enumerate(test_record_fuzz.READERS)
    },
}
