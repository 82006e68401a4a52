"""What a folder holds, for messages about the wrong one."""

from __future__ import annotations

from pathlib import Path

SUITE, BANK, EDITOR, MODEL = "suite.json", "bank.json", "config.json", "model.safetensors"


def seen_in(folder: Path) -> str:
    """A sentence on a folder that holds a run, a bank or an editor; empty for any other.

    It begins with a space, so that it can follow another sentence.
    """
    if (folder / SUITE).is_file() and (folder / "cells").is_dir():
        bank, cells = folder / "bank", folder / "cells"
        return f" It is a run; its bank is {bank}, and its fitted editors are in {cells}."
    if (folder / BANK).is_file():
        return f" It is a bank; fit an editor on it with: latentedit fit EDITOR --bank {folder}"
    if (folder / EDITOR).is_file() and (folder / MODEL).is_file():
        return f" It is a fitted editor; use it with: latentedit edit --editor {folder} --bank BANK"
    return ""
