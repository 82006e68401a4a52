"""What was computed of a batch of codes lately, in bounded memory."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor

Key = tuple[str, str, str, bytes]
"""What was computed; the space, the type and shape, and the digest of the codes."""


class KeptBatches:
    """Results of pure functions of a batch of codes; the latest ones are not computed again.

    Equal batches have equal results to the bit. Equal codes in another batch need not: sums of
    networks depend on the size of a batch, and on the place in it. So whole batches are compared.

    Args:
        limit: bytes of results that are kept.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._found: OrderedDict[Key, Tensor] = OrderedDict()
        self._size = 0

    def result(self, what: str, codes: Tensor, space: str, make: Callable[[], Tensor]) -> Tensor:
        """The result `what` of codes (N, \\*shape) of `space`, from `make` if it is not known.

        Nobody may change it in place.
        """
        data = codes.detach().cpu().contiguous().numpy().tobytes()
        key = (what, space, f"{codes.dtype}{tuple(codes.shape)}", hashlib.sha256(data).digest())
        if key in self._found:
            self._found.move_to_end(key)
            return self._found[key]
        made = make()
        if made.nbytes <= self.limit:
            self._found[key] = made
            self._size += made.nbytes
        while self._size > self.limit:
            self._size -= self._found.popitem(last=False)[1].nbytes
        return made
