"""A reader of pickled weight files that executes nothing from the file.

A small interpreter of pickle opcodes builds plain values and inert nodes. It resolves no name,
calls nothing that a file names, and imports neither the standard library's unpickler nor torch.
"""

from __future__ import annotations

from latentedit.weights.network import NetworkFile, read_network, read_state_dict
from latentedit.weights.nodes import InertArray, InertObject, InertTensor, Value
from latentedit.weights.refusal import RefusedFile

__all__ = [
    "InertArray",
    "InertObject",
    "InertTensor",
    "NetworkFile",
    "RefusedFile",
    "Value",
    "read_network",
    "read_state_dict",
]
