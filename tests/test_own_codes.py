"""Codes of one's own, with a CSV of labels, as a bank; and a labeller that changed since."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_editors
from toy import ROWS, W_DIM, ToyGenerator
from toy_editors import Exact

import latentedit_faces
from latentedit import (
    AttributeEstimator,
    CorruptArtefact,
    FingerprintMismatch,
    InputError,
    LatentBank,
    PluginSpec,
    Registry,
    fit_editor,
    hookimpl,
    make_bank,
)
from latentedit.sampling.importing import import_bank
from latentedit_faces.own_codes import OwnCodes

N = 12


def labels(folder: Path, header: str, rows: list[str]) -> None:
    folder.mkdir(exist_ok=True)
    (folder / "labels.csv").write_text("\n".join([header, *rows]))


def numbered(folder: Path, n: int = N) -> Path:
    labels(folder, "index,age,smile", [f"{i},{20 + 3 * i},{i % 2}" for i in range(n)])
    return folder


def w_codes() -> torch.Tensor:
    return ToyGenerator().sample(N, 0)


def rows_of_w_plus() -> torch.Tensor:
    """(N, L, D) with different rows."""
    return w_codes()[:, None] + torch.arange(ROWS)[:, None]


SHAPES: dict[str, tuple[Callable[[], torch.Tensor], tuple[int, ...]]] = {
    "(N, L, D)": (rows_of_w_plus, (ROWS, W_DIM)),
    "(N, L, D) of W": (lambda: w_codes()[:, None].expand(-1, ROWS, -1), (W_DIM,)),
    "(N, 1, D)": (lambda: w_codes()[:, None], (W_DIM,)),
    "(N, D)": (w_codes, (W_DIM,)),
}


@pytest.mark.parametrize("suffix", [".npy", ".pt"])
@pytest.mark.parametrize("name", SHAPES)
def test_codes_in_one_file_are_read_in_the_order_of_the_labels(
    tmp_path: Path, name: str, suffix: str
) -> None:
    make, shape = SHAPES[name]
    codes = make().contiguous()
    write(tmp_path / f"codes{suffix}", codes)
    labels(tmp_path, "index,age", ["7,50", "0,20", "3,30"])
    found = OwnCodes().read(tmp_path)
    assert found.codes.shape == (3, *shape)
    expected = codes if len(shape) > 1 else codes.reshape(N, -1, W_DIM)[:, 0]
    assert torch.equal(found.codes, expected[[7, 0, 3]])
    assert found.attributes[:, 0].tolist() == [50, 20, 30]


def write(path: Path, codes: torch.Tensor) -> None:
    path.parent.mkdir(exist_ok=True)
    torch.save(codes, path) if path.suffix == ".pt" else np.save(path, codes.numpy())


@pytest.mark.parametrize("suffix", [".npy", ".pt"])
@pytest.mark.parametrize("leading", [(), (1,)])
@pytest.mark.parametrize("of_w", [True, False])
def test_a_file_for_each_code_is_read(
    tmp_path: Path, suffix: str, leading: tuple[int, ...], of_w: bool
) -> None:
    codes = w_codes() if of_w else rows_of_w_plus()
    for i, code in enumerate(codes):
        write(tmp_path / f"face {i}{suffix}", code.reshape(*leading, *code.shape).clone())
    labels(tmp_path, "file,age", [f"face {i}{suffix},{i}" for i in (4, 2, 9)])
    assert torch.equal(OwnCodes().read(tmp_path).codes, codes[[4, 2, 9]])


def registry() -> Registry:
    found = toy_editors.registry()
    found.add(latentedit_faces, "faces")
    return found


def test_a_bank_of_own_codes_fits_an_editor(tmp_path: Path) -> None:
    write(numbered(tmp_path / "own") / "codes.npy", w_codes()[:, None])
    bank = import_bank(
        registry(), "faces-codes", tmp_path / "own", tmp_path / "B", generator="toy", n_test=4
    )
    bank.verify()
    assert (bank.space, bank.schema.names) == ("w", ("age", "smile"))
    assert len(fit_editor(registry(), "exact", bank).schema.names) == 2


@pytest.mark.parametrize(
    ("codes", "rows", "message"),
    [
        (None, ["0,1", "1,2"], "has 0 of codes.npy and codes.pt, and needs one"),
        (torch.zeros(2, 3), ["0,1", "5,2"], "has 2 codes, .*labels index 5"),
        (torch.zeros(2, 3), ["0,1", "0,2"], "two rows"),
        (torch.zeros(2, 3), ["0,1", "-1,2"], "index is a number from 0, received '-1'"),
        (torch.zeros(3, 3), ["0,1", "2,2", "1,"], "has no value of 'age' for 1"),
        (torch.zeros(2, 3, dtype=torch.int64), ["0,1", "1,2"], "int64 .*expected floats"),
        (torch.zeros(2), ["0,1", "1,2"], r"shape \(2,\); expected \(N, L, D\)"),
        (torch.zeros(2, 1, 3, 3), ["0,1", "1,2"], "expected"),
        (torch.full((2, 3), torch.nan), ["0,1", "1,2"], "not finite"),
        (torch.full((2, 3), 1e300, dtype=torch.float64), ["0,1", "1,2"], "not finite"),
    ],
)
def test_what_is_wrong_with_codes_is_said(
    tmp_path: Path, codes: torch.Tensor | None, rows: list[str], message: str
) -> None:
    labels(tmp_path, "index,age", rows)
    if codes is not None:
        write(tmp_path / "codes.pt", codes)
    with pytest.raises(InputError, match=message):
        OwnCodes().read(tmp_path)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("../a.npy", "names '../a.npy'"),
        ("/etc/passwd", "names '/etc/passwd'"),
        ("a.png", "names 'a.png'"),
        ("nowhere.npy", "there is no file"),
        ("words.npy", "is no .npy file"),
        ("list.pt", "holds list; codes are one tensor of floats"),
        ("other.pt", "codes of one generator"),
    ],
)
def test_what_is_wrong_with_a_file_of_a_code_is_said(
    tmp_path: Path, name: str, message: str
) -> None:
    write(tmp_path / "ok.pt", torch.zeros(3))
    write(tmp_path / "other.pt", torch.zeros(4))
    torch.save([1, 2], tmp_path / "list.pt")
    (tmp_path / "words.npy").write_text("words")
    labels(tmp_path, "file,age", ["ok.pt,1", f"{name},2"])
    with pytest.raises((InputError, CorruptArtefact), match=message):
        OwnCodes().read(tmp_path)


class _Asks:
    """An editor that reads images, and a labeller whose fingerprint can change."""

    Asker: type[Exact] = type("Asker", (Exact,), {"needs": frozenset({"estimator"})})

    @hookimpl
    def latentedit_plugins(self) -> list[PluginSpec]:
        return [PluginSpec("editor", "asks", "toy_asking:Asker", "for tests")]


def test_fit_refuses_a_labeller_that_changed_since_the_bank_was_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = types.ModuleType("toy_asking")
    module.Asker = _Asks.Asker  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "toy_asking", module)
    plugins = toy_editors.registry()
    plugins.add(_Asks(), "asks")
    bank: LatentBank = make_bank(
        plugins, tmp_path / "B", generator="toy", labeller="toy-labeller", n_fit=20, n_test=4
    )
    fitted = fit_editor(plugins, "asks", bank)
    fitted.save(tmp_path / "E")
    labeller: type[AttributeEstimator] = plugins.load("estimator", "toy-labeller")
    monkeypatch.setattr(labeller, "fingerprint", "changed")
    with pytest.raises(FingerprintMismatch, match=r"labellers: installed toy-labeller has changed"):
        fit_editor(plugins, "asks", bank)
    assert fit_editor(plugins, "exact", bank).schema == bank.schema
