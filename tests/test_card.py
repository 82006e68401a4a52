"""The model card of a fitted editor."""

from __future__ import annotations

from pathlib import Path

import toy_editors
import yaml

from latentedit import fit_editor, load_editor, make_bank


def test_a_saved_editor_has_a_card_with_what_it_was_fitted_on(tmp_path: Path) -> None:
    registry = toy_editors.registry()
    make = {"generator": "toy", "labeller": "toy-labeller", "n_fit": 50, "n_test": 4}
    bank = make_bank(registry, tmp_path / "bank", **make)
    fitted = fit_editor(registry, "exact", bank, seed=3)
    fitted.save(tmp_path / "E")
    _, front, text = (tmp_path / "E" / "README.md").read_text("utf-8").split("---\n", 2)
    assert yaml.safe_load(front) == {
        "library_name": "latentedit",
        "tags": ["latentedit", "latent-space-editing", "exact"],
    }
    for known in (bank.hash, bank.generator.fingerprint, bank.labeller.fingerprint, "| seed | 3 |"):
        assert known in text
    for attribute in bank.schema:
        assert f"| {attribute.name} | {attribute.kind} |" in text
    assert fitted.figures
    for figure, value in fitted.figures.items():
        assert f"| {figure} | {value:.4g} |" in text
    assert load_editor(registry, tmp_path / "E").bank_hash == bank.hash
