"""Spaces of codes in a chain, z → w → w+ → s, with maps in one direction only."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from latentedit.errors import InputError, UnknownName, Unsupported


@dataclass(frozen=True)
class CodeSpaces:
    """Sampling and conversion for a generator with such spaces, with their checks.

    Args:
        name: of the generator, for messages.
        shapes: shape of one code in each space, in order from ``"z"``.

    >>> spaces = CodeSpaces("small", {"z": (2,), "w": (2,), "w+": (3, 2)})
    >>> steps = (lambda z: 5 * z, lambda w: w[:, None].repeat(1, 3, 1))
    >>> spaces.walk(spaces.draw(4, seed=0), "z", "w+", steps).shape
    torch.Size([4, 3, 2])
    """

    name: str
    shapes: Mapping[str, tuple[int, ...]]

    def shape(self, space: str) -> tuple[int, ...]:
        """Shape of one code of `space`; raises `UnknownName`."""
        if space not in self.shapes:
            raise UnknownName("space", space, self.shapes, f"of {self.name}")
        return self.shapes[space]

    def draw(self, n: int, seed: int, space: str = "z", truncation_psi: float = 1.0) -> Tensor:
        """(n, \\*shape of z) standard normal codes, from which codes of `space` are computed.

        Raises:
            InputError: n is below 0, or truncation is requested in z.
        """
        self.shape(space)
        if n < 0:
            raise InputError(f"n, the number of codes, must be at least 0, received {n}")
        if space == "z" and truncation_psi != 1:
            raise InputError(
                f"truncation is defined in w, not z; received truncation_psi={truncation_psi} "
                f"with space='z'. Sample another space, or leave truncation_psi at 1."
            )
        return torch.randn(n, *self.shapes["z"], generator=torch.Generator().manual_seed(seed))

    def walk(
        self, codes: Tensor, source: str, target: str, steps: Sequence[Callable[[Tensor], Tensor]]
    ) -> Tensor:
        """Codes (N, \\*shape) of `source` as codes of `target`.

        Args:
            steps: the maps from each space to the next.

        Raises:
            UnknownName: there is no such space.
            InputError: the codes have another shape.
            Unsupported: `target` comes before `source`.
        """
        shape, order = self.shape(source), list(self.shapes)
        self.shape(target)
        if tuple(codes.shape[1:]) != shape or codes.ndim == 0:
            raise InputError(
                f"{source} codes of {self.name} have shape (N, {', '.join(map(str, shape))}), "
                f"received {tuple(codes.shape)}"
            )
        if order.index(target) < order.index(source):
            raise Unsupported(
                f"{self.name} maps {' → '.join(order)} and not back, received {source} → {target}; "
                f"keep the {target} code that the {source} code was made from"
            )
        for step in steps[order.index(source) : order.index(target)]:
            codes = step(codes)
        return codes
