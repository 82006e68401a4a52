"""A setting of glibc's allocator that speeds up rendering."""

from __future__ import annotations

from functools import lru_cache

import torch


@lru_cache(maxsize=1)
def keep_heap() -> None:
    """Free one large block, so that glibc keeps blocks of up to that size on its heap.

    Otherwise glibc returns the memory of every intermediate result to the system, and gets it back
    zeroed. That takes a quarter of the rendering time, and a few percent of the time of
    `synthface-net` (see M_MMAP_THRESHOLD in mallopt(3)).
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)
