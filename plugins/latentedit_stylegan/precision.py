"""Full 32-bit convolutions on CUDA."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch


def exact_convolutions(device: torch.device) -> AbstractContextManager[None]:
    """On CUDA, convolutions of 32-bit numbers in 32 bits: shorter ones miss the published images by
    1e-3."""
    if device.type != "cuda":
        return nullcontext()
    context: AbstractContextManager[None] = torch.backends.cudnn.flags(allow_tf32=False)
    return context
